"""KeyRoom for the scripted player: NetHack's own, and our text clone, behind one small reading."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from envs.text_key_room import ACTIONS, TextKeyRoom

Cell = tuple[int, int]

DOOR, KEY, STAIRS = "+", "(", ">"
FLOOR = ".(@>"
"""Characters that can be walked on; an open door is told by its place."""


@dataclass
class Room:
    """A room that is played.

    Attributes:
        env: The environment; its actions are CALM's, by `actions`.
        actions: Name -> number.
        begin: Called after each reset.
        happened: What a step did: `(obs, action, next_obs, info) -> {"key", "door"}`, exact.
    """

    env: gym.Env[Any, Any]
    actions: Mapping[str, int]
    begin: Callable[[], None]
    happened: Callable[[Any, Any, Any, Any], frozenset[str]]


def text_room(size: int = 5, layout: int | None = None) -> Room:
    """Return our own room."""
    env = TextKeyRoom(size, layout=layout)
    timed: gym.Env[Any, Any] = gym.wrappers.TimeLimit(env, 100)
    numbers = {name: i for i, name in enumerate(ACTIONS)}
    return Room(timed, numbers, lambda: None, lambda *step: env.labels() & {"key", "door"})


def minihack_room() -> Room:
    """Return MiniHack-KeyRoom-S5 with CALM's six actions and its limit of 100 steps.

    The labels are those of `rewardspec/labels/minihack.py`: the key came into the inventory, a place that showed a
    closed door shows something else.
    """
    from rewardspec.environments import make_environment
    from rewardspec.labels import load_labeller

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nle import nethack

        moves = nethack.CompassDirection
        chosen = (moves.N, moves.E, moves.S, moves.W, nethack.Command.PICKUP, nethack.Command.APPLY)
        env = make_environment(
            "MiniHack-KeyRoom-S5-v0",
            actions=chosen,
            observation_keys=("chars", "chars_crop", "message", "blstats"),
            max_episode_steps=100,
        )
    labels = load_labeller("minihack").bind(env, ("has_key", "door_opened"))
    had = [False]

    def begin() -> None:
        had[0] = False

    def happened(obs: Any, action: Any, next_obs: Any, info: Any) -> frozenset[str]:
        has, opened = labels.read(action, next_obs, info)
        came = has and not had[0]
        had[0] = has
        return frozenset(name for name, holds in (("key", came), ("door", opened)) if holds)

    return Room(env, {action.name: i for i, action in enumerate(chosen)}, begin, happened)


def map_of(obs: Mapping[str, Any]) -> npt.NDArray[np.str_]:
    """Return the map's characters, `[rows, columns]`."""
    return np.array([[chr(c) for c in row] for row in np.asarray(obs["chars"])])


def place_of(character: str, page: npt.NDArray[np.str_]) -> Cell | None:
    """Return where a character stands; None where it does not."""
    rows, columns = np.nonzero(page == character)
    return (int(rows[0]), int(columns[0])) if len(rows) else None
