"""Compiled programs: that machine code says what the text says, what it refuses, and its files on disk."""

from __future__ import annotations

import builtins
import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st

from rewardspec.backends import arithmetic, native_cache
from rewardspec.backends.native import NativeProgram, batch_text, compile_native, row_text
from rewardspec.backends.native_text import packed
from rewardspec.compiler import compile_spec
from rewardspec.errors import MissingExtraError
from rewardspec.ir.layout import Layout, bind
from rewardspec.transition import Transition
from rewardspec.vocabulary import from_data, loads
from tests.agreement import worlds
from tests.agreement.agreement import BATCH, STEPS, Backends, check_native

pytest.importorskip("numba")

OFFICE = """
name: office
propositions: {coffee: "next_obs[0] > 0.5", office: "next_obs[1] > 0.5", lost: null}
reward:
  - reward_machine:
      start: want
      edges:
        - {from: want, to: have, when: coffee and not lost, reward: 0.25}
        - {from: have, to: done, when: office and not lost, reward: 1}
        - {from: [want, have], to: gone, when: lost, reward: -1}
      terminal: [done, gone]
  - markov: -0.01 * abs(action)
"""
BOX, TWO = spaces.Box(-2, 2, (2,), np.float32), spaces.Discrete(2)


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REWARDSPEC_CACHE", "")
    native_cache._load.cache_clear()  # what it holds may have been loaded with another cache


def layout_of(text: str, space: Any = BOX) -> Layout:
    return bind(compile_spec(loads(text)), space, TWO)


def test_machine_code_pays_what_the_oracle_pays() -> None:
    @seed(3)
    @settings(
        max_examples=3, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(worlds.specs(), st.integers(0, 10**6))
    def agree(data: dict[str, Any], trace: int) -> None:
        layout = bind(compile_spec(from_data(data)), worlds.OBSERVATION, worlds.ACTION)
        assume(not layout.program.sets)  # refused: tests/agreement sees to that
        check_native(layout, worlds.batches(trace, STEPS, BATCH), Backends())

    agree()


def test_the_helpers_are_those_of_python() -> None:
    names = [name for name in arithmetic.HELPERS if name in native_helpers()]
    binary = {"_div", "_floordiv", "_mod", "_pow"}
    values = [-math.inf, -2.5, -1.0, -0.5, -0.0, 0.0, 0.25, 1.0, 3.0, 800.0, math.inf, math.nan]
    lines = ["def table(values, out):", "    for i in range(len(values)):", "        a = values[i]"]
    lines += ["        for j in range(len(values)):", "            b = values[j]"]
    for k, name in enumerate(names):
        lines.append(f"            out[{k}, i, j] = {name}({'a, b' if name in binary else 'a'})")
    table = native_cache.load("\n".join(lines), ("table",)).table
    out = np.zeros((len(names), len(values), len(values)))
    table(np.array(values), out)
    for k, name in enumerate(names):
        for i, a in enumerate(values):
            for j, b in enumerate(values):
                expected = arithmetic.HELPERS[name](*((a, b) if name in binary else (a,)))
                assert out[k, i, j] == pytest.approx(expected, rel=1e-12, nan_ok=True), (name, a, b)


def native_helpers() -> set[str]:
    from rewardspec.backends.native_arithmetic import HELPERS

    return {name for name, value in HELPERS.items() if callable(value)}


def test_a_compiled_loop_steps_a_row_of_its_own() -> None:
    program = NativeProgram(layout_of(OFFICE))
    loop = """
def play(observations, actions, labels, machines, memory, params, rewards):
    for t in range(len(actions)):
        reward, over, cut = row(
            machines, memory, 0, actions[t], observations[t], 0.0, False, False, 0, labels[t], params
        )
        rewards[t] = reward
        if over or cut:
            begin(machines, memory)
"""
    module = program.link(loop, ("play",))
    obs = np.array([[0, 0], [1, 0], [0, 1], [1, 0], [0, 0]], np.float32)
    rewards = np.zeros(5)
    machines, memory = program.start_machines, program.start_memory
    actions, labels = np.array([0, 1, 0, 0, 1]), np.array([0, 0, 0, 0, 1])
    module.play(obs, actions, labels, machines, memory, program.params, rewards)
    assert rewards.tolist() == [0, 0.25 - 0.01, 1, 0.25, -1 - 0.01]
    assert machines.tolist() == [0]
    assert memory.tolist() == [0, 0]


def test_states_and_payments_are_packed_exactly_or_not_at_all() -> None:
    rng = np.random.default_rng(0)
    for states, scale in [(1, 1.0), (2, 1e-300), (8, 1e-5), (9, 1e10), (33, 1e-200), (64, 1.0)]:
        values = np.concatenate(
            [[0.0, -0.0, 0.1, -0.1], scale * rng.uniform(0.25, 1, 60) * rng.choice([-1, 1], 60)]
        )
        values[2:4] *= scale
        nexts = rng.integers(0, states, 64)
        found = packed(nexts, values, states)
        assert found is not None, (states, scale)
        words, bits, unscale = found
        numbers = words >> bits & ~(((1 << bits) - 1) << (63 - bits))
        paid = numbers.view(np.float64) * unscale
        assert paid.tobytes() == values.tobytes(), (states, scale)  # the sign of zero, too
        assert (words & ((1 << bits) - 1)).tolist() == nexts.tolist()
    assert packed(np.array([0, 1]), np.array([1e-150, 1e150]), 8) is None
    assert packed(np.array([0, 1]), np.array([1.0, math.inf]), 2) is None
    assert packed(np.array([0, 1]), np.array([1.0, 1e300]), 8) is None
    assert packed(np.array([0, 2000]), np.array([1.0, 0.5]), 2048) is None


def test_a_batch_pays_what_a_row_pays_whether_or_not_its_table_is_packed() -> None:
    for pay, word in ((0.1, "_float_of"), (-0.1, "_float_of"), (1e300, "")):
        layout = layout_of(OFFICE.replace("0.25", repr(pay)))
        assert word in batch_text(layout)
        batch, row = compile_native(layout, 3), NativeProgram(layout)
        obs = np.array([[1, 0], [0, 1], [0, 0]], np.float32)
        state, _ = batch.step(
            batch.init(), Transition(None, np.zeros(3, np.int64), obs, label={"lost": [False] * 3})
        )
        assert state[0].tolist() == [1, 0, 0]
        machines, memory = row.start_machines, row.start_memory
        reward, *_ = row.row(machines, memory, 0, 0, obs[0], 0.0, False, False, 0, 0, row.params)
        assert reward == pay == state[1][0]


def test_a_row_tells_nan_by_a_reward_that_is_nan() -> None:
    program = NativeProgram(layout_of("name: n\nreward: {once: 'next_obs[0] > 0'}"))
    obs = np.array([math.nan, 0], np.float32)
    machines, memory = program.start_machines, program.start_memory
    reward, over, _ = program.row(machines, memory, 0, 0, obs, 0.0, False, False, 0, 0, program.params)
    assert math.isnan(reward)
    assert not over


def test_a_batch_says_whether_all_was_finite() -> None:
    batch = compile_native(layout_of("name: n\nreward: {once: 'next_obs[0] > 0'}"), 3)
    obs = np.zeros((3, 2), np.float32)
    _, _, sound = batch.step_checked(batch.init(), Transition(next_obs=obs))
    assert sound
    obs[1, 0] = math.nan
    _, outcome, sound = batch.step_checked(batch.init(), Transition(next_obs=obs))
    assert not sound
    assert outcome.reward.tolist() == [0, 0, 0]
    resting = np.array([True, False, True])
    assert batch.step_checked(batch.init(), Transition(next_obs=obs), active=resting)[2]
    obs[1, 0] = math.inf  # no NaN
    assert batch.step_checked(batch.init(), Transition(next_obs=obs))[2]


def test_columns_are_read_as_rows_are_and_results_go_where_they_shall() -> None:
    batch = compile_native(layout_of(OFFICE), 4)
    rng = np.random.default_rng(0)
    state, other, spare = batch.init(), batch.init(), batch.init()
    still = {"lost": np.zeros(4, np.bool_)}
    _, room, _ = batch.step_checked(spare, Transition(None, np.ones(4), np.zeros((4, 2)), label=still))
    for _ in range(6):
        obs = rng.uniform(-1, 1, (4, 2)).astype(np.float32)
        step = Transition(None, np.ones(4, np.int64), obs, label={"lost": rng.random(4) < 0.2})
        state, outcome, _ = batch.step_checked(state, step)
        turned = Transition(None, step.action, np.asfortranarray(obs), label=step.label)
        found, same, _ = batch.step_checked(other, turned, out=(spare, room))
        assert found is spare and same is room
        other, spare = found, other
        assert np.array_equal(outcome.reward, same.reward)
        assert all(np.array_equal(a, b) for a, b in zip(state, other, strict=True))


def test_results_do_not_go_over_the_state() -> None:
    batch = compile_native(layout_of(OFFICE), 4)
    state = batch.init()
    step = Transition(None, np.ones(4), np.zeros((4, 2)), label={"lost": np.zeros(4, np.bool_)})
    _, room, _ = batch.step_checked(state, step)
    with pytest.raises(ValueError, match="over the state"):
        batch.step_checked(state, step, out=((*batch.init()[:-1], state[-1]), room))


def test_labels_come_by_name_or_as_bits() -> None:
    batch = compile_native(layout_of(OFFICE), 2)
    obs = np.zeros((2, 2), np.float32)
    named = Transition(None, np.zeros(2), obs, label={"lost": np.array([False, True])})
    bits = Transition(None, np.zeros(2), obs, label=np.array([0, 1]))
    assert batch.step(batch.init(), named)[1].reward.tolist() == [0, -1]
    assert batch.step(batch.init(), bits)[1].reward.tolist() == [0, -1]


def test_more_labels_than_an_integer_has_bits() -> None:
    names = [f"p{i}" for i in range(70)]
    declared = ", ".join(f"{name}: null" for name in names)
    tens = [names[i : i + 10] for i in range(0, 70, 10)]
    paid = " + ".join(f"({' + '.join(f'where({name}, 1, 0)' for name in ten)})" for ten in tens)
    layout = layout_of(f"name: many\npropositions: {{{declared}}}\nreward: {{markov: '{paid}'}}")
    rows = np.random.default_rng(0).random((2, 70)) < 0.5
    batch = compile_native(layout, 2)
    labels = {name: rows[:, i] for i, name in enumerate(layout.labels)}
    assert batch.step(batch.init(), Transition(label=labels))[1].reward.tolist() == rows.sum(1).tolist()
    assert batch.step(batch.init(), Transition(label=rows))[1].reward.tolist() == rows.sum(1).tolist()


@pytest.mark.parametrize(
    "wrong",
    [
        {"next_obs": np.zeros((2, 2), np.float32)},
        {"next_obs": np.zeros((3, 3), np.float32)},
        {"action": np.zeros(2)},
        {"terminated": np.zeros(2, bool)},
        {"label": np.zeros(2, np.int64)},
        {"label": np.zeros(3)},
    ],
    ids=[
        "fewer rows",
        "wider rows",
        "fewer actions",
        "fewer flags",
        "fewer labels",
        "labels that are no bits",
    ],
)
def test_arrays_of_another_shape_are_refused(wrong: dict[str, Any]) -> None:
    batch = compile_native(layout_of(OFFICE), 3)
    right = {
        "action": np.zeros(3),
        "next_obs": np.zeros((3, 2), np.float32),
        "label": np.zeros(3, np.int64),
    }
    batch.step(batch.init(), Transition(**right))
    with pytest.raises(ValueError, match="shape"):
        batch.step(batch.init(), Transition(**{**right, **wrong}))
    with pytest.raises(ValueError, match="shape"):
        batch.step(tuple(slot[:2] for slot in batch.init()), Transition(**right))


def test_a_machine_state_out_of_range_reads_nothing_foreign() -> None:
    batch = compile_native(layout_of(OFFICE), 2)
    state = (np.array([250, 3], np.uint8), *batch.init()[1:])
    right = Transition(None, np.zeros(2), np.zeros((2, 2), np.float32), label=np.zeros(2, np.int64))
    assert batch.step(state, right)[0][0].tolist() == [3, 3]


def test_the_text_holds_nothing_that_a_user_wrote() -> None:
    text = OFFICE.replace("lost", "exfiltrate").replace("want", "import_os").replace("coffee", "mischief")
    layout = layout_of(text)
    for source in (row_text(layout), batch_text(layout)):
        assert not any(word in source for word in ("exfiltrate", "import", "mischief", "office"))


def test_numba_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "numba":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"rewardspec\[native\]"):
        _ = NativeProgram(layout_of(OFFICE)).row


# -- files ------------------------------------------------------------------------------------------

ADD = "def add(a):\n    return _abs(a) + 1\n"


def load_anew(root: Path | str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the function as a new process would have it."""
    monkeypatch.setenv("REWARDSPEC_CACHE", str(root))
    native_cache._load.cache_clear()
    return native_cache.load(ADD, ("add",)).add


def hits(function: Any) -> int:
    return sum(function.stats.cache_hits.values())


def test_machine_code_is_kept_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "kept"
    first = load_anew(root, monkeypatch)
    assert first(-2.0) == 3.0
    assert hits(first) == 0
    again = load_anew(root, monkeypatch)
    assert again(-2.0) == 3.0
    assert hits(again) == 1
    if hasattr(os, "getuid"):
        assert root.stat().st_mode & 0o777 == 0o700


def test_another_text_is_another_file() -> None:
    assert native_cache.digest("a") != native_cache.digest("b")


@pytest.mark.parametrize("damage", [b"", b"\x80\x04garbage", b"cos\nsystem\n(S'false'\ntR."])
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_damaged_files_cost_time_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, damage: bytes
) -> None:
    load_anew(tmp_path, monkeypatch)(-2.0)
    (file,) = (tmp_path / "__pycache__").glob(f"*.{suffix}")
    file.write_bytes(damage)
    damaged = load_anew(tmp_path, monkeypatch)
    assert damaged(-2.0) == 3.0
    assert hits(damaged) == 0


def test_a_text_that_was_changed_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_anew(tmp_path, monkeypatch)(-2.0)
    (file,) = tmp_path.glob("*.py")
    file.write_text("raise SystemExit")
    assert load_anew(tmp_path, monkeypatch)(-2.0) == 3.0
    assert file.read_text() == ADD


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no modes there")
@pytest.mark.parametrize("trouble", ["open to others", "a link", "a file", "off", "foreign"])
def test_a_folder_that_cannot_be_trusted_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    root: Path | str = tmp_path / "cache"
    assert isinstance(root, Path)
    if trouble == "open to others":
        root.mkdir()
        root.chmod(0o777)
    elif trouble == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        root.symlink_to(tmp_path / "elsewhere")
    elif trouble == "a file":
        root.write_text("")
    elif trouble == "foreign":
        root.mkdir(mode=0o700)
        monkeypatch.setattr(os, "getuid", lambda: 12345)
    else:
        root = ""
    assert load_anew(root, monkeypatch)(-2.0) == 3.0
    assert not list(tmp_path.rglob("*.nb?"))
