"""A finite decision process without a reward: who moves where, and what any reward is worth under any policy.

Everything is linear algebra over X states. An end of an episode is worth nothing beyond what is paid for reaching it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardspec.errors import Problem, UnsupportedError, missing_extra
from rewardspec.tabular.product import Product

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

MAX_SWEEPS = 100_000
"""Sweeps of value iteration, which converge geometrically for discounts below 1."""


def sparse() -> Any:
    """Return SciPy's sparse matrices.

    Raises:
        MissingExtraError: Without SciPy.
    """
    try:
        from scipy import sparse
    except ImportError:
        raise missing_extra("scipy", "native", "solving a product") from None
    return sparse


@dataclass(frozen=True, eq=False)
class Optimum:
    """What the best policy earns.

    Attributes:
        values: `[X]` float64, optimal return from each state.
        action_values: `[X, A]` float64.
        sweeps: Sweeps of value iteration.
        improvements: Rounds of policy iteration after them.
    """

    values: Floats
    action_values: Floats
    sweeps: int
    improvements: int

    @property
    def policy(self) -> Floats:
        """`[X, A]`: one optimal policy, deterministic."""
        chosen = np.zeros_like(self.action_values)
        chosen[np.arange(len(chosen)), self.action_values.argmax(axis=1)] = 1.0
        return chosen


@dataclass(frozen=True, eq=False)
class Process:
    """A Markov decision process without a reward: X states, A actions, K outcomes.

    Rewards are arrays beside it: `[X, A, K]` for each outcome, or `[X, A]` in expectation. Policies are `[X, A]`
    probabilities.

    Attributes:
        next_state: `[X, A, K]` int64; anything where the episode ends.
        probability: `[X, A, K]` float64, sums to 1 over K.
        ended: `[X, A, K]` bool, where the episode is over.
        start: `[X]` float64, probability of the first state.

    Example:
        >>> coin = Process(np.zeros((1, 1, 2), int), np.full((1, 1, 2), 0.5), np.array([[[True, False]]]), np.ones(1))
        >>> float(coin.value(np.ones((1, 1)), coin.expected(np.ones((1, 1, 2))), 0.9)[0]) == 1 / (1 - 0.9 / 2)
        True
    """

    next_state: Integers
    probability: Floats
    ended: Booleans
    start: Floats

    @staticmethod
    def of(product: Product) -> Process:
        """Return the process of a product: memory state u and world state s are state u * S + s."""
        units, states, actions, outcomes = product.reward.shape
        memory = np.where(product.ended, 0, product.next_memory)
        flat = (units * states, actions, outcomes)
        start = np.zeros(units * states)
        start[:states] = product.world.start
        return Process(
            (memory * states + product.world.next_state).reshape(flat),
            np.broadcast_to(product.world.probability, product.reward.shape).reshape(flat),
            product.ended.reshape(flat),
            start,
        )

    @property
    def n_states(self) -> int:
        """X."""
        return int(self.next_state.shape[0])

    @property
    def n_actions(self) -> int:
        """A."""
        return int(self.next_state.shape[1])

    @cached_property
    def going_on(self) -> Floats:
        """`[X, A, K]`: the probability of each outcome after which the episode goes on; 0 for the others."""
        return np.where(self.ended, 0.0, self.probability)

    @cached_property
    def _entries(self) -> tuple[Integers, Integers, Integers, Floats]:
        """Of each outcome after which the episode goes on: number, row x * A + a, next state, probability."""
        flat = self.going_on.reshape(-1)
        alive = np.flatnonzero(flat > 0)
        return alive, alive // self.next_state.shape[2], self.next_state.reshape(-1)[alive], flat[alive]

    @cached_property
    def successors(self) -> Any:
        """Sparse `[X * A, X]`: where an action leads, ends left out."""
        _, rows, columns, weights = self._entries
        return sparse().csr_matrix(
            (weights, (rows, columns)), shape=(self.n_states * self.n_actions, self.n_states)
        )

    def expected(self, reward: npt.NDArray[Any]) -> Floats:
        """Return `[X, A]`: what an action is paid on average, of `[X, A, K]` rewards (or truth values)."""
        return np.asarray((self.probability * reward).sum(axis=2), np.float64)

    def backup(self, reward: Floats, values: Floats, discount: float) -> Floats:
        """Return `[X, A]`: what each action is worth when its successors are worth `values` `[X]`."""
        worth: Floats = reward + discount * (self.successors @ values).reshape(reward.shape)
        return worth

    def under(self, policy: Floats, weighted: npt.NDArray[Any] | None = None) -> Any:
        """Return the sparse matrix `[X, X]` of successors under a policy, entries times `weighted` `[X, A, K]`."""
        numbers, rows, columns, weights = self._entries
        data = weights * policy.reshape(-1)[rows]
        if weighted is not None:
            data = data * weighted.reshape(-1)[numbers]
        return sparse().csr_matrix(
            (data, (rows // self.n_actions, columns)), shape=(self.n_states, self.n_states)
        )

    def value(self, policy: Floats, reward: Floats, discount: float) -> Floats:
        """Return the return of a policy from each state, by one factorisation.

        Args:
            policy: `[X, A]`.
            reward: `[X, A]`, or `[X, A, R]` for R rewards at once.
            discount: Below 1.

        Returns:
            `[X]`, or `[X, R]`.
        """
        paid = np.einsum("xa,xa...->x...", policy, reward)
        return np.asarray(self._solver(policy, discount)(paid), np.float64)

    def occupancy(self, policy: Floats, discount: float) -> Floats:
        """Return `[X, A]`: expected discounted visits of a policy, unnormalised; a return is their product with reward.

        Formula: m(x, a) = sum_t discount^t P(x_t = x, a_t = a)
        """
        visits = self._solver(policy, discount, transposed=True)(self.start)
        return np.asarray(visits[:, None] * policy, np.float64)

    def _solver(self, policy: Floats, discount: float, *, transposed: bool = False) -> Any:
        """Return the solver of `(1 - discount * P) v = b`, P being the successors under a policy."""
        from scipy.sparse.linalg import splu

        matrix = sparse().identity(self.n_states, format="csr") - discount * self.under(policy)
        factors = splu((matrix.T if transposed else matrix).tocsc())
        return factors.solve

    def optimum(self, reward: Floats, discount: float) -> Optimum:
        """Return optimal values: value iteration, then policy iteration until nothing improves.

        Args:
            reward: `[X, A]`.
            discount: In (0, 1]; with 1 there are sweeps alone.

        Raises:
            UnsupportedError: `wrong-setting` for discount 1 where a policy can earn without end.

        Source: M. L. Puterman, "Markov Decision Processes" (1994), sections 6.3 and 6.4.
        """
        values, sweeps = np.zeros(self.n_states), 0
        aim = 1e-4 if discount < 1 else 1e-12  # policy iteration does the rest
        while sweeps < MAX_SWEEPS:
            after = self.backup(reward, values, discount).max(axis=1)
            change = float(np.abs(after - values).max(initial=0.0))
            values, sweeps = after, sweeps + 1
            if change <= aim * max(float(np.abs(values).max(initial=0.0)), 1e-300) or change == 0.0:
                break
        else:
            text = (
                f"with discount {discount:g} the optimal return is not finite: some policy earns without end"
            )
            raise UnsupportedError(Problem("wrong-setting", text, hints=("Choose a discount below 1.",)))
        found = Optimum(values, self.backup(reward, values, discount), sweeps, 0)
        while discount < 1:
            solved = self.value(found.policy, reward, discount)
            worth = self.backup(reward, solved, discount)
            better = float((worth.max(axis=1) - solved).max(initial=0.0))
            found = Optimum(solved, worth, sweeps, found.improvements + 1)
            if better <= 1e-12 * max(1.0, float(np.abs(solved).max(initial=0.0))):
                break
        return found
