"""Each of the seventeen formalisms as a small class that compares policies on a finite world, exactly.

A policy is `[S, A]` probabilities. Rewards are `[S, A, K]` arrays over the world's outcomes. Objectives that look at
whole trajectories are evaluated by listing them, so their worlds must end every episode after a few steps.

Functions are Python callables: these classes are for study and for tests, not for specs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardspec.errors import Problem, UnsupportedError
from rewardspec.ir.program import Program
from rewardspec.tabular.process import Process
from rewardspec.tabular.product import take_product
from rewardspec.tabular.solve import evaluate
from rewardspec.tabular.world import TabularWorld

Floats = npt.NDArray[np.float64]
Trajectory = tuple[tuple[int, int, int], ...]
"""Outcomes (state, action, k) of one episode."""

Lottery = Mapping[Trajectory, float]
"""Trajectory -> probability."""

MOST_TRAJECTORIES = 100_000

TOLERANCE = 1e-9
"""Values that differ by less, relative to the greater, are equal."""


def process_of(world: TabularWorld) -> Process:
    """Return a world as a process."""
    return Process(world.next_state, world.probability, world.terminated, world.start)


def returns_of(world: TabularWorld, policy: Floats, rewards: tuple[Floats, ...], discount: float) -> Floats:
    """Return `[k]`: the expected discounted return of a policy by each reward."""
    process = process_of(world)
    visits = process.occupancy(policy, discount)
    return np.array([float((visits * process.expected(reward)).sum()) for reward in rewards])


def lottery_of(world: TabularWorld, policy: Floats) -> dict[Trajectory, float]:
    """Return the distribution of trajectories that a policy makes.

    Raises:
        UnsupportedError: `unbounded-episodes` where an episode need not end.
    """
    found: dict[Trajectory, float] = {}
    open_: list[tuple[Trajectory, int, float]] = [
        ((), int(s), float(world.start[s])) for s in np.flatnonzero(world.start)
    ]
    while open_:
        past, s, chance = open_.pop()
        if len(past) > world.n_states * world.n_actions or len(found) + len(open_) > MOST_TRAJECTORIES:
            text = "trajectories can be listed only where every episode ends after a few steps"
            raise UnsupportedError(Problem("unbounded-episodes", text))
        for a in range(world.n_actions):
            for k in np.flatnonzero(world.probability[s, a]):
                likely = chance * float(policy[s, a]) * float(world.probability[s, a, k])
                path = (*past, (s, a, int(k)))
                if likely == 0.0:
                    continue
                if world.terminated[s, a, k]:
                    found[path] = likely
                else:
                    open_.append((path, int(world.next_state[s, a, k]), likely))
    return found


def _discounted(trajectory: Trajectory, reward: Floats, discount: float) -> float:
    return float(sum(discount**t * reward[step] for t, step in enumerate(trajectory)))


class Valued:
    """An objective that gives each policy a number."""

    def value(self, world: TabularWorld, policy: Floats) -> float:
        """Return the number."""
        raise NotImplementedError

    def at_least(self, world: TabularWorld, one: Floats, other: Floats) -> bool:
        """Say whether the first policy is no worse than the other."""
        a, b = self.value(world, one), self.value(world, other)
        return a >= b - TOLERANCE * max(1.0, abs(a), abs(b))


@dataclass(frozen=True, eq=False)
class MarkovReward(Valued):
    """E[sum_t discount^t R]."""

    reward: Floats
    discount: float

    def value(self, world: TabularWorld, policy: Floats) -> float:
        """Return the expected return."""
        return float(returns_of(world, policy, (self.reward,), self.discount)[0])


@dataclass(frozen=True, eq=False)
class LimitAverage(Valued):
    """lim_N 1/N E[sum_{t<N} R]; an episode that is over pays 0 for ever."""

    reward: Floats

    def value(self, world: TabularWorld, policy: Floats) -> float:
        """Return the long-run average, from the stationary distributions of the recurrent classes."""
        process = process_of(world)
        chain = np.asarray(process.under(policy).todense(), np.float64)
        paid = (process.expected(self.reward) * policy).sum(axis=1)
        return float(
            sum(
                reached * float(stationary @ paid[members])
                for members, reached, stationary in _recurrent(chain, world.start)
            )
        )


def _recurrent(chain: Floats, start: Floats) -> Iterator[tuple[npt.NDArray[np.int64], float, Floats]]:
    """Yield the recurrent classes of a chain `[N, N]`: members, probability to end there, stationary distribution.

    Rows that sum to less than 1 lose the rest for good.
    """
    from scipy.sparse.csgraph import connected_components

    _, of = connected_components(chain > 0, directed=True, connection="strong")
    closed = []
    for component in np.unique(of):
        members = np.flatnonzero(of == component)
        inside = chain[np.ix_(members, members)]
        if np.allclose(inside.sum(axis=1), 1.0):
            closed.append((members, inside))
    within = np.concatenate([members for members, _ in closed]) if closed else np.zeros(0, np.int64)
    passing = np.setdiff1d(np.arange(len(chain)), within)
    visits = np.linalg.solve((np.eye(len(passing)) - chain[np.ix_(passing, passing)]).T, start[passing])
    for members, inside in closed:
        reached = float(start[members].sum() + visits @ chain[np.ix_(passing, members)].sum(axis=1))
        equations = np.vstack([(inside.T - np.eye(len(members))), np.ones(len(members))])
        aim = np.concatenate([np.zeros(len(members)), [1.0]])
        yield members, reached, np.linalg.lstsq(equations, aim, rcond=None)[0]


@dataclass(frozen=True)
class TemporalLogic(Valued):
    """P(the labels of a trajectory satisfy a formula); an episode that is over has empty labels for ever."""

    formula: str

    def value(self, world: TabularWorld, policy: Floats) -> float:
        """Return the probability, from the recurrent classes of the product with a deterministic parity automaton."""
        from rewardspec.logic.formula import parse_formula
        from rewardspec.logic.parity import compile_parity

        monitor = compile_parity(parse_formula(self.formula, None, "infinite"))
        states, units = world.n_states + 1, len(monitor)  # the last state: over
        size = states * units
        chain, best = np.zeros((size, size)), np.full((size, size), -1, np.int64)

        def add(s: int, target: int, names: frozenset[str], chance: float) -> None:
            label = sum(1 << i for i, name in enumerate(monitor.propositions) if name in names)
            for q in range(units):
                after, priority = monitor.step(q, label)
                row, column = q * states + s, after * states + target
                chain[row, column] += chance
                best[row, column] = max(int(best[row, column]), priority)

        for s, a, k in np.argwhere(world.probability > 0):
            chance = float(world.probability[s, a, k] * policy[s, a])
            if chance > 0:
                over = bool(world.terminated[s, a, k])
                target = states - 1 if over else int(world.next_state[s, a, k])
                add(int(s), target, world.names(int(world.label[s, a, k])), chance)
        add(states - 1, states - 1, frozenset(), 1.0)
        start = np.zeros(size)
        start[monitor.start * states : monitor.start * states + states - 1] = world.start
        total = 0.0
        for members, reached, _ in _recurrent(chain, start):
            highest = int(best[np.ix_(members, members)].max())
            total += reached if highest >= 0 and highest % 2 == 0 else 0.0
        return total


@dataclass(frozen=True, eq=False)
class RewardMachine(Valued):
    """E[sum_t discount^t r], r paid by a compiled spec with finite memory."""

    program: Program
    discount: float

    def value(self, world: TabularWorld, policy: Floats) -> float:
        """Return the expected return on the product; the policy sees the world's state alone."""
        product = take_product(self.program, world)
        repeated = np.broadcast_to(policy, (product.n_memory, *policy.shape))
        return float(world.start @ evaluate(product, np.array(repeated), self.discount)[0])


@dataclass(frozen=True, eq=False)
class OfTrajectory(Valued):
    """E[f(trajectory)]."""

    f: Callable[[Trajectory], float]

    def value(self, world: TabularWorld, policy: Floats) -> float:
        """Return the expectation."""
        return float(sum(chance * self.f(path) for path, chance in lottery_of(world, policy).items()))


@dataclass(frozen=True, eq=False)
class InnerMultiObjective(Valued):
    """E[f(G_1, ..., G_k)], G_i the discounted return by reward i."""

    rewards: tuple[Floats, ...]
    discount: float
    f: Callable[[tuple[float, ...]], float]

    def value(self, world: TabularWorld, policy: Floats) -> float:
        """Return the expectation."""

        def of(path: Trajectory) -> float:
            return self.f(tuple(_discounted(path, reward, self.discount) for reward in self.rewards))

        return OfTrajectory(of).value(world, policy)


@dataclass(frozen=True, eq=False)
class InnerNonlinear(Valued):
    """E[f(G)], G the discounted return."""

    reward: Floats
    discount: float
    f: Callable[[float], float]

    def value(self, world: TabularWorld, policy: Floats) -> float:
        """Return the expectation."""
        return InnerMultiObjective((self.reward,), self.discount, lambda g: self.f(g[0])).value(world, policy)


@dataclass(frozen=True, eq=False)
class Regularised(Valued):
    """E[sum_t discount^t (R - alpha * F(policy(s_t)))]."""

    reward: Floats
    discount: float
    alpha: float
    regulariser: Callable[[Floats], float]

    def value(self, world: TabularWorld, policy: Floats) -> float:
        """Return the expected regularised return."""
        weights = np.array([self.regulariser(policy[s]) for s in range(world.n_states)])
        less = self.reward - self.alpha * weights[:, None, None]
        return MarkovReward(less, self.discount).value(world, policy)


@dataclass(frozen=True, eq=False)
class OuterMultiObjective(Valued):
    """f(J_1, ..., J_k), J_i the expected return by reward i."""

    rewards: tuple[Floats, ...]
    discount: float
    f: Callable[[Floats], float]

    def value(self, world: TabularWorld, policy: Floats) -> float:
        """Return f."""
        return float(self.f(returns_of(world, policy, self.rewards, self.discount)))


@dataclass(frozen=True, eq=False)
class OuterNonlinear(Valued):
    """f(J), J the expected return."""

    reward: Floats
    discount: float
    f: Callable[[float], float]

    def value(self, world: TabularWorld, policy: Floats) -> float:
        """Return f."""
        return OuterMultiObjective((self.reward,), self.discount, lambda j: self.f(float(j[0]))).value(
            world, policy
        )


@dataclass(frozen=True, eq=False)
class OfOccupancy(Valued):
    """f(m), m the discounted occupancy `[S, A]`."""

    discount: float
    f: Callable[[Floats], float]

    def value(self, world: TabularWorld, policy: Floats) -> float:
        """Return f."""
        return float(self.f(process_of(world).occupancy(policy, self.discount)))


@dataclass(frozen=True, eq=False)
class OfLottery(Valued):
    """f(lottery), the distribution of trajectories."""

    f: Callable[[Lottery], float]

    def value(self, world: TabularWorld, policy: Floats) -> float:
        """Return f."""
        return float(self.f(lottery_of(world, policy)))


@dataclass(frozen=True, eq=False)
class OfPolicy(Valued):
    """f(policy)."""

    f: Callable[[Floats], float]

    def value(self, world: TabularWorld, policy: Floats) -> float:
        """Return f."""
        return float(self.f(policy))


Order = Callable[[Any, Any], bool]
"""Whether the first is at least as good as the second: total and transitive."""


@dataclass(frozen=True, eq=False)
class OrderOfReturns:
    """An order of (J_1, ..., J_k): generalised outer multi-objective."""

    rewards: tuple[Floats, ...]
    discount: float
    order: Order

    def at_least(self, world: TabularWorld, one: Floats, other: Floats) -> bool:
        """Say whether the first policy is no worse than the other."""
        a, b = (returns_of(world, policy, self.rewards, self.discount) for policy in (one, other))
        return self.order(a, b)


@dataclass(frozen=True, eq=False)
class OrderOfOccupancies:
    """An order of discounted occupancies `[S, A]`."""

    discount: float
    order: Order

    def at_least(self, world: TabularWorld, one: Floats, other: Floats) -> bool:
        """Say whether the first policy is no worse than the other."""
        process = process_of(world)
        return self.order(process.occupancy(one, self.discount), process.occupancy(other, self.discount))


@dataclass(frozen=True, eq=False)
class OrderOfLotteries:
    """An order of distributions of trajectories."""

    order: Order

    def at_least(self, world: TabularWorld, one: Floats, other: Floats) -> bool:
        """Say whether the first policy is no worse than the other."""
        return self.order(lottery_of(world, one), lottery_of(world, other))


@dataclass(frozen=True, eq=False)
class OrderOfPolicies:
    """Any order of policies."""

    order: Order

    def at_least(self, world: TabularWorld, one: Floats, other: Floats) -> bool:
        """Say whether the first policy is no worse than the other."""
        return self.order(one, other)


Objective = Valued | OrderOfReturns | OrderOfOccupancies | OrderOfLotteries | OrderOfPolicies

OBJECTIVES: dict[str, type[Objective]] = {
    "MR": MarkovReward,
    "LAR": LimitAverage,
    "LTL": TemporalLogic,
    "RM": RewardMachine,
    "INMR": InnerNonlinear,
    "IMORL": InnerMultiObjective,
    "FTR": OfTrajectory,
    "RRL": Regularised,
    "ONMR": OuterNonlinear,
    "OMORL": OuterMultiObjective,
    "FOMR": OfOccupancy,
    "FTLR": OfLottery,
    "FPR": OfPolicy,
    "GOMORL": OrderOfReturns,
    "OMO": OrderOfOccupancies,
    "TLO": OrderOfLotteries,
    "PO": OrderOfPolicies,
}
"""The class of each formalism, by its key."""
