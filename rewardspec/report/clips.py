"""Clips of a run's episodes, made by playing the episodes again: what people compare."""

from __future__ import annotations

import base64
import io
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from rewardspec.environments import draws_pictures, make_environment
from rewardspec.errors import LearningError, Problem, UnsupportedError, missing_extra
from rewardspec.learning.answers import Clip, Question, read_recipes
from rewardspec.learning.playing import Recipe
from rewardspec.report.recording import Picture, crop
from rewardspec.training.environments import MINIHACK_KEYS, NETHACK

WIDEST = 480
"""Width and height above which pictures are made smaller."""

KEPT = 24
"""Questions whose clips are kept."""

PACE = 30.0
"""Frames a second of an environment that says no pace of its own."""

LEAST_SECONDS = 1.6
"""How long a clip lasts at least: one that is over in a blink is played more slowly."""


class Shown(NamedTuple):
    """The two clips of a question, ready for a page.

    Attributes:
        left: Pictures as `data:` URLs, one for each moment: before the first step, and after each.
        right: Likewise.
        pace: Frames a second at which both are played.
    """

    left: tuple[str, ...]
    right: tuple[str, ...]
    pace: float


class Clips:
    """Plays a run's episodes again and shows parts of them.

    One thread of its own does all that the environment is asked: many renderers bind themselves to the thread that
    made them.
    """

    def __init__(self, env_id: str, env_kwargs: Mapping[str, Any]) -> None:
        """Make the environment.

        Raises:
            MismatchError: `no-environment`.
            MissingExtraError: Its package is not installed, or pillow.
            UnsupportedError: `no-pictures`.
        """
        self._id = env_id
        self._thread = ThreadPoolExecutor(1, "clips")
        self._ready: OrderedDict[tuple[str, int], Shown] = OrderedDict()
        try:
            self._env: gym.Env[Any, Any] = self._thread.submit(self._make, env_kwargs).result()
        except BaseException:
            self._thread.shutdown()
            raise

    def show(self, folder: Path, name: str, question: Question) -> Shown:
        """Return the clips of a question of the learned part `name`; for any thread.

        Raises:
            LearningError: `not-playable` when its episodes cannot be played again; `wrong-answer` for broken files.
        """
        return self._thread.submit(self._show, folder, name, question).result()

    def close(self) -> None:
        """Close the environment."""
        self._thread.submit(self._env.close).result()
        self._thread.shutdown()

    # -- in the thread ---------------------------------------------------------------------------------

    def _make(self, kwargs: Mapping[str, Any]) -> gym.Env[Any, Any]:
        arguments = dict(kwargs)
        if self._id.startswith(NETHACK):
            read = tuple(arguments.get("observation_keys", MINIHACK_KEYS))
            arguments["observation_keys"] = tuple(dict.fromkeys((*read, "pixel")))
        else:
            self._refuse_blind()
            arguments["render_mode"] = "rgb_array"
        env = make_environment(self._id, **arguments)
        try:
            obs, _ = env.reset(seed=0)
            frame_url(_picture(env, obs))
        except UnsupportedError:
            env.close()  # type: ignore[no-untyped-call]
            raise
        except Exception as error:  # whatever a renderer raises that lacks a library or a screen
            env.close()  # type: ignore[no-untyped-call]
            if isinstance(error, ImportError):
                raise
            raise _no_pictures(f"'{self._id}' cannot be rendered: {_first_line(error)}") from error
        return env

    def _refuse_blind(self) -> None:
        """Raise where an environment says beforehand that it has no pictures; one that says nothing is tried."""
        if draws_pictures(self._id) is False:
            raise _no_pictures(f"'{self._id}' does not render as 'rgb_array'")

    def _show(self, folder: Path, name: str, question: Question) -> Shown:
        key = (name, question.id)
        if key not in self._ready:
            self._ready[key] = self._play_both(folder, name, question)
            while len(self._ready) > KEPT:
                self._ready.popitem(last=False)
        self._ready.move_to_end(key)
        return self._ready[key]

    def _play_both(self, folder: Path, name: str, question: Question) -> Shown:
        found = read_recipes(folder, name, question)
        if found is None:
            message = f"question {question.id} of '{name}' does not say how its episodes are played again"
            hint = "Only environments of `rewardspec train` do: they seed every episode."
            raise LearningError(Problem("not-playable", message, hints=(hint,)))
        left = self._play(question, question.left, found[0])
        right = self._play(question, question.right, found[1])
        pictures = [picture for picture in crop([*left, *right]) if picture is not None]
        urls = [frame_url(picture) for picture in pictures]
        pace = min(float(self._env.metadata.get("render_fps") or PACE), len(left) / LEAST_SECONDS)
        return Shown(tuple(urls[: len(left)]), tuple(urls[len(left) :]), pace)

    def _play(self, question: Question, clip: Clip, recipe: Recipe) -> list[Picture]:
        """Return the pictures of one side."""
        space = self._env.action_space
        shape, dtype = space.shape or (), space.dtype
        try:
            obs, _ = self._env.reset(seed=recipe.seed)
            pictures = [_picture(self._env, obs)] if clip.start == 0 else []
            for number, flat in enumerate(recipe.actions, 1):
                action: Any = np.asarray(flat, dtype).reshape(shape)
                obs, _, terminated, truncated, _ = self._env.step(action if shape else action[()])
                if number >= clip.start:
                    pictures.append(_picture(self._env, obs))
                if (terminated or truncated) and number < len(recipe.actions):
                    raise ValueError(
                        f"its episode ended after {number} steps and not after {len(recipe.actions)}"
                    )
        except Exception as error:  # whatever an environment raises that is given what it does not know
            message = f"question {question.id} cannot be played again in '{self._id}': {_first_line(error)}"
            hint = "Its episodes must depend on their seeds and actions alone, in the versions that run.json names."
            raise LearningError(Problem("not-playable", message, hints=(hint,))) from error
        return pictures


def _picture(env: gym.Env[Any, Any], obs: Any) -> Picture:
    """Return what an environment shows now.

    Raises:
        UnsupportedError: `no-pictures`.
    """
    if isinstance(obs, Mapping) and "pixel" in obs:  # NetHack does not render; it shows
        return np.asarray(obs["pixel"], np.uint8).copy()
    shown: Any = env.render()
    if not isinstance(shown, np.ndarray) or shown.ndim != 3 or shown.shape[2] < 3:
        raise _no_pictures(f"rendering gives {type(shown).__name__}, and no picture")
    return np.asarray(shown[..., :3], np.uint8).copy()


def frame_url(picture: Picture) -> str:
    """Return a picture of a clip as a `data:` URL, of at most `WIDEST` points a side.

    Quick before small: somebody waits for it. Few colours become PNG, many become JPEG.

    Raises:
        MissingExtraError: pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise missing_extra("pillow", "report", "pictures in a page") from error
    image = Image.fromarray(np.ascontiguousarray(picture))
    image.thumbnail((WIDEST, WIDEST), Image.Resampling.BILINEAR)
    kind = "jpeg" if image.getcolors(256) is None else "png"
    file = io.BytesIO()
    if kind == "png":
        image.save(file, kind, compress_level=3)
    else:
        image.save(file, kind, quality=90)
    return f"data:image/{kind};base64," + base64.b64encode(file.getvalue()).decode()


def _no_pictures(message: str) -> UnsupportedError:
    hint = "People compare what they see: the environment must make pictures (render_mode='rgb_array')."
    return UnsupportedError(Problem("no-pictures", message, hints=(hint,)))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
