"""Gaussian processes on a finite set of places: kernels, what is left after a measurement, and samples."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Kernel = Literal["rbf", "matern12", "matern32", "matern52"]
KERNELS: tuple[Kernel, ...] = ("rbf", "matern12", "matern32", "matern52")

Floats = npt.NDArray[np.float64]


def covariance(
    places: npt.ArrayLike, kernel: Kernel = "matern52", lengthscale: float = 1.0, variance: float = 1.0
) -> Floats:
    """Return the covariance of a process at places `[n, d]`, `[n, n]`.

    Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), equations 4.9 and 4.14 to 4.17.

    Raises:
        ValueError: When there is no such kernel, or a parameter is not above 0.

    Example:
        >>> covariance([[0.0], [1.0]], "rbf").round(4).tolist()
        [[1.0, 0.6065], [0.6065, 1.0]]
    """
    if kernel not in KERNELS:
        raise ValueError(f"kernels are {', '.join(KERNELS)}, not {kernel!r}")
    if not (lengthscale > 0 and variance > 0):
        raise ValueError(f"lengthscale {lengthscale} and variance {variance}: both are above 0")
    x = np.asarray(places, np.float64) / lengthscale
    squared = (x**2).sum(axis=1)
    square = np.maximum(squared[:, None] + squared[None, :] - 2 * x @ x.T, 0.0)
    np.fill_diagonal(square, 0.0)
    if kernel == "rbf":
        return variance * np.asarray(np.exp(-0.5 * square), np.float64)
    distance = np.sqrt(square * {"matern12": 1.0, "matern32": 3.0, "matern52": 5.0}[kernel])
    factor: Any = {
        "matern12": 1.0,
        "matern32": 1.0 + distance,
        "matern52": 1.0 + distance + distance**2 / 3.0,
    }[kernel]
    return variance * np.asarray(factor * np.exp(-distance), np.float64)


def posterior(kernel: Floats, measured: npt.ArrayLike, noise: float) -> Floats:
    """Return the covariance `[n, n]` that is left when some places were measured.

    Args:
        kernel: `[n, n]`, the covariance before.
        measured: Numbers of the places.
        noise: Variance of a measurement, above 0.
    """
    at = np.asarray(measured, np.int64)
    cross = kernel[:, at]
    told = np.linalg.solve(kernel[np.ix_(at, at)] + noise * np.eye(len(at)), cross.T)
    left = kernel - cross @ told
    return np.asarray((left + left.T) / 2, np.float64)


def sample(kernel: Floats, rng: np.random.Generator, jitter: float = 1e-8) -> Floats:
    """Return the values of one draw of the process with mean 0, `[n]`."""
    factor = np.linalg.cholesky(kernel + jitter * float(np.abs(kernel).max()) * np.eye(len(kernel)))
    return np.asarray(factor @ rng.standard_normal(len(kernel)), np.float64)
