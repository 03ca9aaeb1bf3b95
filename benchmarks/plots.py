"""Learning curves as small SVG files: every seed thin, their median thick, the quartiles as a band."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

POINTS = 200
"""Points to which curves are brought."""


@dataclass(frozen=True)
class Band:
    """Curves of one arm, one per seed: points (x, y)."""

    name: str
    seeds: Sequence[Sequence[tuple[float, float]]]


def curves(
    place: Path,
    bands: Sequence[Band],
    x_label: str,
    y_label: str,
    title: str,
    mark: float | None = None,
) -> None:
    """Draw arms into an SVG file.

    Args:
        place: The file.
        bands: The arms.
        x_label: What x is.
        y_label: What y is.
        title: The picture's title.
        mark: Where to draw a dashed line across.
    """
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "rewardspec"  # the same figures make the same file
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3.6), layout="constrained")
    most = max((x for band in bands for seed in band.seeds for x, _ in seed), default=1.0)
    grid = np.linspace(0, most, POINTS)
    for number, band in enumerate(bands):
        colour = f"C{number}"
        brought = [np.interp(grid, *np.array(seed, float).T, left=np.nan) for seed in band.seeds if len(seed)]
        if not brought:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # before the first point there is nothing to draw
            low, middle, high = np.nanquantile(brought, (0.25, 0.5, 0.75), axis=0)
        axes.fill_between(grid, low, high, color=colour, alpha=0.2, linewidth=0)
        for seed in brought:
            axes.plot(grid, seed, color=colour, alpha=0.25, linewidth=0.7)
        axes.plot(grid, middle, color=colour, linewidth=2, label=f"{band.name} ({len(brought)} seeds)")
    if mark is not None:
        axes.axhline(mark, color="0.5", linestyle="--", linewidth=0.8)
    axes.set(xlabel=x_label, ylabel=y_label, title=title, xlim=(0, most))
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_formatter(matplotlib.ticker.EngFormatter(sep=" "))
    axes.legend(frameon=False)
    place.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(place, metadata={"Date": None})
    pyplot.close(figure)
