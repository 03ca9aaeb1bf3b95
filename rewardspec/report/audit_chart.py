"""The curves of an audit: proxy and true reward against the strength of regularisation, the break marked."""

from __future__ import annotations

import io
from collections.abc import Mapping

from rewardspec.analysis.audit.hacking import Audit
from rewardspec.errors import missing_extra

PROXY, TRUE, MARK = "#b45309", "#1d4ed8", "#dc2626"


def draw_audit(found: Audit, names: Mapping[str, str], form: str) -> bytes:
    """Return the picture, one panel a divergence.

    Args:
        found: The audit.
        names: What the panels are called, by divergence.
        form: `svg` or `png`.

    Raises:
        MissingExtraError: Without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise missing_extra("matplotlib", "report", "drawing curves") from None
    figure = Figure(figsize=(4.6 * len(found.curves), 3.4), layout="constrained")
    panels = figure.subplots(1, len(found.curves), squeeze=False, sharey=True)[0]
    for panel, (kind, curve) in zip(panels, found.curves.items(), strict=True):
        strengths = [point.strength for point in curve]
        panel.plot(strengths, [p.proxy for p in curve], color=PROXY, marker="o", ms=3, label="proxy reward")
        panel.plot(strengths, [p.true for p in curve], color=TRUE, marker="o", ms=3, label="true reward")
        panel.axhline(found.reference.true, color=TRUE, lw=0.8, ls="--", label="true, of the reference")
        broken = found.breaks(kind)
        if broken is not None:
            panel.axvspan(broken[1].strength, broken[0].strength, color=MARK, alpha=0.15, label="turns bad")
        panel.set_xscale("log")
        panel.invert_xaxis()
        panel.set_title(f"regularised by {names[kind]}", fontsize=10)
        panel.set_xlabel("strength of the regularisation, weaker to the right", fontsize=8)
        panel.tick_params(labelsize=8)
        panel.grid(alpha=0.3, lw=0.5)
    panels[0].set_ylabel("reward per step", fontsize=8)
    panels[0].legend(fontsize=7, frameon=False)
    target = io.BytesIO()
    figure.savefig(target, format=form, dpi=160, metadata={"Date": None} if form == "svg" else None)
    return target.getvalue()
