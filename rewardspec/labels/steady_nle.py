"""A wrapper that makes NetHack Learning Environments keep gymnasium's promises."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs

ABORTED = -1
"""`info["end_status"]` of NLE when its own step limit ends an episode."""


class SteadyNLE(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Reproducible resets, observations that stay as they were, and a time limit that truncates.

    NLE 1.3.0 breaks five promises on which learning and relabelling rest; this wrapper keeps them:

    1. It returns the same observation buffers again and again, so stored observations change: here they are
       copies.
    2. It ignores `reset(seed=)`: here a generator of the wrapper's own seeds NetHack's two generators before
       every reset, and draws from MiniHack's `seeds=` list where one is given (MiniHack draws from the global
       generator). The moon and the hour still come from the clock unless the environment is made with
       `fix_moon_phase=True`.
    3. MiniHack's `reset` raises KeyError on `options={}`: here that means no options.
    4. When a task is solved it quits the game, and the last observation is a wiped screen: here the game
       stays, and the observation shows how the task was solved. (At a death NetHack itself wipes it.)
    5. It reports its own step limit as `terminated`: here as `truncated`, so that values bootstrap.

    Put it around the environment first, below every other wrapper.

    Example:
        >>> import gymnasium as gym  # doctest: +SKIP
        >>> import minihack  # doctest: +SKIP
        >>> env = SteadyNLE(gym.make("MiniHack-Room-5x5-v0"))  # doctest: +SKIP
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        """Wrap an NLE or MiniHack environment (any of gymnasium's own wrappers may be between)."""
        RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        self._rng = np.random.default_rng()
        inner: Any = env.unwrapped
        self._level_seeds: list[int] | None = getattr(inner, "_level_seeds", None)
        inner._quit_game = _stay  # NLE offers no switch; a reset starts a new game all the same

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset with NetHack seeded; with `seed`, this and all later episodes are reproducible."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        inner: Any = self.env.unwrapped
        core, display = (int(draw) for draw in self._rng.integers(1, 2**31, size=2))
        inner.seed(core, display, reseed=False)
        if self._level_seeds is not None:
            inner._level_seeds = [int(self._rng.choice(self._level_seeds))]
        obs, info = self.env.reset(seed=seed, options=options or None)
        return _copied(obs), info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step; the observation is a copy, and NLE's own step limit truncates."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        if terminated and info.get("end_status") == ABORTED:
            terminated, truncated = False, True
        return _copied(obs), float(reward), bool(terminated), bool(truncated), info


def _stay(observation: Any, done: bool) -> None:
    """Replace NLE's way of quitting a game whose task has ended: do nothing."""


def _copied(obs: Any) -> Any:
    if isinstance(obs, dict):
        return {key: np.array(value) for key, value in obs.items()}
    return copy.deepcopy(obs)
