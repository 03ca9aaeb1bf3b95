"""What a wrapper reports of an episode: totals by term, machine states, verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
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
    """Puts an episode's totals into its last step's info, where loggers look. What it needs is looked up once.

    Attributes:
        tell: `tell(info, state)` gives the info with the totals, a new one: an environment may hand out the same again
            and again.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self.tell = _teller(program)

    def __reduce__(self) -> tuple[Any, ...]:
        """Be made anew where it is copied or unpickled."""
        return EndReport, (self._program,)

    def __call__(self, info: dict[str, Any], state: State, summary: Mapping[str, Any]) -> dict[str, Any]:
        """Return the info with the totals; `summary` is what was told of the step before."""
        return _joined(info, self.tell({}, state), summary)


def _teller(program: Program) -> Callable[[dict[str, Any], State], dict[str, Any]]:
    """Return a function from an info and the state to a new info with the report of an episode.

    It is generated, with all names bound and none in the text: loops over the terms take five times as long, and with
    episodes of 20 steps that is a fiftieth of CartPole's step. Only where the info tells of such things already, as
    that of a wrapped environment does, is it put together with care.
    """
    first = len(program.machines) + len(program.folds)
    known: dict[str, Any] = {"__builtins__": {}, "joined": _joined, "inner_report": inner_report}
    totals, states, flat = [], [], []
    for i, term in enumerate(program.terms):
        known |= {f"t{i}": term.name, f"r{i}": f"return/{term.name}"}
        totals.append(f"t{i}: state[{first + i}]")
        flat.append(f"r{i}: state[{first + i}], ")
    for i, machine in enumerate(program.machines):
        known |= {f"m{i}": machine.name, f"s{i}": machine.states}
        states.append(f"m{i}: s{i}[state[{i}]]")
    told = f"'return': {{{', '.join(totals)}}}, 'state': {{{', '.join(states)}}}"
    if program.verdicts:
        known["verdicts"] = partial(verdicts, program)
        told += ", 'verdict': verdicts(state)"
    known["keys"] = frozenset(["rewardspec", *(known[f"r{i}"] for i in range(len(program.terms)))])
    text = (
        f"lambda info, state: {{'rewardspec': {{{told}}}, {''.join(flat)}**info}} if keys.isdisjoint(info)"
        " else joined(info, tell({}, state), inner_report(info))"
    )
    # Digits and our own letters: names are values of `known`.
    made: Callable[[dict[str, Any], State], dict[str, Any]] = eval(text, known)
    known["tell"] = made
    return made


def _joined(info: dict[str, Any], report: dict[str, Any], summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return an info with a report where it, or the summary, tells of such things already."""
    told = report["rewardspec"]
    info = {**info, "rewardspec": {**summary, **told}}
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
