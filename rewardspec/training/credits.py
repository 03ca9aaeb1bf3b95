"""Which factor of a run's latent rewards earned what, over the latest steps that its learner has seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rewardspec.analysis.columns import align
from rewardspec.compiler import compile_spec
from rewardspec.errors import Problem, UnsupportedError
from rewardspec.ir.program import Learned
from rewardspec.kinds.feedback import Feedback
from rewardspec.kinds.latent import Latent, factor_names
from rewardspec.training.folder import RunFolder
from rewardspec.vocabulary import load

Arrays = Any
"""NumPy arrays: one, or several by name."""

LATEST = 2_000
"""Steps that are looked at."""

SHOWN = 32
"""Factors that are listed."""


def has_latent(place: str | Path) -> bool:
    """Return whether a run learned a latent reward."""
    folder = RunFolder(place)
    return folder.spec.is_file() and any(
        isinstance(each.settings, Latent) for each in compile_spec(load(folder.spec)).learned
    )


def learned_state(folder: RunFolder) -> dict[str, Arrays]:
    """Return the arrays of the learner's state in a run's newest checkpoint.

    Raises:
        UnsupportedError: `no-models` where the run has written none yet.
        LearningError: `broken-checkpoint`.
    """
    from rewardspec.learning.learner import STATE, read_state

    latest = folder.latest()
    if latest is None or not (latest / STATE).is_file():
        hint = "A run of `rewardspec train` writes checkpoints as it goes."
        message = f"the run in {folder.path} has no checkpoint with what was learned"
        raise UnsupportedError(Problem("no-models", message, hints=(hint,)))
    return read_state(latest)


def describe_credit(place: str | Path) -> str:
    """Return what each factor of each latent term of a run earned: per step on the mean, and at most.

    Raises:
        UnsupportedError: `no-models` where the run has written no checkpoint yet.
        LearningError: `broken-checkpoint`.
    """
    folder = RunFolder(place)
    program = compile_spec(load(folder.spec))
    arrays = learned_state(folder)
    texts, first = [], 0
    for each in program.learned:
        width = len(arrays.get(f"model/{each.name}/centre", ()))
        if isinstance(each.settings, Feedback):
            width = len(each.inputs or ())
        if isinstance(each.settings, Latent):
            texts.append(_of_term(each, arrays, slice(first, first + width)))
        first += width + len(each.measures)
    return "\n\n".join(texts)


def _of_term(learned: Learned, arrays: Arrays, columns: slice) -> str:
    """Return the table of one term, whose inputs stand in these columns of the stored steps."""
    from rewardspec.learning.attribution import attribute
    from rewardspec.learning.models import Ensemble

    settings = learned.settings
    assert isinstance(settings, Latent)
    start = f"model/{learned.name}/"
    own = {key[len(start) :]: array for key, array in arrays.items() if key.startswith(start)}
    width = columns.stop - columns.start
    model = Ensemble(settings.networks, width, seed=0)
    model.take_arrays(own)
    if not model.is_fitted or "store/features" not in arrays:
        return f"{learned.name}: nothing is learned yet"
    steps = _latest(arrays)[:, columns]
    given, base = attribute(model, steps)
    rewards = model.reward(steps)
    names = factor_names(settings, width)
    order = np.argsort(-given.std(0))[:SHOWN]
    rows = [("factor", "mean", "spread", "earned a step", "least", "most")]
    rows += [
        (
            names[d][:60],
            f"{steps[:, d].mean():.4g}",
            f"{steps[:, d].std():.3g}",
            f"{given[:, d].mean():+.4g}",
            f"{given[:, d].min():+.4g}",
            f"{given[:, d].max():+.4g}",
        )
        for d in order
    ]
    more = [f"... and {width - SHOWN} more"] if width > SHOWN else []
    head = (
        f"{learned.name}: the latest {len(steps)} steps were paid {rewards.mean():.4g} on the mean. The mean step of "
        f"the first refresh is paid {base:.4g}; from there on, by factor:"
    )
    return "\n".join([head, *align(rows, right=range(1, 6)), *more])


def _latest(arrays: Arrays) -> Arrays:
    """Return `[N, F]` the latest steps of a stored ring, oldest first."""
    features, written = arrays["store/features"], int(arrays["store/written"])
    rows, envs, width = features.shape
    number = min(rows, max(LATEST // envs, 1))
    kept = np.arange(written - number, written) % rows
    return features[kept].reshape(-1, width)
