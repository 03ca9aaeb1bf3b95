"""A scripted player of KeyRoom, and data sets of its steps with exact labels.

The player knows the way: the key, the door, the stairs; now and then it takes a random action. `balanced` keeps 17
steps that pick up the key, 17 that open the door, and 16 of the others, thinned to a tenth as they pass, as CALM does;
`natural` keeps all steps of whole episodes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.calm.rooms import DOOR, FLOOR, KEY, STAIRS, Cell, Room, map_of, place_of
from envs.text_key_room import MOVES
from rewardspec.llm.views import message_of

TASK = "Pick up the key, open the door with it, and reach the stairs."
SUBGOALS = ("pick up the key", "open the door")
EVENTS = ("key", "door")
"""What the labels call them, in the same order."""

BALANCE: Mapping[str, int] = {"key": 17, "door": 17, "neither": 16}
KEY_WORDS = "key named The Master Key of Thievery"

RANDOM = 0.2
"""Share of random actions."""

OF_ONE_EPISODE = 2
"""Steps without an event that one episode gives to the balanced set, at most: a stuck one has many alike."""

THINNED = 0.1
"""Share of the steps without an event that the balanced set looks at."""


@dataclass(frozen=True)
class Step:
    """A transition of the data set.

    Attributes:
        obs: Before.
        action: Its name.
        next_obs: After.
        events: Which of `EVENTS` happened on it.
        episode: Number of the episode.
    """

    obs: Mapping[str, npt.NDArray[np.uint8]]
    action: str
    next_obs: Mapping[str, npt.NDArray[np.uint8]]
    events: frozenset[str]
    episode: int

    @property
    def truth(self) -> dict[str, bool]:
        """Subgoal -> whether the step reached it."""
        return {goal: event in self.events for goal, event in zip(SUBGOALS, EVENTS, strict=True)}


class Player:
    """Plays one episode by what it sees on the map."""

    def __init__(self, rng: np.random.Generator, actions: Mapping[str, int]) -> None:
        """Begin an episode."""
        self._rng, self._actions = rng, actions
        self._has_key = False
        self._door: Cell | None = None
        self._under: str = ""

    def choose(self, obs: Mapping[str, Any]) -> str:
        """Return the next action."""
        if self._rng.random() < RANDOM:
            return str(self._rng.choice(list(self._actions)))
        page = map_of(obs)
        agent = place_of("@", page)
        self._door = place_of(DOOR, page) or self._door
        message = message_of(obs) or ""
        # A random action may have wiped the message that told: then picking up again does.
        gone = place_of(KEY, page) is None and "nothing here to pick up" in message
        self._has_key |= gone or f" - a {KEY_WORDS}" in message
        if agent is None:
            return str(self._rng.choice(list(MOVES)))
        if not self._has_key:
            key = place_of(KEY, page)
            return "PICKUP" if key is None else self._towards(page, agent, [key])
        if place_of(DOOR, page) is not None:
            assert self._door is not None
            beside = [(self._door[0] + dy, self._door[1] + dx) for dy, dx in MOVES.values()]
            return "APPLY" if agent in beside else self._towards(page, agent, beside)
        stairs = place_of(STAIRS, page)
        return self._towards(page, agent, [stairs] if stairs else [])

    def _towards(self, page: npt.NDArray[np.str_], agent: Cell, goals: list[Cell]) -> str:
        """Return the first move of a shortest way; a random one where there is none."""
        first: dict[Cell, str] = {agent: ""}
        ahead = deque([agent])
        while ahead:
            cell = ahead.popleft()
            if cell in goals and first[cell]:
                return first[cell]
            for name, (dy, dx) in MOVES.items():
                to = (cell[0] + dy, cell[1] + dx)
                inside = 0 <= to[0] < page.shape[0] and 0 <= to[1] < page.shape[1]
                if (
                    inside
                    and to not in first
                    and (page[to] in FLOOR or to == self._door)
                    and page[to] != DOOR
                ):
                    first[to] = first[cell] or name
                    ahead.append(to)
        return str(self._rng.choice(list(MOVES)))


def play(room: Room, episodes: int | None, seed: int) -> Iterator[tuple[Step, bool]]:
    """Yield each step of so many episodes (without end where None), and whether it ended one."""
    rng = np.random.default_rng(seed)
    number = 0
    while episodes is None or number < episodes:
        obs, _ = room.env.reset(seed=int(rng.integers(2**31)))
        room.begin()
        player, ended = Player(rng, room.actions), False
        while not ended:
            name = player.choose(obs)
            next_obs, _, terminated, truncated, info = room.env.step(room.actions[name])
            ended = terminated or truncated
            events = room.happened(obs, room.actions[name], next_obs, info)
            yield Step(obs, name, next_obs, events, number), ended
            obs = next_obs
        number += 1


def natural(room: Room, episodes: int = 60, seed: int = 0) -> list[Step]:
    """Return all steps of whole episodes."""
    return [step for step, _ in play(room, episodes, seed)]


def balanced(room: Room, seed: int = 0, balance: Mapping[str, int] = BALANCE) -> list[Step]:
    """Return a balanced set: so many steps of each sort, in the order in which they were played."""
    wanted = dict(balance)
    rng = np.random.default_rng((seed, 1))
    chosen: list[Step] = []
    for step, _ in play(room, None, seed):
        sort = next(iter(step.events), "neither")
        if len(step.events) > 1 or not wanted[sort] or (sort == "neither" and rng.random() >= THINNED):
            continue
        if (
            sort == "neither"
            and [s.episode for s in chosen if not s.events].count(step.episode) == OF_ONE_EPISODE
        ):
            continue
        wanted[sort] -= 1
        chosen.append(step)
        if not any(wanted.values()):
            return chosen
    raise AssertionError("a player without end")


def calm_bin(step: Step) -> str:
    """Return the sort of a step by CALM's own rule, which reads the message and the map and no label.

    *key*: the action is pickup and the next message names the key as an inventory line; *door*: the action is apply and
    the map has one door `+` less.
    """
    doors = [
        int(np.count_nonzero(np.asarray(obs["chars"]) == ord(DOOR))) for obs in (step.obs, step.next_obs)
    ]
    if step.action == "PICKUP" and f" - a {KEY_WORDS}" in (message_of(step.next_obs) or ""):
        return "key"
    return "door" if step.action == "APPLY" and doors[0] - doors[1] == 1 else "neither"
