"""Environments on the device: rewards as above a vector environment, and no look at the data in a step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import batch_space
from torch.utils._python_dispatch import TorchDispatchMode

from rewardspec import (
    MismatchError,
    NonFiniteRewardError,
    UnsupportedError,
    compile_spec,
    loads,
    wrap_vector,
)
from rewardspec.backends import torch_ops
from rewardspec.ir import expr as ir
from rewardspec.ir.program import Fold
from rewardspec.wrappers.tensor import wrap_tensor
from tests.wrappers.specs import ENDING
from tests.wrappers.worlds import Walk

B = 5

SPEC = """
name: device
discount: 0.9
propositions: {right: "next_obs[0] > 0.3", left: "next_obs[0] < -0.3"}
reward:
- reward_machine:
    start: neutral
    edges:
    - {from: neutral, to: was_right, when: right, reward: 0.5}
    - {from: was_right, to: was_left, when: left, reward: "next_obs[0]"}
    - {from: was_left, to: was_right, when: right, reward: 1}
- potential: -abs(obs[0])
- once: left
  value: 2
- markov: reward * action
  weight: {linear: {from: 1, to: 0, over: 60}}
  name: own
- normalise: {of: "next_obs[1]"}
"""


class Line:
    """The walk of the other tests without chance: moves by action, ends at |x| > 2, cut after 9 steps."""

    single_observation_space: spaces.Space[Any] = spaces.Box(-10.0, 10.0, (2,), np.float32)
    single_action_space: spaces.Space[Any] = spaces.Discrete(3)

    def __init__(self, num_envs: int = B, device: str = "cpu") -> None:
        self.num_envs, self.device = num_envs, device
        self.x = torch.zeros(num_envs, device=device)
        self.move = torch.zeros(num_envs, device=device)
        self.steps = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self.first = torch.linspace(-0.5, 0.5, num_envs, device=device)

    def observe(self) -> Any:
        return torch.stack([self.x, self.move], dim=1)

    def reset(self, mask: torch.Tensor) -> Any:
        self.x = torch.where(mask, self.first, self.x)
        self.move = torch.where(mask, torch.zeros_like(self.move), self.move)
        self.steps = torch.where(mask, torch.zeros_like(self.steps), self.steps)
        return self.observe()

    def step(self, action: torch.Tensor) -> tuple[Any, torch.Tensor, torch.Tensor, torch.Tensor]:
        self.move = (action - 1) * 0.7 + 0.1 * self.steps
        self.x = self.x + self.move
        self.steps = self.steps + 1
        return self.observe(), self.move, self.x.abs() > 2, self.steps >= 9


class DictLine(Line):
    """The same with a mapping and a number for a place."""

    single_observation_space = spaces.Dict(
        {"at": spaces.Box(-10.0, 10.0, (2,), np.float32), "n": spaces.Discrete(10)}
    )

    def observe(self) -> Any:
        return {"at": super().observe(), "n": self.steps}


class Cell(Line):
    """The same with a Discrete observation that starts at 2."""

    single_observation_space = spaces.Discrete(10, start=2)

    def observe(self) -> Any:
        return self.steps + 2


class OneLine(Walk):
    """One environment of `Line` for gymnasium."""

    def __init__(self, first: float) -> None:
        super().__init__()
        self.first = first

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self.line = Line(1)
        self.line.first = torch.tensor([self.first])
        return self.line.reset(torch.tensor([True]))[0].numpy(), {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated = self.line.step(torch.tensor([int(action)]))
        return obs[0].numpy(), reward.item(), bool(terminated), bool(truncated), {}


def vector(spec: Any, **options: Any) -> Any:
    firsts = np.linspace(-0.5, 0.5, B).astype(np.float32)
    makers = [lambda x=float(x): OneLine(x) for x in firsts]
    return wrap_vector(SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP), spec, **options)


def drawn(steps: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 3, (steps, B), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("observe", ["auto", "dict", "none"])
def test_agrees_with_a_vector_environment(observe: Any) -> None:
    spec = loads(SPEC)
    device, host = wrap_tensor(Line(), spec, observe=observe, dtype="float64"), vector(spec, observe=observe)
    assert device.single_observation_space == host.single_observation_space
    same(device.reset(), host.reset()[0])
    ends = 0
    for action in drawn(60):
        obs, reward, terminated, truncated, infos = device.step(action)
        obs_, reward_, terminated_, truncated_, infos_ = host.step(action.numpy())
        same(obs, obs_)
        np.testing.assert_allclose(reward, reward_, atol=1e-6)
        np.testing.assert_array_equal(terminated, terminated_)
        np.testing.assert_array_equal(truncated, truncated_)
        for i in np.flatnonzero(terminated_ | truncated_):
            ends += 1
            same(row(infos["final_obs"], i), infos_["final_obs"][i])
            for name, total in infos["return"].items():
                assert float(total[i]) == pytest.approx(infos_[f"return/{name}"][i], abs=1e-5)
    assert ends >= 10
    assert device.run_state() == pytest.approx(host.run_state(), abs=1e-5)


def same(a: Any, b: Any) -> None:
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            same(a[key], b[key])
    else:
        np.testing.assert_allclose(a, b, atol=1e-6)


def row(value: Any, i: int) -> Any:
    return {k: v[i] for k, v in value.items()} if isinstance(value, dict) else value[i]


def test_the_program_ends_episodes_and_the_wrapper_resets_them() -> None:
    """By hand: everyone walks right by 0.7, 0.8, ...; the formula is satisfied beyond 0.8."""
    venv = wrap_tensor(Line(), loads(ENDING))
    first = venv.reset()
    right = torch.full((B,), 2)
    obs, reward, terminated, truncated, infos = venv.step(right)
    x = first[:, 0] + 0.7
    np.testing.assert_array_equal(terminated, x > 0.8)
    np.testing.assert_allclose(reward, np.where(x > 0.8, 0.9, -0.1), rtol=1e-6)
    np.testing.assert_allclose(infos["final_obs"][:, 0], x)
    np.testing.assert_allclose(obs[:, 0], np.where(x > 0.8, first[:, 0], x))
    np.testing.assert_array_equal(obs[terminated][:, 2:], first[terminated][:, 2:])
    assert not truncated.any() and terminated.any() and not terminated.all()


class NoLook(TorchDispatchMode):
    """Refuses what makes Python wait for a tensor's value, and numbers that would have to travel to the device.

    Wrappers take the path that they take on CUDA, where values are not at hand.
    """

    WAITING = ("_local_scalar_dense", "item", "nonzero", "is_nonzero", "equal", "masked_select")
    TRAVELLING = ("lift_fresh", "lift_fresh_copy")

    def __enter__(self) -> Any:
        self._patch = mock.patch.object(torch_ops, "is_at_hand", lambda device: False)
        self._patch.start()
        return super().__enter__()

    def __exit__(self, *told: Any) -> None:
        self._patch.stop()
        super().__exit__(*told)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in (*self.WAITING, *self.TRAVELLING) or (
            name == "index" and any(t is not None and t.dtype == torch.bool for t in args[1])
        ):
            raise AssertionError(f"the step looked at a tensor: {func}")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("world", [Line, DictLine, Cell])
@pytest.mark.parametrize("observe", ["auto", "dict", "none"])
def test_a_step_never_looks_at_a_tensor(world: Any, observe: Any) -> None:
    text = SPEC
    if world is DictLine:
        text = SPEC.replace("obs[", "obs.at[")
    if world is Cell:
        text = (
            SPEC.replace("next_obs[0]", "next_obs")
            .replace("next_obs[1]", "next_obs")
            .replace("obs[0]", "obs")
        )
    venv = wrap_tensor(world(), loads(text), observe=observe)
    venv.reset()
    with NoLook():
        for action in drawn(12):
            venv.step(action)
    venv.check()


def test_the_guard_itself_works() -> None:
    with NoLook(), pytest.raises(AssertionError, match="looked"):
        bool(torch.ones(1) > 0)
    with NoLook(), pytest.raises(AssertionError, match="looked"):
        torch.ones(3)[torch.ones(3) > 0]
    with NoLook(), pytest.raises(AssertionError, match="looked"):
        torch.tensor(0.5)


def test_memory_stays_where_it_is() -> None:
    """A captured graph replays on the same addresses: state, counters and the kept observation never move."""
    venv = wrap_tensor(Line(), loads(SPEC))
    venv.reset()
    slots = [*venv.state, venv._obs, venv._watch.steps, venv._watch.broken, *venv._params.values()]
    addresses = [slot.data_ptr() for slot in slots]
    for action in drawn(12):
        venv.step(action)
    venv.set_param("normalise.frozen", 1.0)
    now = [*venv.state, venv._obs, venv._watch.steps, venv._watch.broken, *venv._params.values()]
    assert [slot.data_ptr() for slot in now] == addresses


@pytest.mark.parametrize("observe", ["auto", "none"])
def test_a_step_is_one_graph_and_pays_the_same_when_compiled(observe: Any) -> None:
    """A CPU step masks bits and compares into numbers; a compiled one chooses, as one on CUDA compares."""
    torch._dynamo.reset()
    quick, traced = (wrap_tensor(Line(), loads(SPEC), observe=observe) for _ in range(2))
    step = torch.compile(traced.step, fullgraph=True, dynamic=False, backend="eager")
    same(quick.reset(), traced.reset())
    for action in drawn(12):
        (*told, infos), (*told_, infos_) = quick.step(action), step(action)
        for one, other in zip(
            [*told, *infos["return"].values()], [*told_, *infos_["return"].values()], strict=True
        ):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(infos["final_obs"], infos_["final_obs"])
    for one, other in zip(quick._memory().values(), traced._memory().values(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.gpu
def test_a_step_replays_as_a_cuda_graph() -> None:
    spec = loads(SPEC)
    eager, world = wrap_tensor(Line(device="cuda"), spec, device="cuda"), Line(device="cuda")
    venv = wrap_tensor(world, spec, device="cuda")
    kept = [getattr(world, name).clone() for name in ("x", "move", "steps")]
    action = torch.zeros(B, dtype=torch.int64, device="cuda")

    def step() -> tuple[torch.Tensor, torch.Tensor]:
        world.x, world.move, world.steps = kept
        obs, reward, *_ = venv.step(action)
        for place, name in zip(kept, ("x", "move", "steps"), strict=True):
            place.copy_(getattr(world, name))
        return obs, reward

    def begin() -> None:
        venv.reset()
        for place, name in zip(kept, ("x", "move", "steps"), strict=True):
            place.copy_(getattr(world, name))

    begin()
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        obs, reward = step()
    venv.load_run_state(eager.run_state())
    begin()
    eager.reset()
    for drawn_action in drawn(30):
        action.copy_(drawn_action)
        graph.replay()
        obs_, reward_, *_ = eager.step(drawn_action.cuda())
        assert torch.allclose(obs, obs_, atol=1e-6) and torch.allclose(reward, reward_, atol=1e-5)


def test_observations_of_every_mode() -> None:
    """Index and one-hot by hand: two machines of 2 and 3 states, Discrete and vector observations."""
    spec = loads(
        """
        propositions: {late: next_obs >= 4, later: next_obs >= 6}
        reward:
        - reward_machine: {start: a, edges: [{from: a, to: b, when: late, reward: 1}]}
        - reward_machine:
            start: c
            edges: [{from: c, to: d, when: late}, {from: d, to: e, when: later, reward: 1}]
          name: second
        """
    )
    expected = {0: (0, 0), 1: (0, 0), 2: (1, 1), 3: (1, 1), 4: (1, 2)}
    onehot, index = wrap_tensor(Cell(), spec, observe="onehot"), wrap_tensor(Cell(), spec, observe="index")
    seen_onehot, seen_index = onehot.reset(), index.reset()
    for t in range(4):
        first, second = expected[t]
        place = np.eye(10)[t]
        np.testing.assert_array_equal(seen_onehot[0], [*place, *np.eye(2)[first], *np.eye(3)[second]])
        np.testing.assert_array_equal(seen_index, np.full(B, (first * 3 + second) * 10 + t))
        seen_onehot, seen_index = onehot.step(torch.ones(B))[0], index.step(torch.ones(B))[0]
    batch = batch_space(index.single_observation_space, B)
    assert batch.contains(seen_index.numpy())
    assert onehot.single_observation_space.contains(seen_onehot[0].numpy())


@pytest.mark.parametrize("at_hand", [True, False])
def test_rewards_that_are_not_finite(at_hand: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not at_hand:
        monkeypatch.setattr(torch_ops, "is_at_hand", lambda device: False)
    venv = wrap_tensor(Line(), loads("reward: [1, {markov: 'log(obs[0] + 0.25)', name: odd}]"))
    venv.reset()
    reward = venv.step(torch.full((B,), 2))[1]
    assert torch.isfinite(reward).all() and reward[0] == 0 and reward[1] == 0
    with pytest.raises(NonFiniteRewardError, match=r"environment 1: the term 'odd' was not finite at step 0"):
        venv.check()

    class Broken(Line):
        def observe(self) -> Any:
            return torch.where(self.steps == 2, torch.nan, super().observe().T).T

    venv = wrap_tensor(Broken(), loads("reward: 'where(next_obs[0] > 0, 1, 0)'"))
    venv.reset()
    venv.step(torch.ones(B))
    venv.check()
    venv.step(torch.ones(B))
    with pytest.raises(NonFiniteRewardError, match=r"next_obs\[0\] was NaN at step 1"):
        venv.check()
    for _ in range(12):  # episodes end and begin: what was bad first is kept
        venv.step(torch.ones(B))
    venv.reset()
    with pytest.raises(NonFiniteRewardError, match=r"next_obs\[0\] was NaN at step 1 of"):
        venv.check()


def test_finite_terms_whose_sum_is_not_are_paid_as_zero() -> None:
    """Nothing is wrong with any of them, and check says nothing; a constant that float32 does not hold is one."""
    venv = wrap_tensor(
        Line(), loads("reward: [{markov: 3.0e+38}, {markov: 'where(action > 1, 3.0e+38, 1)'}]")
    )
    venv.reset()
    assert (venv.step(torch.full((B,), 2))[1] == 0).all()
    assert (venv.step(torch.ones(B))[1] > 1e38).all()
    venv.check()
    venv = wrap_tensor(Line(), loads("reward: [1, {markov: 1.0e+39, name: huge}]"))
    venv.reset()
    venv.step(torch.ones(B))
    with pytest.raises(NonFiniteRewardError, match="the term 'huge'"):
        venv.check()


def test_a_total_that_was_not_finite_is_zero_in_the_next_episode() -> None:
    venv = wrap_tensor(Line(), loads("reward: {markov: 'log(2 - action)', name: odd}"))
    venv.reset()
    assert not torch.isfinite(venv.step(torch.full((B,), 2))[4]["return"]["odd"]).any()
    assert not torch.isfinite(venv.state[-1]).any()
    ended = torch.zeros(B, dtype=torch.bool)
    for _ in range(9):
        _, _, terminated, truncated, _ = venv.step(torch.ones(B))
        ended |= terminated | truncated
    assert ended.all()
    assert torch.isfinite(venv.state[-1]).all()


@pytest.mark.parametrize("at_hand", [True, False])
def test_what_was_bad_first_is_told_however_many_values_are_read(
    at_hand: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The own reward is a term by itself, and told as that; 200 codes need more than a byte."""
    if not at_hand:
        monkeypatch.setattr(torch_ops, "is_at_hand", lambda device: False)

    class Unpaid(Line):
        def step(self, action: torch.Tensor) -> Any:
            obs, reward, terminated, truncated = super().step(action)
            return obs, torch.where(self.steps == 2, torch.nan, reward), terminated, truncated

    venv = wrap_tensor(
        Unpaid(), loads("reward: [{markov: reward, name: own}, {markov: 'reward * 2', name: twice}]")
    )
    venv.reset()
    venv.step(torch.ones(B))
    assert (venv.step(torch.ones(B))[1] == 0).all()
    with pytest.raises(NonFiniteRewardError, match=r"the term 'twice' was not finite at step 1 of"):
        venv.check()

    class Blind(Line):
        def observe(self) -> Any:
            return torch.where(self.steps == 1, torch.nan, super().observe().T).T

    venv = wrap_tensor(Blind(), loads("reward: {markov: 'next_obs[0]', name: place}"))
    venv.reset()
    venv.step(torch.ones(B))
    with pytest.raises(NonFiniteRewardError, match=r"next_obs\[0\] was NaN at step 0 of .*nan-observation"):
        venv.check()

    many = [{"markov": f"log(obs[0] - {k})", "name": f"t{k}"} for k in range(200)]
    venv = wrap_tensor(Line(), {"reward": many})
    venv.reset()
    venv.step(torch.ones(B))
    with pytest.raises(
        NonFiniteRewardError, match=r"environment 4: the term 't199' was not finite at step 0"
    ):
        venv.check()


def test_totals_that_nobody_reads_are_not_kept() -> None:
    """Rewards, ends and sets stay as they are; a checkpoint holds what there is."""
    spec = loads(SPEC + "- submodular: {coverage: {radius: 1}, cells: {counts: [3, 4]}}\n")
    kept, lean = wrap_tensor(Line(), spec), wrap_tensor(Line(), spec, totals=False)
    same(kept.reset(), lean.reset())
    middle = None
    for t, action in enumerate(drawn(24)):
        (obs, *told, infos), (obs_, *told_, infos_) = kept.step(action), lean.step(action)
        same(obs, obs_)
        for one, other in zip(told, told_, strict=True):
            np.testing.assert_array_equal(one, other)
        assert "return" in infos and "return" not in infos_
        assert infos["terms"].keys() == infos_["terms"].keys()
        middle = lean.state_dict() if t == 11 else middle
    assert middle is not None
    assert len(middle) == len(kept.state_dict()) - len(kept.program.terms)
    last = lean.state_dict()
    lean.load_state_dict({**lean.state_dict(), **middle})
    for action in drawn(24)[12:]:
        lean.step(action)
    for name, part in last.items():
        np.testing.assert_array_equal(part, lean.state_dict()[name])


def test_memories_that_take_over_one_another_do_not_meet() -> None:
    """Two folds that swap: each is written from what the other was before the step."""
    program = compile_spec(loads("reward: 1"))
    folds = tuple(
        Fold(name, start, ir.Memory(other, after=False), "episode", False)
        for name, start, other in (("a", 1.0, "b"), ("b", 2.0, "a"))
    )
    terms = (replace(program.terms[0], expr=ir.Memory("a", after=False)),)
    venv = wrap_tensor(Line(), replace(program, folds=folds, terms=terms))
    venv.reset()
    assert [float(venv.step(torch.ones(B))[1][0]) for _ in range(4)] == [1, 2, 1, 2]


def test_labels() -> None:
    spec = loads("{propositions: {p: label.p}, reward: [{markov: 'where(p, 1, 0)'}]}")
    venv = wrap_tensor(Line(), spec, label=lambda env, t: {"p": t.next_obs[:, 0] > 0.5})
    first = venv.reset()
    reward = venv.step(torch.full((B,), 2))[1]
    np.testing.assert_array_equal(reward, first[:, 0] + 0.7 > 0.5)
    with pytest.raises(MismatchError, match="missing-label-function"):
        wrap_tensor(Line(), spec)
    venv = wrap_tensor(Line(), spec, label=lambda env, t: {"q": t.terminated})
    venv.reset()
    with pytest.raises(MismatchError, match=r"\[missing-label\]"):
        venv.step(torch.ones(B))
    ready = loads("{env: {labels: minigrid}, propositions: {k: label.carrying_key}, reward: [{once: k}]}")
    with pytest.raises(UnsupportedError, match="vector-labeller"):
        wrap_tensor(Line(), ready)


def test_info_is_refused_where_there_is_none_unless_a_default_stands_for_it() -> None:
    with pytest.raises(
        MismatchError, match=r"'info.speed' is read, and environments .* give no info \[no-such-key\]"
    ):
        wrap_tensor(Line(), {"reward": "info.speed * 2"})
    env = wrap_tensor(Line(), {"reward": "default(info.speed, 3)"})
    env.reset()
    assert (env.step(torch.ones(B, dtype=torch.int64))[1] == 3).all()


def test_parameters_and_devices() -> None:
    venv = wrap_tensor(Line(), loads("reward: [{markov: 2, weight: 3, name: two}]"))
    venv.reset()
    assert venv.step(torch.ones(B))[1][0] == 6
    venv.set_param("two.weight", 0.5)
    assert venv.step(torch.ones(B))[1][0] == 1 and venv.params == {"two.weight": 0.5}
    with pytest.raises(UnsupportedError, match=r"Did you mean 'two\.weight'"):
        venv.set_param("tow.weight", 1)
    with pytest.raises(UnsupportedError, match="unknown-device"):
        wrap_tensor(Line(), loads("reward: 1"), device="cuda:77")
    gated = "{gate: {of: 1, when: 'obs[0] > 0', known: ever, timing: relabel}}"
    with pytest.raises(UnsupportedError, match="needs-whole-episodes"):
        wrap_tensor(Line(), loads(f"reward: [{gated}]"))
