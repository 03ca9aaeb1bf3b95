"""One refresh of a reward model: from the stored steps to a model that has been fitted, and what that came to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardspec.errors import LearningError, Problem
from rewardspec.kinds.latent import Latent
from rewardspec.kinds.reward_model import Refreshing
from rewardspec.learning.comparisons import ByPeople, Comparisons, Gains
from rewardspec.learning.decomposition import decompose
from rewardspec.learning.episodes import whole_episodes
from rewardspec.learning.features import Columns
from rewardspec.learning.fitting import fit, held_losses
from rewardspec.learning.models import Ensemble
from rewardspec.learning.trajectories import Segments, TrajectoryStore

Floats = npt.NDArray[np.float32]

TRIES = 3
"""How often a refresh draws pairs until one is decided."""

SETTLED_ON = 20_000
"""Stored steps, the latest, over which outputs are standardised."""

Values = Callable[[Floats], Floats]
"""The agent's own values: `[N, O]` observations, flat -> `[N]`."""


def fit_returns(
    model: Ensemble,
    store: TrajectoryStore,
    columns: Columns,
    settings: Latent,
    team: int,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Fit a model to the returns of whole episodes; return what it came to.

    Args:
        model: The model.
        store: The steps.
        columns: Where the model's features are in them.
        settings: The term.
        team: Environments, side by side, that share a return.
        rng: Draws episodes and batches.
    """
    episodes = whole_episodes(store, columns.inputs, columns.measures.start, team)
    if not len(episodes):
        return {"episodes": 0}
    told, losses = decompose(model, episodes, settings, rng)
    model.settle(store.latest(SETTLED_ON)[:, columns.inputs], losses)
    return told.to_data()


def fit_pairs(
    model: Ensemble,
    store: TrajectoryStore,
    columns: Columns,
    settings: Refreshing,
    source: Comparisons,
    gains: Gains | None,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Fit a model to comparisons; return what it came to.

    Args:
        model: The model.
        store: The steps.
        columns: Where the model's features are in them.
        settings: The term.
        source: Draws pairs of segments and says which are preferred.
        gains: How much value segments gained, where the statistic is the regret.
        rng: Draws pairs and batches.

    Raises:
        LearningError: `all-tied` where the spec says `when_tied: stop` and no pair was decided.
    """
    for _ in range(TRIES):
        drawn = source.draw(store, rng, gains)
        if len(drawn.pairs) or not drawn.facts.get("drawn") or isinstance(source, ByPeople):
            break
    if not len(drawn.pairs):
        if settings.when_tied == "stop" and not isinstance(source, ByPeople):
            raise _all_tied(columns, settings, drawn.facts)
        return drawn.facts | {"pairs": 0}
    if not model.is_fitted:
        model.see(store.latest(SETTLED_ON)[:, columns.inputs])
    told = fit(model, drawn.pairs, settings.fit, rng)
    losses = held_losses(model, drawn.pairs, settings.fit.held_out)
    model.settle(store.latest(SETTLED_ON)[:, columns.inputs], losses)
    return drawn.facts | told.to_data()


def _all_tied(columns: Columns, settings: Refreshing, facts: Mapping[str, float]) -> LearningError:
    hints: tuple[str, ...] = (
        "Make a margin smaller, or add a factor that tells such segments apart.",
        "`when_tied: keep` goes on with the last model.",
    )
    number = f"{facts.get('drawn', 0):.0f} pairs"
    message = (
        f"'{columns.learned.name}' drew {number} {TRIES} times, and all were tied: none can teach anything"
    )
    if not facts.get("drawn"):
        message = f"'{columns.learned.name}' found no segment of {settings.segment} steps in what is stored"
        hints = ("Episodes are shorter: say a shorter `segment`.",)
    return LearningError(Problem("all-tied", message, columns.learned.place, hints))


def gains_of(store: TrajectoryStore, first: int, values: Values) -> Gains:
    """Return how much value segments gained, by the agent's values of their ends.

    Args:
        store: The steps; from column `first` on it has the observation before the step, the one after it, and whether
            the step terminated.
        first: That column.
        values: The agent's values.
    """
    size = (store.features.shape[2] - first - 1) // 2

    def gained(segments: Segments) -> Floats:
        if not len(segments):
            return np.zeros(0, np.float32)
        start = store.features[segments.rows[:, 0], segments.envs, first : first + size]
        last = store.features[segments.rows[:, -1], segments.envs]
        after = values(last[:, first + size : first + 2 * size]) * (last[:, -1] == 0)
        return np.asarray(after - values(start), np.float32)

    return gained


def has_fitted(report: Mapping[str, Any]) -> bool:
    """Return whether a model was fitted at a refresh, so that it pays otherwise now."""
    return bool(report.get("pairs") or report.get("episodes") or report.get("labels"))
