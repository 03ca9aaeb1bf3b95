"""What is known of other people's environments that their spaces do not say, by the names of their ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LANDER = (
    "x",
    "y",
    "velocity_x",
    "velocity_y",
    "angle",
    "angular_velocity",
    "left_leg_touches",
    "right_leg_touches",
)

NAMES: dict[str, tuple[str, ...]] = {
    "CartPole": ("position", "velocity", "angle", "angular_velocity"),
    "MountainCar": ("position", "velocity"),
    "MountainCarContinuous": ("position", "velocity"),
    "Pendulum": ("cos_angle", "sin_angle", "angular_velocity"),
    "Acrobot": ("cos_1", "sin_1", "cos_2", "sin_2", "angular_velocity_1", "angular_velocity_2"),
    "LunarLander": LANDER,
    "LunarLanderContinuous": LANDER,
    "Blackjack": ("player_sum", "dealer_card", "usable_ace"),
}
"""What the entries of the observation are, by the id's name; from gymnasium's documentation."""

BLSTATS = tuple(
    """x y strength_percentage strength dexterity constitution intelligence wisdom charisma score hitpoints
    max_hitpoints depth gold energy max_energy armour_class monster_level experience_level experience_points
    time hunger burden dungeon_number dungeon_level conditions alignment""".split()  # noqa: SIM905
)
"""What NetHack's bottom lines hold, in the order of `nle.nethack.NLE_BL_*`."""

BASE_REWARD: dict[str, tuple[float, float]] = {
    "MiniGrid": (0, 1),
    "BabyAI": (0, 1),
    "FrozenLake": (0, 1),
    "FrozenLake8x8": (0, 1),
    "Taxi": (-10, 20),
    "CliffWalking": (-100, 0),
    "MountainCarContinuous": (-0.1, 100),
}
"""Least and greatest reward of the environment itself, by the id's name or beginning."""

ENDS_EARLY: dict[str, bool] = {
    **dict.fromkeys(("Pendulum", "HalfCheetah", "Swimmer", "Reacher", "Pusher", "HumanoidStandup"), False),
    **dict.fromkeys(
        ("MountainCar", "MountainCarContinuous", "Acrobot", "Taxi", "CliffWalking", "MiniGrid", "BabyAI"),
        True,
    ),
}
"""Whether episodes can end before the time limit, likewise."""

ACTIONS: dict[str, tuple[str, ...]] = {
    "CartPole": ("push left", "push right"),
    "MountainCar": ("push left", "nothing", "push right"),
    "Acrobot": ("torque -1", "nothing", "torque 1"),
    "FrozenLake": ("left", "down", "right", "up"),
    "FrozenLake8x8": ("left", "down", "right", "up"),
    "CliffWalking": ("up", "right", "down", "left"),
    "Taxi": ("down", "up", "right", "left", "pick up", "drop off"),
    "Blackjack": ("stick", "hit"),
    "LunarLander": ("nothing", "left engine", "main engine", "right engine"),
    "MiniGrid": ("turn left", "turn right", "forward", "pick up", "drop", "toggle", "done"),
    "BabyAI": ("turn left", "turn right", "forward", "pick up", "drop", "toggle", "done"),
}
"""What discrete actions do, by the id's name (of MiniGrid's and BabyAI's, by its beginning)."""


@dataclass(frozen=True)
class First:
    """A first reward for an environment that we know.

    Attributes:
        terms: The lines of `reward:`.
        tests: The lines of `tests:`.
        propositions: By name, its expression.
    """

    terms: str
    tests: str
    propositions: Mapping[str, str] = field(default_factory=dict)


FIRST: dict[str, First] = {
    "CartPole": First(
        "  - markov: 1 - abs(position) / 4.8   # 1 a step, less when the cart is off the centre\n"
        "    name: centred\n",
        "  - name: the centre pays 1, half way to the edge 0.75\n"
        "    transitions: [{next_obs: [0, 0, 0, 0]}, {next_obs: [1.2, 0, 0, 0]}]\n"
        "    rewards: [1, 0.75]\n",
    ),
    "MountainCar": First(
        "  - markov: -1                        # every step costs\n    name: time\n"
        "  - potential: abs(obs[0] + 0.5)      # a hint: away from the valley, up either hill\n"
        "    name: height\n",
        "  - name: moving up the hill pays more than the step costs\n"
        "    transitions:\n"
        "      - {obs: [-0.5, 0], next_obs: [0.5, 0]}\n"
        "    return: {time: -1, height: 0.99}\n",
    ),
    "Pendulum": First(
        "  - markov: cos_angle                 # 1 when upright, -1 when hanging\n    name: upright\n"
        "  - markov: -0.01 * torque ** 2\n    name: effort\n",
        "  - name: upright and at rest pays 1\n"
        "    transitions: [{next_obs: [1, 0, 0], action: [0]}, {next_obs: [-1, 0, 0], action: [1]}]\n"
        "    rewards: [1, -1.01]\n",
    ),
    "Acrobot": First(
        "  - markov: -cos_1 - (cos_1 * cos_2 - sin_1 * sin_2) - 2   # height of the tip, 0 at the top\n"
        "    name: height\n",
        "  - name: hanging pays -4, standing 0\n"
        "    transitions: [{next_obs: [1, 0, 1, 0, 0, 0]}, {next_obs: [-1, 0, 1, 0, 0, 0]}]\n"
        "    rewards: [-4, 0]\n",
    ),
}
"""First rewards, by the id's name."""

OWN_REWARD = First(
    "  - markov: reward   # the environment's own; put yours in its place\n    name: own\n",
    "  - name: the environment's own reward is paid as it is\n"
    "    transitions: [{reward: 1}, {reward: -0.5}]\n"
    "    return: {own: 0.5}\n",
)
"""The first reward for an environment of which nothing is known."""
