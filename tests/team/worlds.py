"""A stage on which a script says who is there, what each sees and what each gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

AGENTS = ("scout", "pilot", "cook")

Line = Mapping[str, Any]
"""One step: per agent that acts, `x` it sees after it, `r` it gets; `end` and `cut` of those that leave by it."""


class Stage(ParallelEnv[str, Any, Any]):  # type: ignore[misc]
    """Observation `[x, size of the name]`, actions 0 to 2. Who has a line on a step acts on it."""

    metadata: dict[str, Any] = {"name": "stage", "render_modes": []}  # noqa: RUF012
    label_names = ("lit", "dark")

    def __init__(self, script: Sequence[Mapping[str, Line]], agents: Sequence[str] = AGENTS) -> None:
        self.script, self.possible_agents = script, list(agents)
        self.agents: list[str] = []
        self.at = 0
        self.taken: list[dict[str, Any]] = []
        box = {name: spaces.Box(-100.0, 100.0, (2,), np.float64) for name in agents}
        self.observation_spaces: dict[str, Any] = box
        self.action_spaces = {name: spaces.Discrete(3) for name in agents}

    def observation_space(self, agent: str) -> Any:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Any:
        return self.action_spaces[agent]

    def seen(self, name: str, x: float) -> Any:
        return np.array([x, len(name)], np.float64)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.at, self.agents, self.taken = 0, list(self.script[0]), []
        return {name: self.seen(name, 0.0) for name in self.agents}, {name: {} for name in self.agents}

    def step(self, actions: dict[str, Any]) -> Any:
        assert set(actions) == set(self.agents), f"acting {set(self.agents)}, given {set(actions)}"
        self.taken.append(dict(actions))
        now = self.script[self.at]
        self.at += 1
        last = self.at == len(self.script)
        following = [] if last else list(self.script[self.at])
        ends = {name: bool(line.get("end")) for name, line in now.items()}
        cuts = {name: bool(line.get("cut", last and not ends[name])) for name, line in now.items()}
        self.agents = [n for n in following if not (ends.get(n) or cuts.get(n))]
        told = {name: {"fuel": line.get("fuel", 0.0)} for name, line in now.items()}
        shown = {name: self.seen(name, line.get("x", 0.0)) for name, line in now.items()}
        for name in self.agents:
            if name not in now:
                shown[name], told[name] = self.seen(name, 0.0), {}
        return shown, {name: float(line.get("r", 0.0)) for name, line in now.items()}, ends, cuts, told

    def labels(self, agent: str | None = None) -> frozenset[str]:
        """Say `lit` of an agent that sees more than 0, and of the team when all that act do."""
        now = self.script[self.at - 1] if self.at else {}
        lit = [now[n].get("x", 0.0) > 0 for n in ([agent] if agent else now) if n in now]
        return frozenset({"lit"} if lit and all(lit) else {"dark"})


def play(env: Any, actions: int = 1) -> list[dict[str, float]]:
    """Return the rewards of every step of an episode in which all take the same action."""
    env.reset(seed=0)
    rewards = []
    while env.agents:
        rewards.append(env.step(dict.fromkeys(env.agents, actions))[1])
    return rewards
