"""Exact answers about a product: optimal values and policies, returns, reward per step, whether two specs agree.

Everything is linear algebra over the U * S states of a product: memory state u and world state s are row u * S + s of
a sparse matrix. An end, terminated or truncated by the program, is worth nothing beyond its own payment; the world's
horizon is left out, except where it is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardspec.errors import Problem, UnsupportedError
from rewardspec.tabular.process import Process
from rewardspec.tabular.product import Product

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

TOLERANCE = 1e-9
"""Actions whose values differ by less, relative to the largest value, are equally good."""


@dataclass(frozen=True, eq=False)
class Solution:
    """Optimal values and every optimal policy.

    Attributes:
        product: What was solved.
        discount: Per step.
        values: `[U, S]` float64, optimal return from each state.
        action_values: `[U, S, A]` float64.
        optimal: `[U, S, A]` bool, the actions that some optimal policy takes.
        value: Optimal return from the start.
        sweeps: Sweeps of value iteration.
        improvements: Rounds of policy iteration after them.
    """

    product: Product
    discount: float
    values: Floats
    action_values: Floats
    optimal: Booleans
    value: float
    sweeps: int
    improvements: int


def solve(product: Product, discount: float | None = None, *, tolerance: float = TOLERANCE) -> Solution:
    r"""Return optimal values and policies: value iteration, then policy iteration until nothing improves.

    Args:
        product: The product.
        discount: Per step, in (0, 1]; the program's own when not given. With 1 there are sweeps alone.
        tolerance: Actions whose values differ by less, relative to the largest value, are equally good.

    Raises:
        UnsupportedError: `wrong-setting` for a discount outside (0, 1], for none at all, and for discount 1 where
            a policy can earn without end.
        MissingExtraError: Without SciPy.

    Source: M. L. Puterman, "Markov Decision Processes" (1994), sections 6.3 and 6.4.

    Example:
        >>> import gymnasium
        >>> from rewardspec import compile_spec, loads
        >>> from rewardspec.tabular.product import take_product
        >>> from rewardspec.tabular.world import tabulate
        >>> lake = tabulate(gymnasium.make("FrozenLake-v1", is_slippery=False))
        >>> product = take_product(compile_spec(loads("discount: 0.5\nreward: reward")), lake)
        >>> solve(product).value == 0.5 ** 5  # the goal is six steps away
        True
    """
    rate = _discount(product, discount)
    process, shape = Process.of(product), product.reward.shape
    found = process.optimum(process.expected(_flat(product.reward)), rate)
    values, worth = found.values, found.action_values
    margin = tolerance * max(float(np.abs(values).max(initial=0.0)), 1e-300)
    best = worth.max(axis=1, keepdims=True)
    values = values.reshape(shape[:2])
    return Solution(
        product,
        rate,
        values,
        worth.reshape(shape[:3]),
        (worth >= best - margin).reshape(shape[:3]),
        float(product.world.start @ values[0]),
        found.sweeps,
        found.improvements,
    )


def evaluate(product: Product, policy: Floats, discount: float | None = None) -> Floats:
    """Return `[U, S]`: the return of a policy from each state.

    Args:
        product: The product.
        policy: `[U, S, A]` probabilities, or truth values of actions that are taken alike.
        discount: Per step, below 1; the program's own when not given.

    Raises:
        UnsupportedError: `wrong-setting` for a discount that is not in (0, 1).
    """
    rate = _discount(product, discount)
    if rate >= 1:
        hint = "Choose a discount below 1."
        raise UnsupportedError(
            Problem(
                "wrong-setting", "a policy is evaluated by a linear solve below discount 1", hints=(hint,)
            )
        )
    process, shape = Process.of(product), product.reward.shape
    reward = process.expected(_flat(product.reward))
    return process.value(_rows(uniform(policy)), reward, rate).reshape(shape[:2])


def uniform(allowed: npt.NDArray[Any], epsilon: float = 0.0) -> Floats:
    """Return the policy that takes allowed actions alike, and any action with probability `epsilon`.

    Args:
        allowed: `[..., A]`, truth values or probabilities.
        epsilon: Probability of an action drawn from all.

    Example:
        >>> uniform(np.array([True, True, False, False]), epsilon=0.2)
        array([0.45, 0.45, 0.05, 0.05])
    """
    weights = np.asarray(allowed, np.float64)
    shares: Floats = weights / weights.sum(axis=-1, keepdims=True)
    return np.asarray((1.0 - epsilon) * shares + epsilon / weights.shape[-1])


@dataclass(frozen=True)
class PerStep:
    """What a policy earns per step when episodes begin again as they end, R being an episode's reward, L its length.

    Attributes:
        of_episodes: E[R / L], every episode counting alike: the measure of Toro Icarte et al.
        overall: E[R] / E[L], every step counting alike: the long-run average.
        reward: E[R], undiscounted.
        length: E[L].
    """

    of_episodes: float
    overall: float
    reward: float
    length: float


def reward_per_step(
    product: Product, policy: npt.NDArray[Any], horizon: int | None = None, *, most: int = 100_000
) -> PerStep:
    """Return what a policy earns per step, exactly: distribution and reward so far are carried on step by step.

    Args:
        product: The product.
        policy: `[U, S, A]` probabilities, or truth values of actions that are taken alike.
        horizon: Steps after which episodes are truncated; the world's when not given.
        most: Steps after which episodes are cut where there is no horizon at all.

    Source: R. Toro Icarte et al., JAIR 73 (2022), section 6: "reward per step". They estimate it from episodes.

    Example: a coin of three faces ends the episode and pays 1 on one of them: L is geometric, R is 1.
        >>> from rewardspec import compile_spec, loads
        >>> from rewardspec.tabular.product import take_product
        >>> from rewardspec.tabular.world import from_outcomes
        >>> coin = from_outcomes({0: {0: [(1 / 3, 0, 1.0, True), (2 / 3, 0, 0.0, False)]}}, np.ones(1))
        >>> found = reward_per_step(take_product(compile_spec(loads("reward: reward")), coin), np.ones((1, 1, 1)))
        >>> round(found.overall, 6), round(found.of_episodes, 6)  # E[1 / L] = p ln(1 / p) / (1 - p) = ln(3) / 2
        (0.333333, 0.549306)
    """
    process, shares = Process.of(product), _rows(uniform(policy))
    limit = horizon or product.world.horizon or most
    onward = process.under(shares).T.tocsr()
    carried = process.under(shares, _flat(product.reward)).T.tocsr()

    def under_policy(table: npt.NDArray[Any]) -> Floats:
        return np.asarray((process.expected(_flat(table)) * shares).sum(axis=1), np.float64)

    ends = under_policy(product.ended)
    ending = under_policy(np.where(product.ended, product.reward, 0.0))
    at_limit = under_policy(product.reward_at_limit)
    here, earned = process.start.copy(), np.zeros(process.n_states)
    share = reward = length = 0.0
    for t in range(1, limit + 1):
        if t == limit:
            paid, over = earned.sum() + here @ at_limit, here.sum()
        else:
            paid, over = earned @ ends + here @ ending, here @ ends
        share, reward, length = share + paid / t, reward + paid, length + t * over
        here, earned = onward @ here, onward @ earned + carried @ here
        if here.sum() < 1e-15:
            break
    return PerStep(float(share), float(reward / length), float(reward), float(length))


@dataclass(frozen=True)
class Parting:
    """A state in which what is optimal for one spec is not what is optimal for another.

    Attributes:
        state: World state.
        memory: Names of the two specs' memory states.
        actions: The two sets of optimal actions.
        steps: Steps from the start to there.
    """

    state: int
    memory: tuple[str, str]
    actions: tuple[frozenset[int], frozenset[int]]
    steps: int


@dataclass(frozen=True, eq=False)
class Agreement:
    """Whether two specs want the same behaviour.

    Attributes:
        parting: The nearest state in which they part, None where they never do.
        ends_apart: Whether on the way one spec ends an episode that goes on for the other; they are compared
            no further there.
        states: Rows u * S + s of the first spec that were compared, ascending.
    """

    parting: Parting | None
    ends_apart: bool
    states: Integers

    @property
    def same(self) -> bool:
        """Whether the same policies are optimal for both."""
        return self.parting is None


def compare(first: Solution, second: Solution, *, everywhere: bool = False) -> Agreement:
    """Return whether two specs on one world have the same optimal policies.

    Both memories are carried along, so a policy may depend on either. Compared is, in every state that optimal
    behaviour visits, the whole set of optimal actions: two specs agree when each optimal policy of one is an optimal
    policy of the other.

    Args:
        first: Solution of one spec.
        second: Solution of the other, on the same world.
        everywhere: Compare in all states that any behaviour visits (the stronger law that shaping keeps).

    Raises:
        UnsupportedError: `wrong-setting` when the worlds differ.
    """
    worlds = (first.product.world, second.product.world)
    if worlds[0].next_state.shape != worlds[1].next_state.shape or not np.array_equal(
        worlds[0].next_state, worlds[1].next_state
    ):
        raise UnsupportedError(Problem("wrong-setting", "two specs are compared on one world"))
    world, (_, states, _, _) = worlds[0], first.product.reward.shape
    units = second.product.n_memory
    seen = np.zeros(first.product.n_memory * units * states, np.bool_)
    frontier = np.flatnonzero(world.start)
    seen[frontier] = True
    ends_apart, steps = False, 0

    def compared() -> Integers:
        joint = np.flatnonzero(seen)
        return np.unique(joint // (units * states) * states + joint % states)

    while frontier.size:
        one, two, s = frontier // (units * states), frontier // states % units, frontier % states
        wants, other = first.optimal[one, s], second.optimal[two, s]
        apart = np.flatnonzero((wants != other).any(axis=1))
        if apart.size:
            i = int(apart[0])
            sets = (
                frozenset(map(int, np.flatnonzero(wants[i]))),
                frozenset(map(int, np.flatnonzero(other[i]))),
            )
            names = (first.product.names[int(one[i])], second.product.names[int(two[i])])
            return Agreement(Parting(int(s[i]), names, sets, steps), ends_apart, compared())
        open_ = (world.probability[s] > 0) & (True if everywhere else wants[:, :, None])
        over = (first.product.ended[one, s], second.product.ended[two, s])
        ends_apart = ends_apart or bool((open_ & (over[0] != over[1])).any())
        open_ &= ~over[0] & ~over[1]
        after = first.product.next_memory[one, s] * units + second.product.next_memory[two, s]
        targets = np.unique((after * states + world.next_state[s])[open_])
        frontier = targets[~seen[targets]]
        seen[frontier] = True
        steps += 1
    return Agreement(None, ends_apart, compared())


def _flat(table: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a table `[U, S, A, K]` of a product as its process counts, `[U * S, A, K]`."""
    return table.reshape(-1, *table.shape[2:])


def _rows(policy: Floats) -> Floats:
    """Return a policy `[U, S, A]` as `[U * S, A]`."""
    return policy.reshape(-1, policy.shape[-1])


def _discount(product: Product, discount: float | None) -> float:
    rate = discount if discount is not None else product.program.discount
    if rate is None:
        hint = "Give one, or write `discount:` in the spec."
        raise UnsupportedError(
            Problem("wrong-setting", "neither the spec nor the caller names a discount", hints=(hint,))
        )
    if not 0 < rate <= 1:
        raise UnsupportedError(Problem("wrong-setting", f"a discount lies in (0, 1], and {rate:g} does not"))
    return float(rate)
