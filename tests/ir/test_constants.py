"""Tables that are worked out while compiling have the values that the oracle gives."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rewardspec.backends import oracle
from rewardspec.ir import expr as ir
from rewardspec.ir.constants import table_of
from rewardspec.ir.program import Program, Term
from rewardspec.ir.text import parse_expression
from rewardspec.transition import Transition

NAMES = {name: ir.Field("info", (name,)) for name in ("i", "x")}
TEXTS = [
    "1",
    "i / x + 2 ** i - x",
    "i // 2 + i % 3",
    "-x % 2",
    "1 if x > 0 and not i == 1 else 0.5",
    "min(i, x) * max(i, 1, x)",
    "clip(x, -1, 1)",
    "(i < 2) + (x <= 0) * (i >= 1) + (i != x)",
    "i > 1 or x < 0",
    *(f"{name}(x)" for name in ir.FUNCTIONS),
    "log(i - 1)",
]


@pytest.mark.parametrize("text", TEXTS)
def test_tables_are_the_oracles_values(text: str) -> None:
    expr = parse_expression(text, NAMES)
    columns = {"i": np.arange(6.0), "x": np.array([-2.5, -0.5, 0.0, 0.25, 1.0, 3.0])}
    program = Program("", None, (), (), (), (), (Term("", "", expr),), ())
    found = table_of(expr, columns, 6)
    for row in range(6):
        info = {name: float(column[row]) for name, column in columns.items()}
        _, (outcome,) = oracle.step(
            program, oracle.init(program), [Transition(None, None, None, 0.0, False, False, info)]
        )
        expected = outcome.terms[0]
        assert found[row] == pytest.approx(expected, abs=1e-12) or (
            math.isnan(expected) and math.isnan(found[row])
        )


@pytest.mark.parametrize("expr", [ir.Field("obs"), ir.Vector((ir.ONE,)), ir.Field("info", ("y",))])
def test_what_is_no_number_is_refused(expr: ir.Expr) -> None:
    with pytest.raises(ValueError, match="reads nothing of a step"):
        table_of(expr, {"x": np.zeros(2)}, 2)
