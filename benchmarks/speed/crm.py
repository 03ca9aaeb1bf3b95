"""What counterfactual experience costs: per step that is told, per row in a batch, per sample of a replay buffer."""

from __future__ import annotations

import contextlib
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.speed.method import Block, Result, Settings, added, ratios, take_times
from benchmarks.speed.share import episodes
from rewardspec.transition import Transition
from rewardspec.vocabulary import loads
from rewardspec.wrappers.counterfactual import Counterfactuals, CounterfactualWrapper
from rewardspec.wrappers.single import wrap

STATES = 8
BATCH = 8192
"""Steps replayed at once: with the states, 65,536 rows."""

SAMPLE = 32


def spec_text(states: int = STATES) -> str:
    """Return a machine that goes round: with the cart left and right of the middle in turn."""
    edges = [
        {
            "from": f"u{i}",
            "to": f"u{(i + 1) % states}",
            "when": "left" if i % 2 else "right",
            "reward": i,  # each pays its own, or minimising would leave two states
        }
        for i in range(states)
    ]
    lines = "\n".join(f"    - {{{', '.join(f'{k}: {v}' for k, v in edge.items())}}}" for edge in edges)
    return f"""
name: round
propositions: {{right: "next_obs[0] > 0", left: "next_obs[0] < 0"}}
reward:
  reward_machine:
    start: u0
    edges:
{lines}
"""


def measure(settings: Settings) -> list[Result]:
    """Return nanoseconds per counterfactual, and a sample's cost in ordinary samples."""
    told = CounterfactualWrapper(gym.make("CartPole-v1").unwrapped, loads(spec_text()))
    others = len(told.states.replayed) - 1
    blocks: dict[str, Block] = {
        "plain": episodes(wrap(gym.make("CartPole-v1").unwrapped, loads(spec_text()))),
        "told": episodes(told),
        "numpy": _batch(told, "numpy"),
    }
    try:
        import torch  # noqa: F401
    except ImportError:
        pass
    else:
        blocks["torch"] = _batch(told, "torch")
    with contextlib.suppress(ImportError):
        blocks |= _samples()
    times = take_times(blocks, settings)
    results = [
        Result.of(
            f"told by a wrapper, per counterfactual ({others} a step)",
            "ns",
            [time / others for time in added(times, "told", "plain")],
        )
    ]
    for library in ("numpy", "torch"):
        if library in times:
            rows = BATCH * (others + 1)
            what = f"{library}, {BATCH:,} steps from {others + 1} states, per counterfactual"
            results.append(Result.of(what, "ns", [time / rows for time in times[library]]))
    if "crm" in times:
        results.append(
            Result.of(
                f"a sample of {SAMPLE} steps from every state, in ordinary samples of as many rows",
                "x",
                ratios(times["crm"], times["ordinary"]),
            )
        )
    return results


def _batch(env: CounterfactualWrapper, library: Any) -> Block:
    """Return a block that replays a batch of steps."""
    replay = Counterfactuals(env.layout, BATCH, library, dtype="float32")
    obs: Any = np.random.default_rng(0).normal(size=(BATCH, 4)).astype(np.float32)
    numbers: tuple[Any, ...] = (np.zeros(BATCH, np.float32),)  # the episode's total of its one term
    if library == "torch":
        import torch

        obs, numbers = torch.from_numpy(obs), tuple(torch.from_numpy(n) for n in numbers)
    step = Transition(obs, None, obs, 0.0, False, False, {})
    state = (*(None for _ in env.program.machines), *numbers)

    def block(n: int) -> None:
        for _ in range(n):
            replay.replay(step, state)

    return block


def _samples() -> dict[str, Block]:
    """Return blocks that sample a CRM buffer, and an ordinary one for as many rows."""
    from stable_baselines3.common.buffers import ReplayBuffer
    from stable_baselines3.common.vec_env import DummyVecEnv

    from rewardspec.wrappers.replay_crm import CrmReplayBuffer

    venv = DummyVecEnv([lambda: CounterfactualWrapper(gym.make("CartPole-v1"), loads(spec_text()))])
    spaces = venv.observation_space, venv.action_space
    buffers = {"crm": CrmReplayBuffer(2000, *spaces), "ordinary": ReplayBuffer(2000, *spaces)}
    obs: Any = venv.reset()
    for i in range(1000):
        action = np.array([i * 7 // 3 % 2])
        next_obs, reward, done, infos = venv.step(action)
        for buffer in buffers.values():
            buffer.add(obs, next_obs, action, reward, done, infos)  # type: ignore[arg-type]
        obs = next_obs
    rows = {"crm": SAMPLE, "ordinary": SAMPLE * STATES}

    def block(name: str) -> Block:
        def sample(n: int) -> None:
            for _ in range(n):
                buffers[name].sample(rows[name])

        return sample

    return {name: block(name) for name in buffers}
