"""Episodes small enough to check by eye, run by the oracle: what the tests of kinds and operators share.

A step is written as what is true on it (`label_trace("", "coffee", "office")`), as numbers that the term reads
(`value_trace(x=[1, 2, 3])`) or as the states that a walk goes through (`walk(0, 1, 3)`).
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal

from rewardspec.backends import oracle
from rewardspec.compiler import compile_spec
from rewardspec.ir.layout import bind_to_values
from rewardspec.ir.program import Program
from rewardspec.transition import Outcome, Transition
from rewardspec.vocabulary import from_data, loads

End = Literal["terminated", "truncated"] | None
"""How the environment ends an episode on its last step; None leaves it open."""


def compile_text(spec: str | dict[str, Any]) -> Program:
    """Compile a spec from its text or its data."""
    return compile_spec(loads(spec) if isinstance(spec, str) else from_data(spec))


def label_trace(*steps: str, end: End = None) -> list[Transition]:
    """Return steps on which the named propositions hold and no others."""
    labels = [defaultdict(bool, dict.fromkeys(step.split(), True)) for step in steps]
    return _ended([Transition(label=label) for label in labels], end)


def value_trace(end: End = None, **values: Sequence[float | bool]) -> list[Transition]:
    """Return steps whose `info` holds the values, step by step."""
    rows = zip(*values.values(), strict=True)
    return _ended([Transition(info=dict(zip(values, row, strict=True))) for row in rows], end)


def walk(*states: float, end: End = None) -> list[Transition]:
    """Return the steps of a walk through states: one fewer than states."""
    steps = [Transition(obs=before, next_obs=after) for before, after in itertools.pairwise(states)]
    return _ended(steps, end)


def _ended(steps: list[Transition], end: End) -> list[Transition]:
    if end is not None and steps:
        steps[-1] = Transition(**{**steps[-1].__dict__, end: True})
    return steps


def play(spec: str | dict[str, Any] | Program, steps: Sequence[Transition], **params: float) -> list[Outcome]:
    """Return the outcomes of one episode, up to the step that ends it."""
    program = spec if isinstance(spec, Program) else compile_text(spec)
    bound = bind_to_values(program, steps[0]).program
    outcomes = oracle.run_episode(bound, steps, params)
    for i, outcome in enumerate(outcomes):
        if outcome.terminated or outcome.truncated:
            return oracle.run_episode(bound, steps[: i + 1], params)
    return outcomes


def rewards(
    spec: str | dict[str, Any] | Program, steps: Sequence[Transition], **params: float
) -> list[float]:
    """Return the reward of each step, up to the step that ends the episode."""
    return [outcome.reward for outcome in play(spec, steps, **params)]


def term_payments(
    spec: str | dict[str, Any] | Program, steps: Sequence[Transition], term: int
) -> list[float]:
    """Return what one term pays on each step, up to the step that ends the episode."""
    return [outcome.terms[term] for outcome in play(spec, steps)]


def states_after(program: Program, steps: Sequence[Transition]) -> dict[str, str]:
    """Return each machine's state, by name, after the steps."""
    state = oracle.init(program)
    for transition in steps:
        state, _ = oracle.step(program, state, [transition])
    return {m.name: m.states[state.machines[0][m.name]] for m in program.machines}


def verdict_after(program: Program, steps: Sequence[Transition]) -> str:
    """Return the verdict of the program's one formula, in words, after the steps."""
    (verdict,) = program.verdicts
    state = oracle.init(program)
    for transition in steps:
        state, _ = oracle.step(program, state, [transition])
    return verdict.word(tuple(state.machines[0][name] for name in verdict.machines))


def discounted(payments: Sequence[float], discount: float) -> float:
    """Return the discounted sum of an episode's rewards."""
    return sum(discount**t * paid for t, paid in enumerate(payments))
