"""Captions in NetHack's manner, made from templates, with a label that their template decides."""

from __future__ import annotations

import itertools

import numpy as np

HELPFUL = (
    "You unlock the {thing} with the {key} key.",
    "You climb down to level {number}.",
    "You kill the {mood} {monster}!",
    "{number} gold pieces.",
    "You pick up the {key} key.",
    "The {thing} opens. Behind it is a {key} staircase.",
    "Welcome to experience level {number}.",
    "You find a hidden {thing} behind the {monster}.",
)
OTHERS = (
    "The {mood} {monster} bites you!",
    "This {thing} is locked.",
    "You hear a {monster} in the distance.",
    "You see here {number} arrows.",
    "You see here a {key} candle.",
    "You feel {mood}.",
    "The {monster} misses you.",
    "There is no {thing} in that direction.",
    "You have a {mood} feeling, then it passes.",
    "Your pet {monster} looks {mood}.",
    "You stop. The {monster} is in the way.",
    "The {key} {thing} does not move.",
)
WORDS: dict[str, tuple[str, ...]] = {
    "thing": (
        "door",
        "gate",
        "chest",
        "drawbridge",
        "trap door",
        "portcullis",
        "box",
        "passage",
        "cage",
        "cupboard",
    ),
    "key": ("silver", "iron", "rusty", "golden", "skeleton", "small", "heavy", "odd", "bronze", "tiny"),
    "monster": (
        "newt",
        "jackal",
        "goblin",
        "floating eye",
        "gnome",
        "giant bat",
        "kobold",
        "vortex",
        "dwarf",
        "wolf",
    ),
    "mood": ("hungry", "sad", "strange", "weak", "lucky", "tired", "cold", "guilty", "sleepy", "angry"),
    "number": tuple(str(number) for number in range(2, 60)),
}


def captions(number: int, rng: np.random.Generator) -> list[tuple[str, bool]]:
    """Return that many different captions with whether they are helpful, in a random order.

    Example:
        >>> drawn = captions(300, np.random.default_rng(0))
        >>> len({text for text, _ in drawn}), 100 < sum(helpful for _, helpful in drawn) < 200
        (300, True)
    """
    every = [(text, True) for template in HELPFUL for text in filled(template)]
    every += [(text, False) for template in OTHERS for text in filled(template)]
    order = rng.permutation(len(every))
    if number > len(every):
        raise ValueError(f"there are {len(every)} captions, not {number}")
    return [every[i] for i in order[:number]]


def filled(template: str) -> list[str]:
    """Return a template with every choice of words."""
    slots = [slot for slot in WORDS if f"{{{slot}}}" in template]
    choices = itertools.product(*(WORDS[slot] for slot in slots))
    return [template.format(**dict(zip(slots, words, strict=True))) for words in choices]
