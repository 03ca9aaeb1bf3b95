"""Does a judge of subgoals shorten learning, and what do its mistakes cost? CALM on the text KeyRoom.

Tabular Q-learning in one room that pays at the stairs alone: unshaped, and with a bonus of 0.5 when a judge says that
the key was picked up or the door opened. The judge is an oracle, or an oracle whose answers are turned over:

- `each step`: one answer in ten, drawn anew on every step;
- `each prompt`: one distinct transition in ten, the same ones always: what a model that is asked once per prompt does;
- `balanced`: one true event in ten is missed, and one transition in ten of those that are called events is none.

Steps until nine of ten evaluation episodes reach the stairs; a run that never gets there counts with all its steps.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.records import Cell, Row, Setting, provenance
from envs.text_key_room import TextKeyRoom
from rewardspec import Program, compile_spec, from_data, wrap
from rewardspec.transition import Transition
from rewardspec.wrappers.labelling import Label
from rewardspec.wrappers.single import RewardSpecWrapper

TAGS = ("language models", "tabular", "shaping")
STEPS = 100_000
SEEDS = 5
SMOKE_STEPS = 2000

BASELINE, CLAIM = "unshaped", "oracle"
CURVE = ("environment steps", "success of ten episodes")

ACTIONS = 6
SIZE, LAYOUT, HORIZON = 7, 3, 100
BONUS, DISCOUNT = 0.5, 0.97
ALPHA, EPSILON = 0.3, 0.1
EVERY, EPISODES, ENOUGH = 2000, 10, 0.9
"""Steps between two evaluations, their episodes (by the same policy, one action in twenty at random), and the goal."""

SUBGOALS = ("pick up the key", "open the door")
EVENTS = ("key", "door")
WRONG = 0.1

SETTINGS: list[Setting] = [
    {"name": "unshaped"},
    {"name": "oracle", "judge": "oracle"},
    {"name": "oracle, potential", "judge": "oracle", "shaping": "potential"},
    *(
        {
            "name": f"10 % wrong, {noise}{', ' + form if form else ''}",
            "judge": noise,
            "shaping": form or "bonus",
        }
        for noise in ("balanced", "each prompt", "each step")
        for form in ("", "potential")
    ),
    {"name": "10 % wrong, each prompt, paid always", "judge": "each prompt", "repeat": "always"},
]


def program_of(setting: Setting) -> Program:
    """Return what a setting pays."""
    terms: list[Any] = ["reward"]
    if "judge" in setting:
        fields = {"shaping": setting.get("shaping", "bonus"), "repeat": setting.get("repeat", "never")}
        terms.append({"subgoals": {"subgoals": list(SUBGOALS), "bonus": BONUS, **fields}})
    return compile_spec(from_data({"name": "keyroom", "discount": DISCOUNT, "reward": terms}))


def judge_of(noise: str, env: TextKeyRoom, seed: int) -> Label:
    """Return an oracle whose answers are turned over as a setting says."""
    rng = np.random.default_rng((seed, 7))
    salt = f"{seed}:".encode()

    def share(step: Transition, subgoal: str) -> float:
        """Return a number from 0 to 1 that belongs to a distinct transition and a subgoal."""
        seen = step.obs["chars"].tobytes() + bytes([int(step.action)]) + step.next_obs["chars"].tobytes()
        return zlib.crc32(salt + subgoal.encode() + seen) / 2**32

    def judge(_: Any, step: Transition) -> dict[str, bool]:
        said: dict[str, bool] = {}
        for subgoal, event in zip(SUBGOALS, EVENTS, strict=True):
            true = event in env.labels()
            if noise == "oracle":
                wrong = False
            elif noise == "each step":
                wrong = rng.random() < WRONG
            elif noise == "each prompt":
                wrong = share(step, subgoal) < WRONG
            else:  # as rare as the events themselves: about one step in eighty
                wrong = share(step, subgoal) < (WRONG if true else WRONG / 80)
            said[subgoal] = true != wrong
        return said

    return judge


class Learner:
    """Q-learning on a table, keyed by the room's state and the spec's memory."""

    def __init__(self, env: RewardSpecWrapper, room: TextKeyRoom, seed: int) -> None:
        """Know nothing."""
        self._env, self._room, self._rng = env, room, random.Random(seed)
        self._table: dict[Any, list[float]] = {}
        self._slots = len(env.program.machines) + len(env.program.folds)

    def key(self) -> Any:
        """Return where the learner is."""
        return (*self._room.state, *self._env.state[: self._slots])

    def values(self, key: Any) -> list[float]:
        """Return the values of the actions there."""
        return self._table.setdefault(key, [0.0] * ACTIONS)

    def act(self, key: Any, epsilon: float) -> int:
        """Return an action: a random one now and then, else one of the best."""
        if self._rng.random() < epsilon:
            return self._rng.randrange(ACTIONS)
        values = self.values(key)
        best = max(values)
        return self._rng.choice([action for action, value in enumerate(values) if value == best])

    def episode(self, epsilon: float, learn: bool) -> tuple[int, bool]:
        """Play one; return its steps and whether it reached the stairs."""
        self._env.reset()
        key, steps = self.key(), 0
        while True:
            action = self.act(key, epsilon)
            _, reward, terminated, truncated, _ = self._env.step(action)
            after, steps = self.key(), steps + 1
            if learn:
                ahead = 0.0 if terminated else DISCOUNT * max(self.values(after))
                values = self.values(key)
                values[action] += ALPHA * (reward + ahead - values[action])
            if terminated or truncated:
                return steps, terminated
            key = after


def run(setting: Setting, seed: int) -> list[Row]:
    """Learn until the goal, or for so many steps."""
    room = TextKeyRoom(SIZE, layout=LAYOUT)
    timed: gym.Env[Any, Any] = gym.wrappers.TimeLimit(room, HORIZON)
    judge = judge_of(setting["judge"], room, seed) if "judge" in setting else None
    learner = Learner(wrap(timed, program_of(setting), judge=judge), room, seed)
    steps, looked, rows = 0, 0, []
    while steps < setting["steps"]:
        taken, _ = learner.episode(EPSILON, learn=True)
        steps += taken
        if steps - looked >= EVERY:
            looked = steps
            solved = float(np.mean([learner.episode(0.05, learn=False)[1] for _ in range(EPISODES)]))
            rows.append({"steps": steps, "success": solved})
            if solved >= ENOUGH:
                break
    return rows or [{"steps": steps, "success": 0.0}]


def score(rows: Sequence[Row]) -> float:
    """Return the share of the budget that was left when the goal was reached."""
    return max(0.0, 1.0 - rows[-1]["steps"] / STEPS) if rows and rows[-1]["success"] >= ENOUGH else 0.0


def curve(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Return the success of the evaluations over the steps."""
    return [(row["steps"], row["success"]) for row in rows]


def report(cells: Sequence[Cell], folder: Path) -> str:
    """Return the page."""

    def steps_of(name: str) -> list[float]:
        mine = sorted((cell for cell in cells if cell.name == name), key=lambda cell: cell.seed)
        return [cell.rows[-1]["steps"] if cell.rows[-1]["success"] >= ENOUGH else STEPS for cell in mine]

    lines = [
        "# CALM: does a judge of subgoals shorten learning?",
        "",
        "<!-- Made by `python -m benchmarks report calm` -->",
        "",
        f"Tabular Q-learning on the text KeyRoom ({SIZE}x{SIZE}, one layout, episodes of {HORIZON} steps), which pays 1"
        f" at the stairs. The judge's bonus is {BONUS} for each of two subgoals, once per episode unless said so;"
        f" discount {DISCOUNT}, step size {ALPHA}, exploration {EPSILON}. Counted are the steps until {ENOUGH:.0%} of"
        f" {EPISODES} evaluation episodes reach the stairs, looked at every {EVERY:,}; a run that never gets there"
        f" counts with all its {STEPS:,}. The judges are oracles with mistakes put in; no model is asked.",
        "",
        "| arm | median steps | range | never | of unshaped |",
        "| --- | ---: | --- | ---: | ---: |",
    ]
    plain = steps_of("unshaped")
    for setting in SETTINGS:
        found = steps_of(setting["name"])
        if not found or not plain:
            continue
        never = sum(steps >= STEPS for steps in found)
        share = float(np.median(found)) / float(np.median(plain))
        lines.append(
            f"| {setting['name']} | {np.median(found):,.0f} | {min(found):,.0f} to {max(found):,.0f}"
            f" | {never}/{len(found)} | {share:.0%} |"
        )
    lines += [
        "",
        "*balanced*: one event in ten is missed, and about as many steps are called events that are none as there are"
        " events; *each prompt*: a tenth of all distinct transitions is told wrong, always the same ones, as by a model"
        " whose answers are kept; *each step*: drawn anew each time.",
        "",
        provenance(cells),
    ]
    return "\n".join(lines) + "\n"
