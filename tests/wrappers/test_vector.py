"""Above a vector environment or below it: the same rewards, states, observations and totals."""

from __future__ import annotations

import copy
import pickle
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import RecordEpisodeStatistics
from gymnasium.wrappers.vector import RecordEpisodeStatistics as RecordVectorStatistics

from rewardspec import MismatchError, NonFiniteRewardError, UnsupportedError, loads, wrap, wrap_vector
from tests.wrappers.specs import ENDING, MEMORY, ending, memory
from tests.wrappers.worlds import BufferWalk, DictWalk, Fragile, Walk

N = 3
MODES = (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED)


def sync(make: Any, mode: AutoresetMode, n: int = N) -> SyncVectorEnv:
    return SyncVectorEnv([make] * n, autoreset_mode=mode)


def play(venv: Any, steps: int = 60, seed: int = 5) -> list[tuple[Any, ...]]:
    """Return all that a vector environment says over some steps; resets what has ended in DISABLED mode."""
    rng = np.random.default_rng(0)
    said: list[tuple[Any, ...]] = [venv.reset(seed=seed)]
    disabled = venv.unwrapped.autoreset_mode == AutoresetMode.DISABLED
    for _ in range(steps):
        obs, reward, terminated, truncated, infos = venv.step(rng.integers(0, 3, N))
        said.append((obs, reward, terminated, truncated, infos))
        ended = terminated | truncated
        if disabled and ended.any():
            said.append(venv.reset(options={"reset_mask": ended}))
    return said


def same(a: Any, b: Any) -> None:
    """Compare observations, rewards and flags leaf by leaf, bit for bit; keys of infos apart."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    else:
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("observe", ["auto", "dict", "none"])
def test_below_and_above_agree(mode: AutoresetMode, observe: Any) -> None:
    below = play(sync(lambda: wrap(Walk(), memory(), observe=observe), mode))
    above = play(wrap_vector(sync(Walk, mode), memory(), observe=observe))
    ends = 0
    for (obs_b, *rest_b, infos_b), (obs_a, *rest_a, infos_a) in zip(below, above, strict=True):
        same(obs_b, obs_a)
        for b, a in zip(rest_b, rest_a, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-12)
        told = infos_b.get("final_info", infos_b) if mode == AutoresetMode.SAME_STEP else infos_b
        if "rewardspec" in told:
            ends += 1
            same_totals(told, infos_a)
        else:
            assert "rewardspec" not in infos_a
        if "final_obs" in infos_b:
            for x, y in zip(infos_b["final_obs"], infos_a["final_obs"], strict=True):
                same(x, y) if x is not None else None
    assert ends >= 5


def same_totals(below: dict[str, Any], above: dict[str, Any]) -> None:
    """Compare what the two wrappers told at the end of episodes, masks included."""
    np.testing.assert_array_equal(below["_rewardspec"], above["_rewardspec"])
    mask = below["_rewardspec"]
    for part in ("return", "state"):
        for key, value in below["rewardspec"][part].items():
            if key.startswith("_"):
                np.testing.assert_array_equal(value, above["rewardspec"][part][key])
            elif part == "state":
                assert list(value[mask]) == list(above["rewardspec"]["state"][key][mask])
            else:
                np.testing.assert_allclose(value[mask], above["rewardspec"]["return"][key][mask], rtol=1e-12)
                np.testing.assert_allclose(
                    below[f"return/{key}"][mask], above[f"return/{key}"][mask], rtol=1e-12
                )
                np.testing.assert_array_equal(below[f"_return/{key}"], above[f"_return/{key}"])


def test_the_agreement_can_fail() -> None:
    """A machine that is not reset with its environment would be noticed."""
    below = play(sync(lambda: wrap(Walk(), memory()), AutoresetMode.NEXT_STEP))
    venv = wrap_vector(sync(Walk, AutoresetMode.NEXT_STEP), memory())
    venv._array = copy.copy(venv._array)
    object.__setattr__(venv._array, "reset", lambda state, mask: state)
    above = play(venv)
    assert any(not np.allclose(b[1], a[1]) for b, a in zip(below[1:], above[1:], strict=True))


@pytest.mark.parametrize("mode", MODES)
def test_async_agrees_with_sync(mode: AutoresetMode) -> None:
    there = AsyncVectorEnv([Walk] * N, autoreset_mode=mode)
    try:
        for a, b in zip(
            play(wrap_vector(there, memory())), play(wrap_vector(sync(Walk, mode), memory())), strict=True
        ):
            same(a[0], b[0])
            same(tuple(a[1:-1]), tuple(b[1:-1]))
    finally:
        there.close()


@pytest.mark.parametrize("mode", MODES)
def test_nested_spaces(mode: AutoresetMode) -> None:
    spec = loads(
        """
        name: nested
        propositions: {far: "abs(next_obs.place[0]) > 1"}
        reward:
        - markov: next_obs.pair[0] + obs.pair[1] * 2 + obs.place[0]
        - once: far
        """
    )
    below = play(sync(lambda: wrap(DictWalk(), spec), mode))
    above = play(wrap_vector(sync(DictWalk, mode), spec))
    for b, a in zip(below, above, strict=True):
        same(b[0], a[0])
        same(tuple(b[1:-1]), tuple(a[1:-1]))
    venv = wrap_vector(sync(DictWalk, mode), spec)
    assert venv.observation_space.contains(venv.reset(seed=0)[0])
    assert venv.single_observation_space["rewardspec"].shape == (1,)


@pytest.mark.parametrize("mode", MODES[:2])
def test_a_program_that_ends_is_refused_above(mode: AutoresetMode) -> None:
    with pytest.raises(UnsupportedError, match="vector-cannot-end") as caught:
        wrap_vector(sync(Walk, mode), ending())
    assert mode.name in str(caught.value)


def test_a_program_that_ends_below_and_above_a_disabled_one() -> None:
    below = play(sync(lambda: wrap(Walk(), ending()), AutoresetMode.DISABLED))
    above = play(wrap_vector(sync(Walk, AutoresetMode.DISABLED), ending()))
    own = play(sync(Walk, AutoresetMode.DISABLED))
    for b, a in zip(below, above, strict=True):
        same(b[0], a[0])
        same(tuple(b[1:-1]), tuple(a[1:-1]))
    assert sum(s[2].sum() for s in above if len(s) == 5) > sum(s[2].sum() for s in own if len(s) == 5)


def test_stepping_past_an_end_in_disabled_mode_is_refused() -> None:
    venv = wrap_vector(sync(Walk, AutoresetMode.DISABLED), ending())
    venv.reset(seed=0)
    with pytest.raises(UnsupportedError, match="nobody has reset"):
        for _ in range(30):
            venv.step(np.full(N, 2))


def test_two_vector_environments_of_one_class_keep_their_own_mode() -> None:
    """gymnasium writes the mode into the environment's class attribute, where a second one overwrites it."""
    make = partial(gym.make, "CartPole-v1")
    first = sync(make, AutoresetMode.DISABLED)
    sync(make, AutoresetMode.SAME_STEP)
    assert wrap_vector(first, loads("reward: 1")).autoreset_mode == AutoresetMode.DISABLED


def test_native_vector_environment_skips_the_reset_step() -> None:
    """CartPoleVectorEnv pays 1 on the step that resets; the program pays nothing there."""
    venv = wrap_vector(
        gym.make_vec("CartPole-v1", num_envs=4, vectorization_mode="vector_entry_point"), loads("reward: 1")
    )
    venv.reset(seed=0)
    after_end = np.zeros(4, bool)
    seen = 0
    for _ in range(120):
        _, reward, terminated, truncated, infos = venv.step(np.ones(4, np.int64))
        np.testing.assert_array_equal(reward, np.where(after_end, 0.0, 1.0))
        seen += int(after_end.sum())
        after_end = terminated | truncated
        if after_end.any():
            lengths = infos["return/markov"][after_end]
            assert (lengths >= 8).all() and (lengths <= 12).all()
    assert seen >= 4


def test_running_statistics_skip_reset_steps_and_outlive_episodes() -> None:
    spec = loads("{name: n, reward: [{normalise: {of: 'next_obs[0]'}}]}")
    venv = wrap_vector(sync(Walk, AutoresetMode.NEXT_STEP), spec)
    said = play(venv, 40)
    steps, resetting, xs = 0, np.zeros(N, bool), []
    for obs, _, terminated, truncated, _ in said[1:]:
        steps += int((~resetting).sum())
        xs.extend(obs[~resetting, 0])
        resetting = terminated | truncated
    state = venv.run_state()
    assert next(v for k, v in state.items() if k.endswith("count")) == steps
    assert next(v for k, v in state.items() if k.endswith("mean")) == pytest.approx(np.mean(xs))


def test_a_step_on_which_all_reset_leaves_statistics_alone() -> None:
    spec = loads("{name: n, reward: [{normalise: {of: 'next_obs[0]'}}]}")
    venv = wrap_vector(sync(partial(Walk, length=1), AutoresetMode.NEXT_STEP), spec)
    venv.reset(seed=0)
    venv.step(np.ones(N, np.int64))
    before = venv.run_state()
    venv.step(np.ones(N, np.int64))
    assert venv.run_state() == before
    assert np.isfinite(venv.step(np.ones(N, np.int64))[1]).all()


def test_detail() -> None:
    venv = wrap_vector(sync(Walk, AutoresetMode.SAME_STEP), memory(), detail=True)
    _, infos = venv.reset(seed=0)
    assert list(infos["rewardspec"]["state"]["reward_machine"]) == ["neutral"] * N
    for _ in range(12):
        _, reward, _, _, infos = venv.step(np.ones(N, np.int64))
        terms = infos["rewardspec"]["terms"]
        np.testing.assert_allclose(sum(v for k, v in terms.items() if not k.startswith("_")), reward)
        assert infos["rewardspec"]["_terms"].all()


def test_no_info_key_is_added_by_default() -> None:
    plain, wrapped = play(sync(Walk, MODES[0])), play(wrap_vector(sync(Walk, MODES[0]), memory()))
    for p, w in zip(plain[1:], wrapped[1:], strict=True):
        added = w[-1].keys() - p[-1].keys()
        assert bool(added) == bool((w[2] | w[3]).any())


def test_batched_label_function() -> None:
    spec = loads("{name: l, propositions: {high: label.high}, reward: [{markov: 'where(high, 1, 0)'}]}")
    venv = wrap_vector(sync(Walk, MODES[1]), spec, label=lambda _, t: {"high": t.next_obs[:, 0] > 0})
    final = 0
    venv.reset(seed=0)
    for _ in range(30):
        obs, reward, terminated, truncated, infos = venv.step(np.full(N, 1))
        for i in range(N):
            ended = terminated[i] or truncated[i]
            x = infos["final_obs"][i][0] if ended else obs[i, 0]
            final += ended
            assert reward[i] == float(x > 0)
    assert final >= 3


@pytest.mark.parametrize(
    "label, code",
    [
        (None, "missing-label-function"),
        (lambda venv, t: {"hihg": t.reward > 0}, "missing-label"),
        (lambda venv, t: ["high"], "missing-label"),
        (lambda venv, t: {"high": True}, "label-shape"),
    ],
)
def test_wrong_labels(label: Any, code: str) -> None:
    spec = loads("{name: l, propositions: {high: label.high}, reward: [{markov: 'where(high, 1, 0)'}]}")
    with pytest.raises(MismatchError, match=rf"\[{code}\]"):
        venv = wrap_vector(sync(Walk, MODES[0]), spec, label=label)
        venv.reset(seed=0)
        venv.step(np.ones(N, np.int64))


def test_ready_made_labellers_are_refused_above() -> None:
    spec = loads(
        "{name: l, env: {labels: minigrid}, propositions: {k: label.carrying_key}, reward: [{once: k}]}"
    )
    with pytest.raises(UnsupportedError, match="vector-labeller"):
        wrap_vector(sync(Walk, MODES[0]), spec)


def test_non_finite_values_name_environment_term_and_step() -> None:
    spec = loads("{name: n, reward: [1, {markov: 'log(abs(next_obs[0]) - abs(next_obs[0]))', name: odd}]}")
    venv = wrap_vector(
        SyncVectorEnv([Walk, partial(Fragile, "nan"), Walk], autoreset_mode=MODES[0]),
        loads("reward: 'where(next_obs[0] > 0, 1, 0)'"),
    )
    venv.reset(seed=0)
    before = None
    with pytest.raises(NonFiniteRewardError, match=r"environment 1: next_obs\[0\] is NaN at step 3"):
        for _ in range(9):
            before = venv.state
            venv.step(np.ones(N, np.int64))
    same(venv.state, before)
    venv = wrap_vector(SyncVectorEnv([Walk, Walk, partial(Fragile, "inf")], autoreset_mode=MODES[0]), spec)
    venv.reset(seed=0)
    with pytest.raises(NonFiniteRewardError, match=r"environment \d: the term 'odd' pays -inf at step 0"):
        venv.step(np.ones(N, np.int64))


def test_an_info_that_is_not_always_there() -> None:
    venv = wrap_vector(sync(Walk, MODES[0]), loads("reward: info.bonus"))
    venv.reset(seed=0)
    venv.step(np.ones(N, np.int64))
    with pytest.raises(MismatchError, match=r"environment 0: info.bonus cannot be read at step 1"):
        venv.step(np.ones(N, np.int64))


def test_statistics_above() -> None:
    """RecordEpisodeStatistics outside counts what the spec pays; inside, what the environment pays.

    Not in SAME_STEP mode: gymnasium 1.2's recorder skips the first step of each episode there.
    """
    for mode in (AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED):
        outer = RecordVectorStatistics(wrap_vector(sync(Walk, mode), memory()))
        for said in play(outer)[1:]:
            if len(said) == 5 and "episode" in said[-1]:
                ended, infos = said[-1]["_episode"], said[-1]
                totals = sum(v for k, v in infos.items() if k.startswith("return/"))
                np.testing.assert_allclose(infos["episode"]["r"][ended], totals[ended], rtol=1e-9)
    for mode in MODES[:2]:
        inner = play(wrap_vector(RecordVectorStatistics(sync(Walk, mode)), memory()))
        plain = play(RecordVectorStatistics(sync(Walk, mode)))
        for a, b in zip(inner, plain, strict=True):
            assert ("episode" in a[-1]) == ("episode" in b[-1])
            if "episode" in a[-1]:
                np.testing.assert_array_equal(a[-1]["episode"]["r"], b[-1]["episode"]["r"])


def test_statistics_below() -> None:
    """Inside each environment gymnasium's own recorder sees the spec's reward when it stands outermost."""
    for outside in (True, False):
        make: Any = (
            (lambda: RecordEpisodeStatistics(wrap(Walk(), memory())))
            if outside
            else (lambda: wrap(RecordEpisodeStatistics(Walk()), memory()))
        )
        found = 0
        for said in play(sync(make, MODES[0]))[1:]:
            if "episode" in said[-1]:
                found += 1
                ended, infos = said[-1]["_episode"], said[-1]
                spec_total = sum(v for k, v in infos.items() if k.startswith("return/"))[ended]
                assert np.allclose(infos["episode"]["r"][ended], spec_total, atol=1e-5) == outside
        assert found >= 5


def test_reused_buffers() -> None:
    """`copy=False` hands out one array again and again; a potential over `obs` must not see it change."""
    fresh = play(wrap_vector(sync(Walk, MODES[0]), memory()))
    reused = play(wrap_vector(SyncVectorEnv([BufferWalk] * N, copy=False, autoreset_mode=MODES[0]), memory()))
    for a, b in zip(fresh[1:], reused[1:], strict=True):
        np.testing.assert_array_equal(a[1], b[1])


def test_parameters_and_run_state() -> None:
    venv = wrap_vector(sync(Walk, MODES[0]), memory())
    assert venv.params == {"own.weight": 0.5}
    with pytest.raises(UnsupportedError, match=r"own\.weight"):
        venv.set_param("own.wieght", 1.0)
    with pytest.raises(UnsupportedError, match="finite"):
        venv.set_param("own.weight", float("nan"))
    said = play(venv)
    venv.set_param("own.weight", 1.0)
    changed = play(venv)
    assert any(not np.allclose(a[1], b[1]) for a, b in zip(said[1:], changed[1:], strict=True))
    other = wrap_vector(sync(Walk, MODES[0]), memory())
    other.load_run_state(venv.run_state())
    for a, b in zip(play(other)[1:], changed[1:], strict=True):
        np.testing.assert_array_equal(a[1], b[1])


def test_steps_of_all_environments_drive_schedules() -> None:
    spec = loads("reward: [{markov: 1, weight: {linear: {from: 1, to: 0, over: 30}}}]")
    venv = wrap_vector(sync(Walk, MODES[1]), spec)
    venv.reset(seed=0)
    paid = [venv.step(np.ones(N, np.int64))[1] for _ in range(12)]
    np.testing.assert_allclose(paid, [[max(0.0, 1 - 3 * t / 30)] * N for t in range(12)])


def test_options_and_seeds_pass_through() -> None:
    venv = wrap_vector(sync(Walk, MODES[0]), memory())
    options = {"colour": "red"}
    venv.reset(seed=[1, 2, 3], options=options)
    assert [env.last_options for env in venv.env.envs] == [options] * N
    one, _ = venv.reset(seed=[1, 2, 3])
    two, _ = venv.reset(seed=[1, 2, 3])
    same(one, two)
    mask = {"reset_mask": np.array([True, False, False])}
    venv.reset(options=mask)
    assert "reset_mask" in mask  # a recorder outside still finds it


def test_copies_go_their_own_way() -> None:
    venv = wrap_vector(sync(Walk, MODES[0]), memory())
    venv.reset(seed=0)
    venv.step(np.full(N, 2))
    for twin in (copy.deepcopy(venv), pickle.loads(pickle.dumps(venv))):
        expected = [venv_step for venv_step in _steps(copy.deepcopy(venv))]
        for a, b in zip(_steps(twin), expected, strict=True):
            same(a[0], b[0])
            np.testing.assert_array_equal(a[1], b[1])
    same(venv.state, copy.deepcopy(venv).state)


def _steps(venv: Any) -> list[tuple[Any, ...]]:
    return [venv.step(np.full(N, 2)) for _ in range(8)]


def test_nested() -> None:
    """The outer spec's `reward` is what the inner one pays."""
    inner = wrap_vector(sync(Walk, MODES[0]), memory())
    outer = wrap_vector(
        inner,
        loads(
            "{name: outer, propositions: {r: reward > 0}, "
            "reward: [{markov: reward * 2, name: twice}, {once: r}]}"
        ),
    )
    assert outer.single_observation_space.shape[0] == inner.single_observation_space.shape[0] + 1
    alone = play(wrap_vector(sync(Walk, MODES[0]), memory()))
    for a, b in zip(alone[1:], play(outer)[1:], strict=True):
        onces = b[1] - 2 * a[1]
        assert set(np.round(onces, 9)) <= {0.0, 1.0}
        if "rewardspec" in b[-1]:
            assert (
                "twice" in b[-1]["rewardspec"]["return"] and "own" in b[-1]["rewardspec"]["inner"]["return"]
            )


def test_wrapped_environments_travel_to_processes() -> None:
    there = AsyncVectorEnv([partial(_wrapped, text) for text in (MEMORY,) * N])
    here = sync(partial(_wrapped, MEMORY), MODES[0])
    try:
        for a, b in zip(play(there, 20), play(here, 20), strict=True):
            same(a[0], b[0])
            same(tuple(a[1:-1]), tuple(b[1:-1]))
    finally:
        there.close()


def _wrapped(text: str) -> gym.Env[Any, Any]:
    return wrap(Walk(), loads(text))


def test_episode_scope_is_refused() -> None:
    text = ENDING + "- gate: {of: '1', when: right, known: ever, timing: relabel}\n"
    with pytest.raises(UnsupportedError, match="needs-whole-episodes"):
        wrap_vector(sync(Walk, AutoresetMode.DISABLED), loads(text))


def test_other_environments_are_refused() -> None:
    from stable_baselines3.common.vec_env import DummyVecEnv

    for other in (Walk(), DummyVecEnv([Walk])):
        with pytest.raises(UnsupportedError, match="not-a-vector-environment"):
            wrap_vector(other, memory())  # type: ignore[arg-type]


def test_totals_of_nested_wrappers_with_equal_names_are_all_told() -> None:
    """As for one environment; masks included."""
    inner, outer = (loads(f"{{name: n, reward: [{{markov: {x}, name: same}}]}}") for x in ("1", "10"))
    said = play(wrap_vector(sync(lambda: wrap(Walk(), inner), AutoresetMode.NEXT_STEP), outer))
    ends = [infos for *_, infos in said if "rewardspec" in infos]
    assert len(ends) >= 3
    for infos in ends:
        np.testing.assert_array_equal(infos["return/same"], 10.0 * infos["return/inner/same"])
        np.testing.assert_array_equal(infos["_return/same"], infos["_return/inner/same"])
        np.testing.assert_array_equal(infos["return/inner/same"] > 0, infos["_return/inner/same"])
