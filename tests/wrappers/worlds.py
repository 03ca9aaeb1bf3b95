"""Small environments for the tests of the wrappers; each shows one habit of real ones."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs


class Walk(gym.Env[Any, Any], RecordConstructorArgs):
    """A walk on a line from its own random numbers; ends at |x| > 2 and is cut after 9 steps.

    The observation is `[x, last move]`; `info.sum` is there on every step, `info.bonus` only now and then.
    """

    observation_space: spaces.Space[Any] = spaces.Box(-10.0, 10.0, (2,), np.float32)
    action_space: spaces.Space[Any] = spaces.Discrete(3)
    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(self, length: int = 9) -> None:
        RecordConstructorArgs.__init__(self, length=length)
        self.length = length
        self.metadata = dict(type(self).metadata)  # type: ignore[misc]
        self.x, self.move, self.steps = 0.0, 0.0, 0
        self.last_options: dict[str, Any] | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.last_options = options
        self.x, self.move, self.steps = float(self.np_random.uniform(-0.5, 0.5)), 0.0, 0
        return self.observe(), {"sum": 0.0}

    def observe(self) -> Any:
        return np.array([self.x, self.move], np.float32)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self.move = float(self.np_random.normal() * 0.6 + (int(action) - 1) * 0.4)
        self.x += self.move
        self.steps += 1
        info: dict[str, Any] = {"sum": self.x + self.steps, "where": {"x": self.x}}
        if self.steps % 3 == 1:
            info["bonus"] = 0.25 * self.steps
        return self.observe(), self.reward(), abs(self.x) > 2, self.steps >= self.length, info

    def reward(self) -> Any:
        return self.move


class DictWalk(Walk):
    """The walk with nested observations."""

    observation_space = spaces.Dict(
        {
            "place": spaces.Box(-10.0, 10.0, (2,), np.float32),
            "pair": spaces.Tuple((spaces.Discrete(10), spaces.Box(-10.0, 10.0, (1,), np.float64))),
        }
    )

    def observe(self) -> Any:
        return {
            "place": np.array([self.x, self.move], np.float32),
            "pair": (np.int64(self.steps), np.array([self.move], np.float64)),
        }


class BufferWalk(Walk):
    """The walk with one observation buffer filled again and again, as NLE has it."""

    def observe(self) -> Any:
        if not hasattr(self, "buffer"):
            self.buffer = np.zeros(2, np.float32)
        self.buffer[:] = (self.x, self.move)
        return self.buffer


class BufferDictWalk(BufferWalk):
    """A fresh dict around the same buffer at every step: NLE to the letter."""

    observation_space = spaces.Dict({"place": spaces.Box(-10.0, 10.0, (2,), np.float32)})

    def observe(self) -> Any:
        return {"place": super().observe()}


class LateBufferWalk(BufferWalk):
    """A fresh observation at reset, the shared buffer afterwards."""

    def observe(self) -> Any:
        return super().observe().copy() if self.steps == 0 else super().observe()


class RewardForm(Walk):
    """The walk with a reward of a chosen form: Python int, NumPy scalar, 0-d array."""

    def __init__(self, form: str = "int") -> None:
        super().__init__()
        self.form = form
        RecordConstructorArgs.__init__(self, form=form)

    def reward(self) -> Any:
        return {"int": 1, "bool": True, "scalar": np.float32(0.5), "array": np.array(0.5)}[self.form]


class Fragile(Walk):
    """The walk that raises, or shows NaN or infinity, on the fourth step of an episode."""

    def __init__(self, how: str = "raise") -> None:
        super().__init__()
        self.how = how
        RecordConstructorArgs.__init__(self, how=how)

    def observe(self) -> Any:
        obs = super().observe()
        if self.steps == 4 and self.how != "raise":
            obs[0] = {"nan": np.nan, "inf": np.inf}[self.how]
        return obs

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        if self.how == "raise" and self.steps == 3:
            raise RuntimeError("the motor is on fire")
        obs, reward, _, truncated, info = super().step(action)
        return obs, reward, False, truncated, info


class SameInfo(Walk):
    """The walk that hands out one info dict again and again."""

    shared: dict[str, Any]

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, info = super().step(action)
        if not hasattr(self, "shared"):
            self.shared = {}
        self.shared.update(info)
        return obs, reward, terminated, truncated, self.shared
