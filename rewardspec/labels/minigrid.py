"""Labels of MiniGrid and BabyAI: what the agent carries, faces, stands on, is beside and sees; the doors.

Every label says that at least one object stands in a *relation* to the agent, and is of the type and colour
that the name gives: `facing_red_door` holds when the object in front of the agent is a door and is red. The
names are a finite table, `LABELS`. All labels are read after the step, from the grid and not from the
observation, so they hold under any observation wrapper.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rewardspec.errors import list_names, near_miss
from rewardspec.labels import Labels, refuse_environment, refuse_unknown

COLOURS = ("red", "green", "blue", "purple", "yellow", "grey")
"""MiniGrid's colours, by its own index."""

TYPES = ("wall", "floor", "door", "key", "ball", "box", "goal", "lava")
"""MiniGrid's object types, by its own index."""

PICKED_UP = ("key", "ball", "box")
STOOD_ON = ("floor", "door", "goal", "lava")

DOOR_STATES = ("open", "closed", "locked")

RELATIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "carrying": (PICKED_UP, "the agent carries {object}"),
    "picked_up": (PICKED_UP, "the agent took {object} on this step"),
    "dropped": (PICKED_UP, "the agent put down {object} on this step"),
    "at": (STOOD_ON, "the agent stands on {object}"),
    "facing": (TYPES, "{object} is in front of the agent"),
    "beside": (TYPES, "{object} is in one of the four cells around the agent"),
    "sees": (TYPES, "{object} is in the agent's view (its own cell left out), not hidden by a wall or door"),
    "toggled": (("door",), "the agent opened or closed {object} on this step"),
}
"""Relation -> (the types for which it can hold, its meaning)."""

BARE = ("carrying", "picked_up", "dropped")
"""Relations that are labels by themselves, about any object."""

DOOR_MEANINGS = {
    "open": "at least one {object} is open, anywhere in the grid",
    "closed": "at least one {object} is shut and not locked, anywhere in the grid",
    "locked": "at least one {object} is locked, anywhere in the grid",
}


@dataclass(frozen=True)
class Label:
    """One label: some object in `relation` has this type and this colour (None: any)."""

    relation: str
    type: str | None = None
    colour: str | None = None


def _list_labels() -> dict[str, Label]:
    labels = {relation: Label(relation) for relation in BARE}
    for relation, (types, _) in RELATIONS.items():
        for kind in types:
            labels[f"{relation}_{kind}"] = Label(relation, kind)
            labels |= {f"{relation}_{hue}_{kind}": Label(relation, kind, hue) for hue in COLOURS}
    for state in DOOR_STATES:
        labels[f"door_{state}"] = Label(f"door_{state}", "door")
        labels |= {f"{hue}_door_{state}": Label(f"door_{state}", "door", hue) for hue in COLOURS}
    return labels


LABELS: dict[str, Label] = _list_labels()
"""Every label by name (290 of them)."""


def describe() -> list[tuple[str, str]]:
    """Return (pattern, meaning) of every label.

    Example:
        >>> describe()[0]
        ('carrying', 'the agent carries any object')
    """
    rows = [(relation, RELATIONS[relation][1].format(object="any object")) for relation in BARE]
    for relation, (types, meaning) in RELATIONS.items():
        if len(types) == 1:
            kind, plain, coloured, among = types[0], f"a {types[0]}", f"a {types[0]} of that colour", ""
        else:
            kind, plain, coloured = "<type>", "an object of that type", "an object of that colour and type"
            among = f" (types: {', '.join(types)})"
        rows.append((f"{relation}_{kind}", meaning.format(object=plain) + among))
        rows.append((f"{relation}_<colour>_{kind}", meaning.format(object=coloured) + among))
    for state, meaning in DOOR_MEANINGS.items():
        rows.append((f"door_{state}", meaning.format(object="door")))
        rows.append((f"<colour>_door_{state}", meaning.format(object="door of that colour")))
    return rows


def check(name: str) -> str | None:
    """Return None when `name` is a label of MiniGrid, else the reason.

    Example:
        >>> check("carrying_yellow_key")
        >>> check("at_key")
        "'at_key' can never hold: 'at' is about floor, door, goal, lava. Did you mean 'facing_key'?"
    """
    if name in LABELS:
        return None
    hint = near_miss(name, LABELS)
    for relation, (types, _) in RELATIONS.items():
        kind = name.rpartition("_")[2]
        if name.startswith(f"{relation}_") and kind in TYPES and kind not in types:
            return f"'{name}' can never hold: '{relation}' is about {list_names(types)}.{hint}"
    return f"'{name}' is not a label of minigrid.{hint}"


def bind(env: Any, names: tuple[str, ...]) -> Labels:
    """Return the labelling function of `names` over a live MiniGrid environment.

    It costs half a microsecond to two a step; labels of `sees_...` cast the agent's view anew, which costs
    about as much as the environment's own step.

    Raises:
        MismatchError: `labeller-mismatch` when `env` is no MiniGrid environment.
        SpecError: `unknown-label` when a name is no label.
    """
    refuse_unknown("minigrid", names, check)
    needed = ("grid", "carrying", "agent_pos", "agent_dir", "gen_obs_grid")
    refuse_environment("minigrid", env, "a MiniGrid environment", needed)
    return MiniGridLabels(env.unwrapped, tuple(LABELS[name] for name in names))


class MiniGridLabels:
    """The labelling function over one live environment.

    Attributes:
        read: `read(action, next_obs, info)` gives the truth of the labels after a step; it reads the live grid and
            `action` only. It is generated, and made anew where this is copied or unpickled.
    """

    def __init__(self, env: Any, labels: tuple[Label, ...]) -> None:
        """Watch `env`, a MiniGridEnv without its wrappers."""
        self.__setstate__((View(env), labels))

    def __getstate__(self) -> tuple[View, tuple[Label, ...]]:
        return self._view, self._labels

    def __setstate__(self, state: tuple[View, tuple[Label, ...]]) -> None:
        self._view, self._labels = state
        self.read: Callable[..., tuple[bool, ...]] = _reader(self._view, self._labels)


def _reader(view: View, labels: tuple[Label, ...]) -> Callable[..., tuple[bool, ...]]:
    """Return the function that reads labels, generated: tables and loops over them take four times as long."""
    lines = ["if env.grid is not view.grid: view.begin(action)"]
    lines += [f"l{i} = False" for i in range(len(labels))]
    for relation in dict.fromkeys(label.relation for label in labels):
        lines.append(f"for thing in {THINGS.get(relation, f'view.{relation}(action)')}:")
        for i, label in enumerate(labels):
            if label.relation == relation:
                # The strings are MiniGrid's own, of COLOURS and TYPES.
                tests = [TESTS.get(relation, "thing is not None")]
                tests += [f"thing.type == {label.type!r}"] if label.type and relation not in TESTS else []
                tests += [f"thing.color == {label.colour!r}"] if label.colour else []
                lines.append(f"    if {' and '.join(tests)}: l{i} = True")
    lines += ["view.carried = env.carrying", f"return ({' '.join(f'l{i},' for i in range(len(labels)))})"]
    scope: dict[str, Any] = {"__builtins__": {}, "view": view, "env": view.env}
    text = "\n    ".join(["def read(action, next_obs, info):", *lines])
    exec(compile(text, "<rewardspec labels of minigrid>", "exec"), scope)
    read: Callable[..., tuple[bool, ...]] = scope["read"]
    return read


class View:
    """What the relations are about, in one live environment; plain data, so that wrappers deep-copy and pickle.

    A new grid object marks a new episode: every MiniGrid environment makes its grid anew when it resets. A method of a
    relation's name returns the objects that stand in it now, None for an empty cell.

    Attributes:
        env: A MiniGridEnv without its wrappers.
        grid: Its grid.
        carried: What the agent carried after the step before.
        doors: The grid's doors, which stay the same objects for an episode.
    """

    def __init__(self, env: Any) -> None:
        self.env = env
        self.look(env.carrying)

    def look(self, carried: Any) -> None:
        """Look at the grid."""
        self.grid, self.carried = self.env.grid, carried
        self.doors = [thing for thing in self.grid.grid if thing is not None and thing.type == "door"]

    def begin(self, action: Any) -> None:
        """Take up a new episode after its first action."""
        # Hands are empty at first, save in BabyAI's PutNext...Carrying.
        self.look(None if action == self.env.actions.pickup else self.env.carrying)

    def _cell(self, x: int, y: int) -> Any:
        """Return the object at a place, None where there is none or the grid ends."""
        grid = self.grid
        return grid.get(x, y) if 0 <= x < grid.width and 0 <= y < grid.height else None

    def picked_up(self, action: Any) -> Sequence[Any]:
        """Return what the agent carries and did not carry before."""
        return (self.env.carrying,) if self.env.carrying is not self.carried else ()

    def dropped(self, action: Any) -> Sequence[Any]:
        """Return what the agent carried before and does not carry now."""
        return (self.carried,) if self.env.carrying is not self.carried else ()

    def at(self, action: Any) -> Sequence[Any]:
        """Return what the agent stands on."""
        return (self._cell(*self.env.agent_pos),)

    def facing(self, action: Any) -> Sequence[Any]:
        """Return what is in front of the agent."""
        return (self._cell(*self.env.front_pos),)

    def beside(self, action: Any) -> Sequence[Any]:
        """Return what is in the four cells around the agent."""
        x, y = self.env.agent_pos
        return self._cell(x + 1, y), self._cell(x - 1, y), self._cell(x, y + 1), self._cell(x, y - 1)

    def sees(self, action: Any) -> Sequence[Any]:
        """Return what the agent sees; what it carries is drawn in its own cell, which is left out."""
        view, visible = self.env.gen_obs_grid()
        own = (view.height - 1) * view.width + view.width // 2
        mask = visible.T.ravel()  # the grid is stored by rows, the mask is [x, y]
        return [thing for i, thing in enumerate(view.grid) if thing is not None and mask[i] and i != own]

    def toggled(self, action: Any) -> Sequence[Any]:
        """Return the door in front, when the action toggled it.

        A toggle leaves the agent where it is and never locks a door, so a door in front that is not locked
        afterwards has just been opened or closed.
        """
        if action != self.env.actions.toggle:
            return ()
        return [thing for thing in self.facing(action) if thing is not None and not _is_locked(thing)]


def _is_locked(thing: Any) -> bool:
    return bool(getattr(thing, "is_locked", False))


THINGS = {
    "carrying": "(env.carrying,)",
    "door_open": "view.doors",
    "door_closed": "view.doors",
    "door_locked": "view.doors",
}
"""Relation -> code of the objects that stand in it; that of the others is a method of `View`."""

TESTS = {
    "door_open": "thing.is_open",
    "door_closed": "not thing.is_open and not thing.is_locked",
    "door_locked": "thing.is_locked",
}
"""Relation -> code of what must hold of such an object besides type and colour, and says that it is a door."""
