"""ChainWorld: a walk of any length to a single payment at its end."""

from __future__ import annotations

from envs.grid import NOTHING, Effect, GridWorld, Observe, State
from envs.grid_picture import Scene
from rewardspec.tabular.world import MAX_LABELS

LONGEST = 1_000_000
"""Cells; a world keeps a list of its states."""

SHOWN = 40
"""Cells that a drawing shows at most; of a longer chain, those around the agent."""


class ChainWorld(GridWorld):
    """A row of cells; the agent starts at the left end and is paid 1 at the right one, where the episode is over.

    For studies of scale: blind exploration needs about length^2 steps, and about 2^length where `falls_back`
    holds, while the marks on the way are subgoals that a machine can pay for one after the other.

    Actions: 0 left, 1 right. Observation: the cell, as `Box` `[1]` (uint8, int32 for 257 cells and more).

    Labels: `mark_1`, `mark_2`, ... the agent is at that mark, and `goal`. The marks cut the chain into equal parts.

    Example:
        >>> env = ChainWorld(4)
        >>> env.reset(seed=0)
        (array([0], dtype=uint8), {})
        >>> [env.step(1)[1:3] for _ in range(3)], env.labels()
        ([(0.0, False), (0.0, False), (1.0, True)], frozenset({'goal'}))
    """

    def __init__(
        self,
        length: int = 20,
        *,
        marks: int | None = None,
        falls_back: bool = False,
        observe: Observe = "position",
        slip: float = 0.0,
        render_mode: str | None = None,
    ) -> None:
        """Make the world; see `GridWorld` for the other arguments.

        Args:
            length: Cells, at least 2.
            marks: How many marks there are between the ends; three when not given, fewer in a shorter chain.
            falls_back: A step to the left leads back to the start, not one cell back.

        Raises:
            ValueError: When an argument is none that is allowed.
        """
        if isinstance(length, bool) or not isinstance(length, int) or not 2 <= length <= LONGEST:
            raise ValueError(f"length is a whole number from 2 to {LONGEST}, not {length!r}")
        most = min(length - 2, MAX_LABELS - 1)
        marks = min(3, most) if marks is None else marks
        if isinstance(marks, bool) or not isinstance(marks, int) or not 0 <= marks <= most:
            raise ValueError(f"marks is a whole number from 0 to {most} in this chain, not {marks!r}")
        self.length, self.falls_back = length, falls_back
        cells = {f"mark_{i}": round(i * (length - 1) / (marks + 1)) for i in range(1, marks + 1)}
        self._cells = {**cells, "goal": length - 1}
        self._labels = {cell: frozenset([name]) for name, cell in self._cells.items()}
        self.label_names = tuple(self._cells)
        super().__init__([(0,)], (length - 1,), 2, observe=observe, slip=slip, render_mode=render_mode)

    def rules(self, state: State, action: int) -> Effect:
        """Return the cell that a step leads to, the label there, and 1 at the end of the chain."""
        if action == 1:
            cell = min(state[0] + 1, self.length - 1)
        else:
            cell = 0 if self.falls_back else max(state[0] - 1, 0)
        is_end = cell == self.length - 1
        return (cell,), self._labels.get(cell, NOTHING), float(is_end), is_end

    def scene(self) -> Scene:
        """Return the chain, or the part of a long one in which the agent is."""
        first = max(0, min(self.state[0] - SHOWN // 2, self.length - SHOWN))
        icons = {cell: "goal" if name == "goal" else "mark" for name, cell in self._cells.items()}
        things = {(cell - first, 0): icon for cell, icon in icons.items() if 0 <= cell - first < SHOWN}
        return Scene(min(self.length, SHOWN), 1, things, (self.state[0] - first, 0))
