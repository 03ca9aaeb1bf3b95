"""The prompts, as data files, and how they are filled. A record holds the digest of the file that it was made from."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
PLACE = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True)
class Prompt:
    """A prompt file.

    Attributes:
        name: Its name without the ending.
        text: What it says, with places such as `{{task}}`.
    """

    name: str
    text: str

    @property
    def digest(self) -> str:
        """The first 12 hexadecimal digits of the text's SHA-256."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]

    @property
    def id(self) -> str:
        """Name and digest: what a record keeps of it."""
        return f"{self.name}@{self.digest}"

    def fill(self, **values: str) -> str:
        """Return the text with each place filled, all of them at once: what is put in is not read again.

        Example:
            >>> Prompt("greeting", "Hello {{who}}, {{how}}").fill(who="{{how}}", how="welcome")
            'Hello {{how}}, welcome'
        """
        return PLACE.sub(lambda place: values[place[1]], self.text).rstrip("\n")


@cache
def load_prompt(name: str) -> Prompt:
    """Return a prompt of the package.

    Example:
        >>> load_prompt("calm_judge").id[:11]
        'calm_judge@'
    """
    return Prompt(name, (FOLDER / f"{name}.txt").read_text(encoding="utf-8"))


def prompt_names() -> list[str]:
    """Return the names of all prompts."""
    return sorted(path.stem for path in FOLDER.glob("*.txt"))
