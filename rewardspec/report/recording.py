"""An agent's episode, step by step, with what the spec said about each step."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rewardspec.ir.program import Program
from rewardspec.training.environments import Episodes
from rewardspec.training.observations import Encoded

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

Picture = npt.NDArray[np.uint8]
"""[height, width, 3], red, green, blue."""

MOST_FRAMES = 600
"""Pictures of one episode; of a longer one, only every n-th step has a picture of its own."""

MARGIN = 16
"""Black pixels that are left around what pictures show."""

LONGEST = 20_000
"""Steps after which an episode that does not end is left."""


@dataclass(frozen=True)
class Step:
    """One step of an episode; the first of an episode is its reset, with no action and nothing paid.

    Attributes:
        action: What the agent did, in the environment's words.
        own: The environment's own reward.
        terms: What each term of the spec paid.
        true: Propositions that were true.
        states: Per machine, the state after the step.
        verdicts: Per formula, the verdict after the step.
    """

    action: str
    own: float
    terms: Mapping[str, float]
    true: tuple[str, ...]
    states: Mapping[str, str]
    verdicts: Mapping[str, str]


@dataclass(frozen=True)
class Episode:
    """A recorded episode.

    Attributes:
        program: The spec's program.
        env_id: Where it was played.
        steps: The reset and then every step.
        pictures: One per step; None where the environment shows nothing, or the step has none of its own.
        terminated: Whether it ended by itself, not by a time limit.
        success: Whether it was one; None where nobody can say.
        trouble: Why the environment could not be drawn; empty where it was, or has nothing to show.
    """

    program: Program
    env_id: str
    steps: tuple[Step, ...]
    pictures: tuple[Picture | None, ...]
    terminated: bool
    success: bool | None
    trouble: str = ""

    @property
    def own_return(self) -> float:
        """The environment's own return, undiscounted."""
        return sum(step.own for step in self.steps)

    @property
    def spec_return(self) -> float:
        """The spec's return, undiscounted."""
        return sum(sum(step.terms.values()) for step in self.steps)


def record(
    model: BaseAlgorithm, env: Episodes, *, seed: int = 0, attempts: int = 1, deterministic: bool = False
) -> tuple[Episode, int]:
    """Let an agent play, and return an episode and its number.

    Args:
        model: The agent.
        env: An environment made with `seen=True`.
        seed: Seed of the environment and of the agent's own choices.
        attempts: Episodes to play at most; the first success is returned, or else the last episode.
        deterministic: Whether the agent always takes its likeliest action.

    Returns:
        The episode, and how many were played to get it.
    """
    import torch

    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # DQN explores with NumPy's own generator
    for number in range(1, max(1, attempts) + 1):
        episode = _play(model, env, seed if number == 1 else None, deterministic)
        if episode.success is not False:
            break
    return episode, number


class Camera:
    """Takes an environment's pictures; one that fails once is asked no more.

    Attributes:
        trouble: Why there are no pictures, in a line; empty where nothing is wrong.
    """

    def __init__(self, take: Callable[[], Picture | None]) -> None:
        """Take pictures by a function that returns what there is to see, or None."""
        self._take, self.trouble = take, ""

    def shoot(self) -> Picture | None:
        """Return what there is to see now."""
        if self.trouble:
            return None
        try:
            return self._take()
        except Exception as error:  # whatever a renderer raises that lacks a library or a screen
            self.trouble = (str(error).strip().splitlines() or [type(error).__name__])[0]
            return None


def _play(model: BaseAlgorithm, env: Episodes, seed: int | None, deterministic: bool) -> Episode:
    program = env.paid.program
    nothing = dict.fromkeys((term.name for term in program.terms), 0.0)
    obs, info = env.reset(seed=seed)
    told = info["rewardspec"]
    steps = [Step("", 0.0, nothing, (), told["state"], told["verdict"])]
    camera = Camera(lambda: _picture(env))
    pictures = [camera.shoot()]
    every = 1
    terminated = truncated = False
    while not (terminated or truncated) and len(steps) < LONGEST:
        action, _ = model.predict(obs, deterministic=deterministic)
        obs, _, terminated, truncated, info = env.step(action)
        told = info["rewardspec"]
        steps.append(
            Step(
                name_action(action, getattr(env.unwrapped, "actions", None)),
                env.own.last,
                told["terms"],
                tuple(told["true"]),
                told["state"],
                told["verdict"],
            )
        )
        is_last = terminated or truncated
        pictures.append(camera.shoot() if is_last or (len(steps) - 1) % every == 0 else None)
        if sum(picture is not None for picture in pictures) > MOST_FRAMES:
            every *= 2
            pictures = [picture if i % every == 0 else None for i, picture in enumerate(pictures)]
    made = env.unwrapped.spec
    env_id = made.id if made is not None else type(env.unwrapped).__name__
    success = info.get("episode", {}).get("success")
    shown = tuple(crop(pictures))
    return Episode(program, env_id, tuple(steps), shown, bool(terminated), success, camera.trouble)


def crop(pictures: list[Picture | None]) -> list[Picture | None]:
    """Cut off the border that is black on all pictures: NetHack's map is mostly unused."""
    shown = [picture for picture in pictures if picture is not None]
    if not shown or len({picture.shape for picture in shown}) > 1:
        return pictures
    used = np.logical_or.reduce([picture.any(axis=2) for picture in shown])
    rows, columns = np.flatnonzero(used.any(axis=1)), np.flatnonzero(used.any(axis=0))
    if not rows.size:
        return pictures
    top, left = max(0, rows[0] - MARGIN), max(0, columns[0] - MARGIN)
    bottom, right = rows[-1] + 1 + MARGIN, columns[-1] + 1 + MARGIN
    return [None if picture is None else picture[top:bottom, left:right] for picture in pictures]


def _picture(env: Episodes) -> Picture | None:
    """Return what the environment shows now."""
    encoded = env.env
    assert isinstance(encoded, Encoded)
    if isinstance(encoded.raw, Mapping) and "pixel" in encoded.raw:  # NetHack does not render; it shows
        return np.asarray(encoded.raw["pixel"], np.uint8)
    if env.render_mode != "rgb_array":
        return None
    shown: Any = env.render()
    return None if shown is None else np.asarray(shown, np.uint8)[..., :3]


def name_action(action: Any, known: Any = None) -> str:
    """Return an action in the environment's own words, an enumeration or a sequence, where it has any."""
    value = np.asarray(action)
    if value.ndim == 0 and value.dtype.kind in "iu":
        number = int(value)
        if isinstance(known, type) and issubclass(known, enum.Enum):
            return known(number).name
        if isinstance(known, tuple | list) and number < len(known):
            return str(getattr(known[number], "name", known[number])).lower()
        return str(number)
    return "(" + ", ".join(f"{number:.2f}" for number in value.ravel()) + ")"
