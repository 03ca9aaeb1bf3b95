"""An episode as a part of a page: frames, machines, propositions, rewards; a slider, keys or a click move it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rewardspec.analysis.draw import draw_svg
from rewardspec.errors import MissingExtraError, UnsupportedError
from rewardspec.ir.program import Program
from rewardspec.report.page import data, picture_url, script_of, text
from rewardspec.report.recording import Episode, Picture, Step
from rewardspec.report.timeline import LEFT, RIGHT, WIDTH, propositions, timeline

BESIDE = 800
"""Width of a drawing, in points, up to which it stands beside the picture."""


def player(episode: Episode) -> tuple[str, str]:
    """Return an episode as HTML, and the script that moves it. A page holds one.

    Raises:
        MissingExtraError: `missing-extra`: pictures need pillow.
    """
    program = episode.program
    last = len(episode.steps) - 1
    shown = [name for name, _ in propositions(episode)]
    chips = "".join(f'<span class="chip" data-name="{text(name)}">{text(name)}</span>' for name in shown)
    beside, below = _drawing(program)
    nothing = '<span class="note">this spec declares none</span>'
    body = f"""\
<section class="player" id="player" tabindex="-1" aria-label="The episode, step by step">
<div>
<div class="screen" style="aspect-ratio: {_shape(episode)}">
<img id="frame" alt="What the environment shows at this step" hidden>
<span id="no-frame">{_blind(episode)}</span>
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
{timeline(episode)}
</div>
</section>"""
    return body, f"const EPISODE = {data(_facts(episode))};\n{script_of('player.js')}"


def _blind(episode: Episode) -> str:
    """Return why there is no picture, as HTML."""
    if not episode.trouble:
        return "This environment shows no pictures."
    return f"This environment could not be drawn here: {text(episode.trouble)}"


def _shape(episode: Episode) -> str:
    """Return width / height of the place for pictures: the first picture's own, within reason."""
    first = next((picture for picture in episode.pictures if picture is not None), None)
    if first is None:
        return "2"
    height, width = first.shape[:2]
    return f"{min(2.5, max(0.75, width / height)):.3f}"


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
