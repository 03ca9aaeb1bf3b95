"""Draws the pictures of docs/worlds.md: `python -m docs.pictures`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rewardspec.environments import make_environment

IMAGES = Path(__file__).parent / "images"

PICTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "office_world": ("rewardspec/OfficeWorld-v0", {}),
    "craft_world": ("rewardspec/CraftWorld-v0", {}),
    "chain_world": ("rewardspec/ChainWorld-v0", {}),
    "key_door_chest": ("rewardspec/KeyDoorChest-v0", {}),
    "delivery_world": ("rewardspec/DeliveryWorld-v0", {}),
    "water_world": ("rewardspec/WaterWorld-v0", {}),
    "flat_world": ("rewardspec/FlatWorld-v0", {}),
    "letter_world": ("rewardspec/LetterWorld-v0", {}),
}
"""Name of the file -> environment and its arguments."""


def draw(name: str) -> Image.Image:
    """Return the first picture of an episode with seed 0."""
    env_id, arguments = PICTURES[name]
    env = make_environment(env_id, render_mode="rgb_array", **arguments)
    env.reset(seed=0)
    return Image.fromarray(np.asarray(env.render(), np.uint8)).convert("P", palette=Image.Palette.ADAPTIVE)


if __name__ == "__main__":
    for name in PICTURES:
        draw(name).save(IMAGES / f"{name}.png", optimize=True)
        print(f"wrote docs/images/{name}.png")
