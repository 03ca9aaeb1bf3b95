"""Options of the commands that train agents: `train` and `search` take them alike."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

import typer


class Algo(StrEnum):
    """The algorithms of stable-baselines3 that can be trained."""

    PPO = "ppo"
    DQN = "dqn"
    SAC = "sac"
    TD3 = "td3"
    A2C = "a2c"


AlgoOption = Annotated[Algo, typer.Option(case_sensitive=False, help="Algorithm of stable-baselines3.")]

Environments = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, max=1024, help="Environments side by side.", show_default="by algorithm"
    ),
]

EnvironmentId = Annotated[
    str, typer.Option(metavar="ID", help="Environment; the one that the spec names without.")
]

Pairs = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Argument of the algorithm, as in learning_rate=3e-4 (repeat).",
    ),
]
"""What `read_settings` reads."""

Seed = Annotated[int, typer.Option(metavar="N", min=0, help="Seed of everything random.")]

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]


def read_settings(pairs: list[str]) -> dict[str, Any]:
    """Return `NAME=VALUE` pairs with their values read as JSON, or as text."""
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not name or not sign:
            raise typer.BadParameter(
                f"'{pair}' is not NAME=VALUE, as in learning_rate=3e-4", param_hint="--set"
            )
        try:
            settings[name] = json.loads(text)
        except ValueError:
            settings[name] = text
    return settings
