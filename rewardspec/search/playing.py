"""Episodes that a trained agent plays for judges: what a second spec says of them, and one that people can be shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np

from rewardspec.learning.playing import Recipe
from rewardspec.spec.model import Spec
from rewardspec.training.folder import write_whole
from rewardspec.training.loop import load_agent
from rewardspec.wrappers.single import wrap

EPISODES = 20
"""Episodes that a teacher judges."""

LONGEST = 2_000
"""Steps of an episode of which no more is played."""

CLIP = "clip.npz"
"""Name of the file, in a run's folder, that plays an episode again."""

SHOWN = 300
"""Steps of it that are shown, at most: its last ones."""


class Watched(gym.Wrapper[Any, Any, Any, Any]):
    """Notes what brings an episode back; nothing that passes through is changed.

    Attributes:
        seed: Of the reset.
        actions: Of the episode so far.
        last: What the last step returned.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        """Watch the environment itself."""
        gym.Wrapper.__init__(self, env)
        self.seed: int | None = None
        self.actions: list[Any] = []
        self.last: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset, and note the seed."""
        self.seed, self.actions = seed, []
        self.last = self.env.reset(seed=seed, options=options)
        return self.last  # type: ignore[no-any-return]

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step, and note the action."""
        self.actions.append(np.asarray(action, np.float32).ravel())
        self.last = self.env.step(action)
        return self.last  # type: ignore[no-any-return]

    def recipe(self) -> Recipe:
        """Return how the episode so far is played again."""
        return Recipe(int(self.seed or 0), np.array(self.actions, np.float32))


class Taught(gym.Wrapper[Any, Any, Any, Any]):
    """Lets a spec look on and add up what it would pay; the agent's own environment does not notice.

    Attributes:
        total: What the spec would have paid in the episode so far; from its own end on, nothing.
    """

    def __init__(self, env: Watched, spec: Spec) -> None:
        """Look on.

        Raises:
            MismatchError: The environment lacks what the spec reads.
        """
        self._watched = env
        self._over = False
        self.total = 0.0
        self._teacher = wrap(env, spec, observe="none")
        gym.Wrapper.__init__(self, env)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset; the sum begins anew."""
        self.total, self._over = 0.0, False
        self._teacher.reset(seed=seed, options=options)
        return self._watched.last  # type: ignore[no-any-return]

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step; what the spec pays is added up."""
        if self._over:
            return self._watched.step(action)
        _, paid, terminated, truncated, _ = self._teacher.step(action)
        self.total += float(paid)
        self._over = bool(terminated or truncated)
        return self._watched.last  # type: ignore[no-any-return]


def teacher_score(run: Path, teacher: Spec, seed: int, episodes: int = EPISODES) -> float:
    """Return the mean of what a teacher's spec would have paid for episodes of a run's agent."""
    model, env = load_agent(run)
    try:
        taught = Taught(Watched(env.own.env), teacher)
        env.own.env = taught
        totals = []
        for number in range(episodes):
            play(model, env, seed if number == 0 else None)
            totals.append(taught.total)
    finally:
        env.close()  # type: ignore[no-untyped-call]
    return float(np.mean(totals))


def save_clip(run: Path, seed: int) -> None:
    """Let a run's agent play an episode, and write down how it is played again."""
    model, env = load_agent(run)
    try:
        watched = Watched(env.own.env)
        env.own.env = watched
        play(model, env, seed)
    finally:
        env.close()  # type: ignore[no-untyped-call]
    recipe = watched.recipe()
    write_whole(
        run / CLIP,
        lambda file: np.savez(file, allow_pickle=False, seed=np.int64(recipe.seed), actions=recipe.actions),
    )


def load_clip(run: Path) -> Recipe:
    """Return what `save_clip` wrote."""
    with np.load(run / CLIP, allow_pickle=False) as file:
        return Recipe(int(file["seed"]), file["actions"])


def play(model: Any, env: gym.Env[Any, Any], seed: int | None) -> None:
    """Play one episode as the agent learned it: it chooses at random where its policy does."""
    if seed is not None:
        import torch

        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # DQN explores with NumPy's own generator
    obs, _ = env.reset(seed=seed)
    for _ in range(LONGEST):
        action, _ = model.predict(obs, deterministic=False)
        obs, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            return
