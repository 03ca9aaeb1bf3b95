"""A wrapper that gives NetHack Learning Environments the views that MiniHack has of the same game."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs

CROPS = ("glyphs", "chars", "colors", "specials")
"""Maps of which there is a view of the nine by nine fields around the player, under `NAME_crop`."""

HALF = 4
"""Fields that a crop shows to each side of the player."""

PICTURE = (336, 1264, 3)
"""Shape of `pixel`: 21 x 79 tiles of 16 x 16 points, red, green and blue."""

SOURCES: dict[str, tuple[str, ...]] = {
    **{f"{name}_crop": (name, "blstats") for name in CROPS},
    "pixel": ("glyphs",),
}
"""View -> what NLE has to show for it."""


class NetHackViews(gym.ObservationWrapper[Any, Any, Any], RecordConstructorArgs):
    """Observations with MiniHack's keys, of an environment that is NLE's own (`NetHackScore-v0` and its like).

    `chars_crop`, `glyphs_crop`, `colors_crop` and `specials_crop` are `[9, 9]`, the player in the middle, 0 beyond the
    map's edge; `pixel` is the whole map in MiniHack's tiles, uint8 `[336, 1264, 3]`. Any other key is NLE's.

    Example:
        >>> import nle  # doctest: +SKIP
        >>> env = gym.make("NetHackScore-v0", observation_keys=sources(["chars_crop"]))  # doctest: +SKIP
        >>> NetHackViews(env, ["chars_crop"]).reset()[0]["chars_crop"].shape  # doctest: +SKIP
        (9, 9)
    """

    def __init__(self, env: gym.Env[Any, Any], keys: Sequence[str]) -> None:
        """Show `keys` of an environment that shows `sources(keys)`."""
        RecordConstructorArgs.__init__(self, keys=keys)
        gym.ObservationWrapper.__init__(self, env)
        self._keys = tuple(keys)
        self._tiles: Any = None
        shown = env.observation_space
        assert isinstance(shown, gym.spaces.Dict)
        self.observation_space = gym.spaces.Dict({key: _space(shown, key) for key in keys})

    def observation(self, observation: Any) -> dict[str, Any]:
        """Return the views that were asked for."""
        return {key: self._view(observation, key) for key in self._keys}

    def _view(self, observation: Any, key: str) -> Any:
        if key == "pixel":
            return self._picture(observation["glyphs"])
        if key not in SOURCES:
            return observation[key]
        around = np.pad(observation[key.removesuffix("_crop")], HALF)
        x, y = (int(place) for place in observation["blstats"][:2])
        return around[y : y + 2 * HALF + 1, x : x + 2 * HALF + 1]

    def _picture(self, glyphs: Any) -> Any:
        if self._tiles is None:
            from minihack.tiles.glyph_mapper import GlyphMapper

            self._tiles = GlyphMapper()
        return self._tiles.to_rgb(glyphs)


def sources(keys: Sequence[str]) -> tuple[str, ...]:
    """Return the keys that NLE has to show for these."""
    return tuple(dict.fromkeys(source for key in keys for source in SOURCES.get(key, (key,))))


def _space(shown: gym.spaces.Dict, key: str) -> gym.Space[Any]:
    if key == "pixel":
        return gym.spaces.Box(0, 255, PICTURE, np.uint8)
    if key not in SOURCES:
        return shown[key]
    whole = shown[key.removesuffix("_crop")]
    assert isinstance(whole, gym.spaces.Box)
    side = 2 * HALF + 1
    least, most = min(whole.low.min(), 0), max(whole.high.max(), 0)
    return gym.spaces.Box(int(least), int(most), (side, side), whole.dtype)  # type: ignore[arg-type]
