"""What following one reward costs by another: exact returns of many policies, and the regret between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rewardspec.analysis.starc.canonical import random_policy
from rewardspec.tabular.process import Process

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Regret:
    """What is lost by one reward when another is followed, as a share of what there is to lose: max J - min J.

    Attributes:
        of_optimum: By following an optimal policy of the other reward.
        worst: The greatest loss among the sampled policies, in going from one to another that the other reward
            finds no worse.
    """

    of_optimum: float
    worst: float


def sample_policies(
    process: Process, rewards: tuple[Floats, Floats], discount: float, count: int, seed: int
) -> list[Floats]:
    """Return policies `[X, A]` of all sorts: the best and the worst of both rewards, random, deterministic, and mixed.

    Args:
        process: The process.
        rewards: Two rewards `[X, A]`, in expectation.
        discount: In (0, 1).
        count: How many besides the four extreme ones and the uniform one.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    shape = (process.n_states, process.n_actions)
    extreme = [process.optimum(sign * r, discount).policy for r in rewards for sign in (1.0, -1.0)]
    found = [*extreme, random_policy(process)]
    for i in range(count):
        if i % 3 == 0:
            found.append(np.eye(shape[1])[rng.integers(shape[1], size=shape[0])])
        elif i % 3 == 1:
            found.append(rng.dirichlet(np.full(shape[1], 0.5), size=shape[0]))
        else:  # between an extreme policy and chance
            share = rng.random()
            found.append(share * extreme[rng.integers(4)] + (1.0 - share) * found[-1])
    return found


def returns(
    process: Process, policies: list[Floats], rewards: tuple[Floats, Floats], discount: float
) -> Floats:
    """Return `[P, 2]`: what each policy earns by each reward from the start, exactly.

    Args:
        process: The process.
        policies: P policies `[X, A]`.
        rewards: Two rewards `[X, A]`.
        discount: In (0, 1).
    """
    visits = (process.occupancy(policy, discount) for policy in policies)
    return np.array([[float((m * r).sum()) for r in rewards] for m in visits])


def regret(earned: Floats) -> tuple[Regret, Regret]:
    """Return the regret by the first reward of following the second, and the reverse.

    Args:
        earned: `[P, 2]` returns, the first four rows those of the best and the worst policy of each reward, as
            `sample_policies` gives them.

    Example: the second reward is blind to the first policy's advantage.
        >>> regret(np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]))[0]
        Regret(of_optimum=1.0, worst=1.0)
    """
    return _regret(earned, by=0, best_of_other=2), _regret(earned, by=1, best_of_other=0)


def _regret(earned: Floats, *, by: int, best_of_other: int) -> Regret:
    mine, other = earned[:, by], earned[:, 1 - by]
    spread = float(mine.max() - mine.min())
    scale = max(float(np.abs(mine).max()), 1e-300)
    if spread <= 1e-12 * scale:
        return Regret(0.0, 0.0)
    # Sorted by the other reward, each policy against the best of those that the other finds no better.
    order = np.lexsort((-mine, other))
    best_before = np.maximum.accumulate(mine[order])
    worst = float((best_before - mine[order]).max())
    # Of policies that the other reward finds equal, each is followed by the worst.
    groups = np.split(mine[order], np.flatnonzero(np.diff(other[order]) > 0) + 1)
    firsts = np.cumsum([0, *(len(group) for group in groups[:-1])])
    for start, group in zip(firsts, groups, strict=True):
        seen = float(best_before[start : start + len(group)].max())
        worst = max(worst, seen - float(group.min()))
    return Regret(float(mine.max() - mine[best_of_other]) / spread, worst / spread)
