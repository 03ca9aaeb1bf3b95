"""Numbers with their intervals, one below the other, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.estimates import Interval
from rewardspec.report.charts import label
from rewardspec.report.page import text

WIDTH, ROW, NAME, RIGHT, FOOT = 560, 26, 180, 140, 26


@dataclass(frozen=True)
class Bar:
    """A method's number.

    Attributes:
        name: The method.
        tone: Its colour.
        value: 0 to 1.
        interval: Its interval.
    """

    name: str
    tone: int
    value: float
    interval: Interval | None


def intervals(bars: Sequence[Bar], x_label: str, mark: float | None = None) -> str:
    """Return numbers from 0 to 1 with their intervals.

    Args:
        bars: The numbers.
        x_label: What they are.
        mark: Where to draw a dashed line.
    """
    height = ROW * len(bars) + FOOT
    parts = [
        f'<svg class="chart bars" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{text(x_label)}">'
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = _x(share)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height - FOOT}"/>')
        parts.append(label(x, height - FOOT + 16, f"{share:g}"))
    if mark is not None:
        x = _x(mark)
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height - FOOT}"/>')
    for row, bar in enumerate(bars):
        y = ROW * (row + 0.5)
        low, high = bar.interval or (bar.value, bar.value)
        told = f"{bar.value:.2f}" + (f" [{low:.2f}, {high:.2f}]" if bar.interval else "")
        name = bar.name if len(bar.name) <= 28 else bar.name[:27] + "…"
        parts.append(
            f'<g data-method="{bar.tone}" class="tone{bar.tone}"><title>{text(bar.name)}: {told}</title>'
            f'<line class="span" x1="{_x(low):.1f}" x2="{_x(high):.1f}" y1="{y}" y2="{y}"/>'
            f'<circle class="dot" cx="{_x(bar.value):.1f}" cy="{y}" r="5"/>'
            f"{label(NAME - 10, y + 4, name, 'end')}{label(WIDTH - RIGHT + 10, y + 4, told, 'start')}</g>"
        )
    return "\n".join([*parts, "</svg>", f'<p class="note">{text(x_label)}</p>'])


def _x(value: float) -> float:
    return NAME + (WIDTH - NAME - RIGHT) * min(max(value, 0.0), 1.0)
