"""An episode as a part of a page: frames, machines, propositions, rewards; a slider, keys or a click move it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import accumulate, groupby

from rewardspec.analysis.draw import draw_svg
from rewardspec.errors import MissingExtraError, UnsupportedError
from rewardspec.ir.program import Program
from rewardspec.report.charts import label, rectangle, short, ticks
from rewardspec.report.page import data, picture_url, script_of, text
from rewardspec.report.recording import Episode, Picture, Step

WIDTH, LEFT, RIGHT = 760, 132, 14
PLOT, STRIP, GAP, FOOT = 150, 16, 5, 24
"""Heights of the timeline's parts, in its own units."""

TONES = 6
"""Colours of the style sheet."""

MOST_STRIPS = 24
"""Propositions that get a strip; those that are true at some step come first."""

MOST_DOTS = 80
"""Payments of a term that are marked one by one."""

BESIDE = 800
"""Width of a drawing, in points, up to which it stands beside the picture."""

LETTER = 6.2
"""Width of a letter on a strip, about."""


def player(episode: Episode) -> tuple[str, str]:
    """Return an episode as HTML, and the script that moves it. A page holds one.

    Raises:
        MissingExtraError: `missing-extra`: pictures need pillow.
    """
    program = episode.program
    last = len(episode.steps) - 1
    shown = [name for name, _ in _propositions(episode)]
    chips = "".join(f'<span class="chip" data-name="{text(name)}">{text(name)}</span>' for name in shown)
    beside, below = _drawing(program)
    nothing = '<span class="note">this spec declares none</span>'
    body = f"""\
<section class="player" id="player" tabindex="-1" aria-label="The episode, step by step">
<div>
<div class="screen">
<img id="frame" alt="What the environment shows at this step" hidden>
<span id="no-frame">This environment shows no pictures.</span>
</div>
<div class="controls">
<button id="back" title="One step back (left arrow)" aria-label="One step back">&#9664;&#xFE0E;</button>
<button id="play" title="Play or pause (space)">Play</button>
<button id="on" title="One step on (right arrow)" aria-label="One step on">&#9654;&#xFE0E;</button>
<input id="slider" type="range" min="0" max="{last}" value="0" step="1" aria-label="Step">
</div>
<p class="note">Left and right arrows step, Home and End jump, space plays.</p>
</div>
<div>
{beside}
<dl class="now" id="now" aria-live="off"></dl>
<p class="note">Propositions, lit when true on this step</p>
<div class="chips" id="chips">{chips or nothing}</div>
</div>
{below}
<div class="wide">
{_timeline(episode)}
</div>
</section>"""
    return body, f"const EPISODE = {data(_facts(episode))};\n{script_of('player.js')}"


def _drawing(program: Program) -> tuple[str, str]:
    """Return the machines as SVG, with ids of their own: beside the picture where they fit, or below it."""
    if not program.machines:
        return "", ""
    try:
        svg = draw_svg(program).replace('id="', 'id="played-')
    except (MissingExtraError, UnsupportedError) as error:
        return f'<p class="note">{text(error.problems[0].message)}</p>', ""
    width = re.search(r'viewBox="\S+ \S+ (\S+) ', svg)
    if width is not None and float(width[1]) <= BESIDE:
        return f'<div class="drawing">{svg}</div>', ""
    return "", f'<div class="wide drawing">{svg}</div>'


def _facts(episode: Episode) -> dict[str, object]:
    """Return what the script needs: pictures once each, and per step what changes."""
    program = episode.program
    machines = program.machines
    pictures, which = _number_pictures(episode.pictures)
    numbers = [{name: i for i, name in enumerate(machine.states)} for machine in machines]

    def states(step: Step) -> list[int]:
        return [number[step.states[machine.name]] for number, machine in zip(numbers, machines, strict=True)]

    return {
        "pictures": [picture_url(picture) for picture in pictures],
        "terms": [term.name for term in program.terms],
        "machines": [{"name": machine.name, "states": list(machine.states)} for machine in machines],
        "left": LEFT,
        "width": WIDTH - LEFT - RIGHT,
        "steps": [
            {
                "picture": picture,
                "action": step.action,
                "own": step.own,
                "paid": [step.terms[term.name] for term in program.terms],
                "true": list(step.true),
                "states": states(step),
                "verdicts": dict(step.verdicts),
            }
            for step, picture in zip(episode.steps, which, strict=True)
        ],
    }


def _number_pictures(pictures: Sequence[Picture | None]) -> tuple[list[Picture], list[int]]:
    """Return the distinct pictures, and per step which one it shows: its own or the latest before it."""
    known: dict[bytes, int] = {}
    kept: list[Picture] = []
    which: list[int] = []
    for picture in pictures:
        if picture is None:
            which.append(which[-1] if which else -1)
            continue
        number = known.setdefault(picture.tobytes(), len(kept))
        if number == len(kept):
            kept.append(picture)
        which.append(number)
    return kept, which


def _propositions(episode: Episode) -> list[tuple[str, list[bool]]]:
    """Return the propositions and when each was true, those that ever were first."""
    names = [proposition.name for proposition in episode.program.propositions]
    held = [(name, [name in step.true for step in episode.steps]) for name in names]
    return sorted(held, key=lambda row: not any(row[1]))[:MOST_STRIPS]


# -- the timeline ---------------------------------------------------------------------------------


def _timeline(episode: Episode) -> str:
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
    for name, held in _propositions(episode):
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
    """Return the curves of the rewards paid so far, one per term, and the environment's own."""
    terms = [term.name for term in episode.program.terms]
    sums = {name: list(accumulate(step.terms[name] for step in episode.steps)) for name in terms}
    own = list(accumulate(step.own for step in episode.steps))
    values = [value for line in (*sums.values(), own) for value in line]
    low, high = min(0.0, *values), max(0.0, *values)
    if high - low < 1e-9:
        high = low + 1.0

    def y(value: float) -> float:
        return 14 + PLOT * (1 - (value - low) / (high - low))

    parts = [f'<text x="{LEFT - 10}" y="{12 + PLOT / 2:.0f}" text-anchor="end">paid so far</text>']
    for value in sorted({low, 0.0, high}):
        kind = "zero" if value == 0 else "grid"
        parts.append(
            f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        )
        parts.append(f'<text x="{LEFT - 10}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    parts.append(_stairs(own, x, y, "own"))
    for i, name in enumerate(terms):
        parts.append(_stairs(sums[name], x, y, f"tone{i % TONES}"))
        paid = [t for t, step in enumerate(episode.steps) if step.terms[name]]
        if len(paid) <= MOST_DOTS:
            parts += [
                f'<circle class="pays tone{i % TONES}" cx="{x(t):.1f}" cy="{y(sums[name][t]):.1f}" r="4">'
                f"<title>step {t}: {text(name)} {episode.steps[t].terms[name]:+.4g}</title></circle>"
                for t in paid
            ]
    return parts


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
    own = '<span class="key"><i class="swatch own"></i>the environment\'s own reward</span>'
    return f'<p class="legend">{"".join(keys)}{own}</p>'
