"""The store of steps: bounded, segments within one episode, the same again after a checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rewardspec.errors import LearningError
from rewardspec.learning.trajectories import TrajectoryStore


def fill(store: TrajectoryStore, rows: int, lengths: tuple[int, ...], first: int = 0) -> None:
    """Add rows whose feature is (row, env); environment e ends an episode every `lengths[e]` steps."""
    for row in range(first, first + rows):
        features = [[row, env] for env in range(len(lengths))]
        store.add(features, [(row + 1) % length == 0 for length in lengths])


def test_only_the_latest_steps_are_kept() -> None:
    store = TrajectoryStore(20, 2, 2)
    fill(store, 25, (5, 7))
    assert len(store) == 20
    assert store.latest()[:, 0].min() == 15 and store.latest()[:, 0].max() == 24
    assert len(store.latest(6)) == 6


@pytest.mark.parametrize("rows", [9, 25, 40])
def test_a_segment_is_consecutive_steps_of_one_episode(rows: int) -> None:
    store = TrajectoryStore(30, 2, 2)
    fill(store, rows, (5, 7))
    drawn = store.draw(500, 3, np.random.default_rng(0))
    found = store.take(drawn, slice(0, 2))
    assert (np.diff(found[:, :, 0]) == 1).all(), "consecutive, also over the seam of the ring"
    assert (found[:, :, 1] == drawn.envs[:, None]).all()
    length = np.where(drawn.envs == 0, 5, 7)
    assert (found[:, 0, 0] // length == found[:, -1, 0] // length).all(), "one episode"
    assert (drawn.starts == found[:, 0, 0] % length).all()
    assert (drawn.episodes == found[:, 0, 0] // length).all()
    assert found[:, :, 0].min() >= rows - 15, "nothing that was overwritten"


def test_every_whole_segment_can_be_drawn() -> None:
    store = TrajectoryStore(100, 1, 2)
    fill(store, 10, (5,))
    drawn = store.draw(300, 4, np.random.default_rng(0))
    assert set(store.take(drawn, slice(0, 1))[:, 0, 0].tolist()) == {0, 1, 5, 6}


def test_where_episodes_are_too_short_there_is_nothing_to_draw() -> None:
    store = TrajectoryStore(100, 1, 2)
    fill(store, 30, (3,))
    assert len(store.draw(10, 4, np.random.default_rng(0))) == 0
    assert len(TrajectoryStore(10, 1, 2).draw(5, 1, np.random.default_rng(0))) == 0


def test_a_store_in_memory_goes_on_from_a_checkpoint() -> None:
    whole, cut = TrajectoryStore(30, 2, 2), TrajectoryStore(30, 2, 2)
    fill(whole, 50, (5, 7))
    fill(cut, 38, (5, 7))
    saved = {key: array.copy() for key, array in cut.state().items()}
    again = TrajectoryStore(30, 2, 2)
    again.take_state(saved)
    fill(again, 12, (5, 7), first=38)
    a, b = (s.draw(50, 3, np.random.default_rng(1)) for s in (whole, again))
    assert np.array_equal(whole.take(a, slice(0, 2)), again.take(b, slice(0, 2)))


def test_a_store_on_disk_survives_a_kill_after_the_checkpoint(tmp_path: Path) -> None:
    """Rows written after the checkpoint lie in the slack: what the checkpoint knows is whole."""
    store = TrajectoryStore(40, 2, 2, tmp_path)
    fill(store, 50, (5, 7))
    saved = {key: array.copy() for key, array in store.state().items()}
    assert "features" not in saved, "the files are there already"
    known = store.latest().copy()
    fill(store, 4, (5, 7), first=50)
    again = TrajectoryStore(40, 2, 2, tmp_path)
    again.take_state(saved)
    assert np.array_equal(again.latest(), known)


def test_files_of_another_shape_are_refused(tmp_path: Path) -> None:
    TrajectoryStore(40, 2, 2, tmp_path)
    with pytest.raises(LearningError, match="broken-store"):
        TrajectoryStore(40, 2, 3, tmp_path)
    (tmp_path / "features.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(LearningError, match="cannot be read"):
        TrajectoryStore(40, 2, 2, tmp_path)
