"""The generated functions: which form a machine takes, and what every form pays."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from rewardspec.backends import decisions, emitter, fused_text, oracle
from rewardspec.backends.scalar import compile_scalar, fused_source
from rewardspec.compiler import compile_spec
from rewardspec.errors import MismatchError, NonFiniteRewardError
from rewardspec.ir.layout import bind
from rewardspec.transition import Transition
from rewardspec.vocabulary import loads
from rewardspec.wrappers.single import wrap
from tests.backends.scripted import (
    ACTIONS,
    BOX,
    Scripted,
    Step,
    answer,
    check,
    machine,
    walk,
)


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
