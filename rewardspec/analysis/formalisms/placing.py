"""Where a spec stands among the formalisms: what it is, what it cannot say, and what could, at what cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rewardspec.analysis.draw import draw_graph
from rewardspec.analysis.formalisms.preorder import (
    COVERS,
    FORMALISMS,
    GROUPS,
    Separation,
    not_expressed_by,
    path_up,
)
from rewardspec.ir.program import Program
from rewardspec.spec.declarations import ObjectiveSpec

COSTS: dict[str, str] = {
    "MR": "any algorithm; exactly, by dynamic programming, in polynomial time",
    "RM": "any algorithm that observes the machine's state; exactly, on the product, in polynomial time",
    "LAR": "average-reward dynamic programming, in polynomial time; most deep algorithms discount instead",
    "LTL": "exactly on the product with an automaton, in polynomial time where the world is known; from samples alone "
    "no algorithm is sure to come near in a number of steps that can be told before",
    "RRL": "soft value iteration for entropy; soft actor-critic and its like; any regulariser that is convex",
    "ONMR": "as Markov rewards where f is monotone; in general a search, though over one number",
    "FTR": "needs the past in the state: whole episodes relabelled, or a machine where one is enough",
    "FTLR": "convex programs over occupancies where f is concave; no general algorithm",
    "FPR": "no general algorithm",
    "TLO": "no general algorithm",
    "PO": "no general algorithm",
}
"""What optimising an objective of each group takes: textbook knowledge, not the paper's."""


@dataclass(frozen=True)
class Placement:
    """Where a spec stands.

    Attributes:
        group: The least group of formalisms that holds it.
        why: What of the spec puts it there.
        caveat: What is not an objective in the paper's sense; empty where there is nothing.
    """

    group: str
    why: str
    caveat: str = ""

    def beyond(self) -> Iterator[tuple[Separation, str]]:
        """Yield tasks that it cannot say, each with the least group that can."""
        for separation in not_expressed_by(self.group):
            yield separation, separation.within


def place(program: Program, objective: ObjectiveSpec | None = None) -> Placement:
    """Return where a compiled spec stands.

    Args:
        program: The compiled spec.
        objective: The spec's objective; the discounted return without.

    Example:
        >>> from rewardspec import compile_spec, loads
        >>> place(compile_spec(loads("reward: reward"))).group
        'MR'
        >>> place(compile_spec(loads("{propositions: {a: reward > 0}, reward: {ltl: F(a & X F a)}}"))).group
        'RM'
    """
    paid = _place_rewards(program)
    kind = "discounted" if objective is None else objective.kind
    if kind == "discounted":
        return paid
    plain = paid.group == "MR"
    several = len([term for term in program.terms if term.kind != "end"]) > 1
    group, why = {
        "limit_average": ("LAR" if plain else "FTR", "it compares averages per step in the long run"),
        "regularised": ("RRL" if plain else "FTLR", "it pays for the entropy of what is done"),
        "outer": (
            "ONMR" if plain and not several else "FTLR",
            "it compares a function of expected returns"
            if several
            else "it compares a function of the expected return",
        ),
        "inner": ("FTR", "it compares the expectation of a function of returns"),
    }[kind]
    return Placement(group, why if plain else f"{why}, and {paid.why}", paid.caveat)


def _place_rewards(program: Program) -> Placement:
    """Return where the rewards alone stand, discounted."""
    caveat = ""
    if program.learned:
        caveat = "what it pays is learned, and changes while it is; this is where a finished model stands"
    elif any(fold.scope == "run" for fold in program.folds):
        caveat = "running statistics outlive episodes: until they are frozen the objective itself changes"
    if program.scope == "episode":
        waiting = program.futures[0][0]
        return Placement("FTR", f"what it pays is known when an episode is over ('{waiting}')", caveat)
    if program.sets:
        return Placement("FTR", f"'{program.sets[0].name}' remembers the set of all that was visited", caveat)
    machines = [machine.name for machine in program.machines if len(machine.states) > 1]
    folds = [fold for fold in program.folds if fold.scope == "episode"]
    endless = [fold.name for fold in folds if fold.low == float("-inf") or fold.high == float("inf")]
    if endless:
        return Placement("FTR", f"'{endless[0]}' remembers a number without bounds", caveat)
    if machines or folds:
        names = [*machines, *(fold.name for fold in folds)]
        return Placement("RM", f"it has finite memory ('{names[0]}')", caveat)
    return Placement("MR", "what it pays depends on single transitions", caveat)


def members(group: str) -> tuple[str, ...]:
    """Return the keys of a group's formalisms."""
    return tuple(formalism.key for formalism in FORMALISMS if formalism.group == group)


def draw_diagram(lit: str | None = None, form: Literal["svg", "png"] = "svg") -> bytes:
    """Return the Hasse diagram: more can be said further up.

    Args:
        lit: The group to light.
        form: `svg` or `png`.

    Raises:
        MissingExtraError: Without `graphviz-pure`.
    """
    names = {formalism.key: formalism.name for formalism in FORMALISMS}
    nodes = {}
    for group in GROUPS:
        keys = members(group)
        title = " = ".join(keys)
        nodes[group] = (
            f"{title}\n{names[group]}" if len(keys) == 1 else f"{title}\n{names[group]}, and equals"
        )
    return draw_graph(nodes, [(cover.below, cover.above) for cover in COVERS], lit, form)


def least_above(group: str, task: Separation) -> str:
    """Return the least group that says both what a group says and a task.

    Example:
        >>> from rewardspec.analysis.formalisms.preorder import SEPARATIONS
        >>> least_above("RM", SEPARATIONS[2])
        'FTR'
    """
    able = [g for g in GROUPS if path_up(group, g) is not None and path_up(task.within, g) is not None]
    return min(able, key=lambda g: sum(path_up(other, g) is not None for other in GROUPS))
