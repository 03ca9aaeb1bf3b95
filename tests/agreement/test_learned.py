"""A model that says a known formula is paid as the formula would be, on every way through the learner's split.

A learned kind cannot be drawn among the others: what it pays is nobody's to foretell. So a term is drawn twice: around
a model that sees two expressions and says 0.5 x - 0.25 y of them, and around that formula as a `markov` term, which the
oracle pays. What models see and what a ranking compares must be what the oracle says, too.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from rewardspec.backends import oracle
from rewardspec.backends.array import compile_array
from rewardspec.backends.scalar import compile_scalar
from rewardspec.compiler import compile_spec
from rewardspec.ir import expr as ir
from rewardspec.ir.layout import Layout, bind
from rewardspec.ir.program import Program
from rewardspec.learning import features
from rewardspec.transition import Outcome
from rewardspec.vocabulary import from_data
from tests.agreement import worlds
from tests.agreement.agreement import (
    BATCH,
    STEPS,
    DisagreementError,
    _as_tensors,
    convert_transition,
    same,
)
from tests.agreement.worlds import CONDITIONS, EXPRESSIONS, NUMBERS, POSITIVE, SCHEDULES, TERMS

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0")) or 40

PLACE = {"markov": "here"}
"""Where in a drawn term the model, or the formula, is put."""


def around(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw operators that may stand around a learned term: those that remember nothing."""
    others = st.lists(TERMS, max_size=2)
    return st.one_of(
        st.builds(
            lambda op, t, rest: {op: [t, *rest]},
            st.sampled_from(["sum", "product", "min", "max"]),
            inner,
            others,
        ),
        st.builds(lambda t, a, b: {"affine": {"of": t, "scale": a, "shift": b}}, inner, NUMBERS, NUMBERS),
        st.builds(
            lambda t, a, b: {"clip": {"of": t, "low": min(a, b), "high": max(a, b)}}, inner, NUMBERS, NUMBERS
        ),
        st.builds(
            lambda op, t, a: {op: {"of": t, "slope": a}},
            st.sampled_from(["sigmoid", "tanh"]),
            inner,
            POSITIVE,
        ),
        st.builds(lambda t, c: {"gate": {"of": t, "when": c}}, inner, CONDITIONS),
    )


def put(term: Any, what: dict[str, Any]) -> Any:
    """Return a drawn term with something in the place that is left for it."""
    if term == PLACE:
        return copy.deepcopy(what)
    if isinstance(term, dict):
        return {key: put(value, what) for key, value in term.items()}
    return [put(each, what) for each in term] if isinstance(term, list) else term


@st.composite
def pairs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw a spec with a learned term, and one with what its model says, and sees, written out."""
    data = draw(worlds.specs())
    x, y, compared = (draw(EXPRESSIONS) for _ in range(3))
    shape = draw(st.recursive(st.just(PLACE), around, max_leaves=3))
    weight = {"weight": draw(SCHEDULES)} if draw(st.booleans()) else {}
    heron = {"heron": {"factors": [{"name": "compared", "value": compared}], "inputs": [x, y]}}
    formula = {"markov": f"0.5 * ({x}) - 0.25 * ({y})"}
    drawn, (taught, written) = (
        data["reward"],
        ({**put(shape, what), **weight, "name": "taught"} for what in (heron, formula)),
    )
    seen = [{"markov": f"0 + ({text})", "name": f"seen_{i}"} for i, text in enumerate((x, y, compared))]
    return {**data, "reward": [taught, *drawn]}, {**data, "reward": [written, *drawn, *seen]}


def check(learned: dict[str, Any], written: dict[str, Any], trace: int) -> None:
    """Raise when what goes through the split is not what the oracle pays."""
    layouts = [
        bind(compile_spec(from_data(data)), worlds.OBSERVATION, worlds.ACTION) for data in (learned, written)
    ]
    found, reference = features.split(layouts[0]), layouts[1]
    steps = worlds.batches(trace, STEPS, BATCH)
    check_single(found, reference, steps)
    check_batch(found, reference, steps, "numpy")
    check_batch(found, reference, steps, "torch")


def says(found: features.Split, rows: Any) -> dict[str, Any]:
    """Return what the model says of features: `[F]` or `[N, F]`."""
    (columns,) = found.columns
    x, y = (rows[..., columns.inputs.start + i] for i in range(2))
    return {columns.learned.name: 0.5 * x - 0.25 * y}


def expect(
    where: str, found: features.Split, got: Any, paid: float, wanted: dict[str, float], tolerance: float
) -> None:
    """Compare known terms and features, and what the learned term pays, with what the oracle says by name."""
    known = len(found.known)
    for name, value in zip(found.known, got[:known], strict=True):
        same(f"{where}, {name}", value, wanted[name], tolerance)
    for i in range(3):
        same(f"{where}, feature {i}", got[known + i], wanted[f"seen_{i}"], tolerance)
    same(f"{where}, what is paid", paid, wanted["taught"], tolerance)


def by_name(program: Program, outcome: Outcome) -> dict[str, float]:
    """Return what each term pays."""
    return dict(zip((term.name for term in program.terms), outcome.terms, strict=True))


def check_single(found: features.Split, reference: Layout, steps: list[worlds.Batch]) -> None:
    compiled, program = compile_scalar(found.layout), reference.program
    params = [p.initial for p in found.layout.program.params]
    for b in range(BATCH):
        state, memory = compiled.start, oracle.init(program)
        for t, step in enumerate(steps):
            row = step.rows()[b]
            labels = tuple(row.label[name] for name in found.layout.labels)
            memory, (expected,) = oracle.step(program, memory, [row])
            state, _, terminated, truncated, terms = compiled.advance_terms(
                state, row.obs, row.action, row.next_obs, row.reward, row.terminated, row.truncated, row.info,
                labels, params,
            )  # fmt: skip
            rows = np.array(terms[len(found.known) :], np.float64)
            paid = found.pay_one(rows.tolist(), says(found, rows), params)[0]
            expect(f"single, step {t}", found, terms, paid, by_name(program, expected), 1e-9)
            if (terminated, truncated) != (expected.terminated, expected.truncated):
                raise DisagreementError(f"single, step {t}: ends otherwise")
            if terminated or truncated:
                state, memory = compiled.reset(state), oracle.reset(program, memory)


def check_batch(found: features.Split, reference: Layout, steps: list[worlds.Batch], library: Any) -> None:
    compiled = compile_array(found.layout, BATCH, library, dtype="float64")
    program, known = reference.program, len(found.known)
    convert: Callable[[Any], Any] = _as_tensors if library == "torch" else lambda x: x
    joins = any(isinstance(n, ir.Reduce) and n.axis == "B" for r in program.roots() for n in ir.walk(r))
    tolerance = 1e-7 if joins else 1e-9
    params = {p.name: p.initial for p in found.layout.program.params}
    state, memory = compiled.init(), oracle.init(program, BATCH)
    for t, step in enumerate(steps):
        memory, expected = oracle.step(program, memory, step.rows())
        state, got = compiled.step(state, convert_transition(step.transition, convert))
        terms = np.stack([np.broadcast_to(np.asarray(term, np.float64), BATCH) for term in got.terms])
        rows = terms[known:].T
        if library == "numpy":
            paid = found.pay(rows, says(found, rows), params)[0]
        else:
            tensors = {p: _as_tensors(np.float64(value)) for p, value in params.items()}
            given = _as_tensors(rows)
            paid = found.pay_tensor(given, says(found, given), tensors)[0]
        for b in range(BATCH):
            where = f"{library}, step {t}, environment {b}"
            wanted = by_name(program, expected[b])
            expect(where, found, terms[:, b], float(paid[b]), wanted, tolerance)
        over = np.array([bool(each.terminated or each.truncated) for each in expected])
        memory, state = oracle.reset(program, memory, list(over)), compiled.reset(state, convert(over))


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@seed(int(os.environ.get("FUZZ_SEED", "0")))
@given(pairs(), st.integers(0, 10**6))
def test_what_a_model_says_is_paid_as_the_formula_that_it_says(
    pair: tuple[dict[str, Any], dict[str, Any]], trace: int
) -> None:
    check(*pair, trace)


def test_a_split_that_hands_numbers_on_in_another_order_is_found() -> None:
    honest = features.split

    def swapped(layout: Layout) -> features.Split:
        found = honest(layout)
        return features.replace(found, carried=found.carried[::-1])

    spec = {"name": "one", "reward": [{"markov": "reward"}]}
    term = {"sum": [PLACE, {"markov": "next_obs.x[0]"}, {"product": [PLACE, {"markov": "obs.x[1]"}]}]}
    # One model at two places is two models: the second place holds a number that is known.
    term["sum"][2]["product"][0] = {"affine": {"of": {"markov": "action[0]"}, "scale": 2.0}}
    shape = {"product": [term, {"markov": "obs.x[2]"}]}
    heron = {
        "heron": {"factors": [{"name": "compared", "value": "reward"}], "inputs": ["reward", "obs.x[3]"]}
    }
    formula = {"markov": "0.5 * reward - 0.25 * obs.x[3]"}
    seen = [{"markov": text, "name": f"seen_{i}"} for i, text in enumerate(("reward", "obs.x[3]", "reward"))]
    pair = (
        {**spec, "reward": [{**put(shape, heron), "name": "taught"}]},
        {**spec, "reward": [{**put(shape, formula), "name": "taught"}, *seen]},
    )
    check(*pair, 0)
    with mock.patch.object(features, "split", swapped), pytest.raises(DisagreementError):
        check(*pair, 0)
