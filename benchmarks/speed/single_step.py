"""One environment: what a spec adds to a step, over what gymnasium's lightest reward wrapper adds."""

from __future__ import annotations

import statistics
from typing import Any, Literal

import gymnasium as gym

from benchmarks.speed import by_hand, pycrm
from benchmarks.speed.method import Result, Settings, Times, added, quiet_ratios, ratios, take_times
from benchmarks.speed.workload import Replay, rewards_of, spec_text, stepping
from rewardspec.backends import oracle
from rewardspec.transition import Transition
from rewardspec.vocabulary import loads
from rewardspec.wrappers.single import wrap

CHECKED_STEPS = 1000

CASES: dict[str, Any] = {
    "transform": lambda env: gym.wrappers.TransformReward(env, lambda reward: reward),
    "spec": lambda env: wrap(env, loads(spec_text())),
    "spec, native": lambda env: wrap(env, loads(spec_text()), backend="native"),
    "spec, native, one-hot": lambda env: wrap(env, loads(spec_text("onehot")), backend="native"),
    "spec, one-hot": lambda env: wrap(env, loads(spec_text("onehot"))),
    "like Toro Icarte": by_hand.LikeToroIcarte,
    "set and dict": by_hand.SetAndDict,
    "if-else closure": by_hand.IfElse,
    "forward": lambda env: by_hand.Forward(env, listed=False),
    "forward, listed": lambda env: by_hand.Forward(env, listed=True),
}
PAYING = (
    "spec",
    "spec, native",
    "spec, native, one-hot",
    "spec, one-hot",
    "like Toro Icarte",
    "set and dict",
    "if-else closure",
)


def measure(settings: Settings) -> list[Result]:
    """Return ratios on observations that no branch can foresee, and on such as environments give."""
    check_rewards()
    results: list[Result] = []
    for kind in ("random", "smooth"):
        results += _measure(kind, settings)
    return results


def check_rewards() -> None:
    """Raise unless everybody pays what the oracle pays."""
    for kind in ("random", "smooth"):
        expected = reference(kind, CHECKED_STEPS)
        for name in PAYING:
            paid = rewards_of(CASES[name](Replay(kind)), CHECKED_STEPS)
            pycrm.require_equal(name, paid, expected)


def reference(kind: Literal["random", "smooth"], steps: int) -> list[float]:
    """Return what the oracle pays."""
    env = Replay(kind)
    before, _ = env.reset()
    program = wrap(Replay(kind), loads(spec_text())).program
    state, paid = oracle.init(program), []
    for _ in range(steps):
        after, reward, *_ = env.step(0)
        state, (outcome,) = oracle.step(program, state, [Transition(before, 0, after, reward)])
        paid.append(outcome.reward)
        before = after
    return paid


def _measure(kind: Literal["random", "smooth"], settings: Settings) -> list[Result]:
    envs = {"null": Replay(kind), **{name: make(Replay(kind)) for name, make in CASES.items()}}
    times: Times = take_times({name: stepping(env) for name, env in envs.items()}, settings)
    more = {name: added(times, name, "null") for name in CASES}
    step = f"{kind} observations: "

    def over_transform(
        name: str, what: str, goal: float | None = None, code: str = "", why: str = ""
    ) -> Result:
        values = quiet_ratios(more[name], more["transform"])
        return Result.of(step + what, "x", values, goal, code=code, why=why)

    def below(name: str, what: str, goal: float | None, ours: str = "spec", code: str = "") -> Result:
        values = ratios(more[name], [max(ns, 1.0) for ns in more[ours]])
        return Result.of(step + what, "x", values, goal, "high", code=code)

    results = [
        Result.of(step + "TransformReward(lambda) adds", "ns", more["transform"]),
        Result.of(step + "a spec adds", "ns", more["spec"]),
        Result.of(step + "a spec, compiled, adds", "ns", more["spec, native"]),
        over_transform("spec, native", "a spec, compiled / TransformReward", 0.75, "C1"),
        over_transform("spec, native, one-hot", "a compiled spec that shows its state / TransformReward"),
        over_transform(
            "spec",
            "a spec / TransformReward",
            2.5,
            "C1",
            "of some 215 ns, calling on takes 50, `tolist` 50, the dense term 36, the machine 26 (42 where"
            " no branch can be foreseen), totals, checks and the counter 30; where code lies in memory moves the ratio"
            " by 5 % from one process to the next",
        ),
        over_transform("spec, one-hot", "a spec that shows its state / TransformReward"),
        over_transform("if-else closure", "the same by hand, unchecked / TransformReward"),
        over_transform("forward, listed", "only reading the observation / TransformReward"),
        over_transform("forward", "only forwarding / TransformReward"),
        below("like Toro Icarte", "dict machine like Toro Icarte's / a spec", 3),
        below("set and dict", "set and dict by hand / a spec", None),
        below(
            "like Toro Icarte", "dict machine like Toro Icarte's / a compiled spec", 10, "spec, native", "C2"
        ),
    ]
    peer = pycrm.over_transform(kind, settings, reference(kind, CHECKED_STEPS))
    if peer is not None:
        # Another process: its figures are multiples of TransformReward there, ours of TransformReward here.
        for name, what, goal in (
            ("spec", "a spec", 60.0),
            ("spec, one-hot", "a spec that shows its state", None),
            ("spec, native", "a compiled spec", 250.0),
        ):
            ours = statistics.median(ratios(more[name], more["transform"]))
            label = f"{step}pyrewardmachines' CrossProduct / {what}"
            results.append(
                Result.of(
                    label, "x", [ratio / ours for ratio in peer], goal, "high", "C2" if goal == 250 else ""
                )
            )
    return results
