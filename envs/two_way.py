"""highway-env's two-way road (`two-way-v0`) for two drivers, as a PettingZoo environment; needs highway-env.

One car overtakes on a road with oncoming traffic, as in highway-env's own task; the second controlled car comes the
other way. Dynamics, rewards and collisions are highway-env's; what is ours is that both cars are driven from outside.

Source: E. Leurent, "An Environment for Autonomous Driving Decision-Making" (highway-env, 2018). Whether Slumbers et al.
used this road, and with which rewards, is not known to us.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from pettingzoo import ParallelEnv

from rewardspec.errors import missing_extra

Observation = npt.NDArray[np.float32]

AGENTS = ("overtaker", "oncoming")


class TwoWay(ParallelEnv[str, Observation, int]):  # type: ignore[misc]
    """Two controlled cars on highway-env's two-way road.

    Observation: `[25]` float32, highway-env's kinematics of the five nearest cars (presence, x, y, vx, vy each).
    Actions: highway-env's meta-actions (0 left, 1 idle, 2 right, 3 faster, 4 slower). A step is one decision, a second.
    The episode ends when either has crashed; the last `info` says so by `events`.

    Args:
        horizon: Steps after which the episode is truncated.
        render_mode: As highway-env's.

    Raises:
        MissingExtraError: When highway-env is not installed.
    """

    metadata: dict[str, Any] = {"name": "two_way_v0", "render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, horizon: int = 15, render_mode: str | None = None) -> None:
        """See the class."""
        try:
            import gymnasium
            import highway_env  # noqa: F401  # registers its environments
        except ImportError:
            raise missing_extra("highway-env", "highway", "the two-way road of highway-env") from None
        self.render_mode, self.horizon = render_mode, horizon
        made: Any = gymnasium.make("two-way-v0", render_mode=render_mode, disable_env_checker=True)
        self._env: Any = made.unwrapped
        self._env.configure(
            {
                "action": {"type": "MultiAgentAction", "action_config": {"type": "DiscreteMetaAction"}},
                "observation": {
                    "type": "MultiAgentObservation",
                    "observation_config": {"type": "Kinematics", "vehicles_count": 5},
                },
            }
        )
        self.possible_agents = list(AGENTS)
        self.agents: list[str] = []
        seen = spaces.Box(-np.inf, np.inf, (25,), np.float32)
        self.observation_spaces = dict.fromkeys(AGENTS, seen)
        self.action_spaces = {name: spaces.Discrete(5) for name in AGENTS}
        self._steps = 0

    def observation_space(self, agent: str) -> spaces.Box:
        """Return the space of what a driver sees."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Discrete:
        """Return the space of what a driver does."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Put the cars on the road; the first oncoming one is driven from outside."""
        self._env.reset(seed=seed)
        road, first = self._env.road, self._env.vehicle
        lane = self._env.road.network.get_lane(("b", "a", 0))
        kind = type(first)
        coming = next(
            (
                car
                for car in road.vehicles
                if car is not first and getattr(car, "lane_index", ("",))[0] == "b"
            ),
            None,
        )
        place = lane.local_coordinates(coming.position)[0] if coming is not None else lane.length / 2
        if coming is not None:
            road.vehicles.remove(coming)
        second = kind.make_on_lane(road, ("b", "a", 0), longitudinal=place, speed=first.speed)
        road.vehicles.append(second)
        self._env.controlled_vehicles = [first, second]
        self._env.define_spaces()
        self.agents, self._steps = list(AGENTS), 0
        return self._seen(), {name: {} for name in AGENTS}

    def step(
        self, actions: dict[str, int]
    ) -> tuple[
        dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]
    ]:
        """Drive on for a second."""
        self._env.step(tuple(int(actions[name]) for name in AGENTS))
        self._steps += 1
        cars = self._env.controlled_vehicles
        crashed = any(car.crashed for car in cars)
        late = self._steps >= self.horizon and not crashed
        rewards = {name: self._paid(car) for name, car in zip(AGENTS, cars, strict=True)}
        if crashed or late:
            self.agents = []
        told = {"events": frozenset({"crash"} if crashed else ())}
        ends = (dict.fromkeys(AGENTS, crashed), dict.fromkeys(AGENTS, late))
        return self._seen(), rewards, *ends, {name: dict(told) for name in AGENTS}

    def _paid(self, car: Any) -> float:
        """Return highway-env's reward for speed, 0 after a crash, for one of the cars."""
        low, high = 15.0, 30.0
        return 0.0 if car.crashed else float(np.clip((car.speed - low) / (high - low), 0.0, 1.0))

    def _seen(self) -> dict[str, Observation]:
        both = self._env.observation_type.observe()
        return {name: np.asarray(part, np.float32).ravel() for name, part in zip(AGENTS, both, strict=True)}

    def render(self) -> Any:
        """Return highway-env's picture."""
        return self._env.render()

    def close(self) -> None:
        """Close highway-env."""
        self._env.close()
