"""What all pages share: one file, no network, light and dark, and text that stays text."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from rewardspec.errors import missing_extra
from rewardspec.report.recording import Picture

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""The browser itself refuses whatever a page might try to load."""

COLOURS = 128
"""Colours of a PNG picture."""

LARGE = 24_000
"""Bytes of a PNG picture above which it is stored as JPEG."""


def page(title: str, body: str, *, script: str = "", style: str = "", policy: str = POLICY) -> str:
    """Return a whole HTML page.

    Args:
        title: Its title, as text.
        body: Its content, as HTML.
        script: JavaScript, run when the content is there.
        style: CSS of this page, besides that of all.
        policy: What the browser lets the page load.
    """
    from rewardspec.analysis.draw import LIT_CSS

    style = LIT_CSS + _read("page.css") + style
    code = f"<script>\n{script}\n</script>\n" if script else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(title)}</title>\n<style>\n{style}\n</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        f"{code}</body>\n</html>\n"
    )


def text(value: object) -> str:
    """Return a value as HTML text.

    Example:
        >>> text("a < b")
        'a &lt; b'
    """
    return html.escape(str(value))


def data(value: Any) -> str:
    r"""Return plain data as JavaScript that cannot end the script that it stands in.

    Example:
        >>> data("</script>")
        '"\\u003c/script\\u003e"'
    """
    plain = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return an HTML table: `head` is text, every cell of `rows` is HTML."""
    top = "".join(f"<th>{text(cell)}</th>" for cell in head)
    top = f"<thead><tr>{top}</tr></thead>\n" if any(head) else ""
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f'<div class="scroll"><table>{top}<tbody>{body}</tbody></table></div>'


def script_of(name: str) -> str:
    """Return a JavaScript file of this package."""
    return _read(name)


def style_of(name: str) -> str:
    """Return a CSS file of this package."""
    return _read(name)


def picture_url(picture: Picture) -> str:
    """Return a picture as a `data:` URL: PNG with few colours, JPEG where that would be large."""
    try:
        from PIL import Image
    except ImportError as error:
        raise missing_extra("pillow", "report", "pictures in a page") from error
    image = Image.fromarray(np.ascontiguousarray(picture))
    png = io.BytesIO()
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(png, "PNG", optimize=True)
    if len(png.getvalue()) <= LARGE:
        return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.getvalue()).decode()


def _read(name: str) -> str:
    return files("rewardspec.report").joinpath(name).read_text(encoding="utf-8")
