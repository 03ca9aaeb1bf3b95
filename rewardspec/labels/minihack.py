"""Labels of MiniHack: what is under, beside and around the agent; inventory, messages, doors, the end.

A label is a relation and what it relates to: `beside_closed_door`, `has_wand`, `message_contains_you_kill`.
What stands on the map is told by NetHack's glyph numbers, one list of features for all relations; single
monsters and objects are told by the words of NetHack's own description (`beside_described_minotaur`).

NetHack shows the agent's own glyph where the agent stands, so what is under it is what the map showed there
before it came. On the step that ends a game NetHack wipes its screen; labels of the map, the message and the
inventory then read the screen of the step before. `SteadyNLE` (`rewardspec/labels/steady_nle.py`) keeps the
last screen of a solved task (not of a death), and makes resets reproducible: wrap with it first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardspec.errors import near_miss
from rewardspec.labels import Labels, refuse_environment, refuse_unknown

DUNGEON: dict[str, tuple[int, ...]] = {
    "stairs_down": (24,),
    "stairs_up": (23,),
    "ladder_down": (26,),
    "ladder_up": (25,),
    "door": (13, 14, 15, 16),
    "open_door": (13, 14),
    "closed_door": (15, 16),
    "doorway": (12,),
    "corridor": (21, 22),
    "altar": (27,),
    "grave": (28,),
    "throne": (29,),
    "sink": (30,),
    "fountain": (31,),
    "water": (32, 41),
    "ice": (33,),
    "lava": (34,),
    "iron_bars": (17,),
    "tree": (18,),
    "trap": tuple(range(42, 65)),
}
"""Dungeon feature -> indices of NetHack's map symbols (`defsym`). A doorway has no door, or a broken one."""

OBJECT_CLASSES: dict[str, int] = {
    "weapon": 2,
    "armor": 3,
    "ring": 4,
    "amulet": 5,
    "tool": 6,
    "food": 7,
    "potion": 8,
    "scroll": 9,
    "spellbook": 10,
    "wand": 11,
    "coin": 12,
    "gem": 13,
    "rock": 14,
    "ball": 15,
    "chain": 16,
}
"""NetHack's object classes. Keys are tools; boulders and statues are rocks; `ball` is the prisoner's."""

BEINGS = ("monster", "pet", "object", "boulder")
FEATURES = (*DUNGEON, *BEINGS, *OBJECT_CLASSES)
NEVER_UNDER = ("closed_door", "iron_bars", "tree", "monster", "pet")

CONDITIONS: dict[str, int] = {
    "turning_to_stone": 1,
    "slimed": 2,
    "strangled": 4,
    "food_poisoned": 8,
    "terminally_ill": 16,
    "blind": 32,
    "deaf": 64,
    "stunned": 128,
    "confused": 256,
    "hallucinating": 512,
    "levitating": 1024,
    "flying": 2048,
    "riding": 4096,
}
"""Condition of the agent -> its bit in the status line."""

EXACT: dict[str, str] = {
    "solved": "the environment's own task is solved on this step (`info['end_status']` says so)",
    "dead": "the agent died, or the game ended by itself, on this step",
    "door_opened": "a place that showed a closed door before this step shows something else now",
    "hungry": "the agent is hungry, weak, fainting or starved",
}

RELATIONS: dict[str, tuple[str, str]] = {
    "on": ("feature", "the agent stands where the map showed that feature before the agent came"),
    "beside": ("feature", "one of the eight places around the agent shows that feature"),
    "sees": ("feature", "the map shows that feature anywhere but under the agent"),
    "beside_described": ("words", "NetHack describes a thing around the agent with those words"),
    "has": ("words", "an inventory item is of that object class, or its name holds those words"),
    "message_contains": ("words", "this step's message holds those words, in that order"),
    "is": ("condition", "the agent is in that condition"),
    "depth_at_least": ("number", "the agent is on that dungeon level (1..60) or deeper"),
}
"""Relation -> (what follows it, its meaning)."""

MAX_LENGTH = 64
"""Characters of a label name; longer ones are refused."""

# Indices into blstats and `internal`, and values of info["end_status"], of NLE.
X, Y, DEPTH, HUNGER, CONDITION = 0, 1, 12, 21, 25
STAIRS_DOWN = 4
DIED, SOLVED = 1, 2

NEEDED = ("last_observation", "_previous_obs", "_observation_keys", "_episode", "get_neighbor_descriptions")


def describe() -> list[tuple[str, str]]:
    """Return (pattern, meaning) of every label.

    Example:
        >>> describe()[-1]
        ('depth_at_least_<number>', 'the agent is on that dungeon level (1..60) or deeper')
    """
    listed = {"feature": FEATURES, "condition": tuple(CONDITIONS)}
    rows = list(EXACT.items())
    for relation, (follows, meaning) in RELATIONS.items():
        among = f" ({follows}s: {', '.join(listed[follows])})" if follows in listed else ""
        rows.append((f"{relation}_<{follows}>", meaning + among))
    return rows


def check(name: str) -> str | None:
    """Return None when `name` is a label of MiniHack, else the reason.

    Example:
        >>> check("has_key")
        >>> check("beside_dor")
        "'beside_dor' names no feature of MiniHack. Did you mean 'beside_door'?"
    """
    if len(name) > MAX_LENGTH:
        return f"'{name[:20]}...' has {len(name)} characters; a label of minihack has at most {MAX_LENGTH}."
    if not re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", name):
        return f"'{name}' is no label: words of lower-case letters and digits, joined by '_'."
    if name in EXACT:
        return None
    relation, rest = _split(name)
    if not rest:
        patterns = [pattern.partition("_<")[0] for pattern, _ in describe()]
        return f"'{name}' is not a label of minihack.{near_miss(name, [*patterns, *_closed_names()])}"
    follows = RELATIONS[relation][0]
    if relation == "on" and rest in NEVER_UNDER:
        return f"'{name}' can never hold: the agent cannot stand there. Did you mean 'beside_{rest}'?"
    known = {"feature": FEATURES, "condition": tuple(CONDITIONS)}.get(follows)
    if known is not None and rest not in known:
        hint = near_miss(name, [f"{relation}_{one}" for one in known])
        return f"'{name}' names no {follows} of MiniHack.{hint}"
    if follows == "number" and not (rest.isdecimal() and 1 <= int(rest) <= 60):
        return f"'{name}': the dungeon level is a number from 1 to 60."
    return None


def bind(env: Any, names: tuple[str, ...]) -> Labels:
    """Return the labelling function of `names` over a live MiniHack environment.

    Raises:
        MismatchError: `labeller-mismatch` when `env` is no MiniHack environment.
        SpecError: `unknown-label` when a name is no label.
    """
    refuse_unknown("minihack", names, check)
    refuse_environment("minihack", env, "a MiniHack environment", NEEDED)
    return MiniHackLabels(env.unwrapped, names)


def _split(name: str) -> tuple[str, str]:
    """Split a name into its relation (the longest that fits) and the rest; ("", "") where none fits."""
    fitting = [relation for relation in RELATIONS if name.startswith(f"{relation}_")]
    relation = max(fitting, key=len, default="")
    return (relation, name[len(relation) + 1 :]) if relation else ("", "")


def _closed_names() -> list[str]:
    """Return every name that is not made of free words, for near misses."""
    places = [f"{relation}_{feature}" for relation in ("on", "beside", "sees") for feature in FEATURES]
    return [*EXACT, *places, *(f"is_{condition}" for condition in CONDITIONS)]


def _pattern(words: str) -> re.Pattern[bytes]:
    """Return a pattern for whole `words` in a row, any case, the last one also in the plural."""
    row = rb"[^a-z0-9\0]+".join(word.encode() for word in words.split("_"))
    return re.compile(rb"(?<![a-z0-9])" + row + rb"s?(?![a-z0-9])", re.IGNORECASE)


@cache
def _glyphs_of(feature: str) -> npt.NDArray[np.bool_]:
    """Return [glyph] bool: whether that glyph number shows `feature`. Read-only, kept."""
    from nle import nethack

    def shows(glyph: int) -> bool:
        if feature in DUNGEON:
            return nethack.glyph_is_cmap(glyph) and nethack.glyph_to_cmap(glyph) in DUNGEON[feature]
        if feature == "monster":
            return bool(nethack.glyph_is_monster(glyph) or nethack.glyph_is_invisible(glyph))
        if feature == "pet":
            return bool(nethack.glyph_is_pet(glyph))
        if not nethack.glyph_is_object(glyph):
            return False
        if feature == "object":
            return True
        kind = nethack.objclass(nethack.glyph_to_obj(glyph))
        if feature == "boulder":
            return bool(nethack.OBJ_NAME(kind) == "boulder")
        return ord(kind.oc_class) == OBJECT_CLASSES[feature]

    table = np.array([shows(glyph) for glyph in range(nethack.MAX_GLYPH + 1)])
    table.setflags(write=False)
    return table


@dataclass
class Screen:
    """What NLE shows after a step: views of its buffers, valid until the next step.

    Attributes:
        glyphs: [21, 79] int16, by row and column.
        message: [256] uint8, the top line, zero-padded.
        items: [items, 80] uint8, inventory lines.
        classes: [items] uint8, their object classes.
        descriptions: [21, 79, 80] uint8.
        status: [27] int64, blstats.
    """

    glyphs: npt.NDArray[Any]
    message: npt.NDArray[Any]
    items: npt.NDArray[Any]
    classes: npt.NDArray[Any]
    descriptions: npt.NDArray[Any]
    status: npt.NDArray[Any]


class MiniHackLabels:
    """The labelling function over one live environment (which itself can be neither copied nor pickled)."""

    def __init__(self, env: Any, names: tuple[str, ...]) -> None:
        """Watch `env`, a MiniHack without its wrappers."""
        self._env = env
        self._readers = tuple(_reader(name) for name in names)
        self._wants_memory = any(name.startswith("on_") or name == "door_opened" for name in names)
        keys = env._observation_keys
        shown = ("glyphs", "message", "inv_strs", "inv_oclasses", "screen_descriptions", "blstats")
        self._shown = tuple(keys.index(key) for key in shown)
        self._letters = keys.index("inv_letters")
        self._program_state, self._internal = keys.index("program_state"), keys.index("internal")
        self._episode: int | None = None
        self.glyphs_before: npt.NDArray[Any] = np.zeros((0, 0), np.int16)
        self.place: tuple[int, int] | None = None
        self.glyph_under: int | None = None

    def read(self, action: Any, next_obs: Any, info: Mapping[str, Any]) -> tuple[bool, ...]:
        """Return the truth of the labels after a step; reads NLE's buffers and `info['end_status']` only."""
        self.end_status = int(info.get("end_status", 0))
        self.on_stairs_down = bool(self._env.last_observation[self._internal][STAIRS_DOWN])
        self.screen = screen = self._read_screen()
        if self._wants_memory:
            self._remember_place(screen)
        truth = tuple([reader(self) for reader in self._readers])
        if self._wants_memory:
            self.glyphs_before = screen.glyphs.copy()
        return truth

    def _read_screen(self) -> Screen:
        """Return the screen as it is, or that of the step before when the game is over and it is wiped."""
        raw = self._env.last_observation
        if raw[self._program_state][0]:
            raw = self._env._previous_obs
        glyphs, message, items, classes, descriptions, status = (raw[index] for index in self._shown)
        count = int(np.count_nonzero(raw[self._letters]))
        return Screen(glyphs, message, items[:count], classes[:count], descriptions, status)

    def _remember_place(self, screen: Screen) -> None:
        """Keep what the map showed at the agent's place before the agent came; unknown at the start."""
        place = (int(screen.status[Y]), int(screen.status[X]))
        if self._env._episode != self._episode:
            # MiniHack keeps the screen before a step, here the one after the reset.
            glyphs, status = (self._env._previous_obs[self._shown[i]] for i in (0, 5))
            self._episode, self.glyphs_before = self._env._episode, glyphs
            self.place, self.glyph_under = (int(status[Y]), int(status[X])), None
        if place != self.place:
            self.place, self.glyph_under = place, int(self.glyphs_before[place])

    def around(self) -> tuple[slice, slice]:
        """Return the 3x3 window of map indices around the agent (smaller at the map's edge)."""
        y, x = int(self.screen.status[Y]), int(self.screen.status[X])
        return slice(max(y - 1, 0), y + 2), slice(max(x - 1, 0), x + 2)

    def shown(self, feature: str, window: tuple[slice, slice]) -> bool:
        """Return whether the map shows `feature` in `window`, the agent's own place left out."""
        table = _glyphs_of(feature)
        there = table[self.screen.glyphs[window]]
        y, x = int(self.screen.status[Y]), int(self.screen.status[X])
        own = table[self.screen.glyphs[y, x]]
        return bool(np.count_nonzero(there) > own)


Reader = Callable[[MiniHackLabels], bool]


def _reader(name: str) -> Reader:
    """Return the function that reads one label."""
    relation, rest = _split(name)
    if name in EXACT:
        return {
            "solved": lambda now: now.end_status == SOLVED,
            "dead": lambda now: now.end_status == DIED,
            "hungry": lambda now: bool(now.screen.status[HUNGER] > 1),
            "door_opened": _door_opened,
        }[name]
    if name == "on_stairs_down":  # NLE says it itself, also under an object and when the game is over
        return lambda now: now.on_stairs_down
    if relation == "on":
        return lambda now: now.glyph_under is not None and bool(_glyphs_of(rest)[now.glyph_under])
    if relation == "beside":
        return lambda now: now.shown(rest, now.around())
    if relation == "sees":
        return lambda now: now.shown(rest, (slice(None), slice(None)))
    if relation == "is":
        return lambda now: bool(now.screen.status[CONDITION] & CONDITIONS[rest])
    if relation == "depth_at_least":
        return lambda now: bool(now.screen.status[DEPTH] >= int(rest))
    pattern = _pattern(rest)
    if relation == "message_contains":
        return lambda now: pattern.search(now.screen.message.tobytes()) is not None
    if relation == "beside_described":
        return lambda now: pattern.search(_text_around(now)) is not None
    number = OBJECT_CLASSES.get(rest, -1)
    return lambda now: (
        bool((now.screen.classes == number).any()) or (pattern.search(now.screen.items.tobytes()) is not None)
    )


def _door_opened(now: MiniHackLabels) -> bool:
    closed = _glyphs_of("closed_door")
    return bool((closed[now.glyphs_before] & ~closed[now.screen.glyphs]).any())


def _text_around(now: MiniHackLabels) -> bytes:
    """Return NetHack's descriptions of the places around the agent, its own left out, zero-separated."""
    rows, columns = now.around()
    texts = now.screen.descriptions[rows, columns].copy()
    texts[int(now.screen.status[Y]) - rows.start, int(now.screen.status[X]) - columns.start] = 0
    return texts.tobytes()
