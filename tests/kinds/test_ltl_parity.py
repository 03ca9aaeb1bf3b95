"""Scheme `parity` of kind `ltl`: what it pays, and that its best policies satisfy the formula most probably."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from rewardspec.analysis.check import check
from rewardspec.backends import oracle
from rewardspec.compiler import lower_spec
from rewardspec.errors import SpecError
from rewardspec.ir.layout import bind_to_values
from rewardspec.ir.program import Program
from rewardspec.kinds import ltl_parity
from rewardspec.kinds.ltl_parity import shares
from rewardspec.logic.formula import parse_formula
from rewardspec.logic.parity import ParityMonitor, compile_parity
from rewardspec.vocabulary import VOCABULARY, from_data
from tests.kinds.episodes import compile_text, label_trace, play, rewards, verdict_after
from tests.logic.dwyer import FORMULAS
from tests.logic.test_infinite import NOT_BUECHI

pytest.importorskip("spot")


def formula(text: str, discount: float = 0.999, **fields: Any) -> dict[str, Any]:
    """Return a spec of one formula on infinite words."""
    term = {"ltl": text, "semantics": "infinite", **fields}
    return {"discount": discount, "propositions": dict.fromkeys("abcpqrstz"), "reward": [term]}


# -- what is paid ----------------------------------------------------------------------------------


def test_persistence_is_paid_out_of_a_stake_by_hand() -> None:
    """With discount 0.999, each step with a pays 1 % of what is left, and each without it takes 10 % away."""
    paid = rewards(formula("F G a"), label_trace("a", "", "a", "a"))
    assert paid == pytest.approx([0.01, 0, 0.01 * 0.99 * 0.9, 0.01 * 0.99 * 0.9 * 0.99])


def test_violation_is_paid_out_of_the_same_stake() -> None:
    paid = rewards(formula("F G a", accept=2, reject=-1), label_trace("a", "", "a"))
    assert paid == pytest.approx([2 * 0.01, -0.99 * 0.1, 2 * 0.99 * 0.9 * 0.01])


def test_what_is_decided_for_good_pays_the_rest_at_once() -> None:
    """p W s is satisfied with s and violated with neither; what both pay adds up to 1, or to -1."""
    spec = formula("F G a | (p W s)", accept=1, reject=-1, scheme="parity")
    won = play(spec, label_trace("p", "p", "s", "s", ""))
    assert sum(o.reward for o in won) == pytest.approx(1) and won[3].reward == won[4].reward == 0
    lost = play(formula("F G a & G !c", accept=1, reject=-1), label_trace("", "c", "a"))
    assert sum(o.reward for o in lost) == pytest.approx(-1)
    assert [o.terminated for o in lost] == [False, True]
    assert not any(o.terminated for o in won)


def test_the_whole_stake_goes_to_what_recurs() -> None:
    """Over a long episode: (G F a -> G F b) with a and b, with a alone, with neither."""
    spec = formula("G F a -> G F b", accept=1, reject=-1)
    for steps, total in ((["a", "b"], 0.6), (["a", ""], -0.6), (["", ""], 0.99)):
        earned = sum(rewards(spec, label_trace(*steps * 500)))
        assert (earned > total) if total > 0 else (earned < total)
        assert -1 <= earned <= 1


def test_a_scheme_is_chosen_that_pays_for_the_formula() -> None:
    """The old schemes stay where they can pay; `F G a` names none and simply works."""
    assert not compile_text(formula("G F a & G F b")).folds
    assert [fold.name for fold in compile_text(formula("F G a")).folds] == ["ltl.stake"]
    assert [fold.name for fold in compile_text(formula("G F a", scheme="parity")).folds] == ["ltl.stake"]
    for scheme in ("frontier", "every_visit"):
        with pytest.raises(SpecError, match="not-deterministic"):
            compile_text(formula("F G a", scheme=scheme))


def test_verdicts() -> None:
    program = compile_text(formula("F G a & G !c"))
    assert verdict_after(program, label_trace("a", "")) == "open"
    assert verdict_after(program, label_trace("a", "c")) == "violated for good"
    assert verdict_after(compile_text(formula("F G a | F p", scheme="parity")), label_trace("p")) == (
        "satisfied for good"
    )


def test_scales_separate_as_the_discount_goes_to_one() -> None:
    ratios = []
    for discount in (0.9, 0.99, 0.9999, 0.999999):
        scales = [1 - discount, *shares(3, discount), 1]
        ratios.append(max(low / high for low, high in itertools.pairwise(scales)))
    assert ratios == sorted(ratios, reverse=True) and ratios[-1] < 0.04
    assert shares(2, 1.0) == shares(2, 0.999)


def test_without_a_discount_it_works_its_shares_out_from_another() -> None:
    assert rewards(formula("F G a", discount=1), label_trace("a")) == pytest.approx([0.01])


def test_an_endless_episode_empties_the_stake_without_harm() -> None:
    paid = rewards(formula("F G a", discount=0.5), label_trace(*[""] * 3000, "a"))
    assert paid[-1] >= 0 and sum(paid) <= 1


def test_progress_is_shaping_beside_the_stake() -> None:
    spec = formula("F(b & F G a)", discount=0.5, progress=1)
    plain = formula("F(b & F G a)", discount=0.5)
    trace = label_trace("", "b", "a", end="terminated")
    added = [p - q for p, q in zip(rewards(spec, trace), rewards(plain, trace), strict=True)]
    total = sum(0.5**t * x for t, x in enumerate(added))
    at_once = label_trace("", end="terminated")
    assert total == pytest.approx(rewards(spec, at_once)[0] - rewards(plain, at_once)[0])


@pytest.mark.parametrize("semantics", ["finite", "infinite"])
def test_every_property_pattern_compiles(semantics: str) -> None:
    pays_by_stake = set()
    for name, scope, text in FORMULAS:
        program = compile_text(formula(text, semantics=semantics))
        assert program.verdicts and all(len(machine.states) <= 20 for machine in program.machines)
        if program.folds:
            pays_by_stake.add((name, scope))
    assert pays_by_stake == (NOT_BUECHI if semantics == "infinite" else set())


@pytest.mark.parametrize(
    ("text", "discount", "close"),
    [("F G a", 0.9, True), ("F G a", 0.99, False), ("G F a -> G F b", 0.95, True), ("G F a", 0.5, False)],
)
def test_check_says_where_the_scales_are_too_close(text: str, discount: float, close: bool) -> None:
    spec = formula(text, discount, scheme="parity")
    assert ("close-scales" in {finding.code for finding in check(from_data(spec))}) == close


# -- the best policy satisfies the formula with the greatest probability -----------------------------

TINY = 1e-9
"""1 - discount in these tests: the scales are then 1e-6 and 1e-3 for two priorities."""


@dataclass(frozen=True)
class World:
    """A small decision process. `moves[s][a]` are `(probability, next state, labels)`."""

    moves: tuple[tuple[tuple[tuple[float, int, str], ...], ...], ...]


def random_world(rng: random.Random, names: str) -> World:
    """Return a world of up to five states with two actions each; labels stand on the moves.

    Nothing leads away from up to three of the states, so that where a play ends is left to chance.
    """
    size = rng.randint(2, 5)
    traps = rng.sample(range(1, size), rng.randint(0, min(3, size - 1)))
    density = rng.choice((0.2, 0.4, 0.6))

    def action(state: int) -> tuple[tuple[float, int, str], ...]:
        near = [state] if state in traps else range(size)
        targets = rng.sample(near, rng.randint(1, min(2, len(near))))
        odds = [rng.choice((1, 2, 3)) for _ in targets]
        labels = [" ".join(name for name in names if rng.random() < density) for _ in targets]
        return tuple((o / sum(odds), t, label) for o, t, label in zip(odds, targets, labels, strict=True))

    return World(tuple((action(state), action(state)) for state in range(size)))


@dataclass(frozen=True)
class Move:
    """One outcome of an action in the product of a world and an automaton."""

    probability: float
    target: int
    priority: int
    label: str


Product = list[list[list[Move]]]
"""`product[x][a]`: the outcomes of action a in the joint state x; the start is 0."""


def product_of(world: World, monitor: ParityMonitor) -> tuple[Product, list[int]]:
    """Return the product and each joint state's automaton state."""
    names = monitor.propositions
    number, order = {(0, monitor.start): 0}, [(0, monitor.start)]
    product: Product = []
    for s, u in order:  # grows while it is read
        product.append([])
        for outcomes in world.moves[s]:
            product[-1].append([])
            for probability, target, label in outcomes:
                bits = sum(1 << i for i, name in enumerate(names) if name in label.split())
                v, priority = monitor.step(u, bits)
                if (target, v) not in number:
                    number[target, v] = len(order)
                    order.append((target, v))
                product[-1][-1].append(Move(probability, number[target, v], priority, label))
    return product, [u for _, u in order]


def closure(steps: Iterable[tuple[int, int]], size: int) -> np.ndarray:
    """Return which state is reached from which by any number of steps, as truth values `[size, size]`."""
    reach = np.eye(size, dtype=bool)
    for x, y in steps:
        reach[x, y] = True
    for _ in range(size.bit_length()):
        reach = reach @ reach
    return reach


def end_components(product: Product, allowed: list[list[bool]]) -> list[set[int]]:
    """Return the maximal end components that use allowed actions only, by taking away what leaves."""
    allowed = [list(row) for row in allowed]
    actions = [(x, a) for x, rows in enumerate(product) for a in range(len(rows))]
    while True:
        steps = [(x, m.target) for x, a in actions if allowed[x][a] for m in product[x][a]]
        reach = closure(steps, len(product))
        leaving = [
            (x, a) for x, a in actions if allowed[x][a] and not all(reach[m.target, x] for m in product[x][a])
        ]
        if not leaving:
            both = reach & reach.T
            return [
                set(map(int, np.flatnonzero(row)))
                for row in np.unique(both[[any(r) for r in allowed]], axis=0)
            ]
        for x, a in leaving:
            allowed[x][a] = False


def best_probability(product: Product) -> float:
    """Return the greatest probability of satisfying the formula, through end components and reachability."""
    wins: set[int] = set()
    priorities = {m.priority for row in product for outcomes in row for m in outcomes}
    for top in priorities:
        if top % 2:
            continue
        allowed = [[all(m.priority <= top for m in outcomes) for outcomes in row] for row in product]
        for group in end_components(product, allowed):
            inner = [
                m
                for x in group
                for a, outcomes in enumerate(product[x])
                if allowed[x][a] and all(m.target in group for m in outcomes)
                for m in outcomes
            ]
            if any(m.priority == top for m in inner):
                wins |= group
    size = len(product)
    chances = np.zeros((size, 2, size))
    for x, rows in enumerate(product):
        for a, outcomes in enumerate(rows):
            for m in outcomes:
                chances[x, a, m.target] += m.probability
    won = np.array([x in wins for x in range(size)])
    values = won.astype(float)
    for _ in range(20_000):
        new = np.where(won, 1.0, (chances @ values).max(axis=1))
        if np.abs(new - values).max() < 1e-13:
            break
        values = new
    return float(values[0])


def probability_of(product: Product, policy: Sequence[int]) -> float:
    """Return the probability that a policy satisfies the formula: that of ending in a class with an even top."""
    chain = [product[x][policy[x]] for x in range(len(product))]
    size = len(chain)
    reach = closure([(x, m.target) for x, outcomes in enumerate(chain) for m in outcomes], size)
    recurrent = [all(reach[y, x] for y in np.flatnonzero(reach[x])) for x in range(size)]
    matrix, right = np.eye(size), np.zeros(size)
    for x in range(size):
        if recurrent[x]:
            right[x] = max(m.priority for y in np.flatnonzero(reach[x]) for m in chain[y]) % 2 == 0
        else:
            for m in chain[x]:
                matrix[x, m.target] -= m.probability
    return float(np.linalg.solve(matrix, right)[0])


def payments_of(
    program: Program, product: Product, automaton_states: list[int]
) -> dict[tuple[int, str], Any]:
    """Return what a full stake is paid, and what is left of it, by machine state and label: asked of the oracle."""
    found: dict[tuple[int, str], tuple[float, float, bool]] = {}
    for x, rows in enumerate(product):
        for m in itertools.chain(*rows):
            key = (automaton_states[x], m.label)
            if key not in found:
                (step,) = label_trace(m.label)
                bound = bind_to_values(program, step).program
                state = oracle.init(bound)
                state.machines[0][bound.machines[0].name] = automaton_states[x]
                state, (outcome,) = oracle.step(bound, state, [step])
                found[key] = (outcome.reward, state.folds[0]["ltl.stake"], outcome.terminated)
    return found


def best_policy(product: Product, automaton_states: list[int], program: Program) -> list[int]:
    """Return a policy of greatest discounted return, by policy iteration; the stake, a common factor, is left out."""
    paid = payments_of(program, product, automaton_states)
    discount = program.discount or 1.0
    size = len(product)

    def worth(x: int, a: int) -> tuple[float, np.ndarray]:
        now, later = 0.0, np.zeros(size)
        for m in product[x][a]:
            reward, left, over = paid[automaton_states[x], m.label]
            now += m.probability * reward
            later[m.target] += 0.0 if over else m.probability * left * discount
        return now, later

    table = [[worth(x, a) for a in range(len(product[x]))] for x in range(size)]
    policy = [0] * size
    for _ in range(100):
        matrix = np.eye(size) - np.array([table[x][policy[x]][1] for x in range(size)])
        values = np.linalg.solve(matrix, np.array([table[x][policy[x]][0] for x in range(size)]))
        new = list(policy)
        for x in range(size):
            gains = [now + later @ values for now, later in table[x]]
            if max(gains) > gains[policy[x]] + 1e-9:
                new[x] = int(np.argmax(gains))
        if new == policy:
            break
        policy = new
    return policy


GLOBAL = [
    "F G a",
    "F G a | G F b",
    "G F a -> G F b",
    "G F a & F G b",
    "(G F a -> G F b) & G F c",
    "F(c & F G a)",
]
DWYER = {
    "precedence after": ("G !q | F(q & (!p W s))", "pqs"),
    "response chain, two effects, after until": (
        "G(q -> (p -> (!r U (s & !r & X(!r U t)))) U (r | G(p -> (s & X F t))))",
        "pqrst",
    ),
    "constrained chain, after until": (
        "G(q -> (p -> (!r U (s & !r & !z & X((!r & !z) U t)))) U (r | G(p -> (s & !z & X(!z U t)))))",
        "pqrstz",
    ),
}


@functools.cache
def compiled(text: str, accept: float, reject: float) -> tuple[Program, ParityMonitor]:
    """Return a formula's program and the automaton in it, whose states the machine's are."""
    spec = formula(text, discount=1 - TINY, scheme="parity", accept=accept, reject=reject)
    parsed = parse_formula(text, None, "infinite")
    return lower_spec(from_data(spec), VOCABULARY), compile_parity(parsed, coloured=reject != 0)


def gap(text: str, world: World, accept: float = 1, reject: float = 0) -> tuple[float, float]:
    """Return how far the scheme's policy, and one that always takes the first action, are from the best in a world."""
    program, monitor = compiled(text, accept, reject)
    product, automaton_states = product_of(world, monitor)
    policy = best_policy(product, automaton_states, program)
    best = best_probability(product)
    return best - probability_of(product, policy), best - probability_of(product, [0] * len(product))


@pytest.mark.parametrize(
    ("text", "names"), [*((text, "abc") for text in GLOBAL), *DWYER.values()], ids=[*GLOBAL, *DWYER]
)
@pytest.mark.parametrize(("accept", "reject"), [(1, 0), (2, -1)])
def test_the_best_policy_is_the_one_most_likely_to_satisfy_the_formula(
    text: str, names: str, accept: float, reject: float
) -> None:
    rng = random.Random(7)
    found = [gap(text, random_world(rng, names), accept, reject) for _ in range(40)]
    assert max(short for short, _ in found) < 1e-6
    assert sum(idle > 0.1 for _, idle in found) >= 4  # the choice of actions matters


OFTEN_OR_PERHAPS = World(
    (
        (((1.0, 1, "a"),), ((0.5, 2, ""), (0.5, 3, ""))),
        (((1.0, 0, ""),), ((1.0, 0, ""),)),
        (((1.0, 2, "a"),), ((1.0, 2, "a"),)),
        (((1.0, 3, ""),), ((1.0, 3, ""),)),
    )
)
"""From the start: a on every other step, for ever; or, as a coin falls, a always or never."""


def test_often_is_not_for_ever() -> None:
    """`F G a` is satisfied by taking the coin alone; scales in the wrong order pay more for a on every other step."""
    assert gap("F G a", OFTEN_OR_PERHAPS) == (0, 0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ltl_parity, "shares", lambda count, discount: shares(count, discount)[::-1])
        compiled.cache_clear()
        assert gap("F G a", OFTEN_OR_PERHAPS) == (0.5, 0.5)
    compiled.cache_clear()
