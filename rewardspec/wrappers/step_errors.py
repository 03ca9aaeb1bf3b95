"""What went wrong in a step, in the spec's terms: the term, its place, the values read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from rewardspec.backends import oracle
from rewardspec.backends.arithmetic import NotFiniteError
from rewardspec.backends.scalar import State
from rewardspec.errors import (
    MismatchError,
    NonFiniteRewardError,
    Problem,
    RewardSpecError,
    list_names,
)
from rewardspec.ir import expr as ir
from rewardspec.ir.layout import Layout
from rewardspec.ir.program import Program
from rewardspec.transition import Transition


def transition_of(
    layout: Layout,
    obs: Any,
    action: Any,
    next_obs: Any,
    reward: Any,
    terminated: Any,
    truncated: Any,
    info: Any,
    labels: tuple[bool, ...],
) -> Transition:
    """Return a step's parts as a transition, its labels by name."""
    label = dict(zip(layout.labels, labels, strict=True)) if labels else {}
    return Transition(obs, action, next_obs, reward, terminated, truncated, info, label)


def explain_advance(
    layout: Layout, params: Sequence[float], error: Exception, steps: int, state: State, *parts: Any
) -> RewardSpecError:
    """Return what went wrong in a step, in the spec's terms."""
    values = {param.name: value for param, value in zip(layout.program.params, params, strict=True)}
    return explain_step(layout.program, layout, steps, transition_of(layout, *parts), state, error, values)


def explain_step(
    program: Program,
    layout: Layout,
    step: int,
    transition: Transition,
    state: tuple[Any, ...],
    error: Exception | None,
    params: Mapping[str, float],
) -> RewardSpecError:
    """Return what went wrong in a step: the values read, the term and its place; the error itself when it is ours."""
    if isinstance(error, RewardSpecError):
        return error
    for field in layout.shapes:
        problem = check_field(field, transition, step)
        if problem is not None:
            kind = NonFiniteRewardError if problem.code == "nan-observation" else MismatchError
            return kind(problem)
    if error is not None and not isinstance(error, NotFiniteError):
        return MismatchError(
            Problem("unreadable-transition", f"step {step}: the program cannot read this transition: {error}")
        )
    machines = len(program.machines)
    before = oracle.OracleState(
        [{m.name: state[i] for i, m in enumerate(program.machines)}],
        [{f.name: state[machines + i] for i, f in enumerate(program.folds)}],
    )
    _, (outcome,) = oracle.step(program, before, [transition], dict(params))
    return non_finite(layout, step, transition, outcome.terms)


def non_finite(
    layout: Layout, step: int, transition: Transition, terms: Iterable[float]
) -> NonFiniteRewardError:
    """Return the error for terms of which one paid NaN or an infinity: names it, its place and the values read."""
    read = ", ".join(f"{show_field(f)} = {_shown(f, transition)}" for f in layout.shapes)
    for term, paid in zip(layout.program.terms, terms, strict=True):
        if not np.isfinite(paid):
            return NonFiniteRewardError(
                Problem(
                    "non-finite-reward",
                    f"the term '{term.name}' pays {paid} at step {step} of the episode",
                    term.place,
                    (
                        f"Values read: {read or 'none'}.",
                        "Guard it, as in where(x > 0, log(x), 0), or clip what it reads.",
                    ),
                )
            )
    return NonFiniteRewardError(
        Problem("non-finite-reward", f"the reward is not finite at step {step}; read: {read}")
    )


def show_field(field: ir.Field) -> str:
    """Return a field as it is written in a spec."""
    from rewardspec.ir.show import show_expr

    return show_expr(field)


def _shown(field: ir.Field, transition: Transition) -> str:
    try:
        text = str(oracle.read_field(field, transition))
    except Exception:  # any shape of bad data: the message must still come out
        return "unreadable"
    return text if len(text) <= 60 else text[:57] + "..."


def check_field(field: ir.Field, transition: Transition, step: int) -> Problem | None:
    """Return what is wrong with a field of a transition."""
    try:
        value = oracle.read_field(field, transition)
        numbers = np.asarray(value, dtype=np.float64)
    except OverflowError:  # whole numbers of Python have no greatest
        return Problem(
            "unreadable-transition",
            f"{show_field(field)} is too large for a float at step {step}",
            field.place,
            ("A reward is computed in floats: let the environment tell a smaller number.",),
        )
    except (KeyError, IndexError, TypeError, ValueError):
        source = transition.info if field.root == "info" else getattr(transition, field.root)
        has = list_names(str(key) for key in source) if isinstance(source, Mapping) else type(source).__name__
        hint = f"It has: {has}."
        more = "Where a key comes and goes, say what its absence counts as: default(info.key, 0)."
        return Problem(
            "no-such-key",
            f"{show_field(field)} cannot be read at step {step}",
            field.place,
            (hint, more) if field.root == "info" else (hint,),
        )
    if np.isnan(numbers).any():
        return Problem(
            "nan-observation",
            f"{show_field(field)} is NaN at step {step}",
            field.place,
            (
                "A NaN makes every comparison false without a word; mend the environment, or do not read this value.",
            ),
        )
    return None
