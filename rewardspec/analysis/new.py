"""The start of a spec for an environment: its spaces, labels and time limit, written as YAML."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rewardspec.analysis.known_environments import (
    ACTIONS,
    BASE_REWARD,
    BLSTATS,
    ENDS_EARLY,
    FIRST,
    NAMES,
    OWN_REWARD,
    First,
)
from rewardspec.environments import make_environment
from rewardspec.ir import expr as ir
from rewardspec.ir.show import show_field
from rewardspec.labels import load_labeller
from rewardspec.spec.values import RESERVED

JOINTS = {0: ("x", "y", "z", "qw", "qx", "qy", "qz"), 1: ("qw", "qx", "qy", "qz")}
"""What MuJoCo keeps of the position of a free joint and of a ball joint, which have more than one number."""

TURNS = {0: ("vx", "vy", "vz", "wx", "wy", "wz"), 1: ("wx", "wy", "wz")}
"""And of their velocity."""

LISTED = 40
"""Entries of an observation that become signals; of a longer one, the first of them."""


@dataclass(frozen=True)
class Signal:
    """A signal to declare.

    Attributes:
        name: Its name.
        value: Its expression.
        low: Least value by the space, None when it has none.
        high: Greatest value, likewise.
    """

    name: str
    value: str
    low: float | None = None
    high: float | None = None

    def line(self) -> str:
        """Return the signal as a line of YAML."""
        if self.low is None or self.high is None:
            return f"  {self.name}: {self.value}"
        return f"  {self.name}: {{value: {_quoted(self.value)}, range: [{self.low:.6g}, {self.high:.6g}]}}"


def start_spec(env_id: str) -> str:
    """Return a first spec for an environment, with comments: it passes `check` and its own tests.

    Args:
        env_id: Gymnasium id.

    Raises:
        MismatchError: There is no such environment.
        MissingExtraError: Its package is not installed.

    Example:
        >>> print(start_spec("MountainCar-v0"))  # doctest: +ELLIPSIS
        # A first spec for MountainCar-v0...
    """
    with contextlib.redirect_stdout(io.StringIO()):  # some environments print what they do
        env = make_environment(env_id)
        try:
            return "\n".join(_Draft(env_id, env).lines()) + "\n"
        finally:
            env.close()  # type: ignore[no-untyped-call]


PLAYED = 300
"""Random steps from which the range of the environment's own reward is read."""

LINES = 12
"""Labels that the comment on a labeller shows."""

DISCOUNTS = (0.99, 0.999, 0.9999)
"""The least that is written; the others where more steps are to be looked ahead."""

WORTH = 0.001
"""What a payment at the horizon is worth by the discount, at the least."""


class _Draft:
    """Writes the document, section by section."""

    def __init__(self, env_id: str, env: gym.Env[Any, Any]) -> None:
        self.env_id, self.env = env_id, env
        self.name = env_id.rpartition("/")[2].rpartition(":")[2].rpartition("-v")[0] or env_id
        self.family = self.name.partition("-")[0]
        self.labels = {"MiniGrid": "minigrid", "BabyAI": "minigrid", "MiniHack": "minihack"}.get(self.family)
        if self.labels is None and all(hasattr(env.unwrapped, name) for name in ("label_names", "labels")):
            self.labels = "environment"
        self.first = self._first()
        self.played = _play(env)

    def _first(self) -> First:
        if self.labels == "minigrid":
            return _milestones(_minigrid_milestones(self.env))
        if self.labels == "minihack":
            return _milestones({"solved": "label.solved"})
        return FIRST.get(self.name, OWN_REWARD)

    def lines(self) -> Iterator[str]:
        """Yield the document, line by line."""
        yield f"# A first spec for {self.env_id}. Change it to say what you want, then:"
        yield "#   rewardspec check FILE   looks for mistakes"
        yield "#   rewardspec test FILE    runs the tests below"
        yield "#   rewardspec show FILE    prints what it means"
        said = f" --env {self.env_id}" if ":" in self.env_id else ""  # a spec alone imports no module
        yield f"#   rewardspec train FILE{said}   trains an agent on it"
        yield "rewardspec: 1"
        yield f"name: {self.name.lower()}"
        steps = (_horizon(self.env) or 0) if self.labels else 0  # a goal that is paid once, maybe at the end
        discount = next((rate for rate in DISCOUNTS if rate**steps >= WORTH), DISCOUNTS[-1])
        yield f"discount: {discount}   # train with the same"
        yield ""
        yield from self.env_lines()
        yield ""
        yield from self.signal_lines()
        yield ""
        yield from self.action_lines()
        yield ""
        yield from self.proposition_lines()
        yield "reward:"
        yield from self.first.terms.rstrip("\n").split("\n")
        if self.first is not OWN_REWARD:
            yield "  # - markov: 0.1 * reward   # a share of the environment's own reward, else not paid"
        yield ""
        yield "tests:"
        yield from self.first.tests.rstrip("\n").split("\n")

    def env_lines(self) -> Iterator[str]:
        """Yield what the checker wants to know of the environment."""
        yield "env:"
        yield f"  id: {self.env_id}"
        if self.labels:
            yield f"  labels: {self.labels}"
        horizon = _horizon(self.env)
        if horizon is None:
            yield "  # horizon: 1000   # it states no time limit; give one if there is one"
        else:
            yield f"  horizon: {horizon}"
        seen = (self.played.low, self.played.high, *_stated_rewards(self.env))
        low, high = self._known(BASE_REWARD) or (min(seen), max(seen))
        note = "of the environment's own reward"
        if self._known(BASE_REWARD) is None:
            note += f" in {self.played.steps} random steps; widen it where you know better"
        yield f"  base_reward: [{low:.6g}, {high:.6g}]   # {note}"
        ends = self._known(ENDS_EARLY)
        if ends is not None or self.played.ended:
            yield f"  ends_early: {'false' if ends is False else 'true'}"
        else:
            yield "  # ends_early: true   # no random episode ended early; say so if one can"

    def _known(self, table: Mapping[str, Any]) -> Any:
        return table.get(self.name, table.get(self.family))

    def signal_lines(self) -> Iterator[str]:
        """Yield a signal for each entry of the observation; those that nothing reads yet, commented."""
        signals, notes = self.signals()
        used = " ".join((self.first.terms, *self.first.propositions.values()))
        read = [signal for signal in signals if signal.name in _names(used)]
        rest = [signal for signal in signals if signal not in read]
        yield from (f"# {note}" for note in notes)
        if read:
            yield "signals:"
            yield from (signal.line() for signal in read)
            if rest:
                yield "  # What else there is; remove the '#' of what the reward reads:"
        elif rest:
            yield "# What there is to read; remove the '#' of `signals:` and of what the reward reads:"
            yield "# signals:"
        yield from ("  # " + signal.line()[2:] if read else "# " + signal.line() for signal in rest)

    def signals(self) -> tuple[list[Signal], list[str]]:
        """Return the observation's numbers, and notes on what is not one."""
        space = self.env.observation_space
        names = NAMES.get(self.name) or _mujoco_names(self.env)
        read, notes = signals_of(space, ir.Field("next_obs"), names)
        acted, _ = signals_of(self.env.action_space, ir.Field("action"), _actuators(self.env), "action")
        if isinstance(self.env.action_space, spaces.Box):
            taken = {signal.name for signal in read}
            read += [replace(s, name=f"{s.name}_action") if s.name in taken else s for s in acted]
        return read, notes

    def action_lines(self) -> Iterator[str]:
        """Yield what the action is."""
        space = self.env.action_space
        words = ACTIONS.get(self.name) or ACTIONS.get(self.family) or ()
        if self.labels == "minihack":
            words = tuple(action.name.lower() for action in getattr(self.env.unwrapped, "actions", ()))
        yield f"# {action_words(space, words)}"

    def proposition_lines(self) -> Iterator[str]:
        """Yield the propositions, with the labels that there are."""
        if self.labels == "environment":
            yield "# The labels that the environment says; remove the '#' of what guards, formulas and `once` read:"
            yield "# propositions:"
            yield from (f"#   {name}: label.{name}" for name in self.env.unwrapped.label_names)  # type: ignore[attr-defined]
            yield ""
        elif self.labels:
            described = load_labeller(self.labels).describe()
            yield f"# Labels of {self.labels}, read as label.<name>:"
            for pattern, meaning in described[:LINES]:
                yield f"#   {pattern:<28} {_without_lists(meaning)}"
            if len(described) > LINES:
                yield f"#   and {len(described) - LINES} more: see `labels` in docs/language.md"
        if self.first.propositions:
            yield "propositions:"
            for name, text in self.first.propositions.items():
                yield f"  {name}: {text}"
            yield ""
        elif self.labels != "environment" and isinstance(self.env.observation_space, spaces.Discrete):
            last = int(self.env.observation_space.start + self.env.observation_space.n - 1)
            yield "# A truth value of a step; guards, formulas and `once` read it:"
            yield "# propositions:"
            yield f"#   at_goal: next_obs == {last}"
            yield ""


def _without_lists(meaning: str) -> str:
    """Return a label's meaning without the list of words that it may end in."""
    return meaning.partition(" (types:")[0].partition(" (features:")[0].partition(" (conditions:")[0]


# -- the environment's own numbers -------------------------------------------------------------------


@dataclass
class _Played:
    """What random steps showed."""

    low: float = 0.0
    high: float = 0.0
    ended: bool = False
    steps: int = 0


def _play(env: gym.Env[Any, Any]) -> _Played:
    """Return the range of the environment's reward (with 0) and whether an episode ended before its time."""
    played = _Played()
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(PLAYED):
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        played.low, played.high = min(played.low, float(reward)), max(played.high, float(reward))
        played.steps += 1
        played.ended = played.ended or bool(terminated)
        if terminated or truncated:
            env.reset()
    return played


def _stated_rewards(env: gym.Env[Any, Any]) -> list[float]:
    """Return what a MiniHack environment says it pays for success and failure, which random steps seldom meet."""
    stated = [getattr(env.unwrapped, name, None) for name in ("reward_win", "reward_lose")]
    return [float(paid) for paid in stated if isinstance(paid, int | float)]


def _horizon(env: gym.Env[Any, Any]) -> int | None:
    """Return the time limit, whoever keeps it."""
    stated = env.spec.max_episode_steps if env.spec is not None else None
    inner: Any = env.unwrapped
    return stated or getattr(inner, "max_steps", None) or getattr(inner, "_max_episode_steps", None)


def action_words(space: spaces.Space[Any], words: Sequence[str] = ()) -> str:
    """Return what an action is, in a line.

    Args:
        space: Its space.
        words: What each of a few actions does, where that is known.

    Example:
        >>> action_words(spaces.Discrete(2), ("left", "right"))
        'action: a whole number from 0 to 1: 0 left, 1 right'
    """
    if isinstance(space, spaces.Discrete):
        shown = ", ".join(f"{i} {word}" for i, word in enumerate(words)) if len(words) == space.n else ""
        last = space.start + space.n - 1
        return f"action: a whole number from {space.start} to {last}{': ' + shown if shown else ''}"
    if isinstance(space, spaces.Box):
        low, high = np.min(space.low), np.max(space.high)
        size = "x".join(str(n) for n in space.shape)
        numbers = "a number" if size == "1" else f"{size} numbers"
        return f"action: {numbers} from {low:g} to {high:g}, as in action[0]; norm(action) is its length"
    if isinstance(space, spaces.MultiDiscrete) and len(space.shape) == 1:
        ends = [int(start + n - 1) for start, n in zip(space.start, space.nvec, strict=True)]
        each = ", ".join(f"action[{i}] to {end}" for i, end in enumerate(ends))
        return f"action: {len(ends)} whole numbers, from {int(space.start.min())}: {each}"
    return f"action: {space}"


def signals_of(
    space: spaces.Space[Any], read: ir.Field, names: Sequence[str] = (), name: str = ""
) -> tuple[list[Signal], list[str]]:
    """Return the numbers of a space as signals, and notes on what is left out.

    Args:
        space: A space or a part of one.
        read: How it is read.
        names: What its entries are called, where that is known.
        name: What it is called itself.
    """
    if isinstance(space, spaces.Dict):
        known = {"blstats": BLSTATS}
        parts = [
            signals_of(part, _enter(read, key), known.get(key, ()), _as_name(key))
            for key, part in space.spaces.items()
        ]
    elif isinstance(space, spaces.Tuple):
        called = names if len(names) == len(space.spaces) else [f"part_{i}" for i in range(len(space.spaces))]
        parts = [signals_of(part, _enter(read, (i,)), (), called[i]) for i, part in enumerate(space.spaces)]
    else:
        return _numbers(space, read, names, name)
    return [s for signals, _ in parts for s in signals], [note for _, notes in parts for note in notes]


def _numbers(
    space: spaces.Space[Any], read: ir.Field, names: Sequence[str], name: str
) -> tuple[list[Signal], list[str]]:
    """Do the same for a space that has no parts."""
    text = show_field(read)
    if isinstance(space, spaces.Discrete):
        low = int(space.start)
        return [Signal(name or "state", text, low, low + int(space.n) - 1)], []
    shape = tuple(space.shape or ())
    if isinstance(space, spaces.Box) and not shape:
        return [Signal(name or "value", text, *_bounds(space.low, space.high))], []
    if not isinstance(space, spaces.Box | spaces.MultiBinary | spaces.MultiDiscrete):
        return [], [f"{text}: {type(space).__name__}, which has no numbers"]
    first = show_field(_enter(read, (0,) * len(shape)))
    if len(shape) > 1:
        return [], [f"{text}: {'x'.join(str(n) for n in shape)} numbers, read as in {first}"]
    size = shape[0]
    if size > LISTED and len(names) != size:
        return [], [f"{text}: {size} numbers, read as in {first}"]
    called = names if len(names) == size else [f"{name or 'obs'}_{i}" for i in range(size)]
    signals = [
        Signal(called[i], show_field(_enter(read, (i,))), *_bounds_of_entry(space, i))
        for i in range(min(size, LISTED))
    ]
    return signals, [f"{text}: {size} numbers, the first {LISTED} listed here"] if size > LISTED else []


def _enter(read: ir.Field, step: ir.Step) -> ir.Field:
    """Return the field of a part."""
    return replace(read, path=(*read.path, step))


def _bounds_of_entry(space: spaces.Space[Any], i: int) -> tuple[float | None, float | None]:
    if isinstance(space, spaces.Box):
        return _bounds(space.low[i], space.high[i])
    if isinstance(space, spaces.MultiDiscrete):
        return _bounds(space.start[i], space.start[i] + space.nvec[i] - 1)
    return 0.0, 1.0


def _bounds(low: Any, high: Any) -> tuple[float | None, float | None]:
    """Return the bounds of a number; None where the space only says what the number type can hold."""
    ends = float(low), float(high)
    return ends if all(np.isfinite(end) and abs(end) < 1e9 for end in ends) else (None, None)


def _as_name(key: Any) -> str:
    """Return a key as a name that expressions may use."""
    name = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in str(key))
    if not (name[:1].isalpha() or name[:1] == "_"):
        return f"obs_{name}"
    return f"{name}_" if name in RESERVED else name


def _names(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", text))


def _quoted(text: str) -> str:
    """Return an expression as it may stand inside a YAML mapping in braces."""
    return f"'{text}'" if set(text) & set("[]{},:#") else text


def _mujoco_names(env: gym.Env[Any, Any]) -> tuple[str, ...]:
    """Return what a MuJoCo environment observes first: positions and velocities of its joints."""
    inner: Any = env.unwrapped
    structure, model = getattr(inner, "observation_structure", None), getattr(inner, "model", None)
    if not isinstance(structure, dict) or "skipped_qpos" not in structure or model is None:
        return ()
    positions: list[str] = []
    velocities: list[str] = []
    for j in range(model.njnt):
        joint = _as_name(model.joint(j).name or f"joint_{j}")
        kind = int(model.jnt_type[j])
        positions += [f"{joint}_{part}" for part in JOINTS[kind]] if kind in JOINTS else [joint]
        velocities += [f"{joint}_{part}" for part in TURNS[kind]] if kind in TURNS else [f"{joint}_velocity"]
    names = [*positions[structure["skipped_qpos"] :], *velocities]
    size = env.observation_space.shape[0] if env.observation_space.shape else 0
    unique = len(set(names)) == len(names) <= size
    return (*names, *(f"obs_{i}" for i in range(len(names), size))) if unique else ()


def _actuators(env: gym.Env[Any, Any]) -> tuple[str, ...]:
    """Return what the numbers of an action drive, for Pendulum and MuJoCo environments."""
    model = getattr(env.unwrapped, "model", None)
    if model is not None and hasattr(model, "actuator"):
        names = tuple(_as_name(f"{_driven(model, i)}_torque") for i in range(model.nu))
        return names if len(set(names)) == len(names) else ()
    return ("torque",) if env.spec is not None and env.spec.id.startswith("Pendulum") else ()


def _driven(model: Any, actuator: int) -> str:
    """Return the name of an actuator, or of the joint that it drives."""
    joint = int(model.actuator_trnid[actuator][0])
    return str(
        model.actuator(actuator).name or (0 <= joint < model.njnt and model.joint(joint).name) or actuator
    )


# -- milestones --------------------------------------------------------------------------------------


def _minigrid_milestones(env: gym.Env[Any, Any]) -> dict[str, str]:
    """Return, in order, propositions on the way to the goal, by what stands in the grid."""
    env.reset(seed=0)
    inner: Any = env.unwrapped
    there = {cell.type for cell in inner.grid.grid if cell is not None}
    there |= {cell.contains.type for cell in inner.grid.grid if getattr(cell, "contains", None) is not None}
    found: dict[str, str] = {}
    if "key" in there and "door" in there:
        found["has_key"] = "label.carrying_key"
    if "door" in there:
        found["door_is_open"] = "label.door_open"
    if "goal" in there:
        found["at_goal"] = "label.at_goal"
    elif "box" in there:
        found["has_box"] = "label.carrying_box"
    elif "ball" in there:
        found["has_ball"] = "label.carrying_ball"
    return found or {"carries_something": "label.carrying"}


def _milestones(found: Mapping[str, str]) -> First:
    """Return a reward machine that pays for each milestone in order, most for the last."""
    names = list(found)
    lines = ["  - reward_machine:", "      start: start", "      edges:"]
    state = "start"
    for name in names:
        after = "done" if name == names[-1] else f"after_{name}"
        paid = 1 if name == names[-1] else 0.1
        lines.append(f"        - {{from: {state}, to: {after}, when: {name}, reward: {paid}}}")
        lines.append(f"        - {{from: {state}, when: otherwise}}")
        state = after
    lines += ["      terminal: done", "    name: task"]
    total = 1 + 0.1 * (len(names) - 1)
    trace = ", ".join(["[]", *(f"[{name}]" for name in names)])
    tests = [
        "  - name: every milestone in order",
        f"    trace: [{trace}]",
        f"    return: {{task: {total:g}}}",
        "    state: done",
        "    terminated: true",
        "  - name: nothing happens, nothing is paid",
        "    trace: [[], []]",
        "    return: {task: 0}",
    ]
    return First("\n".join(lines), "\n".join(tests), found)
