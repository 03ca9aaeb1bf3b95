"""Episodes of a policy as two specs pay them: played once, and played again with each of the two."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from rewardspec.analysis.audit.sampled import PaidEpisode
from rewardspec.analysis.starc.sampled import numbers_of
from rewardspec.errors import MismatchError, Problem
from rewardspec.ir.program import Program
from rewardspec.training.environments import Episodes, make_env
from rewardspec.training.folder import RunFolder
from rewardspec.training.loop import DRAWING, load_agent, one_thread, read_run

MOST_STEPS = 10_000
"""Steps after which an episode that nothing ends is cut."""

Act = Callable[[Any], Any]
"""From an observation to an action."""


def play_paid(
    policy: str,
    programs: tuple[Program, Program],
    env_id: str,
    env_kwargs: Mapping[str, Any] | None = None,
    *,
    horizon: int | None = None,
    episodes: int = 50,
    seed: int = 0,
) -> list[PaidEpisode]:
    """Return episodes of a policy as the true reward and a proxy pay them.

    The policy plays in its own environment, with the memory of its own spec; its actions are then taken again, from the
    same seeds, in an environment of either spec. One that ends an episode earlier pays 0 from there on.

    Args:
        policy: `random`, or the run folder of `rewardspec train`.
        programs: The true reward and the proxy.
        env_id: Gymnasium id.
        env_kwargs: Arguments of `gymnasium.make`.
        horizon: Steps after which an environment without a time limit is cut.
        episodes: How many.
        seed: Of episodes and choices.

    Raises:
        UnsupportedError: `not-a-run-folder`, `spec-changed`, `nothing-trained`.
        MismatchError: `not-reproducible`; `no-environment` where the run is of another environment.
    """
    from stable_baselines3.common.utils import set_random_seed

    with ExitStack() as stack:
        stack.enter_context(one_thread())
        paying = [
            stack.enter_context(closing(make_env(p, env_id, env_kwargs, horizon=horizon))) for p in programs
        ]
        if policy == "random":
            own = stack.enter_context(closing(make_env(programs[1], env_id, env_kwargs, horizon=horizon)))
            own.action_space.seed(seed)
            act: Act = lambda _: own.action_space.sample()  # noqa: E731
        else:
            act, own = _trained(Path(policy), env_id)
            stack.enter_context(closing(own))
        set_random_seed(seed)
        return [_episode(own, paying, act, seed if number == 0 else None) for number in range(episodes)]


def _trained(folder: Path, env_id: str) -> tuple[Act, Episodes]:
    _, settings = read_run(RunFolder(folder))
    if settings.env_id != env_id:
        text = f"the run in {folder} was trained in '{settings.env_id}', and this is '{env_id}'"
        raise MismatchError(
            Problem("no-environment", text, hints=(f"Audit there: --env {settings.env_id}.",))
        )
    model, env = load_agent(folder)
    chance = settings.algo in DRAWING

    def act(obs: Any) -> Any:
        action, _ = model.predict(obs, deterministic=not chance)
        return action[()] if isinstance(action, np.ndarray) else action

    return act, env


def _episode(own: Episodes, paying: list[Episodes], act: Act, seed: int | None) -> PaidEpisode:
    """Play an episode, then take its actions again in both environments that pay."""
    obs, _ = own.reset(seed=seed)
    actions: list[Any] = []
    over = terminated = False
    while not over and len(actions) < MOST_STEPS:
        actions.append(act(obs))
        obs, _, terminated, truncated, _ = own.step(actions[-1])
        over = terminated or truncated
    told = [_taken_again(env, actions, seed) for env in paying]
    length = len(actions)
    seen = np.hstack([np.asarray(one[0]) for one in told] + [_action_rows(own.action_space, actions)])
    true, proxy = (np.pad(np.asarray(one[1], np.float64), (0, length - len(one[1]))) for one in told)
    if not terminated:  # by its own spec; both others may have ended it nevertheless
        terminated = all(one[2] for one in told)
    _refuse_other_course(told, length, own.own.total, paying)
    return PaidEpisode(seen, true, proxy, terminated)


def _taken_again(
    env: Episodes, actions: list[Any], seed: int | None
) -> tuple[list[npt.NDArray[np.float64]], list[float], bool]:
    """Return what was seen before each action (the last of it repeated once it is over), what was paid, and the end."""
    obs, _ = env.reset(seed=seed)
    seen, paid, terminated, over = [], [], False, False
    rows = numbers_of(env.observation_space, obs)
    for action in actions:
        seen.append(rows)
        if over:
            continue
        obs, reward, terminated, truncated, _ = env.step(action)
        rows = numbers_of(env.observation_space, obs)
        paid.append(float(reward))
        over = terminated or truncated
    return seen, paid, bool(terminated)


def _action_rows(space: spaces.Space[Any], actions: list[Any]) -> npt.NDArray[np.float64]:
    return np.stack([numbers_of(space, action) for action in actions])


def _refuse_other_course(
    told: list[tuple[Any, list[float], bool]], length: int, total: float, paying: list[Episodes]
) -> None:
    """Raise where the environment paid another return of its own for the same seed and actions."""
    for (_, paid, _), env in zip(told, paying, strict=True):
        if len(paid) == length and not np.isclose(env.own.total, total, rtol=1e-9, atol=1e-9):
            text = "an episode took another course with the same seed and the same actions"
            hint = "Both rewards must be paid for the same episodes: the environment has to follow `reset(seed=...)`."
            raise MismatchError(Problem("not-reproducible", text, hints=(hint,)))
