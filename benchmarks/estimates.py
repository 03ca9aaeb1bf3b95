"""What a few seeds can tell: interquartile means, intervals, chances to be better, and whether a difference is noise.

The measures of R. Agarwal, M. Schwarzer, P. S. Castro, A. Courville and M. G. Bellemare, "Deep Reinforcement Learning
at the Edge of the Statistical Precipice" (NeurIPS 2021), on SciPy's `bootstrap` and `trim_mean`. Scores of a method are
given task by task: `[task][seed]`, and tasks may have different numbers of seeds. The bootstrap is stratified: seeds
are drawn anew within each task, and tasks are not. A task with one seed stays as it is; where all do, there is no
interval.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Scores: TypeAlias = Sequence[Sequence[float]]
Interval: TypeAlias = tuple[float, float]

RESAMPLES = 1000
LEVEL = 0.95
PERMUTATIONS = 20_000
"""Ways to deal scores out to two sides; all of them where there are fewer."""


def iqm(scores: Scores) -> float:
    """Return the interquartile mean: the mean of the middle half of all runs of all tasks.

    Example:
        >>> iqm([[0.0, 0.4], [0.6, 1.0]])
        0.5
    """
    return float(_iqm(np.concatenate([np.asarray(task, float) for task in scores])))


def iqm_interval(scores: Scores) -> Interval | None:
    """Return the 95 % interval of the interquartile mean.

    Example:
        >>> iqm_interval([[0.5, 0.5], [0.5, 0.5]])
        (0.5, 0.5)
        >>> iqm_interval([[0.5]])
    """
    return bootstrap(scores, lambda *tasks: _iqm(np.concatenate(tasks, axis=-1)))


def mean_interval(scores: Sequence[float]) -> Interval | None:
    """Return the 95 % interval of a mean over seeds; None for a single seed."""
    return bootstrap([scores], lambda task: task.mean(axis=-1))


def better(ours: Scores, theirs: Scores) -> float:
    """Return the probability of improvement: how often a run of ours beats one of theirs on the same task.

    Ties count half. The mean over tasks of what the Mann-Whitney U statistic counts.

    Example:
        >>> better([[1.0, 1.0]], [[0.0, 1.0]])
        0.75
    """
    return float(
        np.mean([_wins(np.asarray(a, float), np.asarray(b, float)) for a, b in _tasks(ours, theirs)])
    )


def better_interval(ours: Scores, theirs: Scores) -> Interval | None:
    """Return the 95 % interval of the probability of improvement."""
    count = len(ours)
    _tasks(ours, theirs)

    def statistic(*tasks: Floats) -> Floats:
        pairs = zip(tasks[:count], tasks[count:], strict=True)
        return np.mean([_wins(a, b) for a, b in pairs], axis=0)

    return bootstrap([*ours, *theirs], statistic)


def difference_interval(ours: Sequence[float], theirs: Sequence[float]) -> Interval | None:
    """Return the 95 % interval of the difference of two means, ours less theirs."""
    return bootstrap([ours, theirs], lambda a, b: a.mean(axis=-1) - b.mean(axis=-1))


def profile(scores: Scores, levels: Sequence[float]) -> tuple[list[float], list[Interval] | None]:
    """Return the performance profile: per level, the share of runs above it, and its 95 % interval.

    Example:
        >>> profile([[0.2, 0.8]], [0.0, 0.5, 1.0])[0]
        [1.0, 0.5, 0.0]
    """
    marks = np.asarray(levels, float)

    def shares(*tasks: Floats) -> Floats:
        runs = np.concatenate(tasks, axis=-1)
        return np.stack([(runs > mark).mean(axis=-1) for mark in marks])

    told = shares(*(np.asarray(task, float) for task in scores))
    found = _bootstrap(scores, shares)
    if found is None:
        return told.tolist(), None
    low, high = found
    return told.tolist(), list(zip(np.atleast_1d(low).tolist(), np.atleast_1d(high).tolist(), strict=True))


def chance(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return how likely so great a difference of means is when both sides are alike: a permutation test, two-sided.

    Exact where there are at most `PERMUTATIONS` ways to deal the scores out, drawn otherwise.

    Example:
        >>> chance([1.0, 1.0, 1.0], [0.0, 0.0, 0.0])
        0.1
        >>> chance([0.5, 0.5], [0.5, 0.5])
        1.0
    """
    pool = np.concatenate([np.asarray(ours, float), np.asarray(theirs, float)])
    n, total = len(ours), len(ours) + len(theirs)
    seen = abs(float(np.mean(ours)) - float(np.mean(theirs)))
    if math.comb(total, n) <= PERMUTATIONS:
        chosen = np.array(list(itertools.combinations(range(total), n)))
    else:
        rng = np.random.default_rng(0)
        chosen = np.argsort(rng.random((PERMUTATIONS, total)), axis=1)[:, :n]
    sums = pool[chosen].sum(axis=1)
    found = np.abs(sums / n - (pool.sum() - sums) / (total - n))
    return float((found >= seen - 1e-12).mean())


def least_chance(ours: int, theirs: int) -> float:
    """Return the least value that `chance` can have with so many runs on either side, all different.

    Example:
        >>> least_chance(2, 2), least_chance(5, 5)
        (0.3333333333333333, 0.007936507936507936)
    """
    ways = math.comb(ours + theirs, ours)
    return min(1.0, (2 if ours == theirs else 1) / ways)


def holm(chances: Sequence[float]) -> list[float]:
    """Return chances corrected for their number, by Holm's step-down method (1979).

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(chances)), key=lambda i: chances[i])
    corrected, most = [0.0] * len(chances), 0.0
    for rank, i in enumerate(order):
        most = max(most, min(1.0, (len(chances) - rank) * chances[i]))
        corrected[i] = most
    return corrected


def bootstrap(scores: Scores, statistic: Callable[..., Floats]) -> Interval | None:
    """Return the 95 % percentile interval of a statistic of tasks, each `[..., seed]`; seeds are drawn within tasks."""
    found = _bootstrap(scores, statistic)
    return None if found is None else (float(found[0]), float(found[1]))


def _bootstrap(scores: Scores, statistic: Callable[..., Any]) -> tuple[Any, Any] | None:
    from scipy import stats

    samples = [np.asarray(task, float) for task in scores]
    drawn = [i for i, task in enumerate(samples) if len(task) > 1]
    if not drawn:
        return None

    def of_drawn(*tasks: Floats, axis: int = -1) -> Any:
        held = dict(zip(drawn, tasks, strict=True))
        shape = tasks[0].shape[:-1]
        return statistic(
            *(
                held[i] if i in held else np.broadcast_to(task, (*shape, len(task)))
                for i, task in enumerate(samples)
            )
        )

    told = stats.bootstrap(
        [samples[i] for i in drawn],
        of_drawn,
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        vectorized=True,
        random_state=np.random.default_rng(0),
    )
    return told.confidence_interval.low, told.confidence_interval.high


def _iqm(runs: Floats) -> Floats:
    from scipy import stats

    return np.asarray(stats.trim_mean(runs, 0.25, axis=-1))


def _wins(ours: Floats, theirs: Floats) -> Floats:
    a, b = ours[..., :, None], theirs[..., None, :]
    return np.asarray(((a > b) + 0.5 * (a == b)).mean(axis=(-2, -1)))


def _tasks(ours: Scores, theirs: Scores) -> list[tuple[Sequence[float], Sequence[float]]]:
    return list(zip(ours, theirs, strict=True))
