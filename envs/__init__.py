"""Worlds in which a plain reward teaches little; `import envs` registers them with gymnasium.

One world is one file, with the labels that it says itself (`env: {id: rewardspec/OfficeWorld-v0, labels:
environment}` in a spec). They live beside the package, in the repository's checkout.
"""

from __future__ import annotations

import gymnasium as gym

WORLDS: dict[str, tuple[str, int]] = {
    "OfficeWorld-v0": ("envs.office_world:OfficeWorld", 1000),
    "CraftWorld-v0": ("envs.craft_world:CraftWorld", 1000),
    "ChainWorld-v0": ("envs.chain_world:ChainWorld", 1000),
    "KeyDoorChest-v0": ("envs.key_door_chest:KeyDoorChest", 1000),
    "DeliveryWorld-v0": ("envs.delivery_world:DeliveryWorld", 1000),
    "WaterWorld-v0": ("envs.water_world:WaterWorld", 600),
    "LetterWorld-v0": ("envs.letter_world:LetterWorld", 75),
    "FieldWorld-v0": ("envs.field_world:FieldWorld", 79),
    "FlatWorld-v0": ("envs.flat_world:FlatWorld", 500),
    "TextKeyRoom-v0": ("envs.text_key_room:TextKeyRoom", 100),
    "MessageRooms-v0": ("envs.message_rooms:MessageRooms", 100),
    "MazeWorld-v0": ("envs.maze_world:MazeWorld", 49),
    "TomatoWorld-v0": ("envs.tomato_world:TomatoWorld", 100),
}
"""Name -> class, and steps after which an episode is truncated. The id is `rewardspec/` and the name."""

PARALLEL_WORLDS: dict[str, str] = {"TwoButtons-v0": "envs.two_buttons:TwoButtons"}
"""Worlds of several agents, with PettingZoo's parallel API: name -> class; the id is `rewardspec/` and the name."""

for _name, (_entry_point, _steps) in WORLDS.items():
    gym.register(f"rewardspec/{_name}", entry_point=_entry_point, max_episode_steps=_steps)
