"""Games of several agents on a device: what B of one look like, and which there are."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from gymnasium import spaces

from rewardspec.errors import MismatchError, Problem, list_names, near_miss
from rewardspec.games.text import is_game_file, load_game

if TYPE_CHECKING:
    from torch import Tensor


class GameBatch(Protocol):
    """B copies of a game of N agents in torch tensors; there is no base class to inherit from.

    All agents act at once, until the copy's episode is over for all of them. As with `rewardspec.wrappers.tensor`, a
    batch does not reset by itself: `reset` takes a mask, and neither method looks at values from Python.

    Attributes:
        num_envs: B.
        agents: Names of the N agents.
        is_symmetric: Whether every agent sees and does the same from its own side, so that one policy fits all.
        horizon: Steps after which an episode is truncated; the observation tells the time, so nothing is left out.
        event_names: Names of what can happen in a step, as `crash`.
    """

    num_envs: int
    agents: tuple[str, ...]
    is_symmetric: bool
    horizon: int
    event_names: tuple[str, ...]

    def observation_space(self, agent: str) -> spaces.Box:
        """Return the space of what an agent sees: `[D]` float32, with the same D for all."""
        ...

    def action_space(self, agent: str) -> spaces.Discrete:
        """Return the space of what an agent does."""
        ...

    def reset(self, mask: Tensor) -> Tensor:
        """Begin new episodes where `mask` (`[B]` bool) holds; return everyone's observation `[B, N, D]`."""
        ...

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Take actions `[B, N]`; return observation `[B, N, D]`, reward `[B, N]`, terminated `[B]`, truncated `[B]`."""
        ...

    def events(self) -> Mapping[str, Tensor]:
        """Return what happened in the last step, `[B]` bool by name."""
        ...


GAMES: dict[str, tuple[str, str, str]] = {
    "stag_hunt": ("envs.stag_hunt", "StagHunt", "StagHuntBatch"),
    "overtaking": ("envs.overtaking", "Overtaking", "OvertakingBatch"),
}
"""Name -> module, PettingZoo environment and batch; the name may be the path of a game file, too."""


def game_batch(name: str, num_envs: int, device: str = "cpu", seed: int = 0, **arguments: Any) -> GameBatch:
    """Return B copies of a game.

    Args:
        name: One of `GAMES`, or the path of a game in YAML.
        num_envs: B.
        device: Torch device.
        seed: Seeds first states and random outcomes.
        arguments: What the game is made with.

    Raises:
        MismatchError: `no-environment` when there is none of that name, or the arguments do not fit.
        SpecError: When the game file is wrong.

    Example:
        >>> game_batch("stag_hunt", 8).agents
        ('hunter_0', 'hunter_1')
    """
    made: GameBatch = _made(name, 2, num_envs=num_envs, device=device, seed=seed, **arguments)
    return made


def parallel_game(name: str, **arguments: Any) -> Any:
    """Return one of the games as a PettingZoo `ParallelEnv`.

    Raises:
        MismatchError: As `game_batch`.
        SpecError: When the game file is wrong.

    Example:
        >>> parallel_game("stag_hunt", size=3).possible_agents
        ['hunter_0', 'hunter_1']
    """
    return _made(name, 1, **arguments)


def _made(name: str, which: int, **arguments: Any) -> Any:
    if is_game_file(name):
        entry, arguments = ("envs.matrix_game", "MatrixGame", "MatrixGameBatch"), dict(arguments)
        arguments["game"] = load_game(name)
    elif name in GAMES:
        entry = GAMES[name]
    else:
        hint = f"There are: {list_names(GAMES)}, and game files (.yaml).{near_miss(name, GAMES)}"
        raise MismatchError(Problem("no-environment", f"there is no game '{name}'", hints=(hint,)))
    make: Callable[..., Any] = getattr(importlib.import_module(entry[0]), entry[which])
    try:
        return make(**arguments)
    except (TypeError, ValueError) as error:
        raise MismatchError(Problem("no-environment", f"'{name}' cannot be made: {error}")) from error
