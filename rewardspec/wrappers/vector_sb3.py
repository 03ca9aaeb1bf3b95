"""Vectors of wrapped environments for stable-baselines3."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsFloat

import gymnasium as gym

from rewardspec.environments import make_environment
from rewardspec.errors import Problem, UnsupportedError, missing_extra
from rewardspec.ir.program import Observe, Program
from rewardspec.lowering import STRIDE
from rewardspec.wrappers.labelling import Label
from rewardspec.wrappers.single import SpecLike, as_program, wrap

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

TASK_RETURN = "task_return"
"""Key in the last info of an episode: the return by the environment's own reward."""


def make_vec(
    env: str | Callable[[], gym.Env[Any, Any]],
    spec: SpecLike,
    n_envs: int = 1,
    seed: int | None = None,
    *,
    label: Label | None = None,
    judge: Label | None = None,
    observe: Observe | None = None,
    detail: bool = False,
    subprocess: bool = False,
    env_kwargs: Mapping[str, Any] | None = None,
    monitor_dir: str | Path | None = None,
) -> VecEnv:
    """Return a stable-baselines3 vector of environments, each wrapped by the spec.

    Every environment is wrapped before vectorising, so the spec may end episodes and use labellers. `Monitor` stands
    outermost: the episodes that it counts are those of the spec, and `rollout/ep_rew_mean` is the spec's reward.
    The totals by term are in its records as `return/<term>`; the return by the environment's own reward, for
    comparisons between specs, as `task_return`. Schedules over steps count the steps of all environments.

    Args:
        env: Id of a registered environment, or a function that makes one.
        spec: A spec, a compiled program or the path of a YAML file.
        n_envs: Number of environments.
        seed: Environment i starts from `seed + i`; None for fresh randomness.
        label: As for `wrap`.
        judge: As for `wrap`; with `subprocess`, each process has its own copy.
        observe: As for `wrap`.
        detail: As for `wrap`.
        subprocess: Whether each environment runs in a process of its own; worth it only for slow
            environments. Each process runs the script once more as it starts, so a script makes the vector
            under `if __name__ == "__main__":`.
        env_kwargs: Arguments for `gymnasium.make` when `env` is an id.
        monitor_dir: Folder for `Monitor`'s files, none when not given.

    Returns:
        A `DummyVecEnv`, or a `SubprocVecEnv` when `subprocess`. Parameters change by
        `venv.env_method("set_param", name, value)`. An algorithm does not ask an environment for its discount:
        give it the spec's, `gamma=spec.discount`, or from here `gamma=venv.get_attr("program")[0].discount`.

    Raises:
        MissingExtraError: When stable-baselines3 is not installed.
        SpecError: As `wrap`; so are `MismatchError` and `UnsupportedError`.
        UnsupportedError: Also `too-few-environments`, `not-an-environment`, `unguarded-processes`.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> spec = loads("{name: centred, reward: '1 - abs(next_obs[0])'}")
        >>> venv = make_vec("CartPole-v1", spec, n_envs=2, seed=0)
        >>> venv.reset().shape
        (2, 4)
    """
    try:
        from stable_baselines3.common.monitor import Monitor
        from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv
    except ImportError:
        raise missing_extra("stable-baselines3", "sb3", "make_vec") from None
    if n_envs < 1:
        raise UnsupportedError(
            Problem("too-few-environments", f"n_envs must be at least 1, and this is {n_envs}")
        )
    given: object = env
    if not (isinstance(given, str) or callable(given)):
        hint = "Give an id, or a function that makes an environment: make_vec(lambda: gymnasium.make(...), spec)."
        message = f"`make_vec` makes the environments itself, and a {type(given).__name__} is one already"
        raise UnsupportedError(Problem("not-an-environment", message, hints=(hint,)))
    program = as_program(spec)
    keywords = (*(f"return/{term.name}" for term in program.terms), TASK_RETURN)
    folder = None if monitor_dir is None else Path(monitor_dir)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)

    def maker(rank: int) -> Callable[[], gym.Env[Any, Any]]:
        def make() -> gym.Env[Any, Any]:
            inner = make_environment(env, **(env_kwargs or {})) if isinstance(env, str) else env()
            wrapped = wrap_for_training(
                inner, program, n_envs, label=label, judge=judge, observe=observe, detail=detail
            )
            if seed is not None:
                wrapped.action_space.seed(seed + rank)
            return Monitor(
                wrapped, None if folder is None else str(folder / str(rank)), info_keywords=keywords
            )

        return make

    makers = [maker(rank) for rank in range(n_envs)]
    if subprocess and is_starting():
        raise UnsupportedError(
            _unguarded("a process of a vector is starting, and its script makes the vector again")
        )
    if subprocess:
        makers[0]().close()  # type: ignore[no-untyped-call]  # a mismatch is told here, not by a broken pipe
    try:
        venv: VecEnv = SubprocVecEnv(makers) if subprocess else DummyVecEnv(makers)
    except (EOFError, ConnectionError):
        raise UnsupportedError(_unguarded("a process of the vector ended as it started")) from None
    venv.seed(seed)
    return venv


def is_starting() -> bool:
    """Return whether this is a process that another one has started, and that is still running the script's top."""
    return bool(getattr(multiprocessing.current_process(), "_inheriting", False))


def _unguarded(text: str) -> Problem:
    hint = (
        "Put what makes and uses the vector under `if __name__ == '__main__':`, or leave out subprocess=True."
    )
    return Problem("unguarded-processes", text, hints=(hint,))


def wrap_for_training(
    env: gym.Env[Any, Any],
    program: Program,
    n_envs: int,
    *,
    label: Label | None,
    judge: Label | None = None,
    observe: Observe | None,
    detail: bool,
) -> gym.Env[Any, Any]:
    """Return one environment of `n_envs`: wrapped, with the task's own return in its last info."""
    task = _TaskReturn(env)
    wrapped = wrap(task, program, label=label, judge=judge, observe=observe, detail=detail)
    if STRIDE in wrapped.params:
        wrapped.set_param(STRIDE, float(n_envs))
    return _TellTaskReturn(wrapped, task)


class _TaskReturn(gym.Wrapper[Any, Any, Any, Any]):
    """Sums the environment's own rewards over an episode."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.total = 0.0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        self.total = 0.0
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        result = self.env.step(action)
        self.total += float(result[1])
        return result


class _TellTaskReturn(gym.Wrapper[Any, Any, Any, Any]):
    """Puts that sum into the info of the last step, whoever ends the episode: the environment or the spec."""

    def __init__(self, env: gym.Env[Any, Any], task: _TaskReturn) -> None:
        super().__init__(env)
        self.task = task

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, info = self.env.step(action)
        if terminated or truncated:
            info[TASK_RETURN] = self.task.total
        return obs, reward, terminated, truncated, info
