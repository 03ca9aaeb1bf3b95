"""What no wrapper can take: refused when wrapping, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym

from rewardspec.backends.native_cache import import_numba
from rewardspec.errors import Place, Problem, UnsupportedError, list_names, near_miss
from rewardspec.ir import expr as ir
from rewardspec.ir.program import Program
from rewardspec.spec.model import Spec


def refuse_other(env: Any) -> None:
    """Raise when what should be wrapped is no single gymnasium environment.

    Raises:
        UnsupportedError: `not-an-environment`.
    """
    if isinstance(env, gym.Env):
        return
    text = f"a {type(env).__name__} is no single gymnasium environment"
    hint = "Give an environment, as gymnasium.make('CartPole-v1') makes one."
    is_file = isinstance(env, str) and env.endswith((".yaml", ".yml"))
    if isinstance(env, gym.vector.VectorEnv):
        hint = "It is a vector of environments: `wrap_vector` goes over those."
    elif is_sb3_vector(env):
        hint = (
            "It is a vector of stable-baselines3, which a reward goes under: venv = rewardspec.make_vec(id, spec), "
            "and over that VecNormalize(venv, norm_reward=False) and the like."
        )
    elif is_file or isinstance(env, Spec | Program | Mapping | Path):
        hint = "The environment comes first, and then the spec: wrap(env, spec)."
    elif isinstance(env, str):
        hint = f"Make it first: gymnasium.make({env!r})."
    elif isinstance(env, type) and issubclass(env, gym.Env):
        text = f"{env.__name__} is a class of environments, and not one of them"
        hint = f"Make one first: {env.__name__}()."
    elif hasattr(env, "possible_agents"):
        hint = "It is a PettingZoo environment of several agents: `wrap_parallel` goes over those."
    raise UnsupportedError(Problem("not-an-environment", text, hints=(hint,)))


def is_sb3_vector(env: Any) -> bool:
    """Return whether something is a vector of stable-baselines3, without importing it."""
    return any(base.__name__ == "VecEnv" for base in type(env).__mro__)


def refuse_backend(backend: str, known: tuple[str, ...]) -> None:
    """Raise when there is no such backend, or what it needs is not installed.

    Raises:
        UnsupportedError: `unknown-backend`.
        MissingExtraError: `missing-extra` for `native` without numba.
    """
    if backend not in known:
        hint = f"One of: {list_names(known)}.{near_miss(str(backend), known)}"
        raise UnsupportedError(
            Problem("unknown-backend", f"there is no backend '{backend}' here", hints=(hint,))
        )
    if backend == "native":
        import_numba()


def refuse_episode_scope(program: Program) -> None:
    """Raise when a program needs whole episodes before it can pay.

    Raises:
        UnsupportedError: `needs-whole-episodes`.
    """
    if program.scope == "episode":
        names = [term.name for term in program.terms if any(_is_future(node) for node in ir.walk(term.expr))]
        place = next((term.place for term in program.terms if term.name in names), Place())
        raise UnsupportedError(
            Problem(
                "needs-whole-episodes",
                f"the term '{list_names(names)}' is paid when the episode is over (`timing: relabel`)",
                place,
                (
                    "Use `timing: escrow` or `increment` while stepping, or `rewardspec.relabel` on stored data.",
                ),
            )
        )


def refuse_learned(program: Program) -> None:
    """Raise when a program has rewards that only a learner can pay.

    Raises:
        UnsupportedError: `needs-learner`.
    """
    if program.learned:
        names = [learned.name for learned in program.learned]
        hints = (
            "To train: `rewardspec train SPEC`, or `learner = rewardspec.RewardLearner(spec)`, `learner.wrap(env)` and "
            "`model.learn(..., callback=learner.callback())`.",
            "To pay what was learned: `rewardspec.wrap_learned(env, spec, RUN)`.",
        )
        raise UnsupportedError(
            Problem(
                "needs-learner",
                f"what the term '{list_names(names)}' pays is learned, and there is nothing here that learns it",
                program.learned[0].place,
                hints,
            )
        )


def refuse_unjudged(program: Program, has_judge: bool, hint: str = "") -> None:
    """Raise when a program has truths that a judge must say, and there is none.

    Raises:
        UnsupportedError: `needs-judge`.
    """
    if has_judge or not program.judged:
        return
    names = [judged.name for judged in program.judged]
    hints = (
        hint
        or "`rewardspec.wrap_judged(env, spec)` asks the judge that the spec names; wrap(..., judge=fn) your own.",
        "`judge: {oracle: [...]}` says the same by conditions, and needs none.",
    )
    raise UnsupportedError(
        Problem(
            "needs-judge",
            f"what the term '{list_names(names)}' pays is said by a judge, and there is none here",
            program.judged[0].place,
            hints,
        )
    )


def _is_future(node: ir.Expr) -> bool:
    return isinstance(node, ir.Field) and node.root == "future"
