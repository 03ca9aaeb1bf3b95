"""The seventeen formalisms and their order by what they can express, as data, with a reason for each of the 289 pairs.

A formalism can express an order of the stationary policies of an environment when one of its objectives induces it.
X <= Y says that Y can express, in every finite environment, whatever X can. Everything here follows from a few
inclusions and eight witnesses: tasks that one formalism expresses and others cannot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise


@dataclass(frozen=True)
class Formalism:
    """A kind of objective.

    Attributes:
        key: Short name, as the literature has it.
        name: In words.
        objective: What is written down.
        order: By what policies are compared.
        group: Formalisms of one group express the same.
    """

    key: str
    name: str
    objective: str
    order: str
    group: str


FORMALISMS: tuple[Formalism, ...] = (
    Formalism("MR", "Markov rewards", "R(s, a, s'), discount", "E[sum of discounted R]", "MR"),
    Formalism("LAR", "limit-average rewards", "R(s, a, s')", "long-run average of R", "LAR"),
    Formalism("LTL", "linear temporal logic", "a formula over labels", "P(formula holds)", "LTL"),
    Formalism("RM", "reward machines", "a machine that pays, discount", "E[sum of discounted pay]", "RM"),
    Formalism("INMR", "inner nonlinear Markov rewards", "R, discount, f", "E[f(return)]", "FTR"),
    Formalism("IMORL", "inner multi-objective", "k rewards, f", "E[f(returns)]", "FTR"),
    Formalism("FTR", "functions of trajectories", "f(trajectory)", "E[f(trajectory)]", "FTR"),
    Formalism("RRL", "regularised", "R, alpha, F", "E[sum of discounted R - alpha * F(policy(s))]", "RRL"),
    Formalism("ONMR", "outer nonlinear Markov rewards", "R, discount, f", "f(E[return])", "ONMR"),
    Formalism("OMORL", "outer multi-objective", "k rewards, f", "f(E[returns])", "FTLR"),
    Formalism("FOMR", "functions of occupancies", "f(occupancy)", "f(discounted occupancy)", "FTLR"),
    Formalism("FTLR", "functions of lotteries", "f(lottery)", "f(distribution of trajectories)", "FTLR"),
    Formalism("FPR", "functions of policies", "f(policy)", "f(policy)", "FPR"),
    Formalism(
        "GOMORL", "generalised outer multi-objective", "k rewards, an order", "order of E[returns]", "TLO"
    ),
    Formalism("OMO", "orders of occupancies", "an order", "order of occupancies", "TLO"),
    Formalism("TLO", "orders of lotteries", "an order", "order of distributions of trajectories", "TLO"),
    Formalism("PO", "orders of policies", "an order", "any order", "PO"),
)
"""All seventeen, in the paper's order."""

BY_KEY = {formalism.key: formalism for formalism in FORMALISMS}

GROUPS: tuple[str, ...] = tuple(dict.fromkeys(formalism.group for formalism in FORMALISMS))
"""The eleven groups that can be told apart."""


@dataclass(frozen=True)
class Cover:
    """One step up in the order.

    Attributes:
        below: Group.
        above: Group that expresses more.
        conversion: How an objective of the lower one is written in the upper one.
    """

    below: str
    above: str
    conversion: str


COVERS: tuple[Cover, ...] = (
    Cover("MR", "RM", "a machine with one state pays R"),
    Cover("MR", "RRL", "alpha = 0"),
    Cover("MR", "ONMR", "f is the identity"),
    Cover("RM", "FTR", "f(trajectory) is the discounted sum of what the machine pays along it"),
    Cover("LTL", "FTR", "f(trajectory) is 1 where the formula holds, else 0"),
    Cover("LAR", "FTR", "f(trajectory) is the lower limit of its average rewards"),
    Cover("FTR", "FTLR", "f(lottery) is the expectation of f(trajectory)"),
    Cover("RRL", "FTLR", "the occupancy tells the policy in every state that is visited, and weighs it"),
    Cover("ONMR", "FTLR", "the return is linear in the occupancy; apply f"),
    Cover("FTLR", "FPR", "f(policy) is f of the lottery that it makes"),
    Cover("FTLR", "TLO", "order lotteries by f"),
    Cover("FPR", "PO", "order policies by f"),
    Cover("TLO", "PO", "order policies by the lotteries that they make"),
)
"""The thirteen steps of the diagram."""

SAME: dict[str, str] = {
    "FTR": "number the transitions and choose a discount so small that the return tells the trajectory; f reads it",
    "FTLR": "rewards that mark each transition give the occupancy, and occupancy and lottery determine each other",
    "TLO": "as for functions of lotteries, with an order in place of a number",
}
"""Why the formalisms of a group of several express the same."""


@dataclass(frozen=True)
class Separation:
    """A task that one group expresses and others do not.

    Attributes:
        key: `W1` to `W8`.
        within: The group that expresses it.
        beyond: Groups that do not; nor does any below them.
        wish: The kind of wish that it stands for.
        task: What is asked for, in words.
        why: Why the others cannot.
    """

    key: str
    within: str
    beyond: tuple[str, ...]
    wish: str
    task: str
    why: str


SEPARATIONS: tuple[Separation, ...] = (
    Separation(
        "W1",
        "RM",
        ("RRL", "ONMR", "LTL", "LAR"),
        "what is good now depends on what was done before",
        "twice the same action is worth 2, first then second 1, second then first 0",
        "the value multiplies the two choices: a regularised reward adds them, f of a linear function is constant "
        "along lines, a formula gives deterministic policies 0 or 1, and averages tie: both states are left",
    ),
    Separation(
        "W2",
        "LTL",
        ("RM", "RRL", "ONMR", "LAR"),
        "something holds for ever, with certainty",
        "twice the same action, and then for ever the first one",
        "the probability falls to 0 as soon as the last state ever takes the other action: discounted pay is "
        "continuous, sums and f of a linear function fail as in W1, and averages do not see the first two choices",
    ),
    Separation(
        "W3",
        "LAR",
        ("RM", "RRL", "ONMR", "LTL"),
        "rates in the long run, however rare the changes",
        "the share of time in one of two states",
        "the share depends on the ratio of two probabilities however small, where discounted pay ties; deterministic "
        "policies have three values, and a formula gives 0 or 1",
    ),
    Separation(
        "W4",
        "RRL",
        ("FTR", "ONMR"),
        "be unpredictable",
        "one choice of three actions with the same outcome; the more even, the better",
        "expectations are linear in the choice, and f of a linear function is constant along lines",
    ),
    Separation(
        "W5",
        "ONMR",
        ("FTR", "RRL"),
        "hit a target on average: neither more nor less",
        "two choices; on average exactly one of them shall be the second action",
        "the best is a whole line: expectations multiply the choices, regularised rewards add them",
    ),
    Separation(
        "W6",
        "MR",
        ("LTL", "LAR"),
        "grades between good and bad",
        "three outcomes, worth 0, 1 and 2",
        "a formula tells two outcomes apart, not three, and averages forget the first step",
    ),
    Separation(
        "W7",
        "FPR",
        ("TLO",),
        "what would be done where one never comes",
        "what a policy would do in a state that is never reached",
        "two policies that differ only there make the same trajectories",
    ),
    Separation(
        "W8",
        "TLO",
        ("FPR",),
        "strict priority between averages",
        "two choices: as little as possible of the second action first; among equals, as little second",
        "between any two values of the first probability lies a whole interval of the second: more jumps than the real "
        "numbers have room for",
    ),
)
"""The eight witnesses."""


@dataclass(frozen=True)
class Answer:
    """Whether whatever X can express, Y can.

    Attributes:
        possible: The answer.
        path: Groups from X up to Y, both included; empty where it is not possible.
        witness: A task that X expresses and Y does not; None where it is possible.
        reason: Why, in words.
    """

    possible: bool
    path: tuple[str, ...]
    witness: Separation | None
    reason: str


def can_express(lower: str, upper: str) -> Answer:
    """Return whether formalism `upper` can express whatever `lower` can, with the conversion or a witness.

    Args:
        lower: Key of a formalism.
        upper: Another.

    Raises:
        KeyError: For a key that is none.

    Example:
        >>> can_express("MR", "FTR").path
        ('MR', 'RM', 'FTR')
        >>> can_express("RM", "MR").witness.key
        'W1'
    """
    one, two = BY_KEY[lower], BY_KEY[upper]
    path = path_up(one.group, two.group)
    if path is None:
        witness = _witness(one.group, two.group)
        assert witness is not None, f"no witness tells {one.group} from {two.group}"
        return Answer(False, (), witness, f"{witness.task}: {witness.why}")
    steps = [_cover(a, b).conversion for a, b in pairwise(path)]
    if lower != upper and one.group == two.group:
        steps = [SAME[one.group]]
    return Answer(True, path, None, "; then ".join(steps) or "it is the same")


@cache
def path_up(below: str, above: str) -> tuple[str, ...] | None:
    """Return the shortest way from a group up to another; None where there is none."""
    ways: deque[tuple[str, ...]] = deque([(below,)])
    while ways:
        way = ways.popleft()
        if way[-1] == above:
            return way
        ways.extend((*way, cover.above) for cover in COVERS if cover.below == way[-1])
    return None


def not_expressed_by(group: str) -> Iterator[Separation]:
    """Yield the witnesses that are beyond a group."""
    for separation in SEPARATIONS:
        if any(path_up(group, beyond) is not None for beyond in separation.beyond):
            yield separation


def _witness(one: str, two: str) -> Separation | None:
    """Return a task within reach of `one` and beyond `two`."""
    for separation in not_expressed_by(two):
        if path_up(separation.within, one) is not None:
            return separation
    return None


def _cover(below: str, above: str) -> Cover:
    return next(cover for cover in COVERS if (cover.below, cover.above) == (below, above))


def strict_pairs() -> tuple[tuple[str, str], ...]:
    """Return the pairs of groups of which the second expresses more: 40."""
    return tuple((a, b) for a in GROUPS for b in GROUPS if a != b and path_up(a, b) is not None)


def incomparable_pairs() -> tuple[tuple[str, str], ...]:
    """Return the pairs of groups each of which expresses something that the other does not: 15."""
    return tuple(
        (a, b)
        for i, a in enumerate(GROUPS)
        for b in GROUPS[i + 1 :]
        if path_up(a, b) is None and path_up(b, a) is None
    )
