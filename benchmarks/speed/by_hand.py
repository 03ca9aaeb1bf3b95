"""What people write by hand for the task of `workload.py`: the peers that need no package."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.speed.workload import EDGES, STATES

LETTERS = "abcde"


class ConstantReward:
    """A reward function that is a number."""

    def __init__(self, c: float) -> None:
        self.c = c

    def get_reward(self, s_info: dict[str, Any]) -> float:
        """Return the number."""
        return self.c


class RewardMachine:
    """States, formulas over letters on the edges, reward functions by (u1, u2); what was worked out is remembered."""

    def __init__(self) -> None:
        self.u0, self.terminal_u = 0, -1
        self.delta_u: dict[int, dict[int, str]] = {}
        self.delta_r: dict[int, dict[int, ConstantReward]] = {}
        self.known_transitions: dict[tuple[int, str], int] = {}
        for u, yes, no, v, pay in EDGES:
            self.delta_u.setdefault(u, {})[v] = f"{LETTERS[yes]}&!{LETTERS[no]}"
            self.delta_r.setdefault(u, {})[v] = ConstantReward(pay)

    def step(self, u1: int, true_props: str, s_info: dict[str, Any]) -> tuple[int, float, bool]:
        """Return the next state, the reward and whether the machine is done."""
        u2 = self.get_next_state(u1, true_props)
        done = u2 == self.terminal_u
        return u2, self._get_reward(u1, u2, s_info), done

    def get_next_state(self, u1: int, true_props: str) -> int:
        """Return the next state, worked out once for each state and string of events."""
        if (u1, true_props) not in self.known_transitions:
            self.known_transitions[(u1, true_props)] = self._compute_next_state(u1, true_props)
        return self.known_transitions[(u1, true_props)]

    def _compute_next_state(self, u1: int, true_props: str) -> int:
        for u2, formula in self.delta_u[u1].items():
            if all((part[-1] in true_props) != part.startswith("!") for part in formula.split("&")):
                return u2
        return u1

    def _get_reward(self, u1: int, u2: int, s_info: dict[str, Any]) -> float:
        reward = 0.0
        if u1 in self.delta_r and u2 in self.delta_r[u1]:
            reward += self.delta_r[u1][u2].get_reward(s_info)
        return reward


class WithEvents(gym.Wrapper[Any, Any, Any, Any]):
    """The environment's own part: it says which events its last step showed."""

    values: list[float]

    def step(self, action: Any) -> Any:
        """Step, and keep the observation for `get_events`."""
        result = self.env.step(action)
        self.values = result[0].tolist()
        return result

    def get_events(self) -> str:
        """Return the letters of what holds."""
        values = self.values
        events = ""
        if values[0] > 0.2:
            events += "a"
        if values[1] > 0.1:
            events += "b"
        if values[2] < 0:
            events += "c"
        if values[3] > -0.3:
            events += "d"
        if values[0] < values[1]:
            events += "e"
        return events


class LikeToroIcarte(gym.Wrapper[Any, Any, Any, Any]):
    """A reward machine in the manner of Toro Icarte's `reward_machines`: the core and the events.

    The parts, calls and dictionaries are the original's; nothing is shaped or replayed. Kinder than the original:
    floats come from one `tolist`, and the machine's state is not put into the observation.

    Source: github.com/RodrigoToroIcarte/reward_machines, `reward_machine.py` and `rm_environment.py`.
    """

    env: WithEvents

    def __init__(self, env: Any) -> None:
        super().__init__(WithEvents(env))
        self.current_rm = RewardMachine()
        self.obs: Any = None

    def reset(self, **kwargs: Any) -> Any:
        """Begin in the machine's first state."""
        self.obs, info = self.env.reset(**kwargs)
        self.current_u_id = self.current_rm.u0
        return self.obs, info

    def step(self, action: Any) -> Any:
        """Step the environment, then the machine."""
        next_obs, _, terminated, truncated, info = self.env.step(action)
        true_props = self.env.get_events()
        self.crm_params = self.obs, action, next_obs, terminated, true_props, info
        self.obs = next_obs
        self.current_u_id, reward, rm_done = self.current_rm.step(self.current_u_id, true_props, info)
        values = self.env.values
        reward += -0.1 * abs(values[0]) - 0.01 * values[3] * values[3]
        return next_obs, reward, rm_done or terminated, truncated, info


class SetAndDict(gym.Wrapper[Any, Any, Any, Any]):
    """A machine as a first version looks: a set of names, a dictionary of edges, tried one by one."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.edges: dict[str, list[tuple[set[str], set[str], str, float]]] = {
            f"q{u}": [] for u in range(STATES)
        }
        for u, yes, no, v, pay in EDGES:
            self.edges[f"q{u}"].append(({f"p{yes}"}, {f"p{no}"}, f"q{v}", pay))
        self.state = "q0"

    def reset(self, **kwargs: Any) -> Any:
        """Begin in the first state."""
        self.state = "q0"
        return self.env.reset(**kwargs)

    def step(self, action: Any) -> Any:
        """Step the environment and the machine."""
        obs, _, terminated, truncated, info = self.env.step(action)
        a, b, c, d = obs.tolist()
        true = set()
        if a > 0.2:
            true.add("p0")
        if b > 0.1:
            true.add("p1")
        if c < 0:
            true.add("p2")
        if d > -0.3:
            true.add("p3")
        if a < b:
            true.add("p4")
        reward = -0.1 * abs(a) - 0.01 * d * d
        for needed, forbidden, target, pay in self.edges[self.state]:
            if needed <= true and not forbidden & true:
                self.state = target
                reward += pay
                break
        return obs, reward, terminated, truncated, info


class IfElse(gym.Wrapper[Any, Any, Any, Any]):
    """The task as one closure by somebody who minds every nanosecond: the least that Python needs, unchecked."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.step = _closure(env)  # type: ignore[method-assign]


def _closure(env: Any) -> Any:
    env_step, u = env.step, 0

    def step(action: Any) -> Any:
        nonlocal u
        obs, _, terminated, truncated, info = env_step(action)
        a, b, c, d = obs.tolist()
        reward = -0.1 * abs(a) - 0.01 * d * d
        if u < 4:
            if u < 2:
                if u == 0:
                    if a > 0.2 and not b > 0.1:
                        u = 1
                elif b > 0.1 and not c < 0:
                    u = 2
                    reward += 0.1
            elif u == 2:
                if c < 0 and not d > -0.3:
                    u = 3
                    reward += 0.2
            elif d > -0.3 and not a < b:
                u = 4
                reward += 0.3
        elif u < 6:
            if u == 4:
                if a < b and not a > 0.2:
                    u = 5
                    reward += 0.4
            elif a > 0.2 and not b > 0.1:
                u = 6
                reward += 0.5
        elif u == 6:
            if b > 0.1 and not c < 0:
                u = 7
                reward += 0.6
        elif c < 0 and not d > -0.3:
            u = 0
            reward += 0.7
        return obs, reward, terminated, truncated, info

    return step


class Forward(gym.Wrapper[Any, Any, Any, Any]):
    """A closure that passes everything on, after turning the observation into a list: the floor in Python."""

    def __init__(self, env: Any, listed: bool) -> None:
        super().__init__(env)
        env_step = env.step

        def forward(action: Any) -> Any:
            obs, reward, terminated, truncated, info = env_step(action)
            return obs, reward, terminated, truncated, info

        def forward_listed(action: Any) -> Any:
            obs, reward, terminated, truncated, info = env_step(action)
            _, _, _, _ = obs.tolist()
            return obs, reward, terminated, truncated, info

        self.step = forward_listed if listed else forward  # type: ignore[method-assign]


class NaiveNumpy:
    """The task for B environments as a first NumPy version looks: fancy indexing, new arrays everywhere."""

    def __init__(self, batch: int) -> None:
        self.next = np.zeros((STATES, 32), np.int64)
        self.pays = np.zeros((STATES, 32))
        for u in range(STATES):
            self.next[u] = u
        for u, yes, no, v, pay in EDGES:
            for label in range(32):
                if label >> yes & 1 and not label >> no & 1:
                    self.next[u, label], self.pays[u, label] = v, pay
        self.u = np.zeros(batch, np.int64)

    def step(self, obs: Any) -> Any:
        """Return rewards `[B]` for observations `[B, 4]`."""
        labels = (
            (obs[:, 0] > 0.2) * 1
            + (obs[:, 1] > 0.1) * 2
            + (obs[:, 2] < 0) * 4
            + (obs[:, 3] > -0.3) * 8
            + (obs[:, 0] < obs[:, 1]) * 16
        )
        reward = self.pays[self.u, labels] - 0.1 * np.abs(obs[:, 0]) - 0.01 * obs[:, 3] * obs[:, 3]
        self.u = self.next[self.u, labels]
        return reward
