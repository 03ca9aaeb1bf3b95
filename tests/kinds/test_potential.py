"""Kind `potential`: shaping telescopes, and leaves the optimal policies alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardspec.backends import oracle
from rewardspec.ir.program import Program
from rewardspec.transition import Transition
from tests.kinds.episodes import (
    End,
    compile_text,
    discounted,
    label_trace,
    play,
    rewards,
    term_payments,
    walk,
)

GAMMA = 0.5
SHAPING = "discount: 0.5\nreward: {potential: -2 * obs}"


def test_worked_shaping() -> None:
    """Phi(s) = -2 s at 3, 1, 0: half of -2 minus -6, then half of 0 minus -2."""
    assert rewards(SHAPING, walk(3, 1, 0)) == [0.5 * -2 + 6, 0.5 * 0 + 2]


def test_the_potential_is_zero_where_the_episode_terminated() -> None:
    assert rewards(SHAPING, walk(3, 1, end="terminated")) == [0 + 6]


def test_the_potential_is_as_computed_where_the_episode_was_truncated() -> None:
    """Truncation is not part of the task: the value of the state after it still counts."""
    assert rewards(SHAPING, walk(3, 1, end="truncated")) == [0.5 * -2 + 6]


@pytest.mark.parametrize(("how", "paid"), [("terminated", 6.0), ("truncated", 5.0)])
def test_an_end_of_the_programs_own_counts_as_well(how: str, paid: float) -> None:
    spec = SHAPING + f"\nend: [{{when: next_obs < 2, how: {how}}}]"
    assert rewards(spec, walk(3, 1, 0)) == [paid]


def test_scale_multiplies_the_potential() -> None:
    scaled = "discount: 0.5\nreward: {potential: obs, scale: -2}"
    assert rewards(scaled, walk(3, 1, 0)) == rewards(SHAPING, walk(3, 1, 0))


def test_a_signal_over_the_state_is_read_before_and_after_the_step() -> None:
    spec = "discount: 0.5\nsignals: {far: abs(obs)}\nreward: {potential: -2 * far}"
    assert rewards(spec, walk(-3, 1, 0)) == [5, 2]


STATES = st.lists(st.integers(-4, 4), min_size=2, max_size=9)


@given(STATES, st.sampled_from([None, "truncated", "terminated"]), st.sampled_from([0.5, 0.9, 1.0]))
def test_shaping_telescopes(states: list[int], end: End, discount: float) -> None:
    """The discounted sum is gamma^T Phi(s_T) - Phi(s_0), whatever lies between; Phi(s_T) = 0 when terminated."""
    spec = f"discount: {discount}\nreward: {{potential: obs * obs - 3 * obs}}"

    def phi(s: int) -> float:
        return s * s - 3 * s

    last = 0.0 if end == "terminated" else discount ** (len(states) - 1) * phi(states[-1])
    paid = rewards(spec, walk(*states, end=end))
    assert discounted(paid, discount) == pytest.approx(last - phi(states[0]))


@given(STATES)
def test_shaping_telescopes_where_the_program_ends_the_episode(states: list[int]) -> None:
    """Paths that the program ends are all worth -Phi(s_0): no way to end is better than another."""
    spec = "discount: 0.9\nreward: {potential: obs + 5}\nend: [{when: next_obs == 4}]"
    outcomes = play(spec, walk(*states))
    stop = len(outcomes)
    last = 0.0 if outcomes[-1].terminated else 0.9**stop * (states[stop] + 5)
    assert discounted([o.reward for o in outcomes], 0.9) == pytest.approx(last - (states[0] + 5))


# -- the optimal policy ----------------------------------------------------------------------------

S, A = 4, 3
"""States and actions of the drawn worlds; the last state ends the episode."""


def optimal_values(program: Program, moves: np.ndarray, base: np.ndarray, discount: float) -> np.ndarray:
    """Return Q*, `[S - 1, A]`, of the world under a program's reward, by value iteration to its fixed point."""
    paid = np.zeros((S - 1, A, S))
    for s, a, after in np.ndindex(S - 1, A, S):
        seen = Transition(float(s), a, float(after), float(base[s, a]), terminated=after == S - 1)
        paid[s, a, after] = oracle.step(program, oracle.init(program), [seen])[1][0].reward
    q = np.zeros((S - 1, A))
    for _ in range(200):
        value = np.append(q.max(1), 0.0)
        q = (moves * (paid + discount * value)).sum(-1)
    return q


def table(values: list[float], of: str) -> str:
    """Return an expression that reads a table of numbers at a whole number."""
    text = repr(values[-1])
    for i, value in enumerate(values[:-1]):
        text = f"where({of} == {i}, {value!r}, {text})"
    return text


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.lists(st.integers(-9, 9), min_size=S, max_size=S))
def test_shaping_keeps_the_optimal_policies(seed: int, potential: list[int]) -> None:
    """Q*(s, a) with shaping is Q*(s, a) - Phi(s): the same for all actions of a state (Ng et al. 1999, theorem 1)."""
    rng = np.random.default_rng(seed)
    moves, base = rng.dirichlet(np.ones(S), (S - 1, A)), rng.normal(size=(S - 1, A))
    phi = [float(p) for p in potential]
    plain = compile_text("discount: 0.8\nreward: reward")
    shaped = compile_text(f"discount: 0.8\nreward: [reward, {{potential: '{table(phi, 'obs')}'}}]")
    without = optimal_values(plain, moves, base, 0.8)
    with_shaping = optimal_values(shaped, moves, base, 0.8)
    assert with_shaping == pytest.approx(without - np.array(phi[:-1])[:, None], abs=1e-9)
    assert (with_shaping.argmax(1) == without.argmax(1)).all()


def test_a_bonus_for_good_states_does_not() -> None:
    """Beside it, what shaping is not: paid for being near the goal, the agent stays near and never arrives."""
    moves = np.zeros((S - 1, A, S))
    for s in range(S - 1):  # back, stay, forth
        moves[s, 0, max(s - 1, 0)] = moves[s, 1, s] = moves[s, 2, s + 1] = 1
    base = np.zeros((S - 1, A))
    base[S - 2, 2] = 1.0
    bonus = compile_text("discount: 0.8\nreward: [reward, 'where(terminated, 0, next_obs)']")
    shaping = compile_text("discount: 0.8\nreward: [reward, {potential: obs}]")
    assert optimal_values(shaping, moves, base, 0.8).argmax(1).tolist() == [2, 2, 2]
    assert optimal_values(bonus, moves, base, 0.8).argmax(1).tolist() == [2, 2, 1]


# -- potentials of machines ------------------------------------------------------------------------

COFFEE = """
discount: 0.5
propositions: [a, b, c]
reward:
- reward_machine:
    start: want
    edges:
    - {{from: want, to: have, when: a and not c}}
    - {{from: have, to: done, when: b and not c, reward: 4}}
    - {{from: [want, have], to: lost, when: c}}
    terminal: done
- potential: {{machine: reward_machine, method: {method}}}
"""
"""a, then b, pays 4; c loses all."""


def machine_shaping(method: str, *steps: str, end: End = None) -> list[float]:
    return term_payments(COFFEE.format(method=method), label_trace(*steps, end=end), 1)


def test_distance_to_the_best_edge() -> None:
    """want is 2 edges away, have 1, lost farther than any: Phi = -2/3, -1/3, -1."""
    want, have, lost = -2 / 3, -1 / 3, -1.0
    assert machine_shaping("distance", "", "a", "b") == pytest.approx(
        [0.5 * want - want, 0.5 * have - want, 0 - have]
    )
    assert machine_shaping("distance", "a", "c", "") == pytest.approx(
        [0.5 * have - want, 0.5 * lost - have, 0.5 * lost - lost]
    )


@pytest.mark.parametrize(("method", "sign"), [("value", 1.0), ("value_iteration", -1.0)])
def test_value_of_the_machine(method: str, sign: float) -> None:
    """With the machine's discount 0.9: V(have) = 4, V(want) = 0.9 * 4, V(lost) = V(done) = 0."""
    want, have = sign * 3.6, sign * 4.0
    assert machine_shaping(method, "", "a", "b") == pytest.approx(
        [0.5 * want - want, 0.5 * have - want, 0 - have]
    )
    assert machine_shaping(method, "a", "c", "") == pytest.approx([0.5 * have - want, 0 - have, 0])


def test_staying_is_worth_what_comes_later() -> None:
    """A machine may wait where no guard holds: an edge that pays -1 is no worse than never taking it."""
    spec = """
discount: 1
propositions: [a]
reward:
- reward_machine: {start: safe, edges: [{from: safe, to: hurt, when: a, reward: -1}]}
- potential: {machine: reward_machine, method: value}
"""
    assert term_payments(spec, label_trace("", "a", ""), 1) == [0, 0, 0]


def test_machine_discount_is_the_value_iterations_own() -> None:
    spec = COFFEE.format(method="value, machine_discount: 0.25")
    want, have = 1.0, 4.0
    assert term_payments(spec, label_trace("a"), 1) == pytest.approx([0.5 * have - want])


def test_where_the_task_begins_anew_progress_still_goes_up() -> None:
    """a, then b pays, again and again: two edges to go, then one, then two; never less for having seen a."""
    spec = """
discount: 1
propositions: [a, b]
reward:
- reward_machine:
    start: want
    edges: [{from: want, to: have, when: a}, {from: have, to: want, when: b, reward: 1}]
- potential: {machine: reward_machine}
"""
    assert term_payments(spec, label_trace("a", "b", "", "a"), 1) == pytest.approx([1 / 3, -1 / 3, 0, 1 / 3])


def test_a_state_that_was_paid_and_can_earn_no_more_is_at_the_goal() -> None:
    spec = """
discount: 1
propositions: [a, b]
reward:
- reward_machine: {start: want, edges: [{from: want, to: done, when: a, reward: 1}]}
- potential: {machine: reward_machine}
"""
    assert term_payments(spec, label_trace("", "a", ""), 1) == pytest.approx([0, 0.5, 0])


def test_the_factors_of_a_formula_add_up() -> None:
    """Two errands are two machines, each two edges long: every edge taken is worth a third."""
    spec = """
discount: 1
propositions: [a, b, c, d]
reward:
- {ltl: F(a & X F b) & F(c & X F d), name: both}
- potential: {machine: both}
"""
    assert term_payments(spec, label_trace("", "a", "c", "d"), 1) == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3])


@given(st.lists(st.sampled_from(["", "a", "b", "c", "a b", "a c"]), min_size=1, max_size=8))
def test_machine_shaping_telescopes(steps: list[str]) -> None:
    """Over any trace the discounted sum is gamma^T Phi(u_T) - Phi(u_0), with Phi(u_T) = 0 when it terminated."""
    outcomes = play(COFFEE.format(method="distance"), label_trace(*steps))
    state = "want"
    for step in steps[: len(outcomes)]:
        if state in ("want", "have") and "c" in step:
            state = "lost"
        elif state == "want" and "a" in step:
            state = "have"
        elif state == "have" and "b" in step:
            state = "done"
    assert outcomes[-1].terminated == (state == "done")
    phi = {"want": -2 / 3, "have": -1 / 3, "lost": -1.0, "done": 0.0}
    total = discounted([o.terms[1] for o in outcomes], 0.5)
    assert total == pytest.approx(0.5 ** len(outcomes) * phi[state] - phi["want"])
