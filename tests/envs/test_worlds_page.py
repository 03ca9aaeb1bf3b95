"""docs/worlds.md is what the worlds are: every id, every number that it states, every picture."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from docs.pictures import IMAGES, PICTURES, draw
from envs import WORLDS
from rewardspec import loads, wrap
from rewardspec.environments import make_environment
from rewardspec.tabular.world import tabulate

PAGE = (Path(__file__).parents[2] / "docs" / "worlds.md").read_text(encoding="utf-8")


def test_every_world_has_its_row() -> None:
    assert re.findall(r"^\| `([\w-]+-v0)` ", PAGE, re.MULTILINE) == list(WORLDS)


@pytest.mark.parametrize(
    ("name", "arguments", "states", "stated"),
    [
        ("OfficeWorld", {}, 108, "| 108 |"),
        ("CraftWorld", {"map_seed": 5}, 1521, "| 1521 |"),
        ("ChainWorld", {}, 20, "`length` (20)"),
        ("KeyDoorChest", {}, 100, "(100)"),
        ("KeyDoorChest", {"length": 7}, 4 * 7**2, "4 `length`²"),
    ],
)
def test_numbers_of_states(name: str, arguments: dict[str, int], states: int, stated: str) -> None:
    assert tabulate(make_environment(f"rewardspec/{name}-v0", **arguments)).n_states == states
    (row,) = (line for line in PAGE.splitlines() if line.startswith(f"| `{name}-v0`"))
    assert stated in row


def test_the_spec_on_the_page_works() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    env = wrap(make_environment("rewardspec/OfficeWorld-v0"), loads(text))
    env.reset(seed=0)
    rewards = [env.step("URDL".index(move))[1] for move in "ULURUULUURRDRDD"]
    assert rewards == [0.0] * 14 + [1.0]


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_those_of_today(name: str) -> None:
    """`python -m docs.pictures` draws them anew."""
    assert f"images/{name}.png" in PAGE
    with Image.open(IMAGES / f"{name}.png") as kept:
        assert (np.asarray(kept.convert("RGB")) == np.asarray(draw(name).convert("RGB"))).all()
