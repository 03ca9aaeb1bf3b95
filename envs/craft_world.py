"""CraftWorld: gather wood, grass and iron, and make things of them where the tools are.

Source: R. Toro Icarte, T. Q. Klassen, R. Valenzano, S. A. McIlraith, "Reward Machines: Exploiting Reward
Function Structure in Reinforcement Learning", JAIR 73 (2022), section 6.1, after J. Andreas, D. Klein,
S. Levine, "Modular Multitask Reinforcement Learning with Policy Sketches", ICML 2017. Size, start and counts
are those of the authors' ten maps; the maps are not: ours are drawn from a seed.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from envs.grid import MOVES, NOTHING, Effect, GridWorld, Observe, State
from envs.grid_picture import Scene

SIDE = 39

START = (SIDE // 2, SIDE // 2)

COUNTS: dict[str, int] = {
    "wood": 5,
    "grass": 5,
    "iron": 5,
    "toolshed": 2,
    "workbench": 2,
    "factory": 2,
    "bridge": 2,
    "gem": 2,
}
"""Thing -> how many of it are in a map."""


@cache
def draw_map(map_seed: int) -> dict[tuple[int, int], str]:
    """Return what lies where: every thing as often as `COUNTS` says, each in a cell of its own.

    Example:
        >>> things = draw_map(0)
        >>> len(things), START in things
        (25, False)
    """
    names = [name for name, count in COUNTS.items() for _ in range(count)]
    free = [(x, y) for x in range(SIDE) for y in range(SIDE) if (x, y) != START]
    chosen = np.random.default_rng(map_seed).choice(len(free), len(names), replace=False)
    return {free[cell]: name for cell, name in zip(chosen, names, strict=True)}


class CraftWorld(GridWorld):
    """A field of 39x39 cells with raw materials and places to work; nothing in it is ever used up.

    Actions: 0 up, 1 right, 2 down, 3 left; a move against the border stays. Observation: (x, y) as `Box` `[2]`
    uint8, from (0, 0) at the lower left. The agent starts in the middle.

    Labels: `wood`, `grass`, `iron`, `toolshed`, `workbench`, `factory`, `bridge`, `gem`: the agent is at such a
    place. The world pays nothing and never ends by itself: both are the spec's.

    Example:
        >>> env = CraftWorld(map_seed=3)
        >>> env.reset(seed=0)
        (array([19, 19], dtype=uint8), {})
    """

    label_names = tuple(COUNTS)
    scale = 2

    def __init__(
        self,
        map_seed: int = 0,
        *,
        observe: Observe = "position",
        slip: float = 0.0,
        render_mode: str | None = None,
    ) -> None:
        """Make the world; see `GridWorld` for the other arguments.

        Args:
            map_seed: Which map; 0 to 9 are those of the benchmarks.

        Raises:
            ValueError: When an argument is none that is allowed.
        """
        if isinstance(map_seed, bool) or not isinstance(map_seed, int) or map_seed < 0:
            raise ValueError(f"map_seed is a whole number, at least 0, not {map_seed!r}")
        self.things = draw_map(map_seed)
        self._labels = {cell: frozenset([name]) for cell, name in self.things.items()}
        super().__init__(
            [START], (SIDE - 1, SIDE - 1), 4, observe=observe, slip=slip, render_mode=render_mode
        )

    def rules(self, state: State, action: int) -> Effect:
        """Return the cell that a move leads to and the label of what is there."""
        x, y = state[0] + MOVES[action][0], state[1] + MOVES[action][1]
        cell = (min(max(x, 0), SIDE - 1), min(max(y, 0), SIDE - 1))
        return cell, self._labels.get(cell, NOTHING), 0.0, False

    def scene(self) -> Scene:
        """Return the field."""
        x, y = self.state
        return Scene(SIDE, SIDE, self.things, (x, y))
