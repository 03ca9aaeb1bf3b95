"""Hypothesis strategies for specs that compile, and for transitions that they can be run on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from hypothesis import strategies as st

from rewardspec.transition import Transition

OBSERVATION = spaces.Dict(
    {
        "x": spaces.Box(-3, 3, (4,), np.float64),
        "far": spaces.Box(-3, 3, (5, 8, 8), np.float64),
        "n": spaces.Discrete(4),
    }
)
ACTION = spaces.Box(-1, 1, (2,), np.float64)
PROPOSITIONS = ("a", "b", "c", "d")

VALUES = (-2.5, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 2.0, 3.0)
"""Values that transitions hold: few, so that comparisons hold with equality now and then."""

NUMBERS = st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.1, 0.5, 1.0, 2.0, 3.0])
POSITIVE = st.sampled_from([0.1, 0.5, 1.0, 2.0])

SCALARS = st.sampled_from(
    [
        "next_obs.x[0]",
        "obs.x[1]",
        "next_obs.x[-1]",
        "action[0]",
        "reward",
        "next_obs.n",
        "info.k",
        "s",
        "t",
        "default(info.gone, 0.5)",
        "next_obs.far[0, 1, 2]",
        "a",
        "b",
        "0.5",
        "-1",
        "2",
        "next_obs.x[::-1][0]",
        "sum(next_obs.x[::-1] * [1, 2, 3, 4])",
        "log(obs.x[2])",
        "sqrt(next_obs.x[2])",
        "sign(sqrt(obs.x[3]))",
    ]
)
VECTORS = st.sampled_from(
    [
        "next_obs.x",
        "obs.x",
        "next_obs.x[::-1]",
        "next_obs.far[0:1, 0:2, 0:2]",
        "action",
        "[1, -2, 0.5, 0]",
        "next_obs.far[1]",
        "next_obs.far",
    ]
)
UNARY = st.sampled_from(
    [
        "abs({})",
        "sign({})",
        "floor({})",
        "ceil({})",
        "exp({})",
        "log({})",
        "sqrt({})",
        "tanh({})",
        "sigmoid({})",
        "log_sigmoid({})",
        "sin({})",
        "cos({})",
        "arctanh({})",
        "-{}",
        "tolerance({}, -1, 1, margin=0.5)",
        "tolerance({}, 0, 1, margin=2, sigmoid='linear')",
        "clip({}, -1, 1.5)",
    ]
)
BINARY = st.sampled_from(
    [
        "({} + {})",
        "({} - {})",
        "({} * {})",
        "({} / {})",
        "({} // {})",
        "({} % {})",
        "({} ** {})",
        "min({}, {})",
        "max({}, {})",
    ]
)
REDUCE = st.sampled_from(
    [
        "sum({})",
        "mean({})",
        "min({})",
        "max({})",
        "any({} > 0)",
        "all({} <= 0.5)",
        "count({} == 1)",
        "norm({})",
        "sum(abs({}))",
        "max({} * 0.5 + 1)",
        "sum(where({} > 0, 1, s))",
        "mean(tanh({}))",
        "min(max({}, 0.25))",
    ]
)


def _fill(template: str, *parts: str) -> str:
    return template.format(*(f"({p})" if " " in p and not p.startswith("(") else p for p in parts))


EXPRESSIONS = st.recursive(
    SCALARS | st.builds(_fill, REDUCE, VECTORS),
    lambda inner: st.one_of(
        st.builds(_fill, UNARY, inner),
        st.builds(_fill, BINARY, inner, inner),
        st.builds(lambda c, x, y: f"where({c}, {x}, {y})", st.deferred(lambda: CONDITIONS), inner, inner),
    ),
    max_leaves=5,
)
CONDITIONS = st.recursive(
    st.one_of(
        st.sampled_from(["a", "b", "c", "d", "terminated", "truncated", "info.flag", "true"]),
        st.builds(
            lambda x, op, y: f"({x}) {op} ({y})",
            SCALARS,
            st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
            SCALARS,
        ),
    ),
    lambda inner: st.one_of(
        st.builds(lambda x: f"not ({x})", inner),
        st.builds(lambda x, op, y: f"(({x}) {op} ({y}))", inner, st.sampled_from(["and", "or"]), inner),
    ),
    max_leaves=3,
)
GUARDS = st.sampled_from(
    [
        "a",
        "not a",
        "a and b",
        "a or c",
        "a xor d",
        "not (a and b)",
        "a implies c",
        "true",
        "b and not c and d",
    ]
)
FORMULAS = st.sampled_from(
    [
        "F a",
        "G !c",
        "F(a & X F b)",
        "a U b",
        "F a & F b & G !c",
        "(F a) | (F b)",
        "F(a & b) & G(c -> X d)",
        "G(a -> X b)",
        "X a",
        "WX a",
        "a R b",
        "F G a",
        "G F a",
        "F a & F b & F c & F d",
        "!c U (a & !c & X(!c U b))",
        "false",
        "true",
    ]
)
INFINITE = st.sampled_from(["G F a & G F b", "G !c", "F a & G !c & G F b", "G(a -> F b)", "F a"])
PARITY = INFINITE | st.sampled_from(["F G a", "G F a -> G F b", "(F G a | G F b) & G !c", "F G a & G F b"])
"""Some have no deterministic Buechi automaton; then `parity` is the scheme, named or not."""
INTERVALS = st.sampled_from(["[0, 0]", "[0, 1]", "[1, 3]", "[2, 2]", "[0, 5]"])
SIGNAL_FORMULAS = st.recursive(
    CONDITIONS.map(lambda c: f"({c})"),
    lambda inner: st.one_of(
        st.builds(lambda op, i, p: f"{op}{i}({p})", st.sampled_from(["G", "F"]), INTERVALS, inner),
        st.builds(lambda i, p, q: f"U{i}({p}, {q})", INTERVALS, inner, inner),
        st.builds(lambda p, op, q: f"({p} {op} {q})", inner, st.sampled_from(["and", "or"]), inner),
        inner.map(lambda p: f"(not {p})"),
    ),
    max_leaves=3,
)
"""Formulas of signal temporal logic."""


@st.composite
def machines(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a reward machine whose guards exclude each other: one proposition splits each state's edges."""
    states = [f"q{i}" for i in range(draw(st.integers(1, 4)))]
    edges = []
    for state in states:
        split = draw(st.sampled_from(PROPOSITIONS))
        for guard in draw(st.lists(st.sampled_from([split, f"not {split}"]), unique=True, max_size=2)):
            extra = draw(
                st.sampled_from(["", " and many", *(f" and {p}" for p in PROPOSITIONS if p != split)])
            )
            edge = {
                "from": state,
                "to": draw(st.sampled_from([*states, "over"])),
                "when": guard + extra,
                "reward": draw(st.one_of(NUMBERS, EXPRESSIONS)),
            }
            if draw(st.booleans()):
                edge["count"] = {"n": draw(st.sampled_from(["n + 1", "0", "n + next_obs.x[0]"]))}
            edges.append(edge)
    if not any(edge["from"] == "q0" for edge in edges):
        edges.append({"from": "q0", "to": states[-1], "when": draw(GUARDS)})
    body: dict[str, Any] = {
        "start": "q0",
        "edges": edges,
        "counters": {"n": 0},
        "propositions": {"many": "n >= 2"},
    }
    if any(edge["to"] == "over" for edge in edges) and draw(st.booleans()):
        body["terminal"] = "over"
    return body


SCHEDULES = st.one_of(
    NUMBERS,
    st.builds(
        lambda a, b, n: {"linear": {"from": a, "to": b, "over": n}}, NUMBERS, NUMBERS, st.integers(1, 9)
    ),
    st.builds(lambda a, n: {"exponential": {"from": a, "half_life": n}}, NUMBERS, st.integers(1, 9)),
    st.builds(lambda a, b, c: {"piecewise": [[0, a], [3, b], [7, c]]}, NUMBERS, NUMBERS, NUMBERS),
    st.builds(
        lambda a, b: {
            "performance": {"from": a, "to": b, "low": -1, "high": 2, "window": 2, "measure": "next_obs.x[0]"}
        },
        NUMBERS,
        NUMBERS,
    ),
)


SET_FUNCTIONS = st.sampled_from(
    [
        {"coverage": {"radius": 1, "metric": "diamond", "weight": "1 + i"}},
        {"facility": {"reach": 2}},
        {"collection": {"map": ["ab", "a.", "bb"], "caps": {"a": 1, "b": 2}}},
        {"information": {"lengthscale": 2, "noise": 0.5, "horizon": 3}},
        {
            "own": {
                "memory": {"top": "max(top, x)", "left": "max(left, 1 - y)"},
                "value": "min(top + left, 3)",
            }
        },
    ]
)


def _leaf_terms() -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.builds(lambda e: {"markov": e}, EXPRESSIONS),
        st.builds(lambda m: {"reward_machine": m}, machines()),
        st.builds(
            lambda f, pay, r, p: {"ltl": f, "pay": pay, "reject": r, "progress": p},
            FORMULAS,
            st.sampled_from(["first", "for_good", "end"]),
            NUMBERS,
            st.sampled_from([0, 0.5]),
        ),
        st.builds(
            lambda f, s, r: {"ltl": f, "semantics": "infinite", "scheme": s, "reject": r},
            INFINITE,
            st.sampled_from(["frontier", "every_visit"]),
            NUMBERS,
        ),
        st.builds(
            lambda f, s, r: {"ltl": f, "semantics": "infinite", "reject": r, **s},
            PARITY,
            st.sampled_from([{"scheme": "parity"}, {"scheme": "parity", "accept": 0.5, "progress": 0.5}, {}]),
            NUMBERS,
        ),
        st.builds(
            lambda e: {"potential": e},
            st.sampled_from(["-norm(obs.x)", "obs.x[0] * 2", "obs.n", "-abs(obs.far[0,0,0])"]),
        ),
        st.builds(lambda f: {"stl": f}, SIGNAL_FORMULAS),
        st.builds(lambda c, v: {"once": c, "value": v}, CONDITIONS, EXPRESSIONS),
        st.builds(
            lambda told, bonus, form: {
                "subgoals": {
                    "subgoals": [f"reach {i}" for i, _ in enumerate(told)],
                    "judge": {"oracle": told},
                    "bonus": bonus,
                    **form,
                }
            },
            st.lists(CONDITIONS, min_size=1, max_size=3),
            NUMBERS,
            st.sampled_from([{}, {"repeat": "always"}, {"shaping": "potential"}]),
        ),
        st.builds(
            lambda f, at, start, pay: {
                "submodular": {
                    **f,
                    "cells": {"of": at, "counts": [3, 2], "low": [-3, -1], "size": 2, "start": start},
                },
                "pay": pay,
            },
            SET_FUNCTIONS,
            st.sampled_from(["next_obs.x[0:2]", "[next_obs.x[3], info.k]"]),
            st.booleans(),
            st.sampled_from(["gain", "alone"]),
        ),
        st.builds(
            lambda c, h, v: {"end": {"when": c, "how": h, "value": v}},
            CONDITIONS,
            st.sampled_from(["terminated", "truncated"]),
            NUMBERS,
        ),
    )


def _operator_terms(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    several = st.lists(inner, min_size=1, max_size=3)
    timing = st.sampled_from(
        [
            {},
            {"known": "ever", "timing": "escrow"},
            {"known": "end", "timing": "escrow"},
            {"known": "end", "timing": "increment"},
            {"known": "ever", "timing": "increment"},
        ]
    )
    return st.one_of(
        st.builds(lambda op, ts: {op: ts}, st.sampled_from(["sum", "product", "min", "max"]), several),
        st.builds(
            lambda ts, n: {"lexicographic": {"terms": ts, "range": [-1, 1], "levels": n}},
            several,
            st.integers(2, 9),
        ),
        st.builds(lambda t, a, b: {"affine": {"of": t, "scale": a, "shift": b}}, inner, NUMBERS, NUMBERS),
        st.builds(
            lambda t, a, b: {"clip": {"of": t, "low": min(a, b), "high": max(a, b)}}, inner, NUMBERS, NUMBERS
        ),
        st.builds(lambda t, a: {"clip": {"of": t, "low": a}}, inner, NUMBERS),
        st.builds(
            lambda op, t, a, b: {op: {"of": t, "slope": a, "centre": b}},
            st.sampled_from(["sigmoid", "tanh", "log_sigmoid"]),
            inner,
            POSITIVE,
            NUMBERS,
        ),
        st.builds(
            lambda t, a, b, c: {"threshold": {"of": t, "at": a, "above": b, "below": c}},
            inner,
            NUMBERS,
            NUMBERS,
            NUMBERS,
        ),
        st.builds(
            lambda t, d, s: {"diff": {"of": t, "discounted": d, "start": s}},
            inner,
            st.booleans(),
            st.none() | NUMBERS,
        ),
        st.builds(lambda t, c, how: {"gate": {"of": t, "when": c, **how}}, inner, CONDITIONS, timing),
        st.builds(lambda t, a, b: {"normalise": {"of": t, "mean": a, "std": b}}, inner, NUMBERS, POSITIVE),
        st.builds(
            lambda t, c, n: {"normalise": {"of": t, "centre": c, "freeze_after": n}},
            inner,
            st.booleans(),
            st.none() | st.integers(1, 20),
        ),
        st.builds(
            lambda t, f: {"discount_by_count": {"of": t, "factor": f}},
            inner,
            st.sampled_from([0.5, 0.9, 1.0]),
        ),
        st.builds(
            lambda t, c, p: {"discount_by_count": {"of": t, "when": c, "power": p}},
            inner,
            CONDITIONS,
            POSITIVE,
        ),
    )


TERMS = st.recursive(_leaf_terms(), _operator_terms, max_leaves=4)


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a whole spec as plain data."""
    terms = draw(st.lists(TERMS, min_size=1, max_size=4))
    for term in terms:
        if draw(st.booleans()):
            term["weight"] = draw(SCHEDULES)
    if any("reward_machine" in term for term in terms) and draw(st.booleans()):
        method = draw(st.sampled_from(["distance", "value", "value_iteration"]))
        terms.append({"potential": {"machine": "reward_machine", "method": method}})
    return {
        "name": "drawn",
        "discount": draw(st.sampled_from([0.5, 0.9, 1.0])),
        "signals": {
            "s": "next_obs.x[0] - obs.x[0]",
            "t": draw(SCALARS.filter(lambda e: e not in ("t", "a", "b"))),
        },
        "propositions": {
            "a": "next_obs.x[0] > 0",
            "b": "s >= 0.5",
            "c": "info.flag and next_obs.n == 3",
            "d": None,
        },
        "reward": terms,
        "end": draw(
            st.lists(
                st.builds(lambda c, v: {"when": f"({c}) and b", "value": v}, CONDITIONS, NUMBERS), max_size=1
            )
        ),
    }


@dataclass(frozen=True)
class Batch:
    """One step of B environments as arrays, `[B, ...]`."""

    transition: Transition

    def rows(self) -> list[Transition]:
        """Return the same as one transition per environment, with Python numbers where environments give them."""
        t = self.transition
        return [
            Transition(
                {k: v[b] for k, v in t.obs.items()},
                t.action[b],
                {k: v[b] for k, v in t.next_obs.items()},
                float(t.reward[b]),
                bool(t.terminated[b]),
                bool(t.truncated[b]),
                {k: v[b] for k, v in t.info.items()},
                {k: bool(v[b]) for k, v in t.label.items()},
            )
            for b in range(len(t.reward))
        ]


def batches(seed: int, steps: int, batch: int) -> list[Batch]:
    """Return a stretch of transitions of B environments, drawn from few values."""
    rng = np.random.default_rng(seed)

    def observe() -> dict[str, Any]:
        return {
            "x": rng.choice(VALUES, (batch, 4)),
            "far": rng.choice(VALUES, (batch, 5, 8, 8)),
            "n": rng.integers(0, 4, batch),
        }

    found = []
    obs = observe()
    for _ in range(steps):
        next_obs = observe()
        found.append(
            Batch(
                Transition(
                    obs,
                    rng.choice(VALUES, (batch, 2)),
                    next_obs,
                    rng.choice(VALUES, batch),
                    rng.random(batch) < 0.08,
                    rng.random(batch) < 0.08,
                    {"k": rng.choice(VALUES, batch), "flag": rng.random(batch) < 0.5},
                    {"d": rng.random(batch) < 0.5},
                )
            )
        )
        obs = next_obs
    return found
