"""LetterWorld: a small grid with letters strewn over it, whose edges join; formulas say which to visit, and when.

One environment (`LetterWorld`) and B of them in torch tensors (`LetterWorldBatch`); both move alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from envs.arguments import check_mode, only_option
from envs.letters import LETTERS as DRAWN
from envs.letters import pixels
from rewardspec.errors import MismatchError, Problem
from rewardspec.tabular.world import TabularWorld
from rewardspec.wrappers.remembering import Remembering

if TYPE_CHECKING:
    from torch import Tensor

    from rewardspec.transition import Transition

SIZE = 7
LETTERS = "aabbccddeeffgghhiijjkkll"
MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))
"""Action -> change of row and column: up, down, left, right."""

HORIZON = 75
"""Steps of an episode."""

PIXELS, ZOOM = 48, 5
"""Side of a cell in pictures, and of a letter's pixel."""

PAPER, INK, LINE, HERE = (250, 250, 247), (43, 45, 66), (190, 190, 186), (46, 140, 87)
"""Colours of a cell, a letter, the lines between cells, and the agent's cell."""

TRIES = 10_000
"""Layouts drawn before giving up."""

Layout = npt.NDArray[np.int64]
"""`[size, size]`, the number of the letter that lies there, -1 where none does."""


def draw_layout(rng: np.random.Generator, size: int = SIZE, letters: str = LETTERS) -> Layout:
    """Return a grid with the letters at places drawn at random, none at the agent's start (0, 0).

    Every letter can be reached without stepping on another one: other layouts are drawn again.

    Raises:
        ValueError: When no such layout is found.

    Example:
        >>> draw_layout(np.random.default_rng(0), size=3, letters="ab")
        array([[-1, -1, -1],
               [ 0, -1,  1],
               [-1, -1, -1]])
    """
    kinds = sorted(set(letters))
    numbers = [kinds.index(letter) for letter in letters]
    if len(letters) < size * size:
        for _ in range(TRIES):
            layout = np.full(size * size, -1)
            layout[1 + rng.permutation(size * size - 1)[: len(letters)]] = numbers
            if _all_reachable(layout.tolist(), size):
                return layout.reshape(size, size)
    raise ValueError(f"{len(letters)} letters leave no way between them on a grid of {size} by {size}")


@cache
def _around(size: int) -> tuple[tuple[int, ...], ...]:
    """Return the cell that each action leads to, for every cell, counted by rows."""
    return tuple(
        tuple((row + down) % size * size + (column + right) % size for down, right in MOVES)
        for row in range(size)
        for column in range(size)
    )


def _all_reachable(layout: list[int], size: int) -> bool:
    """Return whether every cell can be reached from (0, 0) through cells without letters."""
    around = _around(size)
    seen, ahead = {0}, [0]
    while ahead:
        for cell in around[ahead.pop()]:
            if cell not in seen:
                seen.add(cell)
                if layout[cell] < 0:
                    ahead.append(cell)
    return len(seen) == size * size


@cache
def _views(size: int, centred: bool) -> npt.NDArray[np.int64]:
    """Return `[cells, cells]`: for an agent at each cell, which cell of the grid it sees at each place."""
    row, column = np.divmod(np.arange(size * size), size)
    if not centred:
        return np.tile(np.arange(size * size), (size * size, 1))
    from_row = (row[None, :] + row[:, None] - size // 2) % size
    from_column = (column[None, :] + column[:, None] - size // 2) % size
    views: npt.NDArray[np.int64] = from_row * size + from_column
    return views


class LetterWorld(gym.Env[npt.NDArray[np.uint8], Any]):
    """A grid of 7 by 7 cells, the letters a to l lying on it twice each; who leaves at one edge enters at the other.

    Actions: 0 up, 1 down, 2 left, 3 right. The agent starts at (0, 0); every episode has another layout, in which each
    letter can be reached without stepping on another. The world pays nothing and never ends.

    | label | true on a step at whose end |
    | --- | --- |
    | `a` ... `l` | the agent is on that letter |

    Observation: `[7, 7, 13]` uint8: a layer of ones for each letter, then one for the agent. `centred` rolls the
    grid so that the agent is in its middle.

    Source: Vaezipoor et al., "LTL2Action" (ICML 2021), and their repository; size, letters and view as in
    Jackermeier and Abate, "DeepLTL" (ICLR 2025).

    Args:
        size: Rows, and columns; odd where the view is centred.
        letters: Every letter as often as it lies on the grid.
        map_seed: Every episode has the layout that this number says; None for another in every episode.
        centred: Whether the agent sees the grid around itself.
        render_mode: `rgb_array`, `ansi` or None.

    Raises:
        ValueError: When the arguments do not fit each other.

    Example:
        >>> env = LetterWorld(map_seed=0, render_mode="ansi")
        >>> obs, _ = env.reset(seed=0)
        >>> obs, *_ = env.step(3)
        >>> obs.shape, sorted(env.labels())
        ((7, 7, 13), ['d'])
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 8}  # noqa: RUF012

    def __init__(
        self,
        *,
        size: int = SIZE,
        letters: str = LETTERS,
        map_seed: int | None = None,
        centred: bool = True,
        render_mode: str | None = None,
    ) -> None:
        """See the class."""
        check_mode(render_mode, self.metadata["render_modes"])
        _check(size, letters, centred)
        self.size, self.letters, self.map_seed, self.render_mode = size, letters, map_seed, render_mode
        self.label_names: tuple[str, ...] = tuple(sorted(set(letters)))
        self.observation_space = _observation_space(size, letters)
        self.action_space = spaces.Discrete(len(MOVES))
        self.centred, self._around = centred, _around(size)
        self._said = [frozenset([name]) for name in self.label_names] + [frozenset()]
        self._cell, self._labels = 0, frozenset[str]()
        layout = draw_layout(np.random.default_rng(map_seed or 0), size, letters)
        self._fixed = None if map_seed is None else layout
        self._lay(layout)

    def _lay(self, layout: Layout) -> None:
        """Play on this layout from now on."""
        self.layout = layout
        self._letter: list[int] = layout.ravel().tolist()
        layouts = layout.reshape(1, -1)
        self._seen = _list_observations(layouts, self.size, self.centred, len(self.label_names))[0]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
        """Put the agent at (0, 0), on a new layout where none is fixed, or on `options["layout"]`.

        Raises:
            ValueError: When the options hold anything else, or the layout does not fit.
        """
        super().reset(seed=seed)
        options = only_option(options, "layout")
        if "layout" in options:
            layout = np.asarray(options["layout"], np.int64)
            if (
                layout.shape != (self.size, self.size)
                or not (layout >= -1).all() & (layout < len(self.label_names)).all()
            ):
                raise ValueError(
                    f"a layout is {self.size} by {self.size} numbers of letters, or -1: not {layout}"
                )
            self._lay(layout)
        elif self._fixed is not None:
            self._lay(self._fixed)
        else:
            self._lay(draw_layout(self.np_random, self.size, self.letters))
        self._cell, self._labels = 0, frozenset[str]()
        return self._seen[self._cell].copy(), {}

    def step(self, action: Any) -> tuple[npt.NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Move; see what lies there."""
        self._cell = self._around[self._cell][action]
        self._labels = self._said[self._letter[self._cell]]
        return self._seen[self._cell].copy(), 0.0, False, False, {}

    def labels(self) -> frozenset[str]:
        """Return the names that are true on the last step."""
        return self._labels

    def table(self, horizon: int | None = None) -> TabularWorld:
        """Return the world as arrays: a state is the agent's cell, counted by rows.

        Args:
            horizon: Steps after which an episode is truncated.

        Raises:
            MismatchError: `not-tabular` where every episode has another layout.
        """
        if self._fixed is None:
            text = "a LetterWorld with another layout in every episode has too many states for a table"
            raise MismatchError(Problem("not-tabular", text, hints=("Fix the layout: map_seed=0.",)))
        cells = self.size**2
        target = np.array(self._around)[:, :, None]
        letter = np.array(self._letter)[target]
        return TabularWorld(
            next_state=target,
            probability=np.ones(target.shape),
            reward=np.zeros(target.shape),
            terminated=np.zeros(target.shape, np.bool_),
            label=np.where(letter < 0, 0, 1 << np.maximum(letter, 0)),
            start=np.eye(cells)[0],
            labels=self.label_names,
            observation=self._seen.copy(),
            observation_space=self.observation_space,
            horizon=horizon,
        )

    def render(self) -> Any:
        """Return the grid as text, the agent in brackets, or as a picture `[side, side, 3]` uint8."""
        if self.render_mode == "ansi":
            return self._draw_text()
        return self._draw_picture() if self.render_mode == "rgb_array" else None

    def _draw_text(self) -> str:
        names = [*self.label_names, "."]
        cells = [f" {names[letter]} " for letter in self._letter]
        cells[self._cell] = f"[{cells[self._cell].strip()}]"
        return "\n".join("".join(cells[i : i + self.size]) for i in range(0, len(cells), self.size))

    def _draw_picture(self) -> npt.NDArray[np.uint8]:
        picture = np.full((self.size * PIXELS + 1, self.size * PIXELS + 1, 3), LINE, np.uint8)
        for cell, letter in enumerate(self._letter):
            row, column = (PIXELS * part for part in divmod(cell, self.size))
            inside = picture[row + 1 : row + PIXELS, column + 1 : column + PIXELS]
            inside[:] = HERE if cell == self._cell else PAPER
            if letter >= 0:
                ink = pixels(self.label_names[letter]).repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)
                top, left = ((part - size) // 2 for part, size in zip(inside.shape, ink.shape, strict=False))
                inside[top : top + ink.shape[0], left : left + ink.shape[1]][ink] = (
                    PAPER if cell == self._cell else INK
                )
        return picture


def _check(size: int, letters: str, centred: bool) -> None:
    if not letters or not set(letters) <= set(DRAWN):
        raise ValueError(f"letters are one or more of a to z, not {letters!r}")
    if centred and size % 2 == 0:
        raise ValueError(f"a grid of {size} by {size} has no middle: choose an odd size, or centred=False")


def _observation_space(size: int, letters: str) -> spaces.Box:
    return spaces.Box(0, 1, (size, size, len(set(letters)) + 1), np.uint8)


def _list_observations(
    layouts: npt.NDArray[np.int64], size: int, centred: bool, n_letters: int
) -> npt.NDArray[np.uint8]:
    """Return what an agent sees from each cell: `[pool, cells, size, size, letters + 1]` for `[pool, cells]`."""
    cells = np.arange(size * size)
    seen: npt.NDArray[np.uint8] = (
        layouts[:, _views(size, centred), None] == np.arange(n_letters + 1)
    ).astype(np.uint8)
    seen[:, cells, size * size // 2 if centred else cells, -1] = 1
    return seen.reshape(len(layouts), size * size, size, size, n_letters + 1)


class LetterWorldBatch(Remembering):
    """B grids of `LetterWorld` on one device; a `TensorEnv` for `wrap_tensor`.

    With `map_seed=None` the layouts come from a pool that is drawn beforehand: grid i begins with layout i and goes on
    by B, so that a run repeats itself and nothing is drawn on the device.

    Args:
        num_envs: B.
        size: Rows, and columns.
        letters: Every letter as often as it lies on the grid.
        map_seed: The layout of every episode, as in `LetterWorld`; None for those of the pool.
        pool: Layouts in the pool; what can be seen on each is kept, about 31 KiB for 7 by 7 cells.
        seed: Seed of the pool.
        centred: Whether the agent sees the grid around itself.
        horizon: Steps after which an episode is truncated.
        device: Torch device.

    Attributes:
        num_envs: B.
        label_names: The letters.
        layouts: `[pool, cells]` int64, the pool.
        single_observation_space: As `LetterWorld.observation_space`.
        single_action_space: As `LetterWorld.action_space`.
    """

    def __init__(
        self,
        num_envs: int,
        *,
        size: int = SIZE,
        letters: str = LETTERS,
        map_seed: int | None = None,
        pool: int = 1024,
        seed: int = 0,
        centred: bool = True,
        horizon: int = HORIZON,
        device: str = "cpu",
    ) -> None:
        """See the class."""
        import torch

        _check(size, letters, centred)
        self._torch, self.num_envs, self.size, self.horizon = torch, num_envs, size, horizon
        self.label_names: tuple[str, ...] = tuple(sorted(set(letters)))
        self.single_observation_space: spaces.Space[Any] = _observation_space(size, letters)
        self.single_action_space: spaces.Space[Any] = spaces.Discrete(len(MOVES))
        rng = np.random.default_rng(seed if map_seed is None else map_seed)
        drawn = [draw_layout(rng, size, letters) for _ in range(pool if map_seed is None else 1)]
        layouts = np.array(drawn).reshape(len(drawn), -1)
        self.layouts = torch.tensor(layouts, device=device)
        seen = _list_observations(layouts, size, centred, len(self.label_names))
        self._seen = torch.tensor(seen, device=device).flatten(0, 1)
        self._moves = torch.tensor(MOVES, device=device)
        self._next = torch.arange(num_envs, device=device) % len(self.layouts)
        self._layout = self._next.clone()
        self._cell = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self._steps = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self._nothing = torch.zeros(num_envs, device=device)
        self._never = torch.zeros(num_envs, dtype=torch.bool, device=device)

    def reset(self, mask: Tensor) -> Tensor:
        """Begin new episodes where `mask` (`[B]` bool) holds; return everyone's observation."""
        torch = self._torch
        self._layout.copy_(torch.where(mask, self._next, self._layout))
        self._next.copy_(torch.where(mask, (self._next + self.num_envs) % len(self.layouts), self._next))
        self._cell.copy_(torch.where(mask, torch.zeros_like(self._cell), self._cell))
        self._steps.copy_(torch.where(mask, torch.zeros_like(self._steps), self._steps))
        return self._observe()

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Step with `action` `[B]`; return observation, reward, terminated, truncated."""
        move = self._moves[action]
        row = (self._cell // self.size + move[:, 0]) % self.size
        column = (self._cell % self.size + move[:, 1]) % self.size
        self._cell.copy_(row * self.size + column)
        self._steps.add_(1)
        return self._observe(), self._nothing, self._never, self._steps >= self.horizon

    def label(self, transition: Transition) -> Mapping[str, Tensor]:
        """Return the labels of the last step, `[B]` bool by name."""
        letter = self.layouts[self._layout, self._cell]
        return {name: letter == number for number, name in enumerate(self.label_names)}

    def _memory(self) -> dict[str, Tensor]:
        return {"layout": self._layout, "next": self._next, "cell": self._cell, "steps": self._steps}

    def _observe(self) -> Tensor:
        return self._seen.index_select(0, self._layout * self.size**2 + self._cell)
