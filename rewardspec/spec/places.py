"""Where the values of a spec stand, also those whose written place is not where the model has them."""

from __future__ import annotations

from dataclasses import dataclass, field

from rewardspec.errors import Place
from rewardspec.spec.document import Document, Path, path_text


@dataclass
class Places:
    """Finds places by path, in the text or, without a text, as the path alone.

    A term may be written in several ways (`ltl: F goal`, `ltl: {formula: F goal}`); the model has one path for its
    formula, `reward[0].formula`. `moved` leads from such a path to the written one.

    Attributes:
        document: The text that was read; None for a spec built in Python.
        moved: Path in the model -> path in the document, for the start of a path.
    """

    document: Document | None = None
    moved: dict[Path, Path] = field(default_factory=dict)

    def find(self, path: Path) -> Place:
        """Return the place of a value, or of the nearest value around it."""
        return self.at(self.written(path))

    def find_key(self, path: Path) -> Place:
        """Return the place of the key that leads to a value."""
        return self.at_key(self.written(path))

    def at(self, written: Path) -> Place:
        """Return the place of a value by its path in the document."""
        return self.document.place(written) if self.document else Place(path=path_text(written))

    def at_key(self, written: Path) -> Place:
        """Return the place of a key by its path in the document."""
        return self.document.key_place(written) if self.document else Place(path=path_text(written))

    def move(self, path: Path, written: Path) -> None:
        """Note that the value which the model has at `path` stands at `written`."""
        if path != written:
            self.moved[path] = written

    def written(self, path: Path) -> Path:
        """Return where in the document a path of the model leads."""
        if not self.moved:
            return path
        found: Path = ()
        for part in path:
            found = (*found, part)
            found = self.moved.get(found, found)
        return found
