"""From an observation space to one that SB3's policies learn from: vectors, and pictures where there are any.

Categories become one-hot vectors and texts are left out. Numbers stay as they are: what a network sees is
what the environment says. Every environment family whose numbers are really categories has its own reader
here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from rewardspec.errors import Problem, UnsupportedError

Vector = npt.NDArray[np.float32]

MINIGRID_CATEGORIES = (11, 6, 3)
"""Object types, colours and door states of MiniGrid's symbolic view."""

MINIHACK_SYMBOLS = " .#|-+<>@{}()[!?/=\"$*%^_`'\\"
"""Map characters of NetHack that get a place of their own; letters (monsters) share one, all others
another."""

NETHACK_STATUS = "blstats"
"""Key by which an observation of NetHack is known."""

NETHACK_UNREAD = ("message", "glyphs", "glyphs_crop", "pixel", "pixel_crop")
"""Keys of NetHack that the agent does not see: texts, symbols too many for one-hot, what people look at."""

LEAST_PICTURE = 36
"""Height and width from which an array of bytes is taken for a picture: the least that SB3's CNN accepts."""

MOST = 200_000
"""Numbers of a vector; a larger one is refused."""


@dataclass(frozen=True)
class Part:
    """How one leaf of an observation becomes numbers.

    Attributes:
        size: How many.
        write: Writes the numbers of a value into a vector `[size]` of zeros.
        low: Least value.
        high: Greatest value.
    """

    size: int
    write: Callable[[Any, Vector], None]
    low: Any = 0.0
    high: Any = 1.0


class Encoded(gym.ObservationWrapper[Any, Any, Any], gym.utils.RecordConstructorArgs):
    """An environment whose observations are what SB3 learns from.

    A vector `[n]` of float32 where no leaf of the observation is a picture; else the picture itself, or a
    mapping with the keys `vector` and one per picture.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        """Work out the encoding from the environment's observation space."""
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.ObservationWrapper.__init__(self, env)
        self.raw: Any = None
        leaves = _leaves(env.observation_space)
        if any(name == NETHACK_STATUS for name, _, _ in leaves):
            leaves = [leaf for leaf in leaves if leaf[0] not in NETHACK_UNREAD]
        self._pictures = [(name, path, space) for name, path, space in leaves if _is_picture(space)]
        parts = [(path, _part(name, space)) for name, path, space in leaves if not _is_picture(space)]
        self._parts: list[tuple[tuple[Any, ...], Part, int]] = []
        self._size = 0
        for path, part in parts:
            if part is not None:
                self._parts.append((path, part, self._size))
                self._size += part.size
        self.observation_space = self._space()

    def _space(self) -> spaces.Space[Any]:
        if self._size > MOST or not (self._size or self._pictures):
            found = "nothing that a network can read" if not self._size else f"{self._size} numbers"
            raise UnsupportedError(
                Problem(
                    "unreadable-observation",
                    f"the observation holds {found}: {str(self.env.observation_space)[:120]}",
                    hints=("Wrap the environment so that its observation is a vector or a picture.",),
                )
            )
        low = [np.broadcast_to(np.asarray(part.low, np.float32), part.size) for _, part, _ in self._parts]
        high = [np.broadcast_to(np.asarray(part.high, np.float32), part.size) for _, part, _ in self._parts]
        if not self._pictures:
            return spaces.Box(np.concatenate(low), np.concatenate(high), dtype=np.float32)
        if len(self._pictures) == 1 and not self._size:
            return self._pictures[0][2]
        held: dict[str, spaces.Space[Any]] = {name: space for name, _, space in self._pictures}
        if self._size:
            held["vector"] = spaces.Box(np.concatenate(low), np.concatenate(high), dtype=np.float32)
        return spaces.Dict(held)

    @property
    def policy(self) -> str:
        """The name of SB3's policy for these observations."""
        if isinstance(self.observation_space, spaces.Dict):
            return "MultiInputPolicy"
        return "CnnPolicy" if self._pictures else "MlpPolicy"

    def place_of(self, key: str | None, first: int) -> tuple[str | None, int]:
        """Return where number `first` of a part went: the part's key (None for a vector), and its place there.

        Args:
            key: Key of a vector in the environment's observation; None where the observation is one.
            first: Index in that vector.
        """
        path = () if key is None else (key,)
        start = next(start for known, _, start in self._parts if known == path)
        return ("vector" if self._pictures else None), start + first

    def observation(self, observation: Any) -> Any:
        """Return an observation as vectors and pictures."""
        self.raw = observation
        vector = np.zeros(self._size, np.float32)
        for path, part, start in self._parts:
            part.write(_at(observation, path), vector[start : start + part.size])
        if not self._pictures:
            return vector
        pictures = {name: _at(observation, path) for name, path, _ in self._pictures}
        if len(pictures) == 1 and not self._size:
            return next(iter(pictures.values()))
        return {**pictures, "vector": vector} if self._size else pictures


def _leaves(
    space: spaces.Space[Any], path: tuple[Any, ...] = ()
) -> list[tuple[str, tuple[Any, ...], spaces.Space[Any]]]:
    """Return name, path and space of every leaf of a space, in the space's own order."""
    if isinstance(space, spaces.Dict):
        return [leaf for key, inner in space.spaces.items() for leaf in _leaves(inner, (*path, key))]
    if isinstance(space, spaces.Tuple):
        return [leaf for i, inner in enumerate(space.spaces) for leaf in _leaves(inner, (*path, i))]
    return [("_".join(str(key) for key in path) or "picture", path, space)]


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def _is_picture(space: spaces.Space[Any]) -> bool:
    return (
        isinstance(space, spaces.Box)
        and space.dtype == np.uint8
        and len(space.shape) == 3
        and space.shape[2] in (1, 3, 4)
        and min(space.shape[:2]) >= LEAST_PICTURE
    )


def _part(name: str, space: spaces.Space[Any]) -> Part | None:
    """Return how a leaf that is no picture becomes numbers; None where it cannot (a text)."""
    if isinstance(space, spaces.Discrete):
        return _one_hot((int(space.n),), int(space.start))
    if isinstance(space, spaces.MultiDiscrete):
        return _one_hot(tuple(int(n) for n in space.nvec.ravel()), np.asarray(space.start).ravel())
    if isinstance(space, spaces.MultiBinary):
        return _numbers(int(np.prod(space.shape)), 0.0, 1.0)
    if not isinstance(space, spaces.Box):
        return None
    if name == "image" and space.dtype == np.uint8 and space.shape[2:] == (3,):
        return _minigrid_view(space.shape[0] * space.shape[1])
    if name in ("chars_crop", "chars"):
        return _minihack_map(int(np.prod(space.shape)))
    if name == NETHACK_STATUS:
        return _minihack_status(int(np.prod(space.shape)))
    return _numbers(int(np.prod(space.shape)), space.low.ravel(), space.high.ravel())


def _numbers(size: int, low: Any, high: Any) -> Part:
    def write(value: Any, out: Vector) -> None:
        out[:] = np.asarray(value, np.float32).ravel()

    return Part(size, write, low, high)


def _one_hot(counts: tuple[int, ...], first: Any = 0) -> Part:
    offsets = np.cumsum((0, *counts[:-1]))

    def write(value: Any, out: Vector) -> None:
        out[offsets + np.ravel(value) - first] = 1.0

    return Part(sum(counts), write)


def _minigrid_view(cells: int) -> Part:
    """Return the reader of MiniGrid's view: per cell its object type, colour and door state, one-hot each."""
    width = sum(MINIGRID_CATEGORIES)
    starts = np.cumsum((0, *MINIGRID_CATEGORIES[:-1]))
    offsets = (np.arange(cells)[:, None] * width + starts).ravel()

    def write(value: Any, out: Vector) -> None:
        out[offsets + value.ravel()] = 1.0

    return Part(cells * width, write)


def _minihack_map(cells: int) -> Part:
    """Return the reader of NetHack's map: per cell its symbol, one-hot; one place for all letters."""
    symbols = len(MINIHACK_SYMBOLS)
    index = np.full(256, symbols + 1)
    index[[ord(c) for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"]] = symbols
    index[[ord(c) for c in MINIHACK_SYMBOLS]] = np.arange(symbols)
    index[0] = 0
    width = symbols + 2
    offsets = np.arange(cells) * width

    def write(value: Any, out: Vector) -> None:
        out[offsets + index[np.ravel(value)]] = 1.0

    return Part(cells * width, write)


def _minihack_status(size: int) -> Part:
    """Return the reader of NetHack's status line: log(1 + |x|) with x's sign; x spans nine decades."""

    def write(value: Any, out: Vector) -> None:
        numbers = np.ravel(value).astype(np.float32)
        out[:] = np.sign(numbers) * np.log1p(np.abs(numbers))

    return Part(size, write, -25.0, 25.0)
