"""The page of `rewardspec label`: two clips side by side, and which of them is better."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rewardspec.report.page import page, script_of, style_of, text

if TYPE_CHECKING:
    from rewardspec.report.label_desk import Asking

POLICY = (
    "default-src 'none'; connect-src 'self'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
"""What the browser lets the page load: it asks its own server, and nobody else."""


def label_page(desk: Asking) -> str:
    """Return the page on which a run's questions are answered."""
    spec = desk.spec
    wanted = spec.description.strip()
    if wanted:
        lead = f'<p class="lead wanted">{text(wanted)}</p>'
    else:
        lead = (
            '<p class="lead">The spec does not say in words what it is after. '
            "Write it under <code>description:</code> in the run's spec.yaml, so that everybody judges by the same.</p>"
        )
    body = f"""\
<header class="asked-for">
<h1>{text(spec.name)} <small>in {text(desk.settings.env_id)}</small></h1>
{lead}
</header>
<h2 id="question">Which clip is better?</h2>
<section class="pair" data-terms="{len(desk.files)}" aria-labelledby="question">
{_side("left", "Left")}
{_side("right", "Right")}
</section>
<div class="choices" role="group" aria-label="Your answer">
<button id="choose-left" data-answer="left"><kbd>&larr;</kbd> Left is better</button>
<button id="choose-equal" data-answer="equal"><kbd>&darr;</kbd> Equally good</button>
<button id="choose-right" data-answer="right">Right is better <kbd>&rarr;</kbd></button>
</div>
<div class="choices minor">
<button id="choose-skip" data-answer="skip"><kbd>S</kbd> Skip: cannot tell</button>
<button id="undo"><kbd>Backspace</kbd> Undo the last answer</button>
<button id="pause"><kbd>Space</kbd> <span id="pause-word">Pause</span></button>
<label>Speed <select id="speed">
<option value="0.25">&times;&#8202;&frac14;</option><option value="0.5">&times;&#8202;&frac12;</option>
<option value="1" selected>&times;&#8202;1</option><option value="2">&times;&#8202;2</option>
</select></label>
</div>
<div class="done">
<div class="bar" aria-hidden="true"><div id="share"></div></div>
<p id="counts" class="note">&nbsp;</p>
<p id="message" role="status" aria-live="polite"></p>
</div>"""
    return page(
        f"{spec.name}: which is better?",
        body,
        script=script_of("label_page.js"),
        style=style_of("label_page.css"),
        policy=POLICY,
    )


def _side(name: str, word: str) -> str:
    return f"""\
<figure class="side" id="side-{name}">
<div class="screen"><canvas id="{name}" role="img" aria-label="The clip on the {name}"></canvas></div>
<div class="bar" aria-hidden="true"><div id="played-{name}"></div></div>
<figcaption>{word}</figcaption>
</figure>"""
