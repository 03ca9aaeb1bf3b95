"""Why each reward of an episode was paid: labels, edges, values read, and payments by term, step by step.

env = rewardspec.wrap(gymnasium.make("CartPole-v1"), "cartpole.yaml", detail=True)
episode = record(env, policy)
print(show_episode(explain_episode(rewardspec.load("cartpole.yaml"), episode)))
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from rewardspec.analysis.columns import align
from rewardspec.analysis.recorded import find_unreadable, write_episode
from rewardspec.analysis.recorded import read_episode as _read_episode
from rewardspec.backends import oracle
from rewardspec.compiler import compile_spec
from rewardspec.errors import MismatchError, Place, Problem
from rewardspec.ir import expr as ir
from rewardspec.ir.layout import bind_to_values
from rewardspec.ir.program import Machine, Program
from rewardspec.ir.show import show_expr, show_name, show_number
from rewardspec.ir.show_machine import arrows
from rewardspec.spec.model import Spec
from rewardspec.transition import Transition
from rewardspec.wrappers.single import RewardSpecWrapper, wrap

__all__ = [
    "EpisodeReport",
    "Move",
    "StepReport",
    "explain_episode",
    "read_episode",
    "record",
    "record_random",
    "show_episode",
    "show_step",
    "write_episode",
]

Policy = Callable[[Any], Any]
"""From an observation (extended with memory where the wrapper extends it) to an action."""

MAX_EPISODE = 10_000
"""Steps after which a recorded episode that nothing ends is left."""

SHOWN = 100
"""Characters of a value or an expression on a page."""


# -- what happened -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Move:
    """What one machine did on one step.

    Attributes:
        machine: Its name.
        before: Name of its state before the step.
        after: Name of its state after it.
        guard: Guard of the edge that it took; None when it stayed where it was and the machine paid nothing.
    """

    machine: str
    before: str
    after: str
    guard: str | None

    @property
    def changed(self) -> bool:
        """Whether the state is another one now."""
        return self.before != self.after

    def __str__(self) -> str:
        if self.guard is None:
            return f"{show_name(self.before)} stays"
        reason = "" if self.guard == "true" else f"  when {self.guard}"
        return f"{show_name(self.before)} -> {show_name(self.after)}{reason}"


@dataclass(frozen=True)
class StepReport:
    """One step of an explained episode.

    Attributes:
        transition: What was recorded.
        true: Propositions that were true.
        moves: What each machine did.
        memory: By name, the value of each memory before and after the step.
        terms: By term, what it paid.
        verdicts: By formula, its verdict after the step.
        terminated: Whether the episode is over, by the environment's word or the program's.
        truncated: Likewise, by truncation.
    """

    transition: Transition
    true: tuple[str, ...]
    moves: tuple[Move, ...]
    memory: Mapping[str, tuple[float, float]]
    terms: Mapping[str, float]
    verdicts: Mapping[str, str]
    terminated: bool
    truncated: bool

    @property
    def reward(self) -> float:
        """Sum of what the terms paid."""
        return math.fsum(self.terms.values())


@dataclass(frozen=True)
class EpisodeReport:
    """An explained episode.

    Attributes:
        program: The program that paid, bound to the shapes of the episode.
        steps: Its steps, up to the first that ends it.
        left: How many recorded transitions came after that step.
    """

    program: Program
    steps: tuple[StepReport, ...]
    left: int

    @property
    def totals(self) -> dict[str, float]:
        """Undiscounted sum of each term."""
        return {t.name: math.fsum(step.terms[t.name] for step in self.steps) for t in self.program.terms}


def explain_episode(spec: Spec | Program, transitions: Sequence[Transition]) -> EpisodeReport:
    r"""Return why each reward of an episode was paid.

    The oracle pays, with weights and parameters as they are at the start of a run.

    Args:
        spec: The spec, or its program.
        transitions: The episode, first step first.

    Raises:
        SpecError: The spec does not compile.
        MismatchError: The transitions lack what it reads.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> spec = loads("name: up\npropositions: {high: 'next_obs[0] > 1'}\nreward: {once: high}")
        >>> episode = [Transition(next_obs=np.array([x])) for x in (0.5, 2.0, 3.0)]
        >>> [(step.true, step.reward) for step in explain_episode(spec, episode).steps]
        [((), 0.0), (('high',), 1.0), (('high',), 0.0)]
    """
    program = spec if isinstance(spec, Program) else compile_spec(spec)
    if not transitions:
        return EpisodeReport(program, (), 0)
    labels = label_names(program)
    if not all(set(labels) <= set(t.label or {}) for t in transitions):
        transitions = [
            replace(t, label={**dict.fromkeys(labels, False), **(t.label or {})}) for t in transitions
        ]
    program = bind_to_values(program, transitions[0]).program
    unreadable = find_unreadable(program, transitions)
    if unreadable is not None:
        t, read = unreadable
        message = f"step {t} of the episode has no number for {read}, which the spec reads"
        raise MismatchError(Problem("unreadable-transition", message))
    ended = [t for t, transition in enumerate(transitions) if transition.terminated or transition.truncated]
    within = transitions[: ended[0] + 1] if ended else transitions
    steps = tuple(_steps(program, within))
    return EpisodeReport(program, steps, len(transitions) - len(steps))


def label_names(program: Program) -> tuple[str, ...]:
    """Return the names that a program reads from the label."""
    names = (field.path[0] for field in program.fields() if field.root == "label")
    return tuple(name for name in names if isinstance(name, str))


def read_episode(path: str | Path, spec: Spec | Program) -> list[Transition]:
    """Read an episode file (.jsonl, .npz) for a spec.

    Raises:
        SpecError: The file cannot be read, with the line; or the spec does not compile.
    """
    program = spec if isinstance(spec, Program) else compile_spec(spec)
    return _read_episode(path, label_names(program))


def _steps(program: Program, transitions: Sequence[Transition]) -> Iterator[StepReport]:
    outcomes = oracle.run_episode(program, transitions)
    blank = {name: 0.0 for name, _ in program.futures}
    state = oracle.init(program)
    for transition, outcome in zip(transitions, outcomes, strict=True):
        known = replace(transition, future=transition.future or blank)
        before = state
        true = tuple(oracle.true_propositions(program, before, known))
        state, _ = oracle.step(program, before, [known])
        yield StepReport(
            transition,
            true,
            tuple(
                _move(m, before.machines[0][m.name], state.machines[0][m.name], true)
                for m in program.machines
            ),
            {f.name: (before.folds[0][f.name], state.folds[0][f.name]) for f in program.folds},
            {t.name: float(paid) for t, paid in zip(program.terms, outcome.terms, strict=True)},
            {v.term: v.word(tuple(state.machines[0][name] for name in v.machines)) for v in program.verdicts},
            bool(outcome.terminated),
            bool(outcome.truncated),
        )
        if outcome.terminated or outcome.truncated:
            return


def _move(machine: Machine, before: int, after: int, true: Sequence[str]) -> Move:
    label = sum(1 << bit for bit, name in enumerate(machine.propositions) if name in true)
    guard = None
    taken = machine.step(before, label)
    if taken != (before, 0):
        guard = next(
            arrow.guard for arrow in arrows(machine, before) if (arrow.target, arrow.output) == taken
        )
    return Move(machine.name, machine.states[before], machine.states[after], guard)


# -- recording ---------------------------------------------------------------------------------------


def record(
    env: gym.Env[Any, Any], policy: Policy | None = None, *, seed: int = 0, max_steps: int = MAX_EPISODE
) -> list[Transition]:
    r"""Play one episode and return its transitions as the program read them, labels included.

    Args:
        env: An environment that `wrap(..., detail=True)` made, with any wrappers around it.
        policy: From observation to action; uniformly random actions without one.
        seed: Seed of the environment and of random actions.
        max_steps: Steps after which an episode that nothing ends is left.

    Raises:
        ValueError: No wrapper of rewardspec is in the environment, or it keeps no details.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> env = wrap(gym.make("CartPole-v1"), loads("name: up\nreward: 1"), detail=True)
        >>> episode = record(env, lambda obs: int(obs[2] > 0))
        >>> write_episode(episode)[:10]
        '{"obs": [0'
    """
    inner = _find_wrapper(env)
    obs, _ = env.reset(seed=seed)
    env.action_space.seed(seed)
    transitions: list[Transition] = []
    over = False
    while not over and len(transitions) < max_steps:
        action = env.action_space.sample() if policy is None else policy(obs)
        obs, _, terminated, truncated, _ = env.step(action)
        assert inner.last_transition is not None
        transitions.append(keep(inner.last_transition))
        over = bool(terminated or truncated)
    return transitions


def record_random(env: gym.Env[Any, Any], spec: Spec | Program, *, seed: int = 0) -> list[Transition]:
    """Play one episode of random actions in an environment and return its transitions.

    Raises:
        MismatchError: The environment lacks what the spec reads.
    """
    return record(wrap(env, spec, observe="none", detail=True), seed=seed)


def _find_wrapper(env: gym.Env[Any, Any]) -> RewardSpecWrapper:
    inner: Any = env
    while not isinstance(inner, RewardSpecWrapper):
        if not isinstance(inner, gym.Wrapper):
            raise ValueError(
                "this environment does not pay by a spec: make it with rewardspec.wrap(..., detail=True)"
            )
        inner = inner.env
    if not inner.keeps_details:
        raise ValueError("this environment keeps no details: make it with rewardspec.wrap(..., detail=True)")
    return inner


def keep(transition: Transition) -> Transition:
    """Return a transition that does not change when the environment uses its buffers again."""

    def copied(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: copied(item) for key, item in value.items()}
        if isinstance(value, tuple):
            return tuple(copied(item) for item in value)
        return value.copy() if isinstance(value, np.ndarray) else value

    return replace(
        transition,
        **{
            name: copied(getattr(transition, name)) for name in ("obs", "action", "next_obs", "info", "label")
        },
    )


# -- pages -------------------------------------------------------------------------------------------


def show_episode(report: EpisodeReport, limit: int | None = 40) -> str:
    """Return an episode as a page: a table of its steps, then a summary by term.

    Steps in a row on which the same happened are one line.

    Args:
        report: The episode.
        limit: Lines of the table; the middle of a longer one is left out. None shows all.
    """
    lines: list[str] = []
    watched, terms = _watched(report), [term.name for term in report.program.terms]
    words = ["step", *(["true"] if report.program.propositions else []), *watched]
    header = [*words, *terms, *(["reward"] if len(terms) > 1 else []), ""]
    rows = [_row(report, first, last, watched) for first, last in _runs(report.steps)]
    paid = range(len(words), len(header) - 1)
    if limit is not None and len(rows) > limit:
        hidden = len(rows) - limit + 1
        rows = [*rows[: limit // 2], ["...", *[""] * (len(header) - 1)], *rows[limit // 2 + hidden :]]
    lines += align([header, *rows], right=paid)
    if limit is not None and any(row[0] == "..." for row in rows):
        lines.append(f"... {hidden} lines left out; --all shows them")
    lines += ["", *_summary(report)]
    if report.left:
        more = "1 more was" if report.left == 1 else f"{report.left} more were"
        lines += ["", f"The episode ends at step {len(report.steps) - 1}; {more} recorded after it."]
    return "\n".join(line.rstrip() for line in lines)


def _watched(report: EpisodeReport) -> list[str]:
    """Return the machines that have something to show."""
    return [m.name for m in report.program.machines if len(m.states) > 1 or len(m.payments) > 1]


def _runs(steps: Sequence[StepReport]) -> Iterator[tuple[int, int]]:
    """Yield first and last step of each run of steps on which the same happened."""
    t = 0
    for _, group in itertools.groupby(
        steps, key=lambda s: (s.true, s.moves, tuple(s.terms.values()), s.terminated, s.truncated)
    ):
        length = len(list(group))
        yield t, t + length - 1
        t += length


def _row(report: EpisodeReport, first: int, last: int, watched: Sequence[str]) -> list[str]:
    step = report.steps[first]
    moves = {move.machine: move for move in step.moves}
    return [
        str(first) if first == last else f"{first}-{last}",
        *([", ".join(step.true) or "-"] if report.program.propositions else []),
        *(str(moves[name]) for name in watched),
        *(show_paid(paid) for paid in step.terms.values()),
        *([show_paid(step.reward)] if len(step.terms) > 1 else []),
        _end(step),
    ]


def show_paid(value: float) -> str:
    """Return a payment: with its sign, `.` for nothing.

    Example:
        >>> show_paid(0.1), show_paid(-2.0), show_paid(0.0)
        ('+0.1', '-2', '.')
    """
    return f"{value:+.4g}" if value else "."


def _end(step: StepReport) -> str:
    by = "" if step.transition.terminated or step.transition.truncated else " by the spec"
    return f"terminated{by}" if step.terminated else f"truncated{by}" if step.truncated else ""


def _summary(report: EpisodeReport) -> list[str]:
    """Return, by term, what it paid in all, on how many steps, and where the spec declares it."""
    rows = [["term", "return", "paid on", "first", "last", "declared at"]]
    for term in report.program.terms:
        paid = [t for t, step in enumerate(report.steps) if step.terms[term.name]]
        ends = (str(paid[0]), str(paid[-1])) if paid else ("-", "-")
        amount = show_paid(report.totals[term.name])
        rows.append([term.name, amount, f"{len(paid)} of {len(report.steps)}", *ends, show_place(term.place)])
    total = math.fsum(report.totals.values())
    if len(report.program.terms) > 1:
        rows.append(["reward", show_paid(total), "", "", "", ""])
    lines = align(rows, right=(1, 2, 3, 4))
    last = report.steps[-1] if report.steps else None
    for name, verdict in (last.verdicts if last else {}).items():
        lines.append(f"{name}: {verdict}")
    return lines


def show_place(place: Place) -> str:
    """Return where a term stands, with the start of its line."""
    if not place.line:
        return place.path
    excerpt = place.excerpt.strip()
    return f"{Path(place.file).name}:{place.line}  {excerpt if len(excerpt) <= 40 else excerpt[:37] + '...'}"


def show_step(report: EpisodeReport, index: int) -> str:
    """Return one step as a page: every value that was read, every proposition, machine, memory and term.

    Raises:
        IndexError: The episode has no such step.
    """
    step, program = report.steps[index], report.program
    lines = [
        f"step {index}: {show_paid(step.reward) if step.reward else '0'}"
        + (f", {_end(step)}" if _end(step) else "")
    ]

    def section(title: str, rows: Sequence[Sequence[str]]) -> None:
        if rows:
            lines.extend(["", title, *(f"  {line}" for line in align(rows))])

    section(
        "read",
        [
            (show_expr(field), "=", _value(field, step.transition))
            for field in program.fields()
            if field.root != "future"
        ],
    )
    section(
        "propositions",
        [
            (p.name, "true" if p.name in step.true else "false", _short(show_expr(p.expr, program.machines)))
            for p in program.propositions
        ],
    )
    section("machines", [(move.machine, str(move)) for move in step.moves])
    section(
        "memory", [(name, f"{show_number(a)} -> {show_number(b)}") for name, (a, b) in step.memory.items()]
    )
    section(
        "paid",
        [
            (
                t.name,
                show_paid(step.terms[t.name]),
                _short(show_expr(t.expr, program.machines)),
                show_place(t.place),
            )
            for t in program.terms
        ],
    )
    section("verdicts", list(step.verdicts.items()))
    return "\n".join(line.rstrip() for line in lines)


def _value(field: ir.Field, transition: Transition) -> str:
    value = oracle.read_field(field, transition)
    if isinstance(value, bool):
        return str(value).lower()
    return _short(f"{value:.6g}" if isinstance(value, float) else str(value))


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
