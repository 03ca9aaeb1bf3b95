"""What part of an environment's step a spec takes."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from benchmarks.speed.method import Block, Result, Settings, added, ratios, take_times
from benchmarks.speed.workload import spec_text
from rewardspec.vocabulary import loads
from rewardspec.wrappers.single import wrap

ENDS = (
    "of some 190 ns a step, calling on from C takes 90 in place, the program 50, and a reset and an episode's report,"
    " every 20 steps, the rest"
)
SHOWN = (
    "of some 210 ns a step, calling on from C takes 90 in place, the program and the longer observation 70, and a reset"
    " and an episode's report, every 20 steps, the rest"
)
LABELS = (
    "of 1.0 us that the spec adds in place (0.5 to 1.4 from one process to the next, as code and stack lie in memory),"
    " calling on from C takes 0.4, and reading two labels from the live environment, a call of Python again, most of"
    " the rest: 0.25 where all is in the cache; half a per cent is 0.55 us"
)

DOOR = """
name: door
env: {{id: MiniGrid-DoorKey-8x8-v0, labels: minigrid}}
observe: {observe}
propositions: {{carrying_key: null, door_open: null}}
reward:
- reward_machine:
    start: start
    edges:
    - {{from: start, to: key, when: carrying_key, reward: 0.2}}
    - {{from: key, to: open, when: door_open, reward: 0.3}}
- reward
"""


def measure(settings: Settings) -> list[Result]:
    """Return the share of the bare environment's step, in per cent."""
    results = []
    cases: list[tuple[str, Any, str]] = [
        ("CartPole, unwrapped", lambda: gym.make("CartPole-v1").unwrapped, spec_text()),
        (
            "CartPole, unwrapped, state shown one-hot",
            lambda: gym.make("CartPole-v1").unwrapped,
            spec_text("onehot"),
        ),
        ("CartPole, as gymnasium.make gives it", lambda: gym.make("CartPole-v1"), spec_text()),
    ]
    try:
        import minigrid  # noqa: F401
    except ImportError:
        pass
    else:
        door = "MiniGrid-DoorKey-8x8-v0"
        cases.append(
            (f"{door}, its labels and two stages", lambda: gym.make(door), DOOR.format(observe="none"))
        )
    for what, make, text in cases:
        # All step one and the same environment, each from where the one before left it: of two that are made alike, one
        # can be slower by a per cent, as their parts lie in memory.
        env = make()
        blocks = {
            "bare": episodes(env),
            "spec": episodes(wrap(env, loads(text))),
            "native": episodes(wrap(env, loads(text), backend="native")),
        }
        times = take_times(blocks, settings)
        goal = 0.5 if what.startswith("MiniGrid") else 5.0
        why = LABELS if what.startswith("MiniGrid") else SHOWN if "one-hot" in what else ENDS
        for name, which in (("spec", "a spec's"), ("native", "a compiled spec's")):
            share = [100 * ratio for ratio in ratios(added(times, name, "bare"), times["bare"])]
            told: dict[str, Any] = {"goal": goal, "code": "C3", "why": why} if name == "native" else {}
            results.append(Result.of(f"{which} share of {what}", "%", share, **told))
    return results


def episodes(env: Any) -> Block:
    """Return a block of steps that resets where an episode ends, and goes on where the last block stopped."""
    count = int(env.action_space.n)
    env.reset(seed=0)

    def block(n: int) -> None:
        step, reset = env.step, env.reset
        for i in range(n):
            _, _, terminated, truncated, _ = step(i * 7 // 3 % count)
            if terminated or truncated:
                reset()

    return block
