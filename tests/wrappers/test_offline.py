"""Stored trajectories are paid what the live ones were paid, and what the oracle says of whole episodes."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardspec import (
    MismatchError,
    NonFiniteRewardError,
    Transition,
    UnsupportedError,
    compile_spec,
    loads,
    relabel,
    wrap,
)
from rewardspec.backends import oracle
from tests.wrappers.specs import MEMORY, ending, memory
from tests.wrappers.test_single import episode, recorded
from tests.wrappers.worlds import DictWalk, Walk

GATES = """
name: gates
propositions: {right: "next_obs[0] > 0.3", far: "next_obs[0] > 1"}
reward:
- gate: {of: "next_obs[1]", when: right, known: ever, timing: relabel, fallback: -2}
- gate: {of: 1, when: far, known: end, timing: relabel}
- diff: {of: "next_obs[0]"}
"""
"""Terms that are known only when an episode is over."""


def arrays(transitions: list[Transition], *, next_obs: bool = True) -> dict[str, Any]:
    """Return transitions as arrays, with `next_obs` or with one observation more."""
    obs = np.stack([t.obs for t in transitions])
    after = np.stack([t.next_obs for t in transitions])
    return {
        "obs": obs if next_obs else np.concatenate([obs, after[-1:]]),
        "action": np.array([t.action for t in transitions]),
        "reward": np.array([t.reward for t in transitions]),
        "terminated": np.array([t.terminated for t in transitions]),
        "truncated": np.array([t.truncated for t in transitions]),
        "info": [dict(t.info or {}) for t in transitions],
        **({"next_obs": after} if next_obs else {}),
    }


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("form", ["list", "arrays", "one more observation", "dataset names"])
def test_every_form_is_paid_as_the_live_environment(seed: int, form: str) -> None:
    transitions = recorded(Walk(), seed)
    data: Any = transitions
    if form != "list":
        data = arrays(transitions, next_obs=form != "one more observation")
    if form == "dataset names":
        names = {
            "obs": "observations",
            "next_obs": "next_observations",
            "reward": "rewards",
            "action": "actions",
        }
        names |= {"terminated": "terminals", "truncated": "timeouts", "info": "infos"}
        data = {names[key]: value for key, value in data.items()} | {"metadata/version": np.array(1)}
    live = episode(wrap(Walk(), memory()), seed)
    result = relabel(data, memory())
    np.testing.assert_array_equal(result.reward, [step[1] for step in live[1:]])
    for name, total in live[-1][-1]["rewardspec"]["return"].items():
        assert result.terms[name].sum() == pytest.approx(total, abs=1e-12)
    assert result.valid.all()


@pytest.mark.parametrize("seeds", [(0,), (1, 2, 3), (4, 5, 6, 7, 8)])
def test_concatenated_episodes(seeds: tuple[int, ...]) -> None:
    each = [recorded(Walk(), seed) for seed in seeds]
    joined = relabel([t for transitions in each for t in transitions], memory())
    apart = np.concatenate([relabel(transitions, memory()).reward for transitions in each])
    np.testing.assert_array_equal(joined.reward, apart)


steps = st.tuples(st.floats(-3, 3, width=32), st.floats(-2, 2, width=32), st.integers(0, 2))


@settings(max_examples=150)
@given(st.lists(steps, min_size=1, max_size=12), st.sampled_from(["terminated", "truncated", ""]))
def test_futures_are_those_of_the_oracle(drawn: list[tuple[float, float, int]], end: str) -> None:
    points = [np.array([0.0, 0.0]), *(np.array([x, v]) for x, v, _ in drawn)]
    transitions = [
        Transition(points[i], action, points[i + 1], 0.5, info={"sum": float(i), "where": {"x": 1.0}})
        for i, (_, _, action) in enumerate(drawn)
    ]
    if end:
        transitions[-1] = replace(transitions[-1], **{end: True})
    for text in (GATES, MEMORY):
        outcomes = oracle.run_episode(compile_spec(loads(text)), transitions)
        result = relabel(transitions, loads(text))
        np.testing.assert_allclose(result.reward, [o.reward for o in outcomes], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(
            np.stack(list(result.terms.values()), 1), [o.terms for o in outcomes], atol=1e-12
        )


def test_a_gate_by_hand() -> None:
    """Open for ever from the second step on: then every step of the episode is paid, the first one too."""
    gate = "{of: next_obs, when: p, known: ever, timing: relabel}"
    spec = loads(f"{{propositions: {{p: next_obs > 1}}, reward: [{{gate: {gate}}}]}}")
    data = {
        "obs": [0, 1, 2, 0, 0],
        "next_obs": [1, 2, 0, 0, 1],
        "terminated": [False, False, True, False, True],
    }
    assert relabel(data, spec).reward.tolist() == [1, 2, 0, 0, 0]


def test_the_program_ends_earlier_than_the_data() -> None:
    spec = loads(
        """
        propositions: {hit: next_obs == 2}
        reward:
        - {ltl: F hit, accept: 10}
        - {markov: -1, name: cost}
        - gate: {of: next_obs, when: hit, known: end, timing: relabel}
        """
    )
    data = {"obs": [0, 0, 2, 1, 2], "next_obs": [0, 2, 1, 2, 0], "truncated": [False] * 4 + [True]}
    masked = relabel(data, spec)
    assert masked.reward.tolist() == [-1, 11, 0, 0, 0]
    assert masked.valid.tolist() == [True, True, False, False, False]
    assert masked.terminated.tolist() == [False, True, False, False, False]
    assert masked.truncated.tolist() == [False] * 4 + [True]
    assert masked.machine_states["ltl"][1:].tolist() == [masked.machine_states["ltl"][1]] * 4
    again = relabel(data, spec, after_end="restart")
    assert again.reward.tolist() == [-1, 11, 0, 11, -1]
    assert again.valid.all() and again.terminated.tolist() == [False, True, False, True, False]


def test_live_and_stored_agree_where_the_program_ends() -> None:
    for seed in range(8):
        live = episode(wrap(Walk(), ending()), seed)
        stored = relabel(recorded(Walk(), seed), ending())
        assert stored.reward[stored.valid].tolist() == [step[1] for step in live[1:]]
        assert bool(stored.terminated[len(live) - 2]) == live[-1][2]


def test_memory_in_the_observations() -> None:
    env = wrap(Walk(), memory())
    live = episode(env, 2)
    result = relabel(recorded(Walk(), 2), memory(), observe="auto", observation_space=Walk.observation_space)
    np.testing.assert_array_equal(result.obs, [step[0] for step in live[:-1]])
    np.testing.assert_array_equal(result.next_obs, [step[0] for step in live[1:]])
    plain = relabel(recorded(Walk(), 2), memory())
    np.testing.assert_array_equal(plain.obs, result.obs[:, :2])


def test_running_statistics_run_through_the_data() -> None:
    spec = loads("reward: [{normalise: {of: 'next_obs[0]'}}]")
    env = wrap(Walk(), spec)
    live = [step[1] for seed in (1, 2) for step in episode(env, seed)[1:]]
    assert relabel([*recorded(Walk(), 1), *recorded(Walk(), 2)], spec).reward.tolist() == live


def test_stored_labels_and_labelling_functions() -> None:
    spec = loads("{propositions: {p: label.p}, reward: [{markov: 'where(p, 1, 0)'}]}")
    data = {"obs": [0, 1, 2], "terminated": [False, False, True]}
    assert relabel({**data, "label": {"p": [True, False, True]}}, spec).reward.tolist() == [1, 0, 1]
    for label in (lambda env, t: {"p": t.obs == 1}, lambda env, t: ["p"] if t.obs == 1 else []):
        assert relabel(data, spec, label=label).reward.tolist() == [0, 1, 0]
    stepped = [Transition(0, label={"p": True}), Transition(1, label={"p": False})]
    assert relabel(stepped, spec).reward.tolist() == [1, 0]
    with pytest.raises(MismatchError, match="missing-label-function"):
        relabel(data, spec)
    with pytest.raises(MismatchError, match=r"\[missing-label\]"):
        relabel(data, spec, label=lambda env, t: {"q": True})
    ready = loads("{env: {labels: minigrid}, propositions: {k: label.carrying_key}, reward: [{once: k}]}")
    with pytest.raises(UnsupportedError, match="offline-labeller"):
        relabel(data, ready)
    assert relabel({**data, "label": {"carrying_key": [False, True, True]}}, ready).reward.tolist() == [
        0,
        1,
        0,
    ]


@pytest.mark.parametrize(
    "data, says",
    [
        ({"observatoins": [1]}, "Did you mean 'observations'"),
        ({"obs": [1, 2]}, "no number of steps"),
        ({"obs": [1, 2, 3], "reward": [1.0, 2.0], "terminated": [True, True]}, "single episode"),
        ({"obs": [1, 2], "reward": [1.0, 2.0], "action": [1]}, "'action' has 1 entries"),
        ([1, 2], "neither a mapping"),
        ([], "neither a mapping"),
    ],
)
def test_data_that_do_not_fit(data: Any, says: str) -> None:
    with pytest.raises(MismatchError, match=says) as caught:
        relabel(data, loads("reward: 1"))
    assert "unreadable-data" in str(caught.value)


def test_errors_name_episode_and_step() -> None:
    data = {"next_obs": [1.0, 2.0, 0.0, -1.0], "terminated": [False, True, False, True]}
    with pytest.raises(NonFiniteRewardError, match="episode 1: the term 'markov' pays -inf at step 0"):
        relabel(data, loads("reward: log(next_obs)"))
    with pytest.raises(MismatchError, match="there is no 'obs' here"):
        relabel(data, loads("reward: obs"))
    with pytest.raises(UnsupportedError, match="unknown-param"):
        relabel(data, loads("reward: 1"), params={"weight": 1.0})


def test_parameters() -> None:
    spec = loads("reward: [{markov: 2, weight: 3, name: two}]")
    data = {"terminated": [False, True]}
    assert relabel(data, spec).reward.tolist() == [6, 6]
    assert relabel(data, spec, params={"two.weight": 0.5}).reward.tolist() == [1, 1]


def test_minari() -> None:
    """A stand-in with Minari's interface: observations and infos hold the reset's as well."""
    episodes = []
    for seed in (0, 1):
        data = arrays(recorded(Walk(), seed), next_obs=False)
        sums = np.array([0.0, *(info["sum"] for info in data["info"])])
        episodes.append(
            SimpleNamespace(
                observations=data["obs"],
                actions=data["action"],
                rewards=data["reward"],
                terminations=data["terminated"],
                truncations=data["truncated"],
                infos={"sum": sums},
            )
        )
    spec = loads("reward: 'info.sum + obs[0]'")
    found = relabel(SimpleNamespace(iterate_episodes=lambda: iter(episodes)), spec)
    for seed, result in enumerate(found):
        assert result.reward.tolist() == relabel(recorded(Walk(), seed), spec).reward.tolist()


def test_minari_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(ImportError, match=r"rewardspec\[minari\]"):
        relabel("D4RL/door/human-v2", loads("reward: 1"))


# -- replay buffers --------------------------------------------------------------------------------------


def filled(
    env: Any, steps: int, size: int, n_envs: int = 2, **options: Any
) -> tuple[Any, list[list[Transition]]]:
    """Return a replay buffer that an SB3 vector filled, and the transitions of each column in order."""
    from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
    from stable_baselines3.common.vec_env import DummyVecEnv

    venv = DummyVecEnv([env] * n_envs)
    is_dict = isinstance(venv.observation_space, spaces.Dict)
    kind = DictReplayBuffer if is_dict else ReplayBuffer
    buffer = kind(size * n_envs, venv.observation_space, venv.action_space, "cpu", n_envs, **options)
    venv.seed(7)
    obs, rng, columns = venv.reset(), np.random.default_rng(1), [[] for _ in range(n_envs)]
    for _ in range(steps):
        actions = rng.integers(0, 3, n_envs)
        after, reward, done, infos = venv.step(actions)
        final = _copied(after)
        for i in np.flatnonzero(done):
            _put(final, i, infos[i]["terminal_observation"])
        buffer.add(_copied(obs), _copied(final), actions, reward, done, infos)
        for i in range(n_envs):
            cut = bool(infos[i].get("TimeLimit.truncated", False))
            row = (_at(obs, i), actions[i], _at(final, i), float(reward[i]), bool(done[i]) and not cut, cut)
            columns[i].append(Transition(*row))
        obs = after
    return buffer, columns


def _copied(obs: Any) -> Any:
    return {k: v.copy() for k, v in obs.items()} if isinstance(obs, dict) else obs.copy()


def _at(obs: Any, i: int) -> Any:
    return {k: v[i].copy() for k, v in obs.items()} if isinstance(obs, dict) else obs[i].copy()


def _put(obs: Any, i: int, row: Any) -> None:
    if isinstance(obs, dict):
        for key in obs:
            obs[key][i] = row[key]
    else:
        obs[i] = row


READ = """
discount: 0.9
propositions: {right: "next_obs[0] > 0.3"}
reward:
- potential: "-abs(obs[0])"
- once: right
- markov: action + reward
"""


@pytest.mark.parametrize("steps, size", [(30, 40), (30, 30), (55, 30)])
def test_replay_buffers(steps: int, size: int) -> None:
    """Not full, just full, and overwritten: the oldest episode has then lost its beginning."""
    buffer, columns = filled(Walk, steps, size)
    rewards = buffer.rewards.copy()
    made = relabel(buffer, loads(READ))
    np.testing.assert_array_equal(buffer.rewards, rewards)
    kept = min(steps, size)
    order = (np.arange(kept) + (steps if steps > size else 0)) % size
    for i, transitions in enumerate(columns):
        expected = relabel(transitions[-kept:], loads(READ))
        np.testing.assert_allclose(made.rewards[order, i], expected.reward, rtol=1e-6)
        np.testing.assert_array_equal(made.dones[order, i], expected.terminated | expected.truncated)
        np.testing.assert_array_equal(made.timeouts[order, i], expected.truncated)
        assert expected.truncated.any()
    assert len(made.sample(8).rewards) == 8


def test_replay_buffer_with_ends_restarts_the_program() -> None:
    buffer, columns = filled(Walk, 60, 60)
    made = relabel(buffer, ending())
    for i, transitions in enumerate(columns):
        expected = relabel(transitions, ending(), after_end="restart")
        np.testing.assert_allclose(made.rewards[:, i], expected.reward, rtol=1e-6)
        assert made.dones[:, i].sum() > buffer.dones[:, i].sum()


def test_replay_buffer_of_dicts() -> None:
    class Flat(DictWalk):
        observation_space = spaces.Dict(
            {"place": spaces.Box(-10, 10, (2,), np.float32), "n": spaces.Discrete(20)}
        )

        def observe(self) -> Any:
            return {"place": np.array([self.x, self.move], np.float32), "n": self.steps}

    spec = loads("reward: 'next_obs.n + obs.place[0]'")
    buffer, columns = filled(Flat, 25, 40)
    made = relabel(buffer, spec)
    for i, transitions in enumerate(columns):
        expected = [float(np.ravel(t.next_obs["n"])[0] + t.obs["place"][0]) for t in transitions]
        np.testing.assert_allclose(made.rewards[:25, i], expected, rtol=1e-6)


def test_replay_buffer_with_shared_observations() -> None:
    options = {"optimize_memory_usage": True, "handle_timeout_termination": False}
    spec = loads("reward: '-abs(obs[0]) + action'")
    for steps, size in ((20, 30), (55, 30)):
        buffer, columns = filled(Walk, steps, size, **options)
        made = relabel(buffer, spec)
        kept = steps if steps < size else size - 1  # the oldest step has lost its observation
        order = np.arange(steps - kept, steps) % size
        for i, transitions in enumerate(columns):
            expected = [float(-abs(t.obs[0]) + t.action) for t in transitions[-kept:]]
            np.testing.assert_allclose(made.rewards[order, i], expected, rtol=1e-6)
            ends = [t.terminated or t.truncated for t in transitions[-kept:]]
            np.testing.assert_array_equal(made.dones[order, i], ends)
    with pytest.raises(UnsupportedError, match="lost-final-observation"):
        relabel(buffer, loads(READ))


def test_buffers_that_cannot_be_paid() -> None:
    from stable_baselines3.common.buffers import RolloutBuffer

    rollout = RolloutBuffer(4, Walk.observation_space, Walk.action_space, "cpu")
    with pytest.raises(UnsupportedError, match="unsupported-buffer"):
        relabel(rollout, loads("reward: 1"))
    buffer, _ = filled(Walk, 3, 10)
    with pytest.raises(UnsupportedError, match="unsupported-buffer"):
        relabel(buffer, loads("reward: 1"), observe="onehot")
