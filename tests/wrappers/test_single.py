"""One wrapped environment: checkers, observations, odd environments, copies, and what loggers see."""

from __future__ import annotations

import copy
import pickle
import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import FilterObservation, RecordEpisodeStatistics

from rewardspec import (
    MismatchError,
    NonFiniteRewardError,
    SpecError,
    Transition,
    UnsupportedError,
    compile_spec,
    loads,
    wrap,
)
from rewardspec.backends import oracle
from rewardspec.wrappers.single import RewardSpecWrapper
from tests.wrappers.specs import ending, memory
from tests.wrappers.worlds import (
    BufferDictWalk,
    BufferWalk,
    DictWalk,
    Fragile,
    LateBufferWalk,
    RewardForm,
    SameInfo,
    Walk,
)


def episode(env: Any, seed: int = 3, actions: Any = None) -> list[tuple[Any, ...]]:
    """Return an episode's reset and steps; actions are drawn from a seed of their own."""
    rng = np.random.default_rng(seed)
    said: list[tuple[Any, ...]] = [env.reset(seed=seed)]
    while True:
        said.append(env.step(int(rng.integers(0, 3))))
        if said[-1][2] or said[-1][3]:
            return said


# -- the checkers of gymnasium and SB3 ----------------------------------------------------------------

GALLERY: dict[str, tuple[str, str]] = {
    "CartPole-v1": ("propositions: {right: 'next_obs[0] > 0'}", "markov: 1 - abs(next_obs[0])"),
    "FrozenLake-v1": ("propositions: {right: 'next_obs % 4 == 1'}", "markov: reward - 0.01"),
    "Taxi-v3": ("propositions: {right: next_obs > 250}", "markov: reward * 0.1"),
    "MiniGrid-Empty-5x5-v0": ("propositions: {right: next_obs.direction == 0}", "markov: reward"),
    "Pendulum-v1": ("propositions: {right: 'next_obs[0] > 0.9'}", "markov: -norm(action)"),
    "Reacher-v5": ("propositions: {right: 'next_obs[4] > 0'}", "markov: -norm(next_obs[8:10])"),
}
"""Environments that others wrote, of every kind of observation, with something to read in each."""

MODES = {
    "CartPole-v1": ("auto", "onehot", "index", "dict", "none"),
    "FrozenLake-v1": ("auto", "onehot", "index", "dict", "none"),
    "Taxi-v3": ("auto", "onehot", "index", "dict", "none"),
    "MiniGrid-Empty-5x5-v0": ("auto", "dict", "none"),
    "Pendulum-v1": ("auto", "onehot", "index", "dict", "none"),
    "Reacher-v5": ("auto", "onehot", "index", "dict", "none"),
}


def gallery_spec(name: str) -> Any:
    declared, term = GALLERY[name]
    return loads(
        f"""
{declared}
reward:
- {term}
- reward_machine:
    start: a
    edges:
    - {{from: a, to: b, when: right, reward: 1}}
    - {{from: b, to: a, when: not right}}
"""
    )


def make(name: str) -> gym.Env[Any, Any]:
    if name.startswith("MiniGrid"):
        import minigrid  # registers its environments

        assert minigrid
        return FilterObservation(gym.make(name), ("image", "direction"))  # SB3 has no text spaces
    return gym.make(name)


@pytest.mark.parametrize("name, observe", [(name, mode) for name, modes in MODES.items() for mode in modes])
def test_checkers_pass(name: str, observe: Any) -> None:
    from stable_baselines3.common.env_checker import check_env as check_sb3

    env = wrap(make(name), gallery_spec(name), observe=observe)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_env(env, skip_render_check=True)
        check_sb3(env, warn=True)
    env.close()


@pytest.mark.parametrize("name", GALLERY)
@pytest.mark.parametrize("mode", ["onehot", "index"])
def test_modes_that_do_not_fit_are_refused(name: str, mode: Any) -> None:
    if mode in MODES[name]:
        wrap(make(name), gallery_spec(name), observe=mode)
        return
    with pytest.raises(UnsupportedError, match="observe-mode"):
        wrap(make(name), gallery_spec(name), observe=mode)


def test_a_mode_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"Did you mean 'onehot'\?"):
        wrap(Walk(), memory(), observe="one_hot")  # type: ignore[arg-type]


def test_what_each_mode_shows() -> None:
    """By hand: the machine is in `b` after a step to the right."""
    seen = {}
    for mode in MODES["CartPole-v1"]:
        env = wrap(make("CartPole-v1"), gallery_spec("CartPole-v1"), observe=mode)
        before, _ = env.reset(seed=1)
        after = before
        for _ in range(5):
            after = env.step(1)[0]
        seen[mode] = (before, after, env.machine_states["reward_machine"])
    assert all(state == "b" for _, _, state in seen.values())
    np.testing.assert_array_equal(seen["onehot"][0][4:], [1, 0])
    np.testing.assert_array_equal(seen["onehot"][1][4:], [0, 1])
    np.testing.assert_array_equal(seen["auto"][1], seen["onehot"][1])
    assert (seen["index"][0][4], seen["index"][1][4]) == (0, 1)
    np.testing.assert_array_equal(seen["dict"][1]["rewardspec"], [0, 1])
    np.testing.assert_array_equal(seen["dict"][1]["obs"], seen["none"][1])
    env = wrap(make("FrozenLake-v1"), gallery_spec("FrozenLake-v1"), observe="index")
    assert env.observation_space == spaces.Discrete(32)
    assert env.reset(seed=0)[0] == 0


# -- rewards -------------------------------------------------------------------------------------------


def recorded(env: gym.Env[Any, Any], seed: int = 3) -> list[Transition]:
    """Return an episode of an environment as transitions."""
    rng = np.random.default_rng(seed)
    obs, _ = env.reset(seed=seed)
    transitions: list[Transition] = []
    while True:
        action = int(rng.integers(0, 3))
        before = copy.deepcopy(obs)
        obs, *rest = env.step(action)
        transitions.append(Transition(before, action, copy.deepcopy(obs), *copy.deepcopy(rest)))
        if rest[1] or rest[2]:
            return transitions


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("spec", [memory, ending])
def test_pays_what_the_oracle_says(seed: int, spec: Any) -> None:
    program = compile_spec(spec())
    env = wrap(Walk(), program)
    state = oracle.init(program)
    transitions = recorded(Walk(), seed)
    said = episode(env, seed)
    for transition, (_, reward, terminated, truncated, _) in zip(transitions, said[1:], strict=False):
        state, (outcome,) = oracle.step(program, state, [transition])
        assert reward == pytest.approx(outcome.reward, abs=1e-12)
        assert (terminated, truncated) == (outcome.terminated, outcome.truncated)
    if not program.ends:
        assert len(said) == len(transitions) + 1


@pytest.mark.parametrize("form, paid", [("int", 1.0), ("bool", 1.0), ("scalar", 0.5), ("array", 0.5)])
def test_rewards_of_every_form(form: str, paid: float) -> None:
    env = wrap(RewardForm(form), loads("reward: reward * 2"))
    env.reset(seed=0)
    reward = env.step(1)[1]
    assert type(reward) is float and reward == 2 * paid


POTENTIAL = "{name: p, discount: 0.5, reward: [{potential: '-abs(obs[0])'}]}"


@pytest.mark.parametrize("world", [BufferWalk, LateBufferWalk])
def test_environments_that_reuse_their_buffer(world: type[Walk]) -> None:
    fresh = [s[1] for s in episode(wrap(Walk(), loads(POTENTIAL)))[1:]]
    assert [s[1] for s in episode(wrap(world(), loads(POTENTIAL)))[1:]] == fresh
    assert len(set(fresh)) > 1


def test_a_fresh_dict_around_a_reused_buffer() -> None:
    spec = loads(POTENTIAL.replace("obs[0]", "obs.place[0]"))
    fresh = [s[1] for s in episode(wrap(Walk(), loads(POTENTIAL)))[1:]]
    assert [s[1] for s in episode(wrap(BufferDictWalk(), spec))[1:]] == fresh


def test_nested_spaces() -> None:
    spec = loads("reward: 'next_obs.pair[0] + 10 * obs.pair[0] + obs.pair[1] * 0'")
    env = wrap(DictWalk(), spec)
    assert [s[1] for s in episode(env)[1:4]] == [1.0, 12.0, 23.0]


# -- trouble -------------------------------------------------------------------------------------------


def test_an_error_inside_step_passes_through_and_changes_nothing() -> None:
    env = wrap(Fragile(), memory())
    env.reset(seed=0)
    for _ in range(3):
        env.step(2)
    before = env.state
    with pytest.raises(RuntimeError, match="the motor is on fire"):
        env.step(2)
    assert env.state == before


def test_an_error_inside_the_labelling_function_changes_nothing() -> None:
    spec = loads("{propositions: {p: label.p}, reward: [{once: p}]}")
    env = wrap(Walk(), spec, label=lambda env, t: 1 / 0)  # type: ignore[arg-type, return-value]
    env.reset(seed=0)
    before = env.state
    with pytest.raises(ZeroDivisionError):
        env.step(0)
    assert env.state == before


def test_nan_and_infinity_never_leave() -> None:
    env = wrap(Fragile("nan"), loads("reward: 'where(next_obs[0] > 0, 1, 0)'"))
    env.reset(seed=0)
    with pytest.raises(NonFiniteRewardError, match=r"next_obs\[0\] is NaN at step 3"):
        for _ in range(9):
            env.step(1)
    env = wrap(Fragile("inf"), loads("reward: [1, {markov: '-next_obs[0]', name: far}]"))
    env.reset(seed=0)
    with pytest.raises(NonFiniteRewardError, match=r"the term 'far' pays -inf at step 3"):
        for _ in range(9):
            env.step(1)
    env = wrap(Fragile("inf"), loads("reward: 'tanh(next_obs[0])'"))
    env.reset(seed=0)
    assert max(env.step(1)[1] for _ in range(9)) == 1.0


@pytest.mark.parametrize("detail", [False, True])
def test_a_whole_number_too_large_for_a_float_is_told_with_its_place(detail: bool) -> None:
    class Counts(Walk):
        def step(self, action: Any) -> Any:
            *others, info = super().step(action)
            return *others, {**info, "count": 10**400}

    env = wrap(Counts(), loads("reward: 0.5 * info.count"), detail=detail)
    env.reset(seed=0)
    with pytest.raises(MismatchError, match=r"info\.count is too large for a float at step 0"):
        env.step(1)


@pytest.mark.parametrize(
    "label, code",
    [
        (None, "missing-label-function"),
        (lambda env, t: {"q": True}, "missing-label"),
        (lambda env, t: "p", "missing-label"),  # a text would be read as its letters
        (lambda env, t: True, "missing-label"),
    ],
)
def test_wrong_labels(label: Any, code: str) -> None:
    spec = loads("{propositions: {p: label.p}, reward: [{once: p}]}")
    with pytest.raises(MismatchError, match=rf"\[{code}\]"):
        env = wrap(Walk(), spec, label=label)
        env.reset(seed=0)
        env.step(0)


def test_a_name_that_looks_like_a_declared_one_is_warned_of_once() -> None:
    spec = loads("{propositions: {goal: label.goal}, reward: [{once: goal}]}")
    env = wrap(Walk(), spec, label=lambda env, t: (name for name in ("gaol", "lamp")))
    env.reset(seed=0)
    with pytest.warns(
        UserWarning, match="says 'gaol', which the spec does not declare. Did you mean 'goal'"
    ) as said:
        env.step(0)
    assert len(said) == 1  # 'lamp' may be for another spec
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env.step(0)


def test_labels_as_names_and_as_mapping() -> None:
    spec = loads(
        "{propositions: {p: label.p, q: label.q}, reward: [{markov: 'where(p, 1, 0) + where(q, 10, 0)'}]}"
    )
    for label, paid in ((lambda env, t: ["q"], 10.0), (lambda env, t: {"p": True, "q": 1}, 11.0)):
        env = wrap(Walk(), spec, label=label)  # type: ignore[arg-type]
        env.reset(seed=0)
        assert env.step(0)[1] == paid


def test_unknown_parameter() -> None:
    env = wrap(Walk(), memory())
    with pytest.raises(UnsupportedError, match=r"Did you mean 'own\.weight'"):
        env.set_param("own.wieght", 1.0)


def test_a_spec_that_reads_what_is_not_there() -> None:
    with pytest.raises(MismatchError, match="index-out-of-range"):
        wrap(Walk(), loads("reward: 'next_obs[2]'"))


# -- copies, seeds, options ------------------------------------------------------------------------------


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_copies_go_their_own_way(twin: Any) -> None:
    env = wrap(Walk(length=50), memory())
    env.reset(seed=4)
    env.step(2)
    other = twin(env)
    ahead = [other.step(1)[:4] for _ in range(4)]
    state = env.state
    assert [str(env.step(1)[:4]) for _ in range(4)] == [str(step) for step in ahead]
    assert state != env.state == other.state


def test_seeds_and_options() -> None:
    env = wrap(Walk(), memory())
    one, two = episode(env, 7), episode(env, 7)
    assert [str(step[:4]) for step in one] == [str(step[:4]) for step in two]
    env.reset(options={"colour": "red"})
    assert env.unwrapped.last_options == {"colour": "red"}  # type: ignore[attr-defined]


def test_constructor_arguments_are_recorded() -> None:
    env = wrap(gym.make("CartPole-v1"), loads("reward: 1"), observe="none")
    again = gym.make(env.spec)  # type: ignore[arg-type]
    assert isinstance(again, RewardSpecWrapper)
    assert again.reset(seed=0)[0].tolist() == env.reset(seed=0)[0].tolist()


# -- what loggers see ------------------------------------------------------------------------------------


def test_totals_arrive_on_the_last_step_only() -> None:
    said = episode(wrap(Walk(), memory()))
    plain = episode(Walk())
    for s, p in zip(said[:-1], plain[:-1], strict=True):
        assert s[-1].keys() == p[-1].keys()
    info = said[-1][-1]
    total = sum(s[1] for s in said[1:])
    assert sum(info["rewardspec"]["return"].values()) == pytest.approx(total)
    assert info["return/own"] == info["rewardspec"]["return"]["own"]
    assert set(info["rewardspec"]["state"].values()) <= {"neutral", "was_right", "was_left"}


def test_an_environment_that_hands_out_one_info_dict() -> None:
    """Totals of an episode stay out of the next one's infos."""
    env = wrap(SameInfo(), memory())
    episode(env)
    said = episode(env)
    assert all("rewardspec" not in s[-1] for s in said[1:-1])
    assert "inner" not in said[-1][-1]["rewardspec"]


def test_recorders_inside_and_outside() -> None:
    outside = episode(RecordEpisodeStatistics(wrap(Walk(), memory())))
    inside = episode(wrap(RecordEpisodeStatistics(Walk()), memory()))
    plain = episode(RecordEpisodeStatistics(Walk()))
    assert outside[-1][-1]["episode"]["r"] == pytest.approx(sum(s[1] for s in outside[1:]), abs=1e-5)
    assert inside[-1][-1]["episode"]["r"] == plain[-1][-1]["episode"]["r"]


def test_monitor_takes_totals_by_term() -> None:
    from stable_baselines3.common.monitor import Monitor

    env = Monitor(wrap(Walk(), memory()), info_keywords=("return/own", "return/once"))
    said = episode(env)
    record = said[-1][-1]["episode"]
    assert record["return/own"] == said[-1][-1]["rewardspec"]["return"]["own"]
    assert record["r"] == pytest.approx(sum(s[1] for s in said[1:]), abs=1e-5)


def test_detail() -> None:
    env = wrap(Walk(), memory(), detail=True)
    said = episode(env)
    assert said[0][1]["rewardspec"]["state"] == {"reward_machine": "neutral"}
    for _, reward, _, _, info in said[1:]:
        assert sum(info["rewardspec"]["terms"].values()) == pytest.approx(reward)
        assert set(info["rewardspec"]["true"]) <= {"right", "left"}


def test_nested() -> None:
    """The outer spec's `reward` is what the inner one pays; both memories and both totals are told."""
    inner = wrap(Walk(), memory())
    outer = wrap(
        inner,
        loads("{propositions: {r: reward > 0}, reward: [{markov: reward * 2, name: twice}, {once: r}]}"),
    )
    alone = episode(wrap(Walk(), memory()))
    both = episode(outer)
    assert outer.observation_space.shape == (inner.observation_space.shape[0] + 1,)  # type: ignore[index]
    for a, b in zip(alone[1:], both[1:], strict=True):
        assert round(b[1] - 2 * a[1], 9) in (0.0, 1.0)
    told = both[-1][-1]
    assert "twice" in told["rewardspec"]["return"]
    assert told["rewardspec"]["inner"]["return"]["own"] == alone[-1][-1]["return/own"]
    twice = wrap(wrap(DictWalk(), loads(ONCE)), loads(ONCE))
    assert set(twice.observation_space.spaces) == {"place", "pair", "rewardspec", "rewardspec_outer"}  # type: ignore[attr-defined]
    check_env(wrap(wrap(Walk(), memory()), memory()), skip_render_check=True)


def test_totals_of_nested_wrappers_with_equal_names_are_all_told() -> None:
    """The outermost has `return/<term>`; each further inside is found one `inner/` deeper."""
    layers = [
        loads(f"{{name: n, reward: [{{markov: {reward}, name: same}}, {{markov: 1, name: {own}}}]}}")
        for reward, own in (("1", "first"), ("10", "second"), ("100", "third"))
    ]
    env: gym.Env[Any, Any] = Walk()
    for layer in layers:
        env = wrap(env, layer)
    steps = len(episode(env)) - 1
    told = episode(env)[-1][-1]
    assert {key: total / steps for key, total in told.items() if key.startswith("return/")} == {
        "return/same": 100.0,
        "return/inner/same": 10.0,
        "return/inner/inner/same": 1.0,
        "return/first": 1.0,
        "return/second": 1.0,
        "return/third": 1.0,
    }
    assert told["rewardspec"]["inner"]["inner"]["return"]["same"] == steps


ONCE = "{propositions: {r: reward > 0}, reward: [{once: r}]}"


# -- stable-baselines3 -----------------------------------------------------------------------------------


def run_vec(subprocess: bool = False) -> tuple[list[Any], list[dict[str, Any]]]:
    from rewardspec import make_vec

    venv = make_vec(Walk, ending(), n_envs=2, seed=3, subprocess=subprocess)
    obs, ends = [venv.reset()], []
    for step in range(40):
        seen, _, _, infos = venv.step(np.array([2, step % 2]))
        obs.append(seen.copy())
        ends.extend(info for info in infos if "episode" in info)
    venv.close()
    return obs, ends


def test_make_vec() -> None:
    """Seeds reproduce; episodes that the spec ends count; totals by term and the task's own are told."""
    one, ends = run_vec()
    np.testing.assert_array_equal(one, run_vec()[0])
    assert any(not info["TimeLimit.truncated"] for info in ends)
    for info in ends:
        record = info["episode"]
        assert record["r"] == pytest.approx(record["return/ltl"] + record["return/cost"], abs=1e-5)
        assert info["task_return"] == record["task_return"]
    np.testing.assert_array_equal(one, run_vec(subprocess=True)[0])


def test_make_vec_tells_a_mismatch_itself_and_not_by_a_broken_pipe() -> None:
    from rewardspec import make_vec

    with pytest.raises(MismatchError, match="index-out-of-range"):
        make_vec(Walk, loads("reward: next_obs[9]"), n_envs=2, subprocess=True)


def test_make_vec_in_a_script_that_its_processes_run_again_says_what_to_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a process that is starting, and in the one that started it, whose processes end at once."""
    import multiprocessing

    from stable_baselines3.common import vec_env

    from rewardspec import make_vec

    def ended(makers: Any) -> Any:
        raise EOFError

    advice = r"under `if __name__ == '__main__':`"
    with monkeypatch.context() as patch:
        patch.setattr(vec_env, "SubprocVecEnv", ended)
        with pytest.raises(UnsupportedError, match=advice):
            make_vec(Walk, ending(), n_envs=2, subprocess=True)
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(UnsupportedError, match=advice):
        make_vec(Walk, ending(), n_envs=2, subprocess=True)
    make_vec(Walk, ending(), n_envs=2).close()


def test_make_vec_counts_the_steps_of_all_environments() -> None:
    from rewardspec import make_vec

    spec = loads("reward: [{markov: 1, weight: {linear: {from: 1, to: 0, over: 30}}}]")
    venv = make_vec(Walk, spec, n_envs=3, seed=0)
    venv.reset()
    paid = [venv.step(np.ones(3, np.int64))[1].copy() for _ in range(6)]
    np.testing.assert_allclose(paid, [[1 - 3 * t / 30] * 3 for t in range(6)], rtol=1e-6)


def test_make_vec_trains() -> None:
    """Dict observations, memory and all go through an SB3 algorithm."""
    from stable_baselines3 import PPO

    from rewardspec import make_vec

    venv = make_vec("CartPole-v1", gallery_spec("CartPole-v1"), n_envs=2, seed=0, observe="dict")
    model = PPO("MultiInputPolicy", venv, n_steps=16, batch_size=16, n_epochs=1, device="cpu")
    model.learn(64)
    assert model.ep_info_buffer is not None
    assert all("return/markov" in record for record in model.ep_info_buffer)


def test_make_vec_without_sb3(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from rewardspec import make_vec

    monkeypatch.setitem(sys.modules, "stable_baselines3.common.monitor", None)
    with pytest.raises(ImportError, match=r"rewardspec\[sb3\]"):
        make_vec(Walk, loads("reward: 1"))


def test_what_is_no_environment_is_refused_with_what_would_be_one() -> None:
    spec = loads("reward: 1")
    with pytest.raises(
        UnsupportedError, match=r"a str is no single gymnasium environment \[not-an-environment\]"
    ):
        wrap("CartPole-v1", spec)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match="`wrap_vector` goes over those"):
        wrap(gym.make_vec("CartPole-v1", 2), spec)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match=r"Make it first: gymnasium.make\('CartPole-v1'\)"):
        wrap("CartPole-v1", spec)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match=r"Walk is a class .*\n +Make one first: Walk\(\)"):
        wrap(Walk, spec)  # type: ignore[arg-type]
    for swapped in (spec, {"reward": 1}, "walk.yaml", Path("walk.yaml")):
        with pytest.raises(UnsupportedError, match=r"wrap\(env, spec\)"):
            wrap(swapped, Walk())  # type: ignore[arg-type]


def test_a_vector_of_stable_baselines3_goes_over_the_reward_and_not_under_it() -> None:
    vec_env = pytest.importorskip("stable_baselines3.common.vec_env")
    from rewardspec import make_vec

    venv = vec_env.DummyVecEnv([lambda: gym.make("CartPole-v1")])
    with pytest.raises(UnsupportedError, match=r"rewardspec.make_vec\(id, spec\)"):
        wrap(vec_env.VecNormalize(venv), loads("reward: 1"))  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match="a DummyVecEnv is one already"):
        make_vec(venv, loads("reward: 1"))


@pytest.mark.parametrize("spec", [None, 3, ["reward"]])
def test_what_is_no_spec_is_refused(spec: object) -> None:
    with pytest.raises(SpecError, match=r"is no spec \[not-a-mapping\]"):
        wrap(gym.make("CartPole-v1"), spec)  # type: ignore[arg-type]


def test_a_labelling_function_that_cannot_be_called_is_refused_when_wrapping() -> None:
    spec = loads("propositions: [high]\nreward: [{ltl: F high}]")
    for label, said in (
        (lambda step: [], "too many positional arguments"),
        (3, "3 is not a callable object"),
    ):
        with pytest.raises(MismatchError, match=f"called as label\\(env, transition\\): {said}"):
            wrap(gym.make("CartPole-v1"), spec, label=label)  # type: ignore[arg-type]


def test_plain_data_is_a_spec_too() -> None:
    env = wrap(gym.make("CartPole-v1"), {"reward": ["2 * reward"]})
    env.reset(seed=0)
    assert env.step(0)[1] == 2.0


def test_the_recorded_environment_can_be_written_and_made_again() -> None:
    env = wrap(gym.make("CartPole-v1"), loads("name: twice\nreward: 2 * reward"))
    assert env.spec is not None
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    again.reset(seed=0)
    assert again.step(0)[1] == 2.0
    assert again.get_wrapper_attr("program").name == "twice"
