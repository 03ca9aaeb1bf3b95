"""Which distance between rewards predicts regret? STARC's study on random small worlds, with exact returns.

Worlds of 32 states and 4 actions; pairs of random rewards, and 16 steps on the straight line from one to the other. A
distance is good when it rises with the regret of optimising one reward and being judged by the other. A cell is one
world; what it keeps are sums, from which the correlation over all worlds is exact.

Source: Skalse et al., "STARC", ICLR 2024 (arXiv 2309.15257), section 5; constants from the released code. Their
returns are Monte Carlo estimates, ours are exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.experiment import Figure
from benchmarks.records import Cell, Row, Setting, provenance
from rewardspec.analysis.starc.canonical import CANONICALISERS, Canonical
from rewardspec.analysis.starc.norms import Norm, norm
from rewardspec.tabular.process import Process

TAGS = ("compare", "tabular", "papers")
STEPS = 128
"""Distances of a cell: 8 pairs of rewards, 16 steps each."""

SEEDS = 24
"""Worlds: 3,072 distances in all."""

SMOKE_STEPS = 16

STATES, ACTIONS, DISCOUNT, LINE = 32, 4, 0.95, 16

NEAR_TRIVIAL = 1e-6
"""A reward whose returns differ by less than this part of what it could pay counts as one that asks for nothing: sparse
ones often pay only on transitions of probability 1e-9. Its regret is 0, and so is its canonical form where that is as
small."""

Floats = npt.NDArray[np.float64]

CANONICAL: tuple[Canonical, ...] = (
    "none",
    "epic",
    "dard",
    "val_potential",
    "val",
    "minimal_potential",
    "minimal",
)

NORMED: tuple[tuple[Norm | None, Norm], ...] = (
    ("l1", "l1"),
    ("l1", "w1"),
    ("l2", "l2"),
    ("w2", "w2"),
    (None, "l2"),
)
"""(norm, metric): those of which the paper's figure was read; None does not normalise."""

PUBLISHED: dict[Canonical, tuple[float | str, ...]] = {
    "none": (0.597, 0.515, 0.618, 0.615, ".30 to .33"),
    "epic": (0.814, 0.819, 0.778, 0.823, ".12 to .18"),
    "dard": (0.824, 0.861, 0.782, 0.831, ".12 to .17"),
    "val_potential": (0.800, 0.876, 0.782, 0.845, ".12 to .17"),
    "val": (0.873, 0.873, 0.856, 0.856, ".14 to .17"),
    "minimal_potential": (0.815, 0.718, 0.778, "-", "-"),
}
"""Correlations read off the authors' figure (results/final/correlations.pdf), in the order of `NORMED`. Theirs of
`minimal_potential` come from gradient descent in the norm itself; ours minimises the L2 norm, exactly."""

SETTINGS: list[Setting] = [{"name": "random worlds"}]


def random_world(rng: np.random.Generator) -> Process:
    """Return a world in which few next states are likely; every state and action lists all of them."""
    logits = rng.standard_normal((STATES, ACTIONS, STATES))
    weights = np.exp(np.where(logits > 1.0, logits, -20.0))
    every = np.broadcast_to(np.arange(STATES), weights.shape)
    chance = weights / weights.sum(axis=2, keepdims=True)
    return Process(np.array(every), chance, np.zeros(chance.shape, np.bool_), np.full(STATES, 1.0 / STATES))


def random_reward(rng: np.random.Generator) -> Floats:
    """Return a reward `[X, A, X]`: dense or sparse, scaled, shifted, shaped or not."""
    reward = rng.standard_normal((STATES, ACTIONS, STATES))
    if rng.random() < 0.2:
        reward = np.where(reward > 3.0, reward, 0.0)
    if rng.random() < 0.7:
        reward = reward * (10.0 * rng.random())
    if rng.random() < 0.3:
        reward = reward + 10.0 * rng.random()
    if rng.random() < 0.5:
        potential = rng.standard_normal(STATES) * 10.0 * rng.random() + rng.random()
        reward = reward + DISCOUNT * potential[None, None, :] - potential[:, None, None]
    return np.asarray(reward, np.float64)


def regrets(process: Process, rewards: Sequence[Floats]) -> Floats:
    """Return, for every reward after the first, the mean of both regrets: of each by the other's optimal policy."""
    paid = [process.expected(reward) for reward in rewards]
    best = [process.optimum(r, DISCOUNT).policy for r in paid]
    worst = [process.optimum(-r, DISCOUNT).policy for r in paid]
    visits = [process.occupancy(policy, DISCOUNT) for policy in (*best, *worst)]
    earned = np.array([[float((m * r).sum()) for r in paid] for m in visits])  # [policy, reward]
    count = len(rewards)
    top, bottom = np.diag(earned[:count]), np.diag(earned[count:])
    most = np.array([np.abs(reward).max() for reward in rewards]) / (1.0 - DISCOUNT)
    spread = np.where(top - bottom > NEAR_TRIVIAL * most, top - bottom, np.inf)
    of_first = (top[0] - earned[1:count, 0]) / spread[0]
    of_second = (top[1:] - earned[0, 1:]) / spread[1:]
    return np.asarray((of_first + of_second) / 2.0)


def study(seed: int, pairs: int) -> tuple[Floats, dict[str, Floats]]:
    """Return regrets `[pairs * 16]` in one random world, and the distances by canonical form, norm and metric."""
    rng = np.random.default_rng([seed, 2309])
    process = random_world(rng)
    regret: list[Floats] = []
    distances: dict[str, list[float]] = {}
    for _ in range(pairs):
        first, second = random_reward(rng), random_reward(rng)
        line = [first + (second - first) * i / LINE for i in range(LINE + 1)]
        regret.append(regrets(process, line))
        for canonical in CANONICAL:
            # Linear in the reward, so two canonical forms give those on the whole line.
            ends = [CANONICALISERS[canonical].of(process, r, DISCOUNT) for r in (first, second)]
            forms = [ends[0] + (ends[1] - ends[0]) * i / LINE for i in range(LINE + 1)]
            for size, metric in NORMED:
                standard = [_standard(process, form, r, size) for form, r in zip(forms, line, strict=True)]
                found = [norm(standard[0] - other, process.probability, metric) for other in standard[1:]]
                distances.setdefault(column(canonical, size, metric), []).extend(found)
    return np.concatenate(regret), {name: np.array(values) for name, values in distances.items()}


def _standard(process: Process, form: Floats, reward: Floats, size: Norm | None) -> Floats:
    if size is None:
        return form
    length = norm(form, process.probability, size)
    if length <= NEAR_TRIVIAL * norm(reward, process.probability, size) / (1.0 - DISCOUNT):
        return np.zeros_like(form)
    return form / length


def column(canonical: Canonical, size: Norm | None, metric: Norm) -> str:
    """Return the name of a distance.

    Example:
        >>> column("val", "w2", "w2")
        'val w2 w2'
    """
    return f"{canonical} {size or 'none'} {metric}"


def run(setting: Setting, seed: int) -> list[Row]:
    """Return, for each distance, the sums that make its correlation with regret."""
    regret, distances = study(seed, max(1, setting["steps"] // LINE))
    return [
        {
            "distance": name,
            "n": len(regret),
            "x": float(x.sum()),
            "y": float(regret.sum()),
            "xx": float(x @ x),
            "yy": float(regret @ regret),
            "xy": float(x @ regret),
        }
        for name, x in distances.items()
    ]


def correlation(rows: Sequence[Row]) -> float:
    """Return the correlation over all worlds of one distance, from its sums; 0 where nothing varies or is there."""
    if not rows:
        return 0.0
    n, x, y, xx, yy, xy = (sum(row[k] for row in rows) for k in ("n", "x", "y", "xx", "yy", "xy"))
    spread = (xx - x * x / n) * (yy - y * y / n)
    return float((xy - x * y / n) / np.sqrt(spread)) if spread > 0 else 0.0


def score(rows: Sequence[Row]) -> float:
    """Return how well STARC-VAL predicts regret in one world."""
    return max(0.0, correlation([row for row in rows if row["distance"] == "val w2 w2"]))


def figures(cells: Sequence[Cell]) -> list[Figure]:
    """Return the published correlations beside ours; that STARC-VAL does best is what is claimed."""
    rows = [row for cell in cells for row in cell.rows]
    told = []
    for canonical, published in PUBLISHED.items():
        for (size, metric), theirs in zip(NORMED, published, strict=True):
            if size != "l2" or isinstance(theirs, str):
                continue
            own = [row for row in rows if row["distance"] == column(canonical, size, metric)]
            told.append(
                Figure(
                    f"correlation of distance and regret, {canonical.replace('_', ' ')}, L2",
                    "Skalse et al., ICLR 2024, read off the released figure",
                    "figure files",
                    theirs,
                    round(correlation(own), 3) if own else None,
                    note="their returns are estimated, ours are exact: ours lie higher",
                )
            )
    return told


def report(cells: Sequence[Cell], folder: Path) -> str:
    """Return the page."""
    rows = [row for cell in cells for row in cell.rows]
    count = sum(row["n"] for row in rows if row["distance"] == "val l2 l2")
    lines = [
        "# Distances between rewards, and regret",
        "",
        "<!-- Made by `python -m benchmarks report starc` -->",
        "",
        f"Correlation of distance and regret over {count:,} pairs of rewards in {len(cells)} random worlds (32 states,",
        '4 actions, discount 0.95); in brackets the published one, read off the figure of Skalse et al., "STARC" (ICLR',
        "2024). Their returns are Monte Carlo estimates, ours are exact.",
        "",
        *_table(rows),
        "",
        "- *val* and *minimal* make STARC metrics: 0 exactly where two rewards order all policies alike.",
        "- *none* compares rewards as they are: shaping, scale and shifts count.",
        "- *l* norms count each transition alike, *w* norms by its probability; *none* as norm does not normalise.",
        "- *minimal_potential* and *minimal* are solved exactly in L2, in every column; the paper's is gradient",
        "  descent in the norm of the column.",
        "",
        provenance(cells),
        "",
    ]
    return "\n".join(lines)


def _table(rows: Sequence[Row]) -> Iterator[str]:
    heads = [f"{size or 'none'}, {metric}" for size, metric in NORMED]
    yield "| canonical form | " + " | ".join(heads) + " |"
    yield "| --- |" + " ---: |" * len(heads)
    for canonical in CANONICAL:
        told = PUBLISHED.get(canonical, ("-",) * len(NORMED))
        parts: list[Any] = []
        for (size, metric), published in zip(NORMED, told, strict=True):
            own = correlation([row for row in rows if row["distance"] == column(canonical, size, metric)])
            shown = f"{published:.3f}" if isinstance(published, float) else published
            parts.append(f"{own:.3f} ({shown})")
        yield f"| {canonical} | " + " | ".join(parts) + " |"
