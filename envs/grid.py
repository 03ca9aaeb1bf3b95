"""Worlds of finitely many states: one set of rules, stepped one by one and tabulated."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from envs.arguments import check_mode, only_option
from envs.grid_picture import Image, Scene, paint, write
from rewardspec.tabular.world import TabularWorld

State = tuple[int, ...]

Effect = tuple[State, frozenset[str], float, bool]
"""What a step does: the next state, the labels that hold on it, the reward, and whether the episode is over."""

Observe = Literal["position", "index"]

NOTHING: frozenset[str] = frozenset()

UP, RIGHT, DOWN, LEFT = range(4)
"""The moves of grid worlds, in the order of the reward-machine literature."""

MOVES: dict[int, tuple[int, int]] = {UP: (0, 1), RIGHT: (1, 0), DOWN: (0, -1), LEFT: (-1, 0)}
"""Move -> change of (x, y); y grows upwards."""


class GridWorld(gym.Env[Any, Any]):
    """A world of finitely many states that says its own labels.

    A subclass gives `rules`, the effect of an action in a state, and `scene`, what there is to see. Stepping,
    seeding, the table, the observation and the drawings follow from them.

    Attributes:
        label_names: Every label that the world can say.
        state: The present state, a tuple of whole numbers.
        taken: The last action that was taken: the chosen one, or another where it slipped.
        starts: The states in which an episode can begin, each as likely as the others.
        slip: Probability that an action drawn at random is taken in place of the chosen one.
        scale: Screen pixels per pixel of the drawing.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 8}  # noqa: RUF012
    label_names: tuple[str, ...] = ()
    scale = 3
    action_space: spaces.Discrete

    def __init__(
        self,
        starts: Sequence[State],
        largest: State,
        n_actions: int,
        *,
        observe: Observe = "position",
        slip: float = 0.0,
        render_mode: str | None = None,
    ) -> None:
        """Make a world.

        Args:
            starts: The states in which an episode can begin.
            largest: The largest value of each number of a state, for the observation's bounds.
            n_actions: A.
            observe: `position`, the numbers of the state as `Box` `[numbers]`; or `index`, the number of the
                state as `Discrete(S)`, which learners take as one-hot.
            slip: Probability that an action drawn at random is taken in place of the chosen one.
            render_mode: `ansi`, `rgb_array` or None.

        Raises:
            ValueError: When an argument is none of these.
        """
        if observe not in ("position", "index"):
            raise ValueError(f"observe is 'position' or 'index', not {observe!r}")
        if not 0.0 <= slip <= 1.0:
            raise ValueError(f"slip is a probability, not {slip!r}")
        check_mode(render_mode, self.metadata["render_modes"])
        self.starts, self.slip, self.render_mode = tuple(starts), slip, render_mode
        self.state: State = self.starts[0]
        self.taken = 0
        self._true = NOTHING
        self._observe: Observe = observe
        self.action_space = spaces.Discrete(n_actions)
        top = max(largest)
        dtype = np.uint8 if top < 256 else np.int32
        self.observation_space: spaces.Space[Any]
        if observe == "position":
            self.observation_space = spaces.Box(
                np.zeros(len(largest), dtype), np.array(largest, dtype), dtype=dtype
            )
        else:
            self.observation_space = spaces.Discrete(len(self.states))

    # -- the rules -----------------------------------------------------------------------------------------

    def rules(self, state: State, action: int) -> Effect:
        """Return the effect of an action in a state. Pure: nothing of the episode is read or changed."""
        raise NotImplementedError

    @cached_property
    def states(self) -> tuple[State, ...]:
        """Every state that can be reached from a start, in ascending order."""
        return tuple(sorted(self._lasting | {target for target, ended in self._reached if ended}))

    @cached_property
    def _reached(self) -> frozenset[tuple[State, bool]]:
        """What steps lead to: (state, whether the episode is over there)."""
        reached: set[tuple[State, bool]] = {(start, False) for start in self.starts}
        ahead = list(self.starts)
        while ahead:
            state = ahead.pop()
            for action in range(int(self.action_space.n)):
                target, _, _, ended = self.rules(state, action)
                if (target, ended) not in reached:
                    reached.add((target, ended))
                    if not ended:
                        ahead.append(target)
        return frozenset(reached)

    @cached_property
    def _lasting(self) -> frozenset[State]:
        """The states in which an episode goes on."""
        return frozenset(state for state, ended in self._reached if not ended)

    @cached_property
    def _number(self) -> dict[State, int]:
        return {state: number for number, state in enumerate(self.states)}

    def scene(self) -> Scene:
        """Return what is to be seen in the present state."""
        raise NotImplementedError

    # -- gymnasium -----------------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; `options={"start": state}` says where.

        Raises:
            ValueError: When the options hold anything else, or no such state can be reached.
        """
        super().reset(seed=seed)
        options = only_option(options, "start")
        if "start" in options:
            start = tuple(int(number) for number in options["start"])
            if start not in self._lasting:
                raise ValueError(f"no episode can be in the state {start}")
            self.state = start
        elif len(self.starts) > 1:
            self.state = self.starts[int(self.np_random.integers(len(self.starts)))]
        else:
            self.state = self.starts[0]
        self._true = NOTHING
        return self._observation(self.state), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take an action: observation, reward, terminated, truncated (never, by itself) and an empty dict."""
        chosen = int(action)
        if not 0 <= chosen < self.action_space.n:
            raise ValueError(f"an action is a number from 0 to {self.action_space.n - 1}, not {action!r}")
        if self.slip and self.np_random.random() < self.slip:
            chosen = int(self.np_random.integers(self.action_space.n))
        self.taken = chosen
        self.state, self._true, reward, terminated = self.rules(self.state, chosen)
        return self._observation(self.state), reward, terminated, False, {}

    def labels(self) -> frozenset[str]:
        """Return the labels that hold on the last step; none after a reset."""
        return self._true

    def render(self) -> Image | str | None:  # type: ignore[override]
        """Return the present state as the render mode says: text, or pixels `[height, width, 3]` uint8."""
        if self.render_mode == "ansi":
            return write(self.scene())
        if self.render_mode == "rgb_array":
            return paint(self.scene(), self.scale)
        return None

    def _observation(self, state: State) -> Any:
        if self._observe == "index":
            return self._number[state]
        return np.array(state, self.observation_space.dtype)

    # -- as arrays -----------------------------------------------------------------------------------------

    def table(self, horizon: int | None = None) -> TabularWorld:
        """Return this world as arrays, by the same rules.

        Outcome k of a state and an action is that action k is taken; without slipping there is one outcome. A
        state in which the episode is over leads to itself.

        Args:
            horizon: Steps after which an episode is truncated.
        """
        states, actions = len(self.states), int(self.action_space.n)
        shape = (states, actions, actions if self.slip else 1)
        next_state, label = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        reward, terminated = np.zeros(shape), np.zeros(shape, np.bool_)
        probability = np.ones(shape)
        if self.slip:
            probability[:] = self.slip / actions + (1.0 - self.slip) * np.eye(actions)
        bits = {name: 1 << bit for bit, name in enumerate(self.label_names)}
        for number, state in enumerate(self.states):
            for action in range(actions):
                # Where actions slip, the outcomes of all actions are the same list; else it is the action's own.
                where = (number, slice(None), action) if self.slip else (number, action, 0)
                if state not in self._lasting:
                    next_state[where], terminated[where] = number, True
                    continue
                target, true, paid, ended = self.rules(state, action)
                next_state[where], label[where] = self._number[target], sum(bits[name] for name in true)
                reward[where], terminated[where] = paid, ended
        start = np.zeros(states)
        start[[self._number[state] for state in self.starts]] = 1.0 / len(self.starts)
        observation = np.array([self._observation(state) for state in self.states])
        return TabularWorld(
            next_state,
            probability,
            reward,
            terminated,
            label,
            start,
            self.label_names,
            observation,
            self.observation_space,
            horizon=horizon,
        )
