"""What a wrapper reports of an episode: totals by term, machine states, verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
        self._program, self._has_verdicts = program, bool(program.verdicts)
        self._told = _teller(program)

    def __reduce__(self) -> tuple[Any, ...]:
        """Be made anew where it is copied or unpickled."""
        return EndReport, (self._program,)

    def __call__(
        self, info: dict[str, Any], state: State, summary: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the info with the totals; `summary` is what was told of the step before."""
        told = dict(summary) if summary is not None else inner_report(info)
        told["return"], told["state"], flat = self._told(state)
        if self._has_verdicts:
            told["verdict"] = verdicts(self._program, state)
        info = {**info, "rewardspec": told}  # a new one: an environment may hand out the same again and again
        if flat.keys().isdisjoint(info):
            info.update(flat)
        else:
            add_totals(info, told["return"])
        return info


def _teller(program: Program) -> Callable[[State], tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Return a function from the state to totals by term, machine states' names, and totals by `return/<term>`.

    It is generated, with all names bound and none in the text: loops over the terms take five times as long, and with
    episodes of 20 steps that is a fiftieth of CartPole's step.
    """
    first = len(program.machines) + len(program.folds)
    known: dict[str, Any] = {"__builtins__": {}}
    parts: list[list[str]] = [[], [], []]
    for i, term in enumerate(program.terms):
        known |= {f"t{i}": term.name, f"r{i}": f"return/{term.name}"}
        parts[0].append(f"t{i}: state[{first + i}]")
        parts[2].append(f"r{i}: state[{first + i}]")
    for i, machine in enumerate(program.machines):
        known |= {f"m{i}": machine.name, f"s{i}": machine.states}
        parts[1].append(f"m{i}: s{i}[state[{i}]]")
    text = ", ".join(f"{{{', '.join(part)}}}" for part in parts)
    made: Callable[[State], Any] = eval(
        f"lambda state: ({text})", known
    )  # digits and our own letters: names are values of `known`
    return made


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
