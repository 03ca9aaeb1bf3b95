"""The generated functions: what their text may hold, whatever a user wrote."""

from __future__ import annotations

import ast
import builtins
import re

import numpy as np
import pytest
from gymnasium import spaces

from rewardspec.backends import scalar
from rewardspec.backends.arithmetic import HELPERS
from rewardspec.backends.scalar import compile_scalar, fused_source
from rewardspec.compiler import compile_spec
from rewardspec.ir.layout import Layout, bind
from rewardspec.vocabulary import loads
from tests.backends.scripted import (
    ACTIONS,
    BOX,
    check,
    walk,
)

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
