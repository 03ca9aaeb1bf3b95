"""The generated functions: what their text may hold, whatever a user wrote."""

from __future__ import annotations

import ast
import builtins
import re
from typing import Literal

import numpy as np
import pytest
from gymnasium import spaces

from rewardspec.backends import oracle, scalar
from rewardspec.backends.arithmetic import HELPERS
from rewardspec.backends.python_text import folds_that_are, is_float, never_nan
from rewardspec.backends.scalar import compile_scalar, fused_source
from rewardspec.compiler import compile_spec
from rewardspec.errors import NonFiniteRewardError
from rewardspec.ir import expr as ir
from rewardspec.ir.layout import Layout, bind
from rewardspec.ir.program import Fold, Program, Term
from rewardspec.vocabulary import loads
from rewardspec.wrappers.single import wrap
from tests.backends.scripted import ACTIONS, BOX, Scripted, Step, check, transitions, walk

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
    hooks = frozenset({"explain", "report", "remember", "extend"})
    for reads in ("read_labels", "read_ready"):
        assert_harmless(fused_source(layout, hooks | {reads}))
    assert_harmless(compile_scalar(layout).source)
    step = ({key: np.array(0.5)}, 0.0, False, False, {key: [3.0]}, (), [2.0])
    state, paid, *_ = compile_scalar(layout).advance(compile_scalar(layout).start, None, 0, *step)
    assert (state[0], paid) == (1, 1.0 + 2.0 * 3.5)


def assert_harmless(source: str) -> None:
    """Every name is generated or one of ours, every constant a number; nothing is imported, nothing is text."""
    ours = {
        *HELPERS, *scalar.PARTS.split(", "), "state", "obs", "labels", "params", "future", "steps", "paid", "c", "u",
        "_", "env_step", "step", "begin", "read", "new_env_step", "new_steps", "new_obs", "error", "Exception",
        "float", "int", "bool", "read_labels", "read_ready", "remember", "extend", "explain", "report", "fused",
        "advance",
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


def _remembering(folds: dict[str, tuple[float, ir.Expr]], pays: ir.Expr) -> Program:
    """A program of folds, each its start and its update, and one term."""
    return Program(
        name="remembering",
        discount=None,
        propositions=(),
        machines=(),
        folds=tuple(Fold(name, start, update) for name, (start, update) in folds.items()),
        params=(),
        terms=(Term("pays", "pays", pays),),
        ends=(),
    )


def _pays_as_the_oracle(program: Program, env: Scripted) -> str:
    """Hold the fused step against the oracle; return its text."""
    wrapped = wrap(Scripted(env.first, env.steps, env.observation_space), program, observe="none")
    wrapped.reset()
    state = oracle.init(program)
    for transition in transitions(env, [0] * len(env.steps)):
        state, (outcome,) = oracle.step(program, state, [transition])
        assert wrapped.step(0)[1] == outcome.reward
        assert wrapped.state[:-1] == pytest.approx(tuple(state.folds[0].values()), nan_ok=True)
    return fused_source(wrapped.layout)


X, Y = ir.Field("next_obs", ((0,),)), ir.Field("next_obs", ((1,),))


def _is_above(value: ir.Expr) -> ir.Expr:
    return ir.Where(ir.Compare("gt", value, ir.Const(0.2)), ir.Const(1.0), ir.ZERO)


@pytest.mark.parametrize("starts", [(0.0, 1.0, 2.0), (float("nan"), 1.0, 2.0)])
@pytest.mark.parametrize("x", [X, ir.Call("log", (X,)), ir.Binary("mul", X, ir.Call("sqrt", (Y,)))])
@pytest.mark.parametrize("op", ["min", "max"])
def test_an_extreme_asks_for_nan_where_there_may_be_one(
    op: Literal["min", "max"], x: ir.Expr, starts: tuple[float, ...]
) -> None:
    late, later = ir.Memory("late"), ir.Memory("later")
    extreme = ir.Combine(op, (Y, ir.Combine(op, (x, later))))
    source = _pays_as_the_oracle(
        _remembering(
            {"late": (starts[0], x), "later": (starts[1], late), "last": (starts[2], extreme)},
            ir.Binary("add", _is_above(extreme), _is_above(ir.Combine(op, (Y, ir.Memory("last"))))),
        ),
        walk(0),
    )
    asked = re.findall(r" or (\w+) != \1", source.split("_refuse")[0].split("if x")[0])
    assert (not asked) == (x == X and starts[0] == 0.0)


def test_memories_move_on_all_at_once() -> None:
    ring = {"a": (1.0, ir.Memory("b")), "b": (2.0, ir.Memory("c")), "c": (3.0, ir.Memory("a"))}
    chain = {
        "d": (0.0, X),
        "e": (0.0, ir.Memory("d")),
        "g": (0.0, ir.Memory("e")),
        "h": (0.0, ir.Memory("a")),
    }
    read = [ir.Binary("mul", ir.Const(10.0**i), ir.Memory(name)) for i, name in enumerate([*ring, *chain])]
    for folds in ({**ring, **chain}, dict(reversed({**ring, **chain}.items()))):
        _pays_as_the_oracle(_remembering(folds, ir.Combine("sum", tuple(read))), walk(1))


def test_a_property_of_memories_lasts_where_all_that_they_read_keep_it() -> None:
    program = _remembering(
        {
            "kept": (0.0, ir.Combine("max", (ir.Memory("kept"), X))),
            "begins": (float("nan"), X),
            "reads": (0.0, ir.Memory("begins")),
            "told": (0.0, ir.Memory("reads", after=True)),
            "odd": (0.0, ir.Call("log", (X,))),
        },
        X,
    )
    assert folds_that_are(program, never_nan) == {"kept"}
    assert folds_that_are(program, is_float) == {"odd"}


@pytest.mark.parametrize(
    ("expr", "never"),
    [
        (ir.Binary("add", X, ir.Const(1.0)), True),
        (ir.Binary("sub", ir.Const(1.0), X), True),
        (ir.Binary("sub", X, ir.Const(float("inf"))), False),
        (ir.Binary("add", X, Y), False),
        (ir.Binary("mul", X, ir.Const(-2.0)), True),
        (ir.Binary("mul", X, ir.ZERO), False),
        (ir.Binary("div", X, ir.Const(4.0)), True),
        (ir.Binary("div", X, ir.ZERO), False),
        (ir.Where(ir.Compare("ge", X, Y), X, ir.Call("log", (Y,))), False),
        (ir.Combine("sum", (X, Y)), False),
        (ir.Field("future", ("return",)), False),
    ],
)
def test_what_is_no_nan_where_nothing_read_is(expr: ir.Expr, never: bool) -> None:
    assert never_nan(expr) == never


def test_a_nan_is_refused_where_an_extreme_no_longer_asks_for_it() -> None:
    for op, other in (("max", 9.0), ("min", -9.0)):
        nan = Step(np.array([np.nan, other, 0, 0], np.float32))
        env = wrap(
            Scripted(np.zeros(4, np.float32), [nan], BOX),
            loads(f"name: n\nreward: 1 if {op}(next_obs[1], next_obs[0]) > 0 else 0"),
        )
        env.reset()
        with pytest.raises(NonFiniteRewardError):
            env.step(0)
