"""Replay buffers of stable-baselines3 that replay every step from other machine states too (CRM).

    env = CounterfactualWrapper(gymnasium.make("MountainCar-v0"), "climb.yaml")
    DQN("MlpPolicy", env, replay_buffer_class=CrmReplayBuffer, replay_buffer_kwargs={"ratio": 1.0})

A step is stored once, with what it would have paid, where it would have led and whether it would have ended in each
machine state; the experience itself - observations that show the other state - is written when it is sampled. A
counterfactual therefore costs about seven bytes instead of two observations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
from stable_baselines3.common.type_aliases import DictReplayBufferSamples, ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize

from rewardspec.errors import Problem, UnsupportedError
from rewardspec.wrappers.counterfactual import INFO, JointStates, Told

Place = tuple[str | None, int]


class CrmReplayBuffer(ReplayBuffer):
    """A replay buffer of vector observations; works with DQN, SAC, TD3 and DDPG.

    `sample(batch_size)` draws as many steps as an ordinary buffer and gives each from its own machine state and from
    others: `batch_size * (1 + round(ratio * (R - 1)))` rows, R being the machine states that do not end the episode.

    Attributes:
        ratio: Share of the other machine states from which each sampled step is replayed: 1 all of them, as the
            published algorithm does; 0 none, an ordinary replay buffer.
        stored: Names of the arrays `[buffer_size, n_envs, ...]` that it has beside SB3's, for whoever saves it.
    """

    stored = ("crm_state", "crm_reward", "crm_next_state", "crm_terminated")

    crm_state: npt.NDArray[np.int16]
    crm_reward: npt.NDArray[np.float32]
    crm_next_state: npt.NDArray[np.int16]
    crm_terminated: npt.NDArray[np.bool_]
    crm_memory: npt.NDArray[np.float32]
    crm_replayed: npt.NDArray[np.int64]

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *arguments: Any,
        ratio: float = 1.0,
        place: Place | None = None,
        states: JointStates | None = None,
        **named: Any,
    ) -> None:
        """Make an empty buffer.

        Args:
            buffer_size: Steps, over all environments.
            observation_space: Space of one observation.
            action_space: Space of one action.
            arguments: As for `ReplayBuffer`.
            ratio: See the class.
            place: Where an observation shows the machine states: key of the part (None for a vector) and first
                index; needed where something between the wrapper and the agent rearranges observations.
            states: The machine states of `CounterfactualWrapper`; with the first step where not given.
            named: As for `ReplayBuffer`.

        Raises:
            UnsupportedError: `wrong-setting` when `ratio` is not between 0 and 1; `lost-final-observation` with
                `optimize_memory_usage`.
        """
        refuse_ratio(ratio)
        if named.get("optimize_memory_usage"):
            raise UnsupportedError(
                Problem(
                    "lost-final-observation",
                    "with `optimize_memory_usage` the last observation of an episode is overwritten",
                    hints=("Use optimize_memory_usage=False.",),
                )
            )
        super().__init__(buffer_size, observation_space, action_space, *arguments, **named)
        self.ratio, self.place = float(ratio), place
        if states is not None:
            begin(self, states)

    def add(
        self,
        obs: npt.NDArray[Any],
        next_obs: npt.NDArray[Any],
        action: npt.NDArray[Any],
        reward: npt.NDArray[Any],
        done: npt.NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Store a step of every environment.

        Raises:
            UnsupportedError: `no-counterfactuals` when the environments tell none.
        """
        remember(self, obs, infos)
        super().add(obs, next_obs, action, reward, done, infos)

    def _get_samples(
        self, batch_inds: npt.NDArray[Any], env: VecNormalize | None = None
    ) -> ReplayBufferSamples:
        env_inds = np.random.randint(0, high=self.n_envs, size=len(batch_inds))
        drawn = draw(self, batch_inds, env_inds)
        rows, columns = drawn.rows, drawn.columns
        _, first = self.place or (None, 0)
        obs = show(self.observations[rows, columns], drawn.state, self.crm_memory, first)
        next_obs = show(self.next_observations[rows, columns], drawn.next_state, self.crm_memory, first)
        data = (
            self._normalize_obs(obs, env),
            self.actions[rows, columns],
            self._normalize_obs(next_obs, env),
            drawn.terminated,
            self._normalize_reward(drawn.reward, env),
        )
        return ReplayBufferSamples(*map(self.to_torch, data))


class CrmDictReplayBuffer(DictReplayBuffer):
    """The same for observations with several parts; see `CrmReplayBuffer`."""

    stored = CrmReplayBuffer.stored

    crm_state: npt.NDArray[np.int16]
    crm_reward: npt.NDArray[np.float32]
    crm_next_state: npt.NDArray[np.int16]
    crm_terminated: npt.NDArray[np.bool_]
    crm_memory: npt.NDArray[np.float32]
    crm_replayed: npt.NDArray[np.int64]

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Dict,
        action_space: spaces.Space[Any],
        *arguments: Any,
        ratio: float = 1.0,
        place: Place | None = None,
        states: JointStates | None = None,
        **named: Any,
    ) -> None:
        """Make an empty buffer; see `CrmReplayBuffer`."""
        refuse_ratio(ratio)
        super().__init__(buffer_size, observation_space, action_space, *arguments, **named)
        self.ratio, self.place = float(ratio), place
        if states is not None:
            begin(self, states)

    def add(  # type: ignore[override]
        self,
        obs: dict[str, npt.NDArray[Any]],
        next_obs: dict[str, npt.NDArray[Any]],
        action: npt.NDArray[Any],
        reward: npt.NDArray[Any],
        done: npt.NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Store a step of every environment; see `CrmReplayBuffer.add`."""
        remember(self, obs, infos)
        super().add(obs, next_obs, action, reward, done, infos)

    def _get_samples(  # type: ignore[override]
        self, batch_inds: npt.NDArray[Any], env: VecNormalize | None = None
    ) -> DictReplayBufferSamples:
        env_inds = np.random.randint(0, high=self.n_envs, size=len(batch_inds))
        drawn = draw(self, batch_inds, env_inds)
        rows, columns = drawn.rows, drawn.columns
        shown, first = self.place or (None, 0)

        def observed(held: Mapping[str, npt.NDArray[Any]], state: npt.NDArray[np.int64]) -> Any:
            parts = {key: part[rows, columns] for key, part in held.items()}
            parts[str(shown)] = show(parts[str(shown)], state, self.crm_memory, first)
            normalised: Any = self._normalize_obs(parts, env)
            return {key: self.to_torch(part) for key, part in normalised.items()}

        return DictReplayBufferSamples(
            observations=observed(self.observations, drawn.state),
            actions=self.to_torch(self.actions[rows, columns]),
            next_observations=observed(self.next_observations, drawn.next_state),
            dones=self.to_torch(drawn.terminated),
            rewards=self.to_torch(self._normalize_reward(drawn.reward, env)),
        )


Buffer = CrmReplayBuffer | CrmDictReplayBuffer


class Drawn:
    """Rows of a sample: which steps, from which machine states, and what came of it; L rows.

    Attributes:
        rows: Positions in the buffer, `[L]`.
        columns: Environments, `[L]`.
        state: Machine state before the step, `[L]`.
        next_state: And after it, `[L]`.
        reward: `[L, 1]` float32.
        terminated: `[L, 1]` float32; an end by a time limit does not count.
    """

    def __init__(
        self, buffer: Buffer, rows: npt.NDArray[Any], columns: npt.NDArray[Any], choice: npt.NDArray[Any]
    ) -> None:
        """Look up `choice` (`[N, k]`, positions among the replayed states) for N steps."""
        count = choice.shape[1]
        self.rows, self.columns = np.repeat(rows, count), np.repeat(columns, count)
        flat = choice.ravel()
        at = self.rows, self.columns, flat
        self.state = buffer.crm_replayed[flat]
        self.next_state = buffer.crm_next_state[at]
        self.reward = buffer.crm_reward[at][:, None]
        self.terminated = buffer.crm_terminated[at].astype(np.float32)[:, None]


def draw(buffer: Buffer, rows: npt.NDArray[Any], columns: npt.NDArray[Any]) -> Drawn:
    """Return steps from their own machine state and from as many others as the buffer's ratio says."""
    replayed = len(buffer.crm_replayed)
    others = round(buffer.ratio * (replayed - 1))
    own = buffer.crm_state[rows, columns]
    if others == replayed - 1:
        choice = np.broadcast_to(np.arange(replayed), (len(rows), replayed))
    else:
        # The others in an order drawn anew for every step, its own state before them.
        order = np.random.random((len(rows), replayed))
        order[np.arange(len(rows)), own] = -1.0
        choice = np.argpartition(order, others, axis=1)[:, : others + 1]
    return Drawn(buffer, rows, columns, choice)


def show(
    obs: npt.NDArray[Any], state: npt.NDArray[np.int64], memory: npt.NDArray[np.float32], first: int
) -> npt.NDArray[Any]:
    """Return observations `[L, n]`, already a copy, that show the machine states `[L]`."""
    obs[:, first : first + memory.shape[1]] = memory[state]
    return obs


def remember(buffer: Buffer, obs: Any, infos: list[dict[str, Any]]) -> None:
    """Keep the counterfactuals of a step of every environment, at the buffer's position.

    Raises:
        UnsupportedError: `no-counterfactuals`.
    """
    for column, info in enumerate(infos):
        told = info.get(INFO)
        if not isinstance(told, Told):
            hint = "Make them with `CounterfactualWrapper(env, spec)` in the place of `wrap(env, spec)`."
            raise UnsupportedError(
                Problem(
                    "no-counterfactuals",
                    "the environments do not tell counterfactual experience",
                    hints=(hint,),
                )
            )
        if not hasattr(buffer, "crm_state"):
            begin(buffer, told.states)
        if not buffer.full and buffer.pos == 0:
            buffer.place = buffer.place or told.place
            refuse_misfit(buffer, obs, told, column)
        at = buffer.pos, column
        buffer.crm_state[at] = np.searchsorted(buffer.crm_replayed, told.state)
        buffer.crm_reward[at] = told.reward
        buffer.crm_next_state[at] = told.next_state
        buffer.crm_terminated[at] = told.terminated


def begin(buffer: Buffer, states: JointStates) -> None:
    """Make the arrays for counterfactuals."""
    shape = (buffer.buffer_size, buffer.n_envs)
    each = (*shape, len(states.replayed))
    buffer.crm_memory, buffer.crm_replayed = states.memory, states.replayed
    buffer.crm_state = np.zeros(shape, np.int16)
    buffer.crm_reward = np.zeros(each, np.float32)
    buffer.crm_next_state = np.zeros(each, np.int16)
    buffer.crm_terminated = np.zeros(each, np.bool_)


def refuse_misfit(buffer: Buffer, obs: Any, told: Told, column: int) -> None:
    """Raise when observations do not show the machine states where they should: something rearranges them.

    Raises:
        UnsupportedError: `no-counterfactuals`.
    """
    key, first = buffer.place or (None, 0)
    part = np.asarray(obs if key is None else obs.get(key) if isinstance(obs, Mapping) else None)
    memory = told.states.memory
    shown = part[column, first : first + memory.shape[1]] if part.ndim == 2 else None
    if shown is None or not np.array_equal(shown, memory[told.state]):
        hint = "Say where observations show them: replay_buffer_kwargs={'place': (key, first index)}."
        raise UnsupportedError(
            Problem(
                "no-counterfactuals",
                "observations do not show the machine states where the wrapper put them: something between them "
                f"makes {buffer.observation_space}",
                hints=(hint,),
            )
        )


def refuse_ratio(ratio: float) -> None:
    """Raise when a ratio is not between 0 and 1.

    Raises:
        UnsupportedError: `wrong-setting`.
    """
    if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 <= ratio <= 1:
        raise UnsupportedError(
            Problem("wrong-setting", f"the ratio of counterfactuals is {ratio!r}; it lies between 0 and 1")
        )
