"""The generated functions: what their text may hold, which form a construct takes, what every form pays.

Each reward is held against the oracle three times: that of the pure function, that of the generated `step` of
a wrapped environment, and that of the same wrapper with details, which takes another way.
"""

from __future__ import annotations

import ast
import builtins
import copy
import math
import pickle
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rewardspec.backends import decisions, emitter, fused_text, oracle, scalar
from rewardspec.backends.arithmetic import HELPERS
from rewardspec.backends.scalar import compile_scalar, fused_source
from rewardspec.compiler import compile_spec
from rewardspec.errors import MismatchError, NonFiniteRewardError
from rewardspec.ir.layout import Layout, bind
from rewardspec.transition import Transition
from rewardspec.vocabulary import from_data, loads
from rewardspec.wrappers.single import RewardSpecWrapper, wrap
from tests.agreement import worlds

BOX = spaces.Box(-10, 10, (4,), np.float32)
ACTIONS = spaces.Discrete(3)


@dataclass
class Step:
    """What the environment answers to one action."""

    obs: Any
    reward: Any = 0.0
    terminated: Any = False
    truncated: Any = False
    info: dict[str, Any] | None = None


class Scripted(gym.Env[Any, Any]):
    """Answers as written; writes its observations into one buffer where asked to."""

    def __init__(
        self, first: Any, steps: Sequence[Step], space: Any, actions: Any = ACTIONS, buffer: bool = False
    ) -> None:
        self.observation_space, self.action_space = space, actions
        self.first, self.steps, self.at = first, list(steps), 0
        self.buffer = np.array(first) if buffer else None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        self.at = 0
        return self.give(self.first), {}

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        step = self.steps[self.at]
        self.at += 1
        if isinstance(step.obs, Exception):
            raise step.obs
        return self.give(step.obs), step.reward, step.terminated, step.truncated, dict(step.info or {})

    def give(self, obs: Any) -> Any:
        if self.buffer is None:
            return obs
        self.buffer[...] = obs
        return self.buffer


def transitions(env: Scripted, actions: Sequence[Any]) -> Iterator[Transition]:
    before = env.first
    for step, action in zip(env.steps, actions, strict=True):
        yield Transition(
            before,
            action,
            step.obs,
            step.reward,
            step.terminated,
            step.truncated,
            dict(step.info or {}),
            None,
        )
        before = step.obs


def check(
    spec: str, env: Scripted, actions: Sequence[Any] | None = None, params: dict[str, float] | None = None
) -> list[float]:
    """Hold every form of the program against the oracle over one episode; return the rewards."""
    actions = actions if actions is not None else [0] * len(env.steps)
    program = compile_spec(loads(spec))
    layout = bind(program, env.observation_space, env.action_space)
    expected, states = [], []
    state = oracle.init(layout.program)
    for transition in transitions(env, actions):
        state, (outcome,) = oracle.step(layout.program, state, [transition])
        expected.append(outcome)
        states.append((*state.machines[0].values(), *state.folds[0].values()))
    pure = list(run_pure(layout, env, actions))
    fused = wrap(env, loads(spec), observe="none")
    detailed = wrap(
        Scripted(env.first, env.steps, env.observation_space, env.action_space), loads(spec), detail=True
    )
    fused.reset()
    detailed.reset()
    for i, (outcome, after) in enumerate(zip(expected, states, strict=True)):
        for form, (paid, ended, cut, held) in {
            "pure": pure[i],
            "fused": answer(fused, actions[i]),
            "detailed": answer(detailed, actions[i]),
        }.items():
            where = f"{form}, step {i}"
            assert paid == pytest.approx(outcome.reward, rel=1e-12, abs=1e-12), where
            assert isinstance(paid, float), where
            assert (bool(ended), bool(cut)) == (outcome.terminated, outcome.truncated), where
            assert held[: len(after)] == pytest.approx(after), where
    return [outcome.reward for outcome in expected]


def run_pure(layout: Layout, env: Scripted, actions: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    compiled = compile_scalar(layout)
    state, params = compiled.start, [p.initial for p in layout.program.params]
    for t in transitions(env, actions):
        parts = (t.obs, t.action, t.next_obs, t.reward, t.terminated, t.truncated, t.info, ())
        state, paid, ended, cut = compiled.advance(state, *parts, params)
        yield paid, ended, cut, state


def answer(env: RewardSpecWrapper, action: Any) -> tuple[Any, ...]:
    _, paid, ended, cut, _ = env.step(action)
    return paid, ended, cut, env.state


def walk(seed: int, n: int = 40, width: int = 4) -> Scripted:
    """An environment whose observations wander about zero."""
    drawn = np.random.default_rng(seed).normal(0, 1, (n + 1, width)).astype(np.float32)
    return Scripted(drawn[0], [Step(obs) for obs in drawn[1:]], spaces.Box(-10, 10, (width,), np.float32))


def machine(states: int, propositions: int, seed: int) -> str:
    """A random machine over thresholds, with a payment on every edge and a terminal state."""
    rng = np.random.default_rng(seed)
    lines = ["propositions:"]
    lines += [f"  p{i}: next_obs[{i % 4}] > {rng.normal():.3f}" for i in range(propositions)]
    lines += ["reward:", "- reward_machine:", "    start: q0", "    edges:"]
    for state in range(states):
        a, b = (int(x) for x in rng.choice(propositions, 2, replace=False))
        for guard in (f"p{a} and p{b}", f"p{a} and not p{b}"):
            target, pay = int(rng.integers(states)), rng.normal()
            lines.append(f"      - {{from: q{state}, to: q{target}, when: {guard}, reward: {pay:.3f}}}")
    lines += ["- markov: 0.1 * next_obs[1]"]
    return "name: drawn\n" + "\n".join(lines)


# -- the text ------------------------------------------------------------------------------------

HOSTILE = [
    '"]; import os #',
    "'''",
    "a\nb = 1",
    "\\",
    "__import__('os').system('true')",
    "naïve ключ 鍵",
    "}{%s",
    "\u2028",
]


def _hostile_layout(key: str) -> Layout:
    """A program whose every user text is hostile: built of IR, since the language refuses most of it."""
    from rewardspec.ir import expr as ir
    from rewardspec.ir.program import Edge, Machine, ParamValue, Program, Proposition, Term

    read = ir.Field("next_obs", (key,))
    told = ir.Field("info", (key, (0,)), 0.5)
    program = Program(
        name=key,
        discount=None,
        propositions=(Proposition(key, ir.Compare("gt", read, ir.Const(0.25))),),
        machines=(Machine(key, (key,), (key, key + "2"), 0, ((Edge(1, 1, 1, 1),), ()), (ir.ZERO, ir.ONE)),),
        folds=(),
        params=(ParamValue(key, 2.0),),
        terms=(
            Term(key, key, ir.OutputTable(key, (0.0, 1.0))),
            Term(key + "3", key, ir.Binary("mul", ir.Param(key), ir.Combine("sum", (read, told)))),
        ),
        ends=(),
    )
    return bind(program, spaces.Dict({key: spaces.Box(-1, 1, (), np.float64)}), ACTIONS)


@pytest.mark.parametrize("key", HOSTILE)
def test_no_text_of_a_user_is_in_the_source(key: str) -> None:
    layout = _hostile_layout(key)
    hooks = frozenset({"explain", "report", "read_labels", "remember", "extend"})
    for source in (compile_scalar(layout).source, fused_source(layout, hooks)):
        assert_harmless(source)
    step = ({key: np.array(0.5)}, 0.0, False, False, {key: [3.0]}, (), [2.0])
    state, paid, *_ = compile_scalar(layout).advance(compile_scalar(layout).start, None, 0, *step)
    assert (state[0], paid) == (1, 1.0 + 2.0 * 3.5)


def assert_harmless(source: str) -> None:
    """Every name is generated or one of ours, every constant a number; nothing is imported, nothing is text."""
    ours = {
        *HELPERS, *scalar.PARTS.split(", "), "state", "obs", "labels", "params", "future", "steps", "paid", "c", "u",
        "_", "env_step", "step", "begin", "read", "new_env_step", "new_steps", "new_obs", "error", "Exception",
        "float", "int", "bool", "read_labels", "remember", "extend", "explain", "report", "fused", "advance",
    }  # fmt: skip
    for node in ast.walk(ast.parse(source)):
        assert not isinstance(node, ast.Import | ast.ImportFrom | ast.Lambda | ast.JoinedStr), source
        if isinstance(node, ast.Global):
            assert node.names == ["env_step"]
        if isinstance(node, ast.Name):
            assert node.id in ours or re.fullmatch(r"[a-z]\d+(_\d+)?", node.id), node.id
        if isinstance(node, ast.Attribute):
            assert node.attr in {"tolist", "ravel", "reshape", "get", "__class__"}, node.attr
        if isinstance(node, ast.Constant):
            assert node.value is None or isinstance(node.value, bool | int | float), node.value


def test_the_whitelist_catches_planted_text() -> None:
    with pytest.raises(AssertionError):
        assert_harmless("def advance(state):\n    return __import__('os')")
    with pytest.raises(AssertionError):
        assert_harmless("def advance(state):\n    return state['key']")


def test_generated_functions_reach_no_dangerous_builtin() -> None:
    layout = bind(compile_spec(loads("name: n\nreward: next_obs[0]")), BOX, ACTIONS)
    reached = compile_scalar(layout).advance.__globals__["__builtins__"]
    assert set(reached) <= {"float", "int", "list", "bool", "Exception"}
    assert not {"eval", "exec", "open", "__import__"} & set(reached) and "eval" in dir(builtins)


def test_a_shared_expression_is_evaluated_once() -> None:
    spec = """
name: shared
signals:
  far: exp(next_obs[0]) + log(abs(next_obs[1]) + 1)
propositions: {p: far > 1, q: far > 2}
reward:
- reward_machine:
    start: a
    edges:
    - {from: a, to: b, when: p and not q, reward: 1}
    - {from: b, to: a, when: q}
- markov: far * far
"""
    source = compile_scalar(bind(compile_spec(loads(spec)), BOX, ACTIONS)).source
    assert (source.count("_exp("), source.count("_log(")) == (1, 1)
    check(spec, walk(0))


# -- machines ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["trees", "table", "remembered"])
@pytest.mark.parametrize("seed", range(3))
def test_machines_in_all_three_forms(form: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if form != "trees":
        monkeypatch.setattr(decisions, "MAX_TESTS", 0)
    if form == "remembered":
        monkeypatch.setattr(emitter, "TABLED", 0)
    spec = machine(states=6, propositions=5, seed=seed)
    source = compile_scalar(bind(compile_spec(loads(spec)), BOX, ACTIONS)).source
    assert ("l0 +=" in source, "[u0, l0]" in source) == (form != "trees", form == "remembered")
    assert len(set(check(spec, walk(seed, 200)))) > 20


def test_a_machine_of_thirty_propositions_is_a_tree() -> None:
    spec = machine(states=20, propositions=30, seed=1)
    assert "l0" not in compile_scalar(bind(compile_spec(loads(spec)), BOX, ACTIONS)).source
    check(spec, walk(1, 300))


def test_a_large_machine_is_looked_up_and_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emitter.Edges, "LIMIT", 5)
    spec = machine(states=2 * decisions.MAX_STATES, propositions=12, seed=2)
    assert "[u0, l0]" in compile_scalar(bind(compile_spec(loads(spec)), BOX, ACTIONS)).source
    check(spec, walk(2, 300))


def test_a_wrong_tree_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def mirrored(name: str, trees: Sequence[decisions.Tree], *rest: Any) -> list[str]:
        return decisions.trees_lines(name, [_mirrored(tree) for tree in trees], *rest)

    for module, form in ((fused_text, "fused"), (emitter, "pure")):
        monkeypatch.setattr(module, "trees_lines", mirrored)
        with pytest.raises(AssertionError, match=f"{form}, step"):
            check(machine(states=6, propositions=5, seed=0), walk(0, 100))


def _mirrored(tree: decisions.Tree) -> decisions.Tree:
    return decisions.Test(tree.bit, tree.no, tree.yes) if isinstance(tree, decisions.Test) else tree


BY_STATE = """- reward_machine:
    start: q0
    edges:
    - {from: q0, to: q1, when: p, reward: 0.1}
    - {from: q1, to: q0, when: q, reward: %s}
"""
PROPOSITIONS = "propositions: {p: 'next_obs[1] > 0', q: 'next_obs[2] < 0'}\n"
DENSE = ("- -0.1 * abs(next_obs[0])\n", "- 0.3 * next_obs[3] * next_obs[3]\n")


@pytest.mark.parametrize(
    ("terms", "pays_in_leaves"),
    [
        ((BY_STATE % 0.7,), True),
        ((BY_STATE % 0.7, DENSE[0]), True),
        ((DENSE[0], BY_STATE % 0.7), True),
        ((*DENSE, BY_STATE % 0.7), True),
        ((BY_STATE % 0.7, *DENSE), False),  # the sum would be rounded otherwise
        ((DENSE[0], BY_STATE % 1e301), False),  # it might overflow
        ((BY_STATE % 0.7, BY_STATE % -2.0), True),  # one of them
        ((BY_STATE % "'next_obs[3]'",), False),
    ],
)
def test_a_machine_pays_in_its_leaves_where_the_sum_stays_the_same(
    terms: tuple[str, ...], pays_in_leaves: bool
) -> None:
    spec = f"name: leaves\n{PROPOSITIONS}reward:\n{''.join(terms)}"
    layout = bind(compile_spec(loads(spec)), BOX, ACTIONS)
    assert ("paid += 0.1" in fused_source(layout)) == pays_in_leaves
    wrapped = wrap(walk(3, 200), loads(spec))
    wrapped.reset()
    paid = check(spec, walk(3, 200))
    assert [answer(wrapped, 0)[0] for _ in paid] == paid  # to the last bit
    assert sum(wrapped.state[-len(terms) :]) == pytest.approx(sum(paid))


@pytest.mark.parametrize("detail", [False, True])
def test_a_refused_step_leaves_the_state_as_it_was(detail: bool) -> None:
    """Also where a proposition is what fails: 10 ** 400 is a whole number, and too large for a float."""
    spec = f"""
name: refused
propositions: {{p: 'next_obs[1] > 0', q: '0.5 * info.huge > 0'}}
reward:
- 0.3 * next_obs[0]
{BY_STATE % 0.7}"""
    ones = np.ones(4, np.float32)
    steps = [Step(ones, info={"huge": 1}), Step(ones, info={"huge": 10**400})]
    env = wrap(Scripted(ones, steps, BOX), loads(spec), detail=detail)
    env.reset()
    env.step(0)
    before = env.state
    assert before[0] == 1
    with pytest.raises((MismatchError, OverflowError)):
        env.step(0)
    assert env.state == before


@pytest.mark.parametrize(
    ("reward", "asked"),
    [
        ("-0.1 * abs(next_obs[0]) - next_obs[1] * next_obs[1]", "not paid > -1e+300"),
        ("exp(next_obs[0])", "not paid < 1e+300"),
        ("next_obs[0]", "not paid > -1e+300 or not paid < 1e+300"),
        ("1 - abs(next_obs[0])", "not paid > -1e+300 or not paid < 1e+300"),
        ("where(next_obs[1] > 0, 1, 2)", "x3 != x3"),
    ],
)
def test_a_reward_is_asked_for_infinity_where_it_can_be_infinite(reward: str, asked: str) -> None:
    spec = loads(f"name: n\nreward: {reward}")
    source = fused_source(bind(compile_spec(spec), BOX, ACTIONS))
    assert re.search(rf"if (x3 != x3 or )?{re.escape(asked)}.*: _refuse", source)
    for bad in (np.full(4, math.inf), np.full(4, -math.inf), np.full(4, math.nan)):
        env = wrap(Scripted(np.zeros(4), [Step(bad)], BOX), spec)
        env.reset()
        if np.isfinite(expected := float(_paid(spec, bad))) and not np.isnan(bad).any():
            assert env.step(0)[1] == expected
        else:
            with pytest.raises(NonFiniteRewardError):
                env.step(0)


def _paid(spec: Any, obs: Any) -> float:
    """Return what the oracle pays for a first step."""
    program = bind(compile_spec(spec), BOX, ACTIONS).program
    _, (outcome,) = oracle.step(program, oracle.init(program), [Transition(obs, 0, obs)])
    return outcome.reward


def test_formulas_and_folds_step_together() -> None:
    check(
        """
name: together
discount: 0.9
propositions: {a: "next_obs[0] > 0.5", b: "next_obs[1] > 0.5", c: "next_obs[2] > 2.5"}
reward:
- {ltl: F(a & X F b) & G !c, accept: 1, reject: -1, progress: 0.5}
- {once: a, value: 3}
- diff: abs(next_obs[3])
- potential: -abs(obs[0])
- {markov: "where(terminated, 5, 0.5)", weight: 2}
""",
        walk(3, 60),
    )


# -- reading the transition ----------------------------------------------------------------------


def test_a_large_box_is_not_turned_into_a_list() -> None:
    rng = np.random.default_rng(0)
    space = spaces.Box(0, 255, (40, 30, 3), np.uint8)
    frames = rng.integers(0, 255, (13, 40, 30, 3)).astype(np.uint8)
    spec = """
name: frames
propositions:
  bright: mean(next_obs[:, :, 0]) > 126
  corner: next_obs[0, 0, 1] > 100
  row: max(next_obs[3, :5, 2]) > 200
reward:
- reward_machine:
    start: a
    edges:
    - {from: a, to: b, when: bright or row, reward: 1}
    - {from: b, to: a, when: corner, reward: 2}
- markov: mean(next_obs[:, :, 1]) - sum(obs[0, :4, 2]) / 7 + count(next_obs[:, 0, 0] > 30)
"""
    env = Scripted(frames[0], [Step(f) for f in frames[1:]], space)
    source = compile_scalar(bind(compile_spec(loads(spec)), space, ACTIONS)).source
    assert "next_obs.tolist()" not in source
    check(spec, env)


def test_dict_tuple_and_whole_number_spaces() -> None:
    space = spaces.Dict(
        {
            "pose": spaces.Tuple((spaces.Box(-1, 1, (2, 2), np.float64), spaces.Discrete(5))),
            "bits": spaces.MultiBinary(3),
            "kinds": spaces.MultiDiscrete([3, 4]),
            "here": spaces.Box(-1, 1, (), np.float32),
        }
    )
    space.seed(0)
    drawn = [space.sample() for _ in range(20)]
    actions = [np.array([i % 3, i % 2]) for i in range(19)]
    env = Scripted(drawn[0], [Step(o) for o in drawn[1:]], space, spaces.MultiDiscrete([3, 2]))
    check(
        """
name: parts
propositions: {two: "next_obs.pose[1] == 2", bit: "next_obs.bits[1] == 1", some: any(obs.bits == 1)}
reward:
- reward_machine:
    start: a
    edges:
    - {from: a, to: b, when: two or bit, reward: 1}
    - {from: b, to: a, when: some, reward: 2}
- markov: next_obs.pose[0][0, 1] + sum(next_obs.kinds) * next_obs.here - action[0] + obs.pose[1]
""",
        env,
        actions,
    )


@pytest.mark.parametrize("reward", [3, True, np.float32(1.5), np.float64(2.5), np.int64(4), np.array(0.5)])
def test_rewards_of_every_sort_become_floats(reward: Any) -> None:
    env = walk(0, 3)
    env.steps = [Step(s.obs, reward, np.bool_(False)) for s in env.steps]
    paid = check("name: own\npropositions: {high: reward > 1}\nreward:\n- reward\n- {once: high}", env)
    assert paid[0] == float(reward) + (reward > 1)


@pytest.mark.parametrize(
    "value", [1, 2.5, True, np.float64(1.25), np.float32(0.5), np.bool_(True), np.array(3.0)]
)
def test_info_keys_and_their_absence(value: Any) -> None:
    env = walk(0, 4)
    infos: list[dict[str, Any]] = [{"x": value, "p": [7, 8]}, {"x": 0, "y": value, "p": (1, 2)}]
    env.steps = [Step(s.obs, info=infos[i % 2]) for i, s in enumerate(env.steps)]
    check("name: told\nreward: 2 * info.x + default(info.y, -3) + info.p[1] + default(info.q.z, -1)", env)


def test_an_absent_info_key_is_named() -> None:
    env = wrap(walk(0, 2), loads("name: told\nreward: info.speed"))
    env.reset()
    with pytest.raises(MismatchError, match=re.escape("info.speed cannot be read at step 0")):
        env.step(0)


def test_one_observation_buffer_used_again_and_again() -> None:
    spec = "name: moved\ndiscount: 0.9\nreward:\n- markov: next_obs[0] - 10 * obs[0]\n- potential: obs[1]"
    drawn = walk(5)
    env = Scripted(drawn.first, drawn.steps, drawn.observation_space, buffer=True)
    wrapped = wrap(env, loads(spec))
    wrapped.reset()
    fresh = wrap(drawn, loads(spec))
    fresh.reset()
    assert [wrapped.step(0)[1] for _ in drawn.steps] == [fresh.step(0)[1] for _ in drawn.steps]


# -- values that no program can take -------------------------------------------------------------


@pytest.mark.parametrize("detail", [False, True])
@pytest.mark.parametrize("place", range(4))
def test_a_nan_is_refused_wherever_it_is_read(place: int, detail: bool) -> None:
    spec = """
name: four
propositions: {p: "next_obs[0] > 0", q: "next_obs[1] > 0"}
reward:
- reward_machine:
    start: a
    edges:
    - {from: a, to: b, when: p and q, reward: 1}
    - {from: b, to: a, when: not p}
- markov: next_obs[2] + where(next_obs[2] > 1, next_obs[3], 0)
"""
    bad = np.ones(4, np.float32) * 0.5
    bad[place] = np.nan
    good = np.full(4, 0.5, np.float32)
    env = wrap(Scripted(good, [Step(good), Step(bad), Step(good)], BOX), loads(spec), detail=detail)
    env.reset()
    env.step(0)
    before = env.state
    with pytest.raises(NonFiniteRewardError, match=rf"next_obs\[{place}\] is NaN at step 1"):
        env.step(0)
    assert env.state == before  # nothing has moved, and nothing is stuck
    env.reset()
    assert env.step(0)[1] == 1.5


def test_a_nan_that_nobody_reads_and_infinities_pass() -> None:
    odd = np.array([np.inf, -np.inf, np.nan, 1.0], np.float32)
    spec = """
name: odd
propositions: {p: "next_obs[0] > 0", q: "next_obs[1] < 0"}
reward:
- {once: p and q}
- next_obs[3]
"""
    assert check(spec, Scripted(odd, [Step(odd), Step(odd)], BOX)) == [2.0, 1.0]


def test_an_infinite_reward_names_its_term_and_step() -> None:
    zeros, ones = np.zeros(4, np.float32), np.ones(4, np.float32)
    env = wrap(
        Scripted(ones, [Step(ones), Step(zeros)], BOX),
        loads("name: n\nreward:\n- 1\n- markov: log(next_obs[0])\n  name: nearness"),
    )
    env.reset()
    env.step(0)
    with pytest.raises(NonFiniteRewardError, match="the term 'nearness' pays -inf at step 1"):
        env.step(0)


def test_an_error_of_the_environment_is_its_own() -> None:
    env = walk(0, 4)
    env.steps[2] = Step(RuntimeError("the motor is off"))
    wrapped = wrap(env, loads(machine(3, 3, 0)))
    for _ in range(2):
        wrapped.reset()
        wrapped.step(0)
        wrapped.step(0)
        with pytest.raises(RuntimeError, match="the motor is off"):
            wrapped.step(0)


def test_an_observation_of_the_wrong_shape_is_explained() -> None:
    env = wrap(Scripted(np.zeros(4), [Step(np.zeros(2))], BOX), loads("name: n\nreward: next_obs[3]"))
    env.reset()
    with pytest.raises(MismatchError, match="at step 0"):
        env.step(0)


# -- the wrapper around it -----------------------------------------------------------------------


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env)), copy.copy])
@pytest.mark.parametrize("observe", ["none", "onehot"])
def test_a_copy_in_mid_episode_goes_on_alone(copied: Any, observe: Any) -> None:
    spec = machine(6, 4, 3) + "\n- markov: next_obs[0] - obs[0]\n- diff: next_obs[2]\n  weight: 3"
    whole, env = (wrap(walk(7), loads(spec), observe=observe) for _ in range(2))
    whole.reset()
    env.reset()
    for _ in range(10):
        whole.step(0), env.step(0)
    names = list(env.params)
    other = copied(env)
    if other.env is not env.env:  # a shallow copy shares the environment
        env.set_param(names[0], 100.0)
        for _ in range(5):
            env.step(0)
    for _ in range(20):
        left, right = other.step(0), whole.step(0)
        assert left[1:] == right[1:] and np.array_equal(left[0], right[0])
    assert other.state == whole.state


def test_a_subclass_may_override_step() -> None:
    class Doubled(RewardSpecWrapper):
        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            obs, reward, terminated, truncated, info = super().step(action)
            return obs, 2 * reward, terminated, truncated, info

    env = Doubled(walk(0), loads("name: n\nreward: 21"))
    env.reset()
    assert env.step(0)[1] == 42


def test_the_wrapper_steps_the_environment_as_it_is_at_reset() -> None:
    env = walk(0)
    wrapped = wrap(env, loads("name: n\nreward: reward"))
    wrapped.reset()
    step = wrapped.step
    assert step(0)[1] == 0.0
    env.step = lambda action: (env.first, 7.0, False, False, {})  # type: ignore[method-assign]
    wrapped.reset()
    assert step(0)[1] == 7.0  # one function for the wrapper's whole life: who holds it holds the right one


def test_state_can_be_set_and_is_followed() -> None:
    env = wrap(
        walk(0), loads('name: n\npropositions: {p: "next_obs[0] > -100"}\nreward: {once: p}'), observe="none"
    )
    env.reset()
    start = env.state
    assert [env.step(0)[1] for _ in range(2)] == [1.0, 0.0]
    env.state = start
    assert env.step(0)[1] == 1.0


def test_without_terms_machines_or_reading() -> None:
    assert check("name: n\nreward: 2", walk(0, 3)) == [2.0] * 3
    assert math.isclose(sum(check("name: n\nreward:\n- {markov: 2, weight: 0.5}", walk(0, 3))), 3.0)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds.specs(), st.integers(0, 1000))
def test_the_generated_step_is_the_pure_function(data: dict[str, Any], seed: int) -> None:
    """On drawn specs; the pure function is held against the oracle in tests/agreement."""
    layout = bind(compile_spec(from_data(data)), worlds.OBSERVATION, worlds.ACTION)
    rows = [batch.rows()[0] for batch in worlds.batches(seed, 8, 3)]
    script = [Step(t.next_obs, t.reward, t.terminated, t.truncated, dict(t.info or {})) for t in rows]
    env = Scripted(rows[0].obs, script, worlds.OBSERVATION, worlds.ACTION)
    wrapped = wrap(env, layout.program, label=lambda _, t: rows[env.at - 1].label or {}, observe="none")
    wrapped.reset()
    compiled = compile_scalar(layout)
    state, params, obs = compiled.start, [p.initial for p in layout.program.params], rows[0].obs
    for t in rows:
        labels = tuple((t.label or {})[name] for name in layout.labels)
        parts = (obs, t.action, t.next_obs, t.reward, t.terminated, t.truncated, t.info, labels)
        state, paid, ended, cut = compiled.advance(state, *parts, params)
        obs = t.next_obs
        if not math.isfinite(paid):
            with pytest.raises(NonFiniteRewardError):
                wrapped.step(t.action)
            return
        assert answer(wrapped, t.action)[:3] == (paid, ended, cut)
        assert repr(wrapped.state) == repr(state)  # as text: NaN may be remembered, as long as it is not paid


def test_data_and_text_give_the_same_function() -> None:
    spec = machine(4, 4, 9)
    layouts = [
        bind(compile_spec(read), BOX, ACTIONS) for read in (loads(spec), from_data(loads(spec).to_data()))
    ]
    assert len({compile_scalar(layout).source for layout in layouts}) == 1
