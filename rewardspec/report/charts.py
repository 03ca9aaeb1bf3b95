"""Charts as SVG text, coloured by the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rewardspec.report.page import text

WIDTH, HEIGHT = 760, 320
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 14, 44

Point = tuple[float, float]


@dataclass(frozen=True)
class Curves:
    """Curves that belong together: one per seed, drawn thin, and their mean, drawn thick.

    Attributes:
        name: What the legend says.
        seeds: Per seed, the points (x, y).
        tone: Which of the page's colours: 0, 1, ...
    """

    name: str
    seeds: Sequence[Sequence[Point]]
    tone: int


def line_chart(groups: Sequence[Curves], x_label: str, y_label: str, mark: float | None = None) -> str:
    """Return curves with y from 0 to 1 as a chart.

    Args:
        groups: The curves.
        x_label: What x is.
        y_label: What y is; it is shown in per cent.
        mark: Where to draw a dashed line across.
    """
    most = max((x for group in groups for seed in group.seeds for x, _ in seed), default=1.0) or 1.0
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{text(y_label)} against {text(x_label)}">'
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _y(share)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{share:.0%}</text>'
        )
    for tick in ticks(most):
        parts.append(label(_x(tick, most), HEIGHT - BOTTOM + 18, short(tick)))
    if mark is not None:
        y = _y(mark)
        parts.append(f'<line class="mark" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
    for group in groups:
        parts.extend(_line(seed, most, f"seed tone{group.tone}") for seed in group.seeds)
    for group in groups:
        parts.append(_line(mean_of(group.seeds), most, f"mean tone{group.tone}"))
    parts.append(label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x_label))
    return "\n".join([*parts, "</svg>", _legend(groups, y_label)])


def label(x: float, y: float, words: str, anchor: str = "middle") -> str:
    """Return a text of a chart; `anchor` is `start`, `middle` or `end`."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text(words)}</text>'


def rectangle(kind: str, x: float, y: float, width: float, height: float) -> str:
    """Return a filled rectangle of a chart, of the style sheet's class `kind`."""
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="3"/>'


def mean_of(seeds: Sequence[Sequence[Point]]) -> list[Point]:
    """Return the mean of curves, at the x that all of them have.

    Example:
        >>> mean_of([[(0, 1.0), (1, 1.0)], [(1, 0.0), (2, 0.0)]])
        [(1, 0.5)]
    """
    known = [dict(seed) for seed in seeds]
    shared = sorted(set.intersection(*(set(points) for points in known))) if known else []
    return [(x, sum(points[x] for points in known) / len(known)) for x in shared]


def ticks(most: float, count: int = 6) -> list[float]:
    """Return round numbers from 0 to `most`.

    Example:
        >>> ticks(300_000)
        [0.0, 50000.0, 100000.0, 150000.0, 200000.0, 250000.0, 300000.0]
    """
    rough = most / count
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * n for n in (1, 2, 2.5, 5, 10) if unit * n >= rough)
    return [step * i for i in range(int(most / step + 1e-9) + 1)]


def short(number: float) -> str:
    """Return a number of steps in few characters.

    Example:
        >>> short(61_440), short(2_500_000), short(512)
        ('61.4 k', '2.5 M', '512')
    """
    if number >= 1e6:
        return f"{number / 1e6:.3g} M"
    return f"{number / 1e3:.3g} k" if number >= 1e3 else f"{number:.0f}"


def _x(value: float, most: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * value / most


def _y(share: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share)


def _line(points: Sequence[Point], most: float, kind: str) -> str:
    where = " ".join(f"{_x(x, most):.1f},{_y(y):.1f}" for x, y in points)
    return f'<polyline class="{kind}" points="{where}"/>'


def _legend(groups: Sequence[Curves], y_label: str) -> str:
    entries = "".join(
        f'<span class="key"><i class="swatch tone{group.tone}"></i>{text(group.name)}</span>'
        for group in groups
    )
    note = f'<span class="note">{text(y_label)}; thin: each seed, thick: their mean</span>'
    return f'<p class="legend">{entries}{note}</p>'
