"""Whose doing it was: shares of a team's value among its agents, for looking at recorded steps.

What a spec pays is its own business (`share`, `difference`); this is for analysis. A value is a function of a
coalition, the agents that count as being there; `team_value` makes one of an expression and a joint transition.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from rewardspec.analysis.recorded import transition_of
from rewardspec.backends import oracle
from rewardspec.compiler import compile_spec
from rewardspec.errors import Problem, UnsupportedError
from rewardspec.ir.layout import space_of
from rewardspec.spec.parts import joint_part
from rewardspec.team.resolve import KEY, bind_agent
from rewardspec.team.roster import Roster
from rewardspec.transition import Transition
from rewardspec.vocabulary import from_data

Agent = TypeVar("Agent", bound=Hashable)

MAX_EXACT = 16
"""Agents up to which Shapley values are computed exactly: every coalition is valued once, 65,536 of them."""


def difference_credit(
    value: Callable[[Collection[Agent]], float], agents: Sequence[Agent]
) -> dict[Agent, float]:
    """Return what the team's value loses without each agent: value(all) - value(all but it).

    Source: Wolpert and Tumer (2001). These need not add up to the value.
    """
    whole = value(agents)
    return {agent: whole - value([other for other in agents if other != agent]) for agent in agents}


def shapley(
    value: Callable[[Collection[Agent]], float],
    agents: Sequence[Agent],
    *,
    orders: int | None = None,
    seed: int = 0,
) -> dict[Agent, float]:
    """Return the Shapley value of each agent: its mean contribution over all orders of joining.

    Formula: phi_i = sum over S without i of |S|! (n - |S| - 1)! / n! * (value(S + i) - value(S))

    Law (efficiency): the values add up to value(all) - value(nobody); sampled orders keep it exactly.

    Args:
        value: Value of a coalition.
        agents: All agents.
        orders: How many orders to draw; None computes all coalitions.
        seed: Seed of the orders.

    Raises:
        UnsupportedError: `too-many-agents` for an exact computation.

    Source: Shapley (1953); by sampled orders Castro, Gomez and Tejada (2009).

    Example:
        >>> shapley(lambda coalition: float(len(coalition) >= 2), ["a", "b"])
        {'a': 0.5, 'b': 0.5}
    """
    if orders is None:
        return _exact(value, agents)
    rng = np.random.default_rng(seed)
    found = dict.fromkeys(agents, 0.0)
    nobody = value([])
    for _ in range(orders):
        joined: list[Agent] = []
        before = nobody
        for k in rng.permutation(len(agents)):
            joined.append(agents[k])
            after = value(joined)
            found[agents[k]] += (after - before) / orders
            before = after
    return found


def _exact(value: Callable[[Collection[Agent]], float], agents: Sequence[Agent]) -> dict[Agent, float]:
    n = len(agents)
    if n > MAX_EXACT:
        hint = "Draw orders of joining: shapley(value, agents, orders=1000)."
        message = f"{n} agents have {2**n:,} coalitions; the limit is {MAX_EXACT} agents"
        raise UnsupportedError(Problem("too-many-agents", message, hints=(hint,)))
    known: dict[frozenset[Agent], float] = {}
    for size in range(n + 1):
        known |= {frozenset(chosen): value(chosen) for chosen in itertools.combinations(agents, size)}
    found = dict.fromkeys(agents, 0.0)
    for coalition, worth in known.items():
        if len(coalition) == n:
            continue
        size = len(coalition)
        weight = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
        for agent in agents:
            if agent not in coalition:
                found[agent] += weight * (known[coalition | {agent}] - worth)
    return found


def team_value(
    expression: str, transition: Mapping[str, Mapping[str, Any]], *, signals: Mapping[str, str] | None = None
) -> Callable[[Collection[str]], float]:
    """Return the value of coalitions on one joint transition.

    Args:
        expression: An expression over `team` or `agents[...]`, as in the joint terms of a spec.
        transition: Per agent what it saw, did and got, as in a spec's `tests:`.
        signals: Names that the expression uses.

    Raises:
        SpecError: The expression is wrong.
        MismatchError: The transition lacks what it reads.

    Example:
        >>> value = team_value("sum(team.reward)", {"a": {"reward": 1}, "b": {"reward": 2}})
        >>> value(["a", "b"]), value(["b"])
        (3.0, 2.0)
    """
    spec = from_data({"signals": dict(signals or {}), "joint": {"reward": [{"markov": expression}]}})
    part = joint_part(spec)
    assert part is not None
    given = {name: transition_of(data) for name, data in transition.items()}
    names = tuple(given)
    zero = np.zeros(())
    before = {n: zero if t.obs is None else t.obs for n, t in given.items()}
    after = {n: before[n] if t.next_obs is None else t.next_obs for n, t in given.items()}
    actions = {n: zero if t.action is None else t.action for n, t in given.items()}
    roster = Roster(
        names,
        {n: space_of(after[n]) for n in names},
        {n: space_of(actions[n]) for n in names},
        dict.fromkeys(names),
    )
    program = bind_agent(compile_spec(part), None, roster).program
    before = {n: after[n] if t.obs is None else before[n] for n, t in given.items()}

    def value(coalition: Collection[str]) -> float:
        table = {
            name: {
                "present": float(name in coalition),
                "reward": float(t.reward),
                "terminated": float(bool(t.terminated)),
                "truncated": float(bool(t.truncated)),
                "info": t.info or {},
                "label": {key: float(held) for key, held in (t.label or {}).items()},
            }
            for name, t in given.items()
        }
        step = Transition(before, actions, after, info={KEY: table})
        _, (outcome,) = oracle.step(program, oracle.init(program), [step])
        return float(outcome.reward)

    return value
