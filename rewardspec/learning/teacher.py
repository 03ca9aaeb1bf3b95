"""A simulated teacher who labels pairs of segments by a reward, with the faults of people.

Source: B-Pref (Lee et al., NeurIPS 2021, Datasets and Benchmarks).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rewardspec.kinds.preferences import Teacher

Floats = npt.NDArray[np.float64]


def label_pairs(a: npt.ArrayLike, b: npt.ArrayLike, teacher: Teacher, rng: np.random.Generator) -> Floats:
    """Return what the teacher says of each pair.

    Args:
        a: `[N, L]` rewards of the steps of one side.
        b: `[N, L]` of the other.
        teacher: How the teacher is.
        rng: What draws.

    Returns:
        `[N]`: 1 where a is preferred, 0 where b is, 0.5 for equal, NaN where the teacher skips.

    Example:
        >>> strict = Teacher.model_validate({"equal_within": 0.5})
        >>> label_pairs([[1.0], [1.0]], [[0.0], [0.9]], strict, np.random.default_rng(0)).tolist()
        [1.0, 0.5]
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    age = np.arange(a.shape[1] - 1, -1, -1)
    remembered = teacher.myopia**age
    x, y = (a * remembered).sum(1), (b * remembered).sum(1)
    if teacher.rationality is None:
        said = np.where(x == y, 0.5, (x > y).astype(np.float64))
    else:
        chance = 1.0 / (1.0 + np.exp(np.clip(-teacher.rationality * (x - y), -700, 700)))
        said = (rng.random(len(x)) < chance).astype(np.float64)
    mistaken = rng.random(len(x)) < teacher.mistakes
    said = np.where(mistaken, 1.0 - said, said)
    plain_x, plain_y = a.sum(1), b.sum(1)
    if teacher.equal_within > 0:
        said = np.where(np.abs(plain_x - plain_y) < teacher.equal_within, 0.5, said)
    if teacher.skip_below is not None:
        said = np.where(np.maximum(plain_x, plain_y) < teacher.skip_below, np.nan, said)
    return said
