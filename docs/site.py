"""`python -m docs.site`: the documentation as a website, in build/site; `make site` installs mkdocs-material first.

The pages link to each other, to examples and to results by relative paths, which hold where the repository is read as
well. So the site is built from a copy that keeps those paths: the pages at their places, and besides them whatever they
link to. A folder that is linked to gets a list of what is in it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
STAGE, SITE = ROOT / "build" / "site-pages", ROOT / "build" / "site"
TOP = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
SHOWN = (".py", ".yaml", ".yml", ".toml")
"""Files that become pages of their own, with their text."""


def pages(root: Path) -> list[Path]:
    """Return the pages in Markdown, as paths below the root."""
    found = [root / name for name in TOP]
    found += [*sorted((root / "docs").rglob("*.md")), *sorted((root / "benchmarks" / "results").glob("*.md"))]
    return [path.relative_to(root) for path in found]


def linked(root: Path) -> set[Path]:
    """Return what the pages link to or show, and is no page: files and folders, as paths below the root."""
    found = set()
    for page in pages(root):
        text = re.sub(r"```.*?```", "", (root / page).read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)", text):
            place = (root / page.parent / target).resolve()
            if not re.match(r"[a-z]+:", target) and place.exists() and place.is_relative_to(root):
                found.add(place.relative_to(root))
    return found - set(pages(root)) - {Path(".")}


def stage(root: Path = ROOT, to: Path = STAGE) -> None:
    """Copy the pages and what they link to."""
    shutil.rmtree(to, ignore_errors=True)
    aims = linked(root)
    for page in pages(root):
        text = (root / page).read_text(encoding="utf-8")
        _put(to / ("index.md" if page == Path("README.md") else page), _turned(text, page, aims))
    for path in aims:
        place = root / path
        if place.is_dir():
            listed = "\n".join(
                f"- `{part.name}`" for part in sorted(place.iterdir()) if part.name[0] not in "._"
            )
            _put(to / path / "index.md", f"# {path}\n\n{listed}\n")
        elif place.suffix in SHOWN:
            language = "python" if place.suffix == ".py" else "yaml"
            _put(to / f"{path}.md", f"# {path}\n\n````{language}\n{place.read_text(encoding='utf-8')}````\n")
        else:
            _put(to / path, place.read_bytes())


def _turned(text: str, page: Path, aims: set[Path]) -> str:
    """Return a page's text with its links turned to where things are on the site."""

    def turn(match: re.Match[str]) -> str:
        target, anchor = match[1], match[2] or ""
        place = Path(*_normal((page.parent / target).parts))
        if place == Path("README.md"):
            return f"]({target.replace('README.md', 'index.md')}{anchor})"
        if place in aims and (ROOT / place).is_dir():
            return f"]({target.rstrip('/')}/index.md{anchor})"
        if place in aims and place.suffix in SHOWN:
            return f"]({target}.md)"
        return match[0]

    parts = re.split(r"(^```.*?^```)", text, flags=re.DOTALL | re.MULTILINE)
    link = re.compile(r"\]\((?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?\)")
    return "".join(part if part.startswith("```") else link.sub(turn, part) for part in parts)


def _normal(parts: tuple[str, ...]) -> list[str]:
    found: list[str] = []
    for part in parts:
        if part == ".." and found:
            found.pop()
        elif part != ".":
            found.append(part)
    return found


def _put(place: Path, content: str | bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content.encode() if isinstance(content, str) else content)


def main() -> int:
    """Build the site."""
    stage()
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--config-file",
        str(ROOT / "mkdocs.yml"),
    ]
    built = subprocess.run(command, cwd=ROOT, check=False).returncode
    if not built:
        print(f"written to {SITE}/index.html")
    return built


if __name__ == "__main__":
    sys.exit(main())
