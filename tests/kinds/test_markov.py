"""Kind `markov`: a number that depends on one transition only."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rewardspec.transition import Transition
from tests.kinds.episodes import label_trace, rewards, value_trace, walk

VALUES = st.lists(st.integers(-5, 5), min_size=1, max_size=8)


def test_a_bare_expression_is_a_term() -> None:
    assert rewards("reward: next_obs - obs", walk(0, 1, 3, 2)) == [1, 2, -1]


def test_terms_add_up() -> None:
    assert rewards("reward: [next_obs, -1]", walk(0, 1, 3)) == [0, 2]


def test_a_truth_value_pays_one_or_nothing() -> None:
    assert rewards("propositions: [a]\nreward: a", label_trace("a", "", "a")) == [1, 0, 1]


def test_the_environments_own_reward_is_paid_only_where_a_term_reads_it() -> None:
    steps = [Transition(obs=0, next_obs=1, reward=10.0)]
    assert rewards("reward: next_obs", steps) == [1]
    assert rewards("reward: next_obs + reward", steps) == [11]


@given(st.data(), VALUES)
def test_the_order_of_steps_does_not_matter(data: st.DataObject, values: list[int]) -> None:
    """No memory: reordered steps are paid the same payments in the new order."""
    order = data.draw(st.permutations(range(len(values))))
    spec = "reward: where(info.x > 0, info.x ** 2, info.x / 2)"
    paid = rewards(spec, value_trace(x=values))
    assert rewards(spec, value_trace(x=[values[i] for i in order])) == [paid[i] for i in order]
