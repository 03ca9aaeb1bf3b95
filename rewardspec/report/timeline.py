"""An episode against time: rewards by term so far, machine states and propositions, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, groupby

from rewardspec.report.charts import label, rectangle, short, ticks
from rewardspec.report.page import text
from rewardspec.report.recording import Episode

WIDTH, LEFT, RIGHT = 760, 132, 14
PLOT, STRIP, GAP, FOOT = 150, 16, 5, 24
"""Heights of the timeline's parts, in its own units."""

TONES = 6
"""Colours of the style sheet."""

MOST_STRIPS = 24
"""Propositions that get a strip; those that are true at some step come first."""

MOST_DOTS = 80
"""Payments of a term that are marked one by one."""

FITTING = 4.0
"""How many times the terms' returns the environment's own may be to share their scale."""

LETTER = 6.2
"""Width of a letter on a strip, about."""


def propositions(episode: Episode) -> list[tuple[str, list[bool]]]:
    """Return the propositions and when each was true, those that ever were first."""
    names = [proposition.name for proposition in episode.program.propositions]
    held = [(name, [name in step.true for step in episode.steps]) for name in names]
    return sorted(held, key=lambda row: not any(row[1]))[:MOST_STRIPS]


def timeline(episode: Episode) -> str:
    """Return the rewards by term so far, the machines' states and the propositions, against the step."""
    last = max(1, len(episode.steps) - 1)

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / last

    parts = [*_plot(episode, x)]
    y = 14.0 + PLOT + 14
    for machine in episode.program.machines:
        states = [step.states[machine.name] for step in episode.steps]
        parts += _strip_name(machine.name, y)
        parts += _state_strip(states, x, y)
        y += STRIP + GAP
    for name, held in propositions(episode):
        parts += _strip_name(name, y)
        parts.append(rectangle("strip", LEFT, y, WIDTH - LEFT - RIGHT, STRIP))
        for begin, end in _runs(held):
            left, right = x(max(0, begin - 0.5)), x(min(last, end + 0.5))
            parts.append(rectangle("held", left, y, max(2.0, right - left), STRIP))
        y += STRIP + GAP
    bottom = y
    parts += [label(x(tick), bottom + 14, short(tick)) for tick in ticks(last) if tick == int(tick)]
    parts.append(label(LEFT - 10, bottom + 14, "step", "end"))
    parts.append(f'<line class="cursor" id="cursor" x1="{LEFT}" x2="{LEFT}" y1="4" y2="{bottom:.1f}"/>')
    told = "Reward by term so far, machine states and true propositions, against the step"
    head = f'<svg class="timeline" id="timeline" viewBox="0 0 {WIDTH} {bottom + FOOT:.0f}" role="img"'
    return "\n".join([f'{head} aria-label="{told}">', *parts, "</svg>", _legend(episode)])


def _plot(episode: Episode, x: Callable[[float], float]) -> list[str]:
    """Return the curves of the rewards paid so far, one per term, and the environment's own where it fits."""
    terms = [term.name for term in episode.program.terms]
    sums = [list(accumulate(step.terms[name] for step in episode.steps)) for name in terms]
    own = list(accumulate(step.own for step in episode.steps))
    shown = [*sums, own] if _fits(own, sums) else sums
    values = [0.0, *(value for line in shown for value in line)]
    low, high = min(values), max(values)
    if high - low < 1e-9:
        high = low + 1.0

    def y(value: float) -> float:
        return 14 + PLOT * (1 - (value - low) / (high - low))

    parts = [label(LEFT - 10, 12 + PLOT / 2, "paid so far", "end")]
    for value in {0.0, low, high}:
        kind = "zero" if value == 0 else "grid"
        where = f'y1="{y(value):.1f}" y2="{y(value):.1f}"'
        parts.append(f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" {where}/>')
        if value in (low, high) or min(y(value) - y(high), y(low) - y(value)) > 14:
            parts.append(label(LEFT - 10, y(value) + 4, f"{value:.4g}", "end"))
    if len(shown) > len(sums):
        parts.append(_stairs(own, x, y, "own"))
    for i, (name, line) in enumerate(zip(terms, sums, strict=True)):
        parts.append(_stairs(line, x, y, f"tone{i % TONES}"))
        paid = [t for t, step in enumerate(episode.steps) if step.terms[name]]
        if len(paid) <= MOST_DOTS:
            parts += [
                f'<circle class="pays tone{i % TONES}" cx="{x(t):.1f}" cy="{y(line[t]):.1f}" r="4">'
                f"<title>step {t}: {text(name)} {episode.steps[t].terms[name]:+.4g}</title></circle>"
                for t in paid
            ]
    return parts


def _fits(own: Sequence[float], sums: Sequence[Sequence[float]]) -> bool:
    """Return whether the environment's own return can share a scale with the terms'."""
    most = max((abs(value) for line in sums for value in line), default=0.0)
    return max(abs(value) for value in own) <= FITTING * most or most == 0.0


def _stairs(
    values: Sequence[float], x: Callable[[float], float], y: Callable[[float], float], kind: str
) -> str:
    """Return a line that changes at the step at which something is paid, corners only."""
    points: list[str] = []
    for t, value in enumerate(values):
        if t and value != values[t - 1]:
            points.append(f"{x(t):.1f},{y(values[t - 1]):.1f}")
        if t == 0 or t == len(values) - 1 or value != values[t - 1]:
            points.append(f"{x(t):.1f},{y(value):.1f}")
    return f'<polyline class="{kind}" points="{" ".join(points)}"/>'


def _strip_name(name: str, y: float) -> list[str]:
    shown = name if len(name) <= 20 else name[:19] + "…"
    title = f"<title>{text(name)}</title>"
    return [f'<text x="{LEFT - 10}" y="{y + STRIP - 4:.1f}" text-anchor="end">{text(shown)}{title}</text>']


def _state_strip(states: Sequence[str], x: Callable[[float], float], y: float) -> list[str]:
    """Return a machine's states against time, each named where there is room."""
    parts: list[str] = []
    begin = 0
    for number, (state, run) in enumerate(groupby(states)):
        count = len(list(run))
        left, right = x(begin), x(min(begin + count, len(states) - 1))
        width = max(2.0, right - left)
        parts.append(
            f'<rect class="strip" x="{left:.1f}" y="{y:.1f}" width="{width:.1f}" height="{STRIP}" '
            f'style="opacity:{1 if number % 2 == 0 else 0.55}"><title>{text(state)}</title></rect>'
        )
        if begin:
            parts.append(f'<line class="turn" x1="{left:.1f}" x2="{left:.1f}" y1="14" y2="{y + STRIP:.1f}"/>')
        letters = int((width - 8) / LETTER)
        if letters >= 3:
            named = state if len(state) <= letters else state[: letters - 1] + "…"
            parts.append(f'<text x="{left + 5:.1f}" y="{y + STRIP - 4:.1f}">{text(named)}</text>')
        begin += count
    return parts


def _runs(held: Sequence[bool]) -> list[tuple[int, int]]:
    """Return first and last step of every stretch over which something was true.

    Example:
        >>> _runs([False, True, True, False, True])
        [(1, 2), (4, 4)]
    """
    found: list[tuple[int, int]] = []
    for value, run in groupby(range(len(held)), key=lambda t: held[t]):
        steps = list(run)
        if value:
            found.append((steps[0], steps[-1]))
    return found


def _legend(episode: Episode) -> str:
    keys = [
        f'<span class="key"><i class="swatch tone{i % TONES}"></i>{text(term.name)}</span>'
        for i, term in enumerate(episode.program.terms)
    ]
    own = list(accumulate(step.own for step in episode.steps))
    sums = [
        list(accumulate(step.terms[term.name] for step in episode.steps)) for term in episode.program.terms
    ]
    if _fits(own, sums):
        keys.append('<span class="key"><i class="swatch own"></i>the environment\'s own reward</span>')
    else:
        keys.append('<span class="note">the environment\'s own reward has another scale</span>')
    return f'<p class="legend">{"".join(keys)}</p>'
