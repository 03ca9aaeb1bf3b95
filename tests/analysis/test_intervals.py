"""Interval arithmetic never gives too small an interval: what the oracle computes lies within it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardspec.analysis import intervals
from rewardspec.analysis.intervals import Interval, Ranges, implied
from rewardspec.analysis.subject import inspect
from rewardspec.backends import oracle
from rewardspec.ir import expr as ir
from rewardspec.ir.text import parse_expression
from rewardspec.spec.model import Spec
from rewardspec.transition import Transition
from rewardspec.vocabulary import from_data

LIMITS = {"x": (-2.0, 3.0), "y": (0.5, 4.0), "z": (-1.0, 0.0)}


def expressions() -> st.SearchStrategy[str]:
    leaf = st.sampled_from(["x", "y", "z", "0.5", "-2", "0", "3"])

    def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        two = st.tuples(inner, inner)
        return st.one_of(
            st.builds(
                lambda op, ab: f"({ab[0]} {op} {ab[1]})",
                st.sampled_from(["+", "-", "*", "/", "%", "//"]),
                two,
            ),
            st.builds(lambda a, n: f"({a} ** {n})", inner, st.sampled_from(["2", "3", "0.5", "-1"])),
            st.builds(
                lambda f, a: f"{f}({a})",
                st.sampled_from(
                    ["abs", "tanh", "sigmoid", "log_sigmoid", "exp", "floor", "sign", "sin", "sqrt", "-"]
                ),
                inner,
            ),
            st.builds(lambda f, ab: f"{f}({ab[0]}, {ab[1]})", st.sampled_from(["min", "max"]), two),
            st.builds(
                lambda op, ab, cd: f"({cd[0]} if {ab[0]} {op} {ab[1]} else {cd[1]})",
                st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
                two,
                two,
            ),
            st.builds(
                lambda ab, cd: f"({cd[0]} if abs({ab[0]}) < 1 and not {ab[1]} > 0.2 else {cd[1]})", two, two
            ),
            st.builds(lambda a: f"tolerance({a}, -0.5, 1, margin=2)", inner),
            st.builds(lambda ab: f"sum([{ab[0]}, {ab[1]}])", two),
            st.builds(lambda ab: f"mean([{ab[0]}, {ab[1]}])", two),
        )

    return st.recursive(leaf, grow, max_leaves=8)


def spec_of(text: str) -> Spec:
    signals = {
        name: {"value": f"next_obs[{i}]", "range": list(r)} for i, (name, r) in enumerate(LIMITS.items())
    }
    return from_data({"signals": signals, "reward": [{"markov": text}]})


def value_of(spec: Spec, point: dict[str, float]) -> float:
    program = inspect(spec).program
    row = [point[name] for name in LIMITS]
    transition = Transition(row, 0, row, 0.0, False, False, {})
    _, (outcome,) = oracle.step(program, oracle.init(program), [transition])
    return float(outcome.reward)


points = st.fixed_dictionaries(
    {name: st.one_of(st.sampled_from(r), st.floats(*r, allow_nan=False)) for name, r in LIMITS.items()}
)


@settings(max_examples=400)
@given(expressions(), points)
def test_the_oracles_value_lies_in_the_interval(text: str, point: dict[str, float]) -> None:
    spec = spec_of(text)
    subject = inspect(spec)
    found = subject.ranges.of(subject.paid["reward", 0])
    value = value_of(spec, point)
    slack = 1e-9 * (1 + abs(value)) if math.isfinite(value) else 0.0
    assert math.isnan(value) or found.low - slack <= value <= found.high + slack, (
        f"{value} is outside {found}"
    )


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("x * x", 0, 9),
        ("x - x", 0, 0),
        ("x ** 2 - y", -4, 8.5),
        ("1 / y", 0.25, 2),
        ("tolerance(x, 0, 1, margin=0.5)", 0, 1),
        ('tolerance(next_obs[9], 0, 1, margin=0.5, sigmoid="hyperbolic")', 0, 1),
        ("x if x > 0 else 0", 0, 3),
        ("abs(x) if abs(x) < 1 else 0", 0, 1),
        ("clip(next_obs[7], -1, 1)", -1, 1),
        ("x > 5", 0, 0),
        ("exp(z)", math.exp(-1), 1),
    ],
)
def test_intervals_are_as_small_as_worked_out_by_hand(text: str, low: float, high: float) -> None:
    subject = inspect(spec_of(text))
    found = subject.ranges.of(subject.paid["reward", 0])
    assert (found.low, found.high) == pytest.approx((low, high))


def test_a_range_declared_for_the_next_observation_holds_for_the_present_one() -> None:
    spec = from_data(
        {
            "discount": 0.5,
            "signals": {"x": {"value": "obs[0]", "range": [0, 1]}},
            "reward": [{"potential": "x"}],
        }
    )
    subject = inspect(spec)
    assert subject.ranges.of(subject.paid["reward", 0]) == Interval(-1.0, 0.5)


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        ("n + 1", (0.0, math.inf)),
        ("min(n + 1, 3)", (0.0, 3.0)),
        ("-n", (0.0, 0.0)),
        ("0.5 * n + 1", (0.0, math.inf)),
    ],
)
def test_a_memory_that_grows_is_unbounded_on_the_side_on_which_it_grows(
    update: str, expected: tuple[float, float]
) -> None:
    edges = [{"from": "a", "when": "go", "count": {"n": update}, "reward": "n"}]
    machine = {"start": "a", "edges": edges, "counters": {"n": 0}}
    spec = from_data({"propositions": {"go": "info.go"}, "reward": [{"reward_machine": machine}]})
    subject = inspect(spec)
    found = subject.ranges.of(ir.Memory("reward_machine.n"))
    assert (found.low, found.high) == expected


def test_what_a_condition_implies() -> None:
    x = ir.Field("reward")
    condition = parse_expression("abs(reward) <= 2 and not reward > 1", {})
    assert implied(condition)[x] == Interval(-2.0, 1.0)
    assert x not in implied(condition, holds=False)
    strict = implied(parse_expression("reward > 0", {}))[x]
    assert 0 < strict.low < 1e-300  # off its bound


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("_times", lambda a, b: abs(a * b) if math.isfinite(a * b) else 0.0),
        ("_divide", lambda a, b: a),
        ("_power", lambda a, b: a),
        ("_call", lambda name, x: x),
        ("_compare", lambda op, a, b: Interval(1.0, 1.0)),
        ("_combine", lambda op, parts: parts[0]),
    ],
)
def test_a_planted_error_is_seen(name: str, wrong: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every rule of the arithmetic matters to the values above."""
    texts = ["x * y", "y / x", "x ** 2", "abs(z)", "1 if x > 0 else 2", "min(z, x)"]

    def sound() -> bool:
        for text in texts:
            spec = spec_of(text)
            subject = inspect(spec)
            found = Ranges(subject.program, subject.declared).of(subject.paid["reward", 0])
            for x in (-2.0, 0.5, 3.0):
                value = value_of(spec, {"x": x, "y": 0.5, "z": -1.0})
                if not found.low - 1e-9 <= value <= found.high + 1e-9:
                    return False
        return True

    assert sound()
    monkeypatch.setattr(intervals, name, wrong)
    assert not sound()
