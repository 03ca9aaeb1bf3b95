"""The codes of the lints of temporal formulas. The table is `lints`."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

FORMULAS: dict[str, Explanation] = {
    "unsatisfiable-formula": Explanation(
        "No trace satisfies the formula, so it is never paid.",
        """\
propositions: {door: info.door, lava: info.lava}
reward:
  ltl: F door & G !door
""",
        """\
# Two parts excluded each other: the second was meant for another proposition.
propositions: {door: info.door, lava: info.lava}
reward:
  ltl: F door & G !lava
""",
    ),
    "tautological-formula": Explanation(
        "Every trace satisfies the formula, so it is paid whatever the agent does.",
        """\
propositions: {door: info.door}
reward:
  ltl: F door | G !door
""",
        """\
# Keep the part that asks for something.
propositions: {door: info.door}
reward:
  ltl: F door
""",
    ),
    "first-step-only": Explanation(
        "A formula without a temporal operator speaks of the first step only: after it, nothing counts any "
        "more.",
        """\
propositions: {coffee: info.coffee}
reward:
  ltl: coffee
""",
        """\
# F: at some step.
propositions: {coffee: info.coffee}
reward:
  ltl: F coffee
""",
    ),
    "paid-on-first-step": Explanation(
        "`pay: first` pays at the first step at which the trace so far satisfies the formula, and ends the "
        "episode. A formula that says what must never happen is satisfied so far after one step, so the "
        "episode is one step long.",
        """\
propositions: {lava: info.lava}
reward:
  ltl: G !lava
""",
        """\
# `pay: end` pays on the verdict about the whole episode.
propositions: {lava: info.lava}
reward:
  ltl: G !lava
  pay: end
""",
    ),
    "accept-never-paid": Explanation(
        "`pay: for_good` waits until no continuation can undo the satisfaction; for this formula there is "
        "always one that can.",
        """\
propositions: {goal: info.goal, lava: info.lava}
reward:
  ltl: F goal & G !lava
  pay: for_good
""",
        """\
# `pay: first` pays when the goal is reached without lava before; `pay: end` waits for the whole episode.
propositions: {goal: info.goal, lava: info.lava}
reward:
  ltl: F goal & G !lava
  pay: first
""",
    ),
    "reject-never-paid": Explanation(
        "`reject` is paid when no continuation can satisfy the formula any more. A formula that only says "
        "what must happen some day (liveness) is never violated for good.",
        """\
propositions: {goal: info.goal}
reward:
  ltl: F goal
  reject: -1
""",
        """\
# Say what must not happen.
propositions: {goal: info.goal, lava: info.lava}
reward:
  ltl: F goal & G !lava
  reject: -1
""",
        "warning",
    ),
    "vacuous-formula": Explanation(
        "A part of the formula makes no difference: replaced by true or by false it leaves a formula that "
        "holds on the same traces. Often a sign that the formula does not say what is meant.",
        """\
propositions: {key: info.key, door: info.door}
reward:
  ltl: F door | F(key & X F door)
""",
        """\
# First the key, then the door: the other part allowed the door alone.
propositions: {key: info.key, door: info.door}
reward:
  ltl: F(key & X F door)
""",
        "warning",
    ),
    "finite-reading": Explanation(
        "The formula means one thing on finite traces (an episode) and another on infinite ones. `G F a` "
        "and `F G a` both ask only for `a` at the last step of an episode; a strong `X` fails at the last "
        "step, which has no next.",
        """\
propositions: {home: info.home, work: info.work}
reward:
  ltl: G F home & F work
  pay: end
""",
        """\
# Over endless behaviour: home again and again.
propositions: {home: info.home, work: info.work}
reward:
  ltl: F home & F work
  pay: end
""",
        "info",
    ),
    "close-scales": Explanation(
        "`scheme: parity` pays a formula such as `F G a` out of a stake, of which visits to each priority take a "
        "share. The shares are worked out from the discount: the closer it is to 1, the further apart they are, and "
        "the more surely a policy of greatest return is one that satisfies the formula. Here they are close together.",
        """\
discount: 0.9
propositions: {balanced: info.balanced}
reward:
  ltl: F G balanced
  semantics: infinite
""",
        """\
# Two priorities whose shares are ten times apart.
discount: 0.999
propositions: {balanced: info.balanced}
reward:
  ltl: F G balanced
  semantics: infinite
""",
        "warning",
    ),
    "accept-not-above-reject": Explanation(
        "Satisfying the formula pays no more than violating it, so the agent has no reason to satisfy it.",
        """\
propositions: {goal: info.goal, lava: info.lava}
reward:
  ltl: F goal & G !lava
  accept: -1
  reject: 1
""",
        """\
propositions: {goal: info.goal, lava: info.lava}
reward:
  ltl: F goal & G !lava
  accept: 1
  reject: -1
""",
        "warning",
    ),
}
