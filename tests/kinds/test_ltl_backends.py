"""Formulas on infinite words in every form that they compile to, on every backend."""

from __future__ import annotations

from typing import Any

import pytest

from tests.agreement.agreement import check_agreement

pytest.importorskip("spot")

PROPOSITIONS = {
    "a": "next_obs.x[0] > 0",
    "b": "next_obs.x[1] > 0",
    "c": "info.flag",
    "d": None,
    "e": "next_obs.n == 3",
    "f": "next_obs.x[2] > 0",
    "g": "next_obs.x[3] > 0",
}

MANY = "G F a & G F b & G F c & G F d & G F f"

FORMS: dict[str, dict[str, Any]] = {
    "parity": {"ltl": "F G a"},
    "parity, paid for violation": {"ltl": "(G F a -> G F b) & G !(c & e)", "reject": -1},
    "parity, decided for good": {"ltl": "F G a | F(e & X c)", "scheme": "parity", "accept": 2, "reject": -1},
    "parity, progress": {"ltl": "F(e & F G a)", "progress": 0.5},
    "factors": {"ltl": MANY},
    "factors, every visit": {"ltl": "G F a & G F b & G F c & G F d & G F (f | e)", "scheme": "every_visit"},
    "factors, avoid": {"ltl": f"{MANY} & G !(e & g)", "reject": -2},
    "factors, reach first": {"ltl": f"{MANY} & F (e & F g)", "progress": 1},
    "factors, reach only": {"ltl": "F a & F b & F c & F d & F f & F e"},
}


def spec(term: dict[str, Any]) -> dict[str, Any]:
    return {
        "discount": 0.9,
        "propositions": PROPOSITIONS,
        "reward": [{"semantics": "infinite", **term, "weight": 2}, {"markov": "obs.x[0]"}],
    }


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("trace", range(4))
def test_every_backend_pays_what_the_oracle_pays(form: str, trace: int) -> None:
    check_agreement(spec(FORMS[form]), trace, torch=trace == 0)
