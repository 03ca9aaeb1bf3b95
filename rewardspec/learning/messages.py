"""What the game says on a step: which message, in two numbers, and how often it was shown in the episode.

Programs compute with numbers, so a message enters one as its digest: 48 bits in two halves, which single precision
holds exactly. Of a hundred thousand messages two have the same digest once in fifty thousand runs. The empty message
is 0, 0. The text goes beside it, for those who ask about it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rewardspec.errors import MismatchError, Place, Problem
from rewardspec.ir import expr as ir
from rewardspec.ir.program import Learned
from rewardspec.ir.show import show_field
from rewardspec.kinds.feedback import Feedback, keys_of, message_field

if TYPE_CHECKING:
    from rewardspec.learning.learner import RewardLearner

HALF = 24
"""Bits of each of the two numbers."""

MESSAGES = "messages"
"""Key of a step's info under which the texts stand, one for each term that reads messages."""


def code_of(text: str) -> int:
    """Return the number of a message, 48 bits; 0 for the empty one.

    Example:
        >>> code_of(""), 0 < code_of("You see here a key.") < 2**48
        (0, True)
    """
    if not text:
        return 0
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).digest()
    return int.from_bytes(digest, "big") or 1


def halves(code: int) -> tuple[float, float]:
    """Return the two numbers in which a program sees a message.

    Example:
        >>> first, second = halves(2**48 - 1)
        >>> join(np.array([[first, second]], np.float32)).tolist() == [2**48 - 1]
        True
    """
    return float(code >> HALF), float(code & ((1 << HALF) - 1))


def join(inputs: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return `[N]` the numbers of messages from `[N, 2]` halves."""
    rows = np.asarray(inputs, np.int64)
    return (rows[:, 0] << HALF) | rows[:, 1]


def text_of(value: Any, longest: int) -> str | None:
    """Return a message as text: up to the first zero byte, and to so many bytes; None for what is no message.

    Example:
        >>> text_of(np.array([79, 117, 99, 104, 33, 0, 7], np.uint8), 256), text_of("Hello ", 4), text_of(3.5, 9)
        ('Ouch!', 'Hell', None)
    """
    if isinstance(value, str):
        data = value.encode("utf-8", "replace")
    elif isinstance(value, bytes):
        data = value
    elif isinstance(value, np.ndarray) and value.dtype.kind in "iu":
        data = value.astype(np.uint8).tobytes()
    else:
        return None
    return data.split(b"\0", 1)[0][:longest].decode("utf-8", "replace").strip()


class MessageReader(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Tells in every step's info which messages were shown, and how often each was in the episode.

    `RewardLearner.wrap` puts it around the environment, for the terms of kind `feedback`.
    """

    def __init__(self, env: gym.Env[Any, Any], learner: RewardLearner) -> None:
        """See the class.

        Raises:
            MismatchError: `no-message` where the observation has no such part, or it holds no text.
        """
        gym.utils.RecordConstructorArgs.__init__(self, _disable_deepcopy=True, learner=learner)
        gym.Wrapper.__init__(self, env)
        self._learner = learner
        self._parts: list[tuple[Learned, ir.Field, int, tuple[str, str, str]]] = []
        self._shown: list[dict[str, int]] = []
        for learned in learner.program.learned:
            if isinstance(learned.settings, Feedback):
                field = message_field(learned.settings)
                assert field is not None  # refused when the spec was compiled
                if field.root == "next_obs":
                    _check_space(env.observation_space, field, learned.place)
                self._parts.append((learned, field, learned.settings.longest, keys_of(learned.name)))
                self._shown.append({})

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset; nothing has been shown in the new episode."""
        for shown in self._shown:
            shown.clear()
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step, and read the messages.

        Raises:
            MismatchError: `no-message` where the info holds none.
        """
        next_obs, reward, terminated, truncated, info = self.env.step(action)
        texts: list[str] = []
        added: dict[str, Any] = {}
        for (learned, field, longest, keys), shown in zip(self._parts, self._shown, strict=True):
            found = _follow(next_obs if field.root == "next_obs" else info, field.path)
            text = text_of(found, longest)
            if text is None:
                raise _no_message(field, learned.place, f"what stands there is {str(found)[:60]!r}")
            shown[text] = shown.get(text, 0) + 1
            code = self._learner.know(learned.name, text)
            added.update(zip(keys, (*halves(code), float(shown[text])), strict=True))
            texts.append(text)
        return next_obs, reward, terminated, truncated, {**info, **added, MESSAGES: tuple(texts)}


def _follow(value: Any, path: tuple[ir.Step, ...]) -> Any:
    """Return a part of an observation or an info; None where there is none."""
    for step in path:
        try:
            value = value[step] if isinstance(step, str) else value[step[0] if len(step) == 1 else step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _check_space(space: Any, field: ir.Field, place: Place) -> None:
    found = space
    for step in field.path:
        if isinstance(found, spaces.Dict) and isinstance(step, str) and step in found.spaces:
            found = found.spaces[step]
        elif isinstance(found, spaces.Tuple) and not isinstance(step, str) and isinstance(step[0], int):
            found = found.spaces[step[0]] if step[0] < len(found.spaces) else None
        else:
            found = None
    is_bytes = isinstance(found, spaces.Box) and len(found.shape) == 1 and np.dtype(found.dtype).kind in "iu"
    if not is_bytes and not isinstance(found, spaces.Text):
        keys = ", ".join(space.spaces) if isinstance(space, spaces.Dict) else str(space)[:80]
        raise _no_message(field, place, f"the observation has {keys}")


def _no_message(field: ir.Field, place: Place, why: str) -> MismatchError:
    hints = (
        "Say where the message stands, a text or a row of bytes: `message: info.message`.",
        "NLE and MiniHack have one where the environment is made with the key `message` among its observations.",
    )
    return MismatchError(
        Problem("no-message", f"there is no message in {show_field(field)}: {why}", place, hints)
    )
