"""What a wrapper reports of an episode: totals by term, machine states, verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rewardspec.backends.scalar import State
from rewardspec.ir.program import Program


def machine_states(program: Program, state: State) -> dict[str, str]:
    """Return the name of each machine's present state."""
    return {m.name: m.states[u] for m, u in zip(program.machines, state, strict=False)}


def verdicts(program: Program, state: State) -> dict[str, str]:
    """Return the verdict of each formula on the episode so far, in words."""
    position = {m.name: i for i, m in enumerate(program.machines)}
    return {v.term: v.word(tuple(state[position[name]] for name in v.machines)) for v in program.verdicts}


class EndReport:
    """Puts an episode's totals into its last step's info, where loggers look. What it needs is looked up once."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._first = len(program.machines) + len(program.folds)
        self._names = tuple(term.name for term in program.terms)
        self._machines = tuple((machine.name, machine.states) for machine in program.machines)

    def __call__(
        self, info: dict[str, Any], state: State, summary: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the info with the totals; `summary` is what was told of the step before."""
        totals = state[self._first : self._first + len(self._names)]
        told = dict(summary) if summary is not None else inner_report(info)
        told["return"] = dict(zip(self._names, totals, strict=True))
        told["state"] = {name: states[u] for (name, states), u in zip(self._machines, state, strict=False)}
        if self._program.verdicts:
            told["verdict"] = verdicts(self._program, state)
        info = {**info, "rewardspec": told}  # a new one: an environment may hand out the same again and again
        add_totals(info, told["return"])
        return info


def add_totals(info: dict[str, Any], totals: Mapping[str, Any], prefix: str = "return/") -> None:
    """Put totals by term into an info, as `return/<term>`.

    Where wrappers are nested, that is the outermost one's that has a term of the name; what a wrapper inside it put
    there is kept as `return/inner/<term>`, that of one further inside as `return/inner/inner/<term>`.

    Example:
        >>> info = {"return/goal": 1.0, "return/cost": -0.5}
        >>> add_totals(info, {"goal": 7.0})
        >>> info
        {'return/goal': 7.0, 'return/cost': -0.5, 'return/inner/goal': 1.0}
    """
    for name, total in totals.items():
        if prefix + name in info:
            add_totals(info, {f"inner/{name}": info[prefix + name]}, prefix)
        info[prefix + name] = total


def inner_report(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a wrapper inside this one told, under the key `inner`; nothing where there is none."""
    return {"inner": info["rewardspec"]} if "rewardspec" in info else {}
