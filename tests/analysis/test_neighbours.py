"""Where each lint draws its line: specs on the two sides of it, and the numbers that it prints."""

from __future__ import annotations

import pytest

from rewardspec.analysis.check import check
from rewardspec.errors import Problem
from rewardspec.vocabulary import loads

HEAD = """\
discount: 0.99
env: {horizon: 200, ends_early: true}
propositions: {goal: info.goal, lava: info.lava, key: info.key, open: info.open}
"""


def found(text: str, code: str) -> list[Problem]:
    return [problem for problem in check(loads(text)) if problem.code == code]


def machine(*edges: str, terminal: str = "[]", more: str = "") -> str:
    lines = "".join(f"      - {{{edge}}}\n" for edge in edges)
    return (
        f"{HEAD}reward:\n- reward_machine:\n    start: a\n    terminal: {terminal}\n    edges:\n{lines}{more}"
    )


@pytest.mark.parametrize(
    ("formula", "trips"),
    [
        ("G !lava", True),
        ("G lava", True),
        ("G(key -> F open)", True),
        ("G !lava & G(key -> F open)", True),
        ("goal W lava", True),
        ("!lava W goal", True),
        ("F goal | G !lava", True),
        ("F goal", False),
        ("F goal & G !lava", False),
        ("!lava U goal", False),
        ("F !open & G !lava", False),
        ("F(key & X F open)", False),
        ("F goal & G(key -> F open)", False),
    ],
)
def test_pay_first_must_not_pay_for_any_single_step(formula: str, trips: bool) -> None:
    assert bool(found(f"{HEAD}reward: {{ltl: {formula!r}}}", "paid-on-first-step")) == trips
    assert not found(f"{HEAD}reward: {{ltl: {formula!r}, pay: end}}", "paid-on-first-step")


@pytest.mark.parametrize(
    ("formula", "trips"),
    [("goal", True), ("!lava", True), ("key & !lava", True), ("goal & F key", False), ("X goal", False)],
)
def test_a_formula_without_a_temporal_operator_reads_one_step(formula: str, trips: bool) -> None:
    assert bool(found(f"{HEAD}reward: {{ltl: {formula!r}}}", "first-step-only")) == trips


@pytest.mark.parametrize(
    ("formula", "idle"),
    [
        ("F key & F(key & X F open)", "F key"),
        ("F(goal | (goal & key))", "goal and key"),
        ("F goal & G !lava", None),
        ("!lava U (key & X(!lava U open))", None),
    ],
)
def test_idle_parts_are_named_and_underlined(formula: str, idle: str | None) -> None:
    problems = found(f"{HEAD}reward: {{ltl: {formula!r}}}", "vacuous-formula")
    assert [f"'{idle}'" in problem.message for problem in problems] == ([True] if idle else [])
    if idle:
        place = problems[0].place
        shown = place.excerpt[place.column - 1 : place.column - 1 + place.length]
        assert shown.strip("()").replace("&", "and") == idle


@pytest.mark.parametrize(
    ("formula", "trips"),
    [
        ("G F goal", True),
        ("F G goal", True),
        ("G(key -> X open)", True),
        ("G(key -> WX open)", False),
        ("F goal", False),
    ],
)
def test_formulas_that_read_differently_on_infinite_words(formula: str, trips: bool) -> None:
    assert bool(found(f"{HEAD}reward: {{ltl: {formula!r}, pay: end}}", "finite-reading")) == trips


@pytest.mark.parametrize(
    ("options", "trips"),
    [
        ("F goal, reject: -1", True),
        ("F goal, reject: -1, pay: end", False),
        ("F goal", False),
        ("F goal & G !lava, reject: -1", False),
        ("'G F goal', reject: -1, semantics: infinite", True),
        ("'G F goal & G !lava', reject: -1, semantics: infinite", False),
    ],
)
def test_reject_that_is_never_paid(options: str, trips: bool) -> None:
    assert bool(found(f"{HEAD}reward: {{ltl: {options}}}", "reject-never-paid")) == trips


@pytest.mark.parametrize(
    ("options", "trips"),
    [
        ("accept: 1, reject: 2", True),
        ("accept: -1, reject: 1", True),
        ("accept: 1, reject: -1", False),
        ("accept: -1", False),  # a formula that says what is unwanted
        ("accept: 0", False),  # it ends the episode and is read by others
    ],
)
def test_violation_that_pays_better(options: str, trips: bool) -> None:
    text = f"{HEAD}reward: {{ltl: F goal & G !lava, {options}}}"
    assert bool(found(text, "accept-not-above-reject")) == trips


def test_a_contradiction_is_shown_with_the_two_parts() -> None:
    (problem,) = found(f"{HEAD}reward: {{ltl: F goal & F key & G !key}}", "unsatisfiable-formula")
    assert "'F key' and 'G not key' exclude each other." in problem.hints


def test_an_exploding_formula_is_the_compilers_problem_and_names_the_part() -> None:
    names = [f"a{i}" for i in range(14)]
    formula = "!a0 U (a1" + "".join(f" & X(!a0 U ({name}" for name in names[2:]) + "))" * 12 + ")"
    propositions = "".join(f"  {name}: info.{name}\n" for name in names)
    (problem,) = check(loads(f"propositions:\n{propositions}reward:\n  ltl: '{formula}'\n"))
    assert (problem.code, problem.severity) == ("formula-too-large", "error")
    assert problem.place.line == 17 and any("the part is" in hint for hint in problem.hints)


# -- machines --------------------------------------------------------------------------------------


def test_a_gap_is_a_warning_only_where_staying_is_spelt_out() -> None:
    assert not found(machine("from: a, to: b, when: key, reward: 1", terminal="[b]"), "guard-gap")
    silent = machine("from: a, to: b, when: key and not lava, reward: 1", terminal="[b]")
    (problem,) = found(silent, "guard-gap")
    assert problem.severity == "info" and problem.message.endswith("no edge for: lava")
    spelt = machine(
        "from: a, when: not key and not lava",
        "from: a, to: b, when: key and not lava, reward: 1",
        terminal="[b]",
    )
    (problem,) = found(spelt, "guard-gap")
    assert problem.severity == "warning" and problem.message.endswith("no edge for: lava")
    assert "`lava`" in problem.hints[1]
    paying = machine(
        "from: a, when: lava, reward: -1", "from: a, to: b, when: key and not lava, reward: 1", terminal="[b]"
    )
    assert not found(paying, "guard-gap")
    total = machine("from: a, when: otherwise", "from: a, to: b, when: key, reward: 1", terminal="[b]")
    assert not found(total, "guard-gap")


def test_otherwise_that_nothing_is_left_for() -> None:
    edges = (
        "from: a, to: b, when: key, reward: 1",
        "from: a, to: c, when: not key",
        "from: a, to: c, when: otherwise",
    )
    (problem,) = found(machine(*edges, terminal="[b, c]"), "edge-never-taken")
    assert problem.place.path.endswith("edges[2].when")


def test_trap_states_are_those_entered_without_pay_that_go_on() -> None:
    edges = (
        "from: a, to: won, when: goal and not lava, reward: 1",
        "from: a, to: lost, when: lava",
        "from: lost, to: pit, when: key",
    )
    (problem,) = found(machine(*edges, terminal="[won]"), "trap-state")
    assert "'lost'" in problem.message
    assert not found(machine(*edges[:2], terminal="[won, lost]"), "trap-state")
    punishing = machine("from: a, to: b, when: lava, reward: -1")
    assert not found(punishing, "trap-state")  # it never pays: the other terms do


def test_terminal_states_may_differ_in_name_only() -> None:
    edges = (
        "from: a, to: left, when: key, reward: 1",
        "from: a, to: right, when: open and not key, reward: 1",
    )
    assert not found(machine(*edges, terminal="[left, right]"), "equivalent-states")
    assert found(machine(*edges), "equivalent-states")


LOOP = (
    "from: a, to: b, when: key, reward: {}",
    "from: b, to: a, when: not key and not goal",
    "from: b, to: won, when: goal, reward: 1",
)


def loop(pay: str, more: str = "", terminal: str = "[won]") -> list[Problem]:
    return found(
        machine(LOOP[0].format(pay), *LOOP[1:], terminal=terminal, more=more), "positive-reward-cycle"
    )


def test_ways_that_pay_differently() -> None:
    ways = ("from: a, to: b, when: key, reward: 0.1", "from: a, to: b, when: open and not key, reward: 0.2")
    (problem,) = found(
        machine(*ways, "from: b, to: won, when: goal, reward: 1", terminal="[won]"), "uneven-payments"
    )
    assert "'b'" in problem.message and "0.1 and 0.2" in problem.message
    bump = ("from: a, when: lava, reward: -0.1", "from: a, to: won, when: goal and not lava, reward: 1")
    assert not found(machine(*bump, terminal="[won]"), "uneven-payments")


def test_a_loop_is_printed_with_its_guards_and_compared_with_the_goal() -> None:
    (problem,) = loop("0.2")
    assert problem.severity == "warning"
    assert problem.hints[0] == "The loop: a [key: +0.2] -> b [not goal and not key: +0] -> a."
    # (1 - 0.99^200) / (1 - 0.99) / 2 * 0.2 = 8.66
    assert "worth about 8.66; the goal is worth 1" in problem.hints[1]


def test_a_loop_that_is_worth_less_than_the_goal_or_costs_steps_is_no_warning() -> None:
    (problem,) = loop("0.02")
    assert problem.severity == "info" and "worth about 0.866" in problem.hints[1]
    assert not loop("0")
    assert not loop("0.2", more="- markov: -0.15\n")  # two steps cost more than the round pays
    (problem,) = loop("0.2", terminal="[]")
    assert problem.severity == "info"  # without an end the loop may be the task


def test_a_loop_over_a_counter_is_no_warning() -> None:
    text = f"""{HEAD}reward:
  reward_machine:
    start: a
    terminal: won
    counters: {{laps: 0}}
    propositions: {{enough: laps >= 3}}
    edges:
      - {{from: a, when: key and not enough, reward: 1, count: {{laps: laps + 1}}}}
      - {{from: a, to: won, when: goal and not key, reward: 1}}
"""
    assert [problem.severity for problem in found(text, "positive-reward-cycle")] == ["info"]


# -- incentives ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("term", "trips"),
    [
        ("0.1 * key", True),  # 0.1 * 86.6 = 8.66 > 1
        ("0.01 * key", False),  # 0.866 < 1
        ("2 * goal", False),  # the goal ends the episode: paid once
        ("0.5 * (goal and key)", False),
        ("3 * terminated", False),
        ("next_obs[0] - obs[0]", False),  # adds up to the last value minus the first
        ("0.1 * (next_obs[0] - obs[0])", False),
        ("reward", False),  # what the environment may pay is taken for its own goal
        ("0.1 if next_obs[0] > 3 else 0", True),
    ],
)
def test_what_can_be_repeated_against_the_goal(term: str, trips: bool) -> None:
    head = HEAD.replace("ends_early", "base_reward: [0, 1], ends_early")
    text = f"{head}reward:\n  - ltl: F goal & G !lava\n  - markov: {term}\n"
    assert bool(found(text, "repetition-beats-goal")) == trips


@pytest.mark.parametrize(
    ("term", "trips"),
    [
        ("10 * (x - obs[0])", False),  # adds up to the last value minus the first
        ("10 * x", True),
        ("1 if x > 0.9 else 0", False),  # the goal's own condition, written out: it ends the episode
        ("1 if x > 0.8 else 0", True),
    ],
)
def test_what_can_be_repeated_on_declared_ranges(term: str, trips: bool) -> None:
    text = f"""
discount: 0.99
env: {{horizon: 200}}
signals: {{x: {{value: "next_obs[0]", range: [0, 1]}}}}
propositions: {{goal: x > 0.9}}
reward: [{{ltl: F goal}}, {{markov: "{term}"}}]
"""
    assert bool(found(text, "repetition-beats-goal")) == trips


def test_repetition_prints_the_bound_that_would_be_safe() -> None:
    (problem,) = found(f"{HEAD}reward:\n  - ltl: F goal\n  - markov: 0.1 * key\n", "repetition-beats-goal")
    assert "0.1 a step, 8.66 over 200 steps at discount 0.99" in problem.message
    assert problem.hints[0] == "Below 0.012 a step it cannot outweigh the goal."


@pytest.mark.parametrize(("pay", "trips"), [("0.011", True), ("0.009", False), ("-0.011", False)])
def test_waiting_beats_the_goal_from_one_minus_discount_times_the_goal_on(pay: str, trips: bool) -> None:
    text = f"{HEAD}reward:\n  - ltl: F goal\n  - markov: {pay}\n"
    assert bool(found(text, "idling-beats-goal")) == trips


def test_waiting_counts_only_what_is_sure() -> None:
    assert not found(f"{HEAD}reward:\n  - ltl: F goal\n  - markov: 0.1 * key\n", "idling-beats-goal")


def test_waiting_is_the_sum_of_all_terms() -> None:
    terms = "  - ltl: F goal\n  - markov: 0.05\n    name: alive\n  - markov: -0.045\n    name: time\n"
    text = f"{HEAD}reward:\n{terms}"
    assert not found(text, "idling-beats-goal")


@pytest.mark.parametrize(("reject", "trips"), [("-0.1", True), ("-1.2", False)])
def test_failing_at_once_against_a_late_goal(reject: str, trips: bool) -> None:
    head = HEAD.replace("0.99", "1")
    text = f"{head}reward:\n  - ltl: F goal & G !lava\n    reject: {reject}\n  - markov: -0.011\n"
    problems = found(text, "dying-beats-goal")
    assert bool(problems) == trips
    if trips:  # 1 - 0.011 t < -0.1 from t = 101 on
        assert "takes more than 100 of 200 steps" in problems[0].message
        assert problems[0].place.path == "reward[0].reject"


def test_a_cost_that_can_be_avoided_does_not_make_failing_better() -> None:
    text = f"{HEAD}reward:\n  - ltl: F goal & G !lava\n  - markov: -0.1 * key\n"
    assert not found(text, "dying-beats-goal")


@pytest.mark.parametrize(("discount", "trips"), [("0.96", True), ("0.97", False)])
def test_a_goal_at_the_horizon_is_worth_something(discount: str, trips: bool) -> None:
    text = f"{HEAD.replace('0.99', discount)}reward:\n  ltl: F goal\n"
    problems = found(text, "goal-worth-nothing")  # 0.96^200 = 2.8e-4, 0.97^200 = 2.3e-3
    assert bool(problems) == trips
    if trips:
        assert "0.96^200 * 1 = 0.00028" in problems[0].message
        assert "more than 169 steps away" in problems[0].hints[0]
        assert "discount 0.986" in problems[0].hints[1]


def test_a_verdict_that_is_paid_at_the_horizon_is_worth_something() -> None:
    text = f"{HEAD}reward: {{ltl: F goal & G !lava, pay: end}}"
    assert not found(text, "goal-worth-nothing")
    assert found(text.replace("0.99", "0.95"), "goal-worth-nothing")


@pytest.mark.parametrize(("cost", "trips"), [("0.0001", False), ("0.000001", True)])
def test_a_small_cost_adds_up_over_the_horizon(cost: str, trips: bool) -> None:
    text = f"{HEAD}reward:\n  - ltl: F goal\n  - markov: -{cost}\n    name: time\n"
    assert bool(found(text, "dwarfed-term")) == trips


def test_an_end_of_the_spec_with_what_is_paid_on_it_is_a_goal() -> None:
    text = f"{HEAD}reward:\n  - markov: goal\n  - markov: 0.1 * key\n    name: key\nend: [{{when: goal}}]\n"
    (problem,) = found(text, "repetition-beats-goal")
    assert "'key'" in problem.message and "reaching 'end' pays 1" in problem.message


# -- composition and declarations ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factors", "trips"),
    [
        (("speed", "upright"), True),
        (("max(speed, 0)", "upright"), False),
        (("(speed + 1) / 2", "upright"), False),
        (("speed", "2"), False),  # a constant factor turns nothing round
        (("next_obs[7]", "upright"), False),  # nothing is known: nothing is said
        (("sigmoid(speed)", "upright"), False),
    ],
)
def test_products_with_a_factor_that_may_be_negative(factors: tuple[str, str], trips: bool) -> None:
    text = f"""
signals:
  speed: {{value: "next_obs[0]", range: [-1, 1]}}
  upright: {{value: "next_obs[1]", range: [0, 1]}}
reward:
  - product: [{{markov: "{factors[0]}"}}, {{markov: "{factors[1]}"}}]
  - markov: 0.1 * (speed + upright)
"""
    assert bool(found(text, "negative-product")) == trips


@pytest.mark.parametrize(
    ("inner", "trips"),
    [
        ("{affine: {markov: reward}, scale: 3}", True),
        ("{markov: reward, weight: 3}", True),
        ("{affine: {markov: reward}, scale: -1}", False),  # it turns the sign
        ("{markov: reward}", False),
    ],
)
def test_scales_inside_a_running_normalisation(inner: str, trips: bool) -> None:
    assert bool(found(f"reward: {{normalise: {inner}}}", "normalised-scale")) == trips
    assert not found(f"reward: {{normalise: {{of: {inner}, mean: 0, std: 2}}}}", "normalised-scale")


def test_a_clip_over_a_difference_and_one_under_it() -> None:
    assert found("reward: {clip: {markov: 'next_obs[0] - obs[0]'}, low: 0}", "broken-telescoping")
    assert found("reward: {tanh: {diff: {markov: 'next_obs[0]'}}}", "broken-telescoping")
    assert not found("reward: {diff: {clip: {markov: 'next_obs[0]'}, low: 0}}", "broken-telescoping")
    assert not found("reward: {clip: {markov: 'next_obs[0]'}, low: 0}", "broken-telescoping")


@pytest.mark.parametrize(
    ("value", "trips"),
    [
        ("1 / x", True),
        ("1 / (x + 0.5)", False),
        ("1 / x if x > 0 else 0", False),
        ("1 / x if x >= 0 else 0", True),
        ("1 / x if x != 0 else 0", False),
        ("1 / x if x <= 0 else 0", True),
        ("0 if x <= 0 else log(x)", False),
        ("log(x)", True),
        ("sqrt(x)", False),
        ("sqrt(x - 1)", True),
        ("exp(1000 * x)", True),
        ("1 / next_obs[7]", False),  # nothing is known: nothing is said
        ("tolerance(x, 0.2, 0.4, margin=1, sigmoid='hyperbolic')", False),
        ("tolerance(x, 0.2, 0.4, margin=1, sigmoid='reciprocal')", False),
        ("x % x", True),
        ("9 ** 9 ** 9 ** 9", True),
        ("x * (1e308 * 10)", True),
        ("x * (1e307 * 10)", False),
    ],
)
def test_arithmetic_that_may_not_be_finite(value: str, trips: bool) -> None:
    text = f'signals: {{x: {{value: "next_obs[0]", range: [0, 1]}}}}\nreward: {{markov: "{value}"}}\n'
    assert bool(found(text, "may-not-be-finite")) == trips


@pytest.mark.parametrize(
    ("when", "trips"), [("x < -1", True), ("x < 2", True), ("x < 0.5", False), ("next_obs[1] > 2", False)]
)
def test_ends_that_always_or_never_come(when: str, trips: bool) -> None:
    text = f'signals: {{x: {{value: "next_obs[0]", range: [0, 1]}}}}\nreward: x\nend: [{{when: "{when}"}}]\n'
    assert bool(found(text, "constant-end")) == trips


def test_names_read_through_other_names_are_read() -> None:
    text = """
signals: {x: {value: "obs[0]"}, y: {value: 2 * x}, z: {value: 3 * y}}
propositions: {a: y > 1, b: a and x < 3, c: b}
reward: {ltl: F b}
"""
    spec = loads(text)
    unread = {problem.place.path for problem in check(spec) if problem.code.startswith("unread")}
    assert unread == {"signals.z", "propositions.c"}


def test_memory_that_nobody_needs_to_see() -> None:
    assert not found(f"{HEAD}observe: none\nreward: 0.1 * key", "memory-not-observed")
    (problem,) = found(f"{HEAD}observe: none\nreward:\n  once: key\n", "memory-not-observed")
    assert "once.paid" in problem.message


def test_missing_declarations_are_one_finding() -> None:
    terms = "  - ltl: F goal\n  - markov: next_obs[0]\n  - markov: 0.5 * reward\n"
    text = f"propositions: {{goal: info.goal}}\nreward:\n{terms}"
    (problem,) = found(text, "missing-declarations")
    for key in ("env.horizon", "discount", "env.base_reward"):
        assert f"`{key}`" in problem.message


def test_the_compilers_problems_are_findings_in_the_order_of_their_places() -> None:
    text = "propositions: {goal: info.goal}\nreward:\n  - ltl: F gaol\n  - markov: nonsense\n"
    problems = check(loads(text))
    assert [problem.code for problem in problems] == ["unknown-proposition", "unknown-name"]
    assert [problem.place.line for problem in problems] == [3, 4]
