"""Explaining an episode pays what stepping it paid, however the episode was stored."""

from __future__ import annotations

import zipfile
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from rewardspec.analysis.explain import (
    explain_episode,
    read_episode,
    record,
    record_random,
    show_episode,
    show_step,
    write_episode,
)
from rewardspec.analysis.recorded import as_arrays, data_of, transition_of
from rewardspec.analysis.recorded import read_episode as read_plain
from rewardspec.environments import make_environment
from rewardspec.errors import MismatchError, SpecError
from rewardspec.transition import Transition
from rewardspec.vocabulary import loads
from rewardspec.wrappers.single import wrap

MEMORY = loads("""\
name: memory
discount: 0.9
signals: {x: 'next_obs[0]', v: 'next_obs[1]'}
propositions: {right: v > 0, left: v < 0}
reward:
  - reward_machine:
      start: u
      edges:
        - {from: u, to: w, when: right, reward: x}
        - {from: w, to: u, when: left, reward: 0.5}
    name: swing
  - {potential: 'obs[2]', name: shaping}
  - {once: right, name: first}
  - {normalise: {of: v}, name: scaled}
  - {gate: {of: x, when: left, known: ever, timing: escrow}, name: held}
  - {markov: 1, weight: 0.5, name: alive}
end: [{when: 'abs(x) > 0.2', value: -1}]
""")

DOORKEY = loads("""\
env: {labels: minigrid}
propositions: {has_key: label.carrying_key, at_goal: label.at_goal}
reward: [{once: has_key}, {ltl: F at_goal}]
""")


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_explaining_pays_what_stepping_paid(tmp_path: Path, seed: int, stored: bool) -> None:
    paid: list[dict[str, float]] = []

    class Watch(gym.Wrapper):  # type: ignore[type-arg]
        def step(self, action):  # type: ignore[no-untyped-def]
            result = super().step(action)
            paid.append(result[4]["rewardspec"]["terms"])
            return result

    env = Watch(wrap(gym.make("CartPole-v1"), MEMORY, detail=True))
    episode = record(env, seed=seed)
    if stored:
        (tmp_path / "episode.jsonl").write_text(write_episode(episode))
        episode = read_episode(tmp_path / "episode.jsonl", MEMORY)
    report = explain_episode(MEMORY, episode)
    assert len(report.steps) == len(paid) and report.left == 0
    for step, terms in zip(report.steps, paid, strict=True):
        assert step.terms == pytest.approx(terms, abs=1e-9)
    assert report.totals["alive"] == 0.5 * len(paid)
    assert report.steps[-1].terminated


def test_labels_are_recorded_and_stored(tmp_path: Path) -> None:
    env = make_environment("MiniGrid-DoorKey-5x5-v0")
    episode = record_random(env, DOORKEY, seed=3)
    assert {name for t in episode for name, true in t.label.items() if true} == {"carrying_key"}  # type: ignore[union-attr]
    (tmp_path / "e.jsonl").write_text(write_episode(episode))
    there, back = (
        explain_episode(DOORKEY, e) for e in (episode, read_episode(tmp_path / "e.jsonl", DOORKEY))
    )
    assert there.totals == back.totals == {"once": 1.0, "ltl": 0.0}


def test_a_policy_sees_the_extended_observation_and_is_followed() -> None:
    seen: list[object] = []

    def policy(obs: object) -> int:
        seen.append(obs)
        return 1

    env = wrap(gym.make("CartPole-v1"), MEMORY, detail=True)
    episode = record(env, policy, seed=0)
    assert {int(t.action) for t in episode} == {1}
    assert np.shape(seen[0]) == env.observation_space.shape != np.shape(episode[0].obs)


def test_recording_needs_a_wrapper_that_keeps_details() -> None:
    with pytest.raises(ValueError, match=r"make it with rewardspec\.wrap"):
        record(gym.make("CartPole-v1"))
    with pytest.raises(ValueError, match="detail=True"):
        record(wrap(gym.make("CartPole-v1"), MEMORY))


def test_recorded_steps_do_not_change_with_the_environments_buffers() -> None:
    class Reuses(gym.Env):  # type: ignore[type-arg]
        observation_space = gym.spaces.Box(0, 100, (1,))
        action_space = gym.spaces.Discrete(2)
        buffer = np.zeros(1, np.float32)

        def reset(self, *, seed=None, options=None):  # type: ignore[no-untyped-def]
            super().reset(seed=seed)
            self.buffer[0] = 0
            return self.buffer, {"b": self.buffer}

        def step(self, action):  # type: ignore[no-untyped-def]
            self.buffer[0] += 1
            return self.buffer, 0.0, bool(self.buffer[0] == 3), False, {"b": self.buffer}

    episode = record_random(Reuses(), loads("reward: next_obs[0]"))
    assert [float(t.next_obs[0]) for t in episode] == [1, 2, 3]
    assert [float(t.info["b"][0]) for t in episode] == [1, 2, 3]  # type: ignore[index]


def test_terms_paid_at_the_end_of_the_episode_are_explained() -> None:
    """What no wrapper can pay while stepping, an explanation can: it has the whole episode."""
    spec = loads("""\
propositions: {goal: 'next_obs[0] > 1'}
reward: {gate: {of: 1, when: goal, known: ever, timing: relabel}}
""")
    episode = [Transition(next_obs=np.array([x])) for x in (0.0, 0.0, 2.0)]
    assert [step.reward for step in explain_episode(spec, episode).steps] == [1, 1, 1]
    assert [step.reward for step in explain_episode(spec, episode[:2]).steps] == [0, 0]


def test_an_empty_episode_has_no_steps() -> None:
    report = explain_episode(MEMORY, [])
    assert report.steps == () and set(report.totals.values()) == {0.0}
    assert show_episode(report).startswith("step  true  swing")


def test_a_step_page_shows_memory_and_verdicts() -> None:
    episode = record_random(gym.make("CartPole-v1"), MEMORY, seed=1)
    page = show_step(explain_episode(MEMORY, episode), 1)
    assert "\nmemory\n" in page
    goal = loads("propositions: {goal: 'next_obs[0] > 1'}\nreward: {ltl: F goal}")
    page = show_step(explain_episode(goal, [Transition(next_obs=np.zeros(1))]), 0)
    assert page.endswith("verdicts\n  ltl  violated so far")


# -- files -------------------------------------------------------------------------------------------


def test_npz_holds_one_array_per_part(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "e.npz",
        **{
            "obs": np.arange(8.0).reshape(4, 2),  # one row more: the last is the last next_obs
            "action": np.array([0, 1, 0]),
            "reward": np.array([1.0, 2.0, 3.0]),
            "terminated": np.array([False, False, True]),
            "info.depth.now": np.array([1, 2, 3]),
            "label.door": np.array([True, False, True]),
        },
    )
    episode = read_plain(tmp_path / "e.npz")
    assert [t.next_obs.tolist() for t in episode] == [[2, 3], [4, 5], [6, 7]]
    assert [t.obs.tolist() for t in episode] == [[0, 1], [2, 3], [4, 5]]
    assert episode[1].info == {"depth": {"now": 2}} and episode[1].label == {"door": False}
    assert [t.terminated for t in episode] == [False, False, True]


def test_npz_with_rows_that_do_not_match(tmp_path: Path) -> None:
    np.savez(tmp_path / "e.npz", action=np.zeros(3), reward=np.zeros(2))
    with pytest.raises(SpecError, match="'action' has 3 rows; other arrays have 2 rows"):
        read_plain(tmp_path / "e.npz")


def test_npz_with_pickled_objects_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "e.npz", action=np.array([object()], dtype=object))
    with pytest.raises(SpecError, match=r"not an \.npz file of plain arrays"):
        read_plain(tmp_path / "e.npz")


def test_npz_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w") as out,
    ):
        for _ in range(300):
            out.write(bytes(2**20))
    with pytest.raises(SpecError, match="larger than 256 MiB"):
        read_plain(tmp_path / "bomb.npz")


@pytest.mark.parametrize("name", ["e.npz", "e.jsonl"])
def test_files_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError, match="no such file"):
        read_plain(tmp_path / name)
    (tmp_path / name).mkdir()
    with pytest.raises(SpecError, match="cannot read the episode"):
        read_plain(tmp_path / name)


def test_data_round_trips() -> None:
    transition = Transition(
        obs={"image": np.ones((2, 2), np.uint8), "pair": (1, np.array([2.0]))},
        action=np.int64(1),
        next_obs=np.array([0.5], np.float32),
        reward=np.float32(2),
        terminated=np.bool_(True),
        info={"ok": np.bool_(True), "odd": object(), "deep": {"odd": object(), "n": 1}},
        label={"door": True},
    )
    data = data_of(transition)
    assert data["info"] == {"ok": True, "deep": {"n": 1}}
    back = transition_of(data)
    assert back.action == 1 and back.reward == 2.0 and back.terminated is True
    assert back.obs["image"].tolist() == [[1, 1], [1, 1]]
    assert isinstance(back.obs["pair"], tuple) and back.obs["pair"][1].tolist() == [2.0]


def test_ragged_lists_become_tuples() -> None:
    ragged = as_arrays([[1, 2], [3]])
    assert isinstance(ragged, tuple) and [part.tolist() for part in ragged] == [[1, 2], [3]]


def test_a_transition_that_stops_holding_what_is_read() -> None:
    episode = [Transition(next_obs=np.zeros(2)), Transition(next_obs=np.zeros(3))]
    with pytest.raises(MismatchError, match="step 1 of the episode"):
        explain_episode(loads("reward: norm(next_obs)"), episode)
