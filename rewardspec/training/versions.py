"""The versions that a run notes."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform

NAMED = ("rewardspec", "torch", "stable-baselines3", "gymnasium", "numpy", "minigrid", "minihack", "mujoco")
"""Packages whose versions a run notes, as far as they are installed."""


def versions() -> dict[str, str]:
    """Return the versions that a learning curve may depend on."""
    found = {"python": platform.python_version()}
    for name in NAMED:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
