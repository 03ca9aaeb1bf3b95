"""DOT text as a picture, through the program `graphviz-pure`: on its standard input, with no shell, within a time."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from rewardspec.errors import missing_extra

SECONDS = 20.0
"""Time that the layout of one picture may take."""

DOTS_PER_INCH = 160
"""Resolution of PNG pictures."""

INCHES = 50
"""Greatest width and height of PNG pictures; larger ones are scaled down."""


def _program_path() -> str:
    """Return the path of the layout program: beside this Python, or on the search path."""
    name = "graphviz-pure.exe" if os.name == "nt" else "graphviz-pure"
    for folder in (sysconfig.get_path("scripts"), str(Path(sys.executable).parent)):
        candidate = Path(folder) / name
        if candidate.is_file():
            return str(candidate)
    found = shutil.which("graphviz-pure")
    if found is None:
        raise missing_extra("graphviz-pure", "report", "drawing a machine")
    return found


def lay_out(dot: str, form: str) -> bytes | None:
    """Return a graph in DOT as a picture; None where the layout takes too long or gives up, as on rare graphs."""
    command = [_program_path(), f"-T{form}"]
    if form == "png":
        command += [f"-Gdpi={DOTS_PER_INCH}", f"-Gsize={INCHES},{INCHES}"]
    try:
        done = subprocess.run(command, input=dot.encode("ascii"), capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None


def tidy(svg: str) -> str:
    """Return the `svg` element alone: no prolog, no comments, no links, no titles that repeat ids.

    Tooltips become titles, which browsers show and screen readers read.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<title>[^<]*</title>\n?", "", svg)
    svg = re.sub(r'<g id="a_[^"]*-label"><a xlink:title="[^"]*">\n?', "", svg)
    svg = re.sub(r'<g id="a_[^"]*"><a xlink:title="([^"]*)">', r"<title>\1</title>", svg)
    svg = re.sub(r"</a>\n</g>\n?", "", svg)
    svg = re.sub(r"<title>\s*</title>\n?", "", svg)
    svg = svg.replace("&#45;", "-")
    return svg.replace("<svg ", '<svg role="img" style="max-width:100%;height:auto" ', 1)
