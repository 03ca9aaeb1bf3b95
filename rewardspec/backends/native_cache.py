"""Generated modules on disk, so that numba need not compile the same text twice.

A module's text goes to `<user cache>/rewardspec/native/<digest>.py`, where numba keeps its machine code beside it. The
digest is that of the text, of the helpers and of every version that matters, so a file never goes stale: it is there
or it is not. numba's files are pickles; they are read only from a folder that belongs to this user and that nobody
else can write to. The text itself is never read back to be run: what runs is the text just generated, and the file
only has to equal it. A folder that cannot be used, or files in it that cannot be read, cost time and nothing else.

`REWARDSPEC_CACHE` names another folder; empty, it turns the cache off.
"""

from __future__ import annotations

import hashlib
import os
import platform
import stat
import sys
import tempfile
import types
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from rewardspec.errors import missing_extra


def import_numba() -> Any:
    """Return numba.

    Raises:
        MissingExtraError: When it is not installed.
    """
    try:
        import numba
    except ImportError:
        raise missing_extra("numba", "native", "compiled programs") from None
    return numba


def load(text: str, functions: tuple[str, ...], *, apart: bool = False) -> types.ModuleType:
    """Return a module made of generated text, its functions compiled by numba when they are first called.

    Args:
        text: Source of the module; the helpers of `native_arithmetic` and NumPy as `_np` are in reach.
        functions: Names of the functions to compile; they may call each other.
        apart: Whether no array that they write to overlaps another argument. Loops over many arrays then run in
            vector lanes, twice as fast: without that word LLVM would have to compare the arrays two by two when a
            loop begins, and does so for a few only.

    Raises:
        MissingExtraError: When numba is not installed.
    """
    import_numba()
    return _load(f"# What is written lies apart.\n{text}" if apart else text, functions, apart)


@lru_cache(maxsize=256)
def _load(text: str, functions: tuple[str, ...], apart: bool) -> types.ModuleType:
    from rewardspec.backends.native_arithmetic import HELPERS

    numba = import_numba()
    name = f"rewardspec_native_{digest(text)}"
    path = _stored(name, text)
    module = types.ModuleType(name)
    module.__dict__.update(HELPERS, _np=np)
    module.__file__ = str(path) if path else None
    sys.modules[name] = module  # numba looks the module of a cached function up
    exec(compile(text, str(path or f"<{name}>"), "exec"), module.__dict__)  # our own text
    for function in functions:
        compiled = numba.njit(error_model="numpy", nogil=True)(module.__dict__[function])
        if apart:
            compiled._compiler._customize_flags = _lay_apart
        if path is not None:
            _remember(compiled, compiled.py_func)
        module.__dict__[function] = compiled
    return module


def _lay_apart(flags: Any) -> Any:
    """Let array arguments be `noalias`: an option of numba's compiler that its decorators do not offer."""
    flags.noalias = True
    return flags


@lru_cache(maxsize=256)
def load_callback(text: str, name: str, functions: tuple[str, ...]) -> Any:
    """Return a function of a text as a C function of four words, for CPython to call; it has an `address`.

    Args:
        text: Source of the module.
        name: The function.
        functions: Names of others that are compiled as numba functions, for this one to call.

    Raises:
        MissingExtraError: When numba is not installed.
    """
    module = load(text, functions)
    from numba import intp
    from numba.core import ccallback

    callback: Any = ccallback.CFunc(
        module.__dict__[name], (tuple([intp] * 4), intp), {}, {"error_model": "numpy"}
    )
    if module.__file__ is not None:
        _remember(callback, module.__dict__[name])
    callback.compile()
    callback.module = module
    return callback


@lru_cache(maxsize=1)
def _versions() -> str:
    files = ("native_arithmetic.py", "native_capi.py")
    helpers = "\n".join(Path(__file__).with_name(name).read_text(encoding="utf-8") for name in files)
    packages = [f"{name} {version(name)}" for name in ("numba", "llvmlite", "numpy")]
    return "\n".join([platform.python_version(), *packages, helpers])


def digest(text: str) -> str:
    """Return 32 hexadecimal digits of a text and of all that its machine code depends on besides."""
    return hashlib.sha256(f"{_versions()}\n{text}".encode()).hexdigest()[:32]


def folder() -> Path | None:
    """Return the folder of the cache, made where it is missing; None where there is none that is ours alone."""
    chosen = os.environ.get("REWARDSPEC_CACHE")
    if chosen == "":
        return None
    try:
        root = Path(chosen) if chosen else _user_cache() / "rewardspec" / "native"
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return root if _is_ours(root) else None
    except (OSError, RuntimeError):  # RuntimeError: a user without a home
        return None


def _user_cache() -> Path:
    if sys.platform == "win32" and "LOCALAPPDATA" in os.environ:
        return Path(os.environ["LOCALAPPDATA"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _is_ours(path: Path) -> bool:
    """Return whether a folder or file, no link, belongs to this user and can be written by nobody else."""
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        return False
    if not hasattr(os, "getuid"):  # Windows: a user's own cache folder is closed to others
        return True
    return found.st_uid == os.getuid() and not found.st_mode & 0o022


def _stored(name: str, text: str) -> Path | None:
    """Return the file that holds the text, written where it is missing; None where that cannot be."""
    root = folder()
    if root is None:
        return None
    path = root / f"{name}.py"
    try:
        beside = root / "__pycache__"
        beside.mkdir(mode=0o700, exist_ok=True)
        if not _is_ours(beside):
            return None
        if not path.is_symlink() and path.is_file() and path.read_text(encoding="utf-8") == text:
            return path
        handle, temporary = tempfile.mkstemp(dir=root)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.utime(temporary, (0, 0))  # numba asks for the time and the size: equal texts have equal ones
        os.replace(temporary, path)
    except (OSError, UnicodeError):
        return None
    return path


def _remember(compiled: Any, function: Any) -> None:
    """Let numba keep a function's machine code on disk; what cannot be read or written counts as absent."""
    from numba.core import caching

    plain: Any = caching.FunctionCache

    class Forgiving(plain):  # type: ignore[misc]
        def load_overload(self, sig: Any, target_context: Any) -> Any:
            try:
                return super().load_overload(sig, target_context)
            except Exception:  # a damaged file can fail in any way
                return None

        def save_overload(self, sig: Any, data: Any) -> None:
            try:
                super().save_overload(sig, data)
            except Exception:  # a full disk, or a damaged index
                _forget(function)

    try:
        compiled._cache = Forgiving(function)
    except (RuntimeError, OSError):  # numba finds no place that it may write to
        return


def _forget(function: Any) -> None:
    """Remove the machine code of a module."""
    path = Path(function.__code__.co_filename)
    for file in (path.parent / "__pycache__").glob(f"{path.stem}.*.nb?"):
        file.unlink(missing_ok=True)
