"""Do labels of messages lead an agent out where its own reward teaches nothing? ONI in the message rooms.

PPO in twelve rooms that say what happens and pay 1 at the way out: with that alone, and with feedback on the messages,
by retrieval, by classification and by ranking. The labels are an oracle's, exact, and taken up at the refresh at which
a message was first shown. One more arm has a server in the oracle's place, over a socket, asked by the annotator
process, that takes two seconds for each answer; beside it the same agent with nobody to be asked.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import gymnasium as gym

from benchmarks.records import Cell, Row, Setting, provenance
from envs.message_rooms import HELPFUL, MessageRooms
from rewardspec import RewardLearner, Spec, from_data, wrap

TAGS = ("language models", "ppo", "sparse")
STEPS = 20_480
SEEDS = 5
SMOKE_STEPS = 1024
LONG = 4 * STEPS
"""Steps beside the slow server, and beside none."""

BASELINE, CLAIM = "extrinsic only", "retrieval"
CURVE = ("environment steps", "success of the latest 100 episodes")

DISCOUNT, WEIGHT, HORIZON = 0.95, 0.4, 100
ENVIRONMENTS, ROLLOUT = 4, 128
EVERY = ENVIRONMENTS * ROLLOUT
EPISODES = 50
"""Episodes, actions sampled, that tell how often the agent gets out in the end."""

DELAY = 2.0
"""Seconds that the slow server takes for an answer."""

NETWORK = {"embedding": 8, "channels": 16, "features": 32, "hidden": [32]}
"""Smaller than the paper's, by a factor of about a hundred: there are 44 short messages here."""

MODELS = ("retrieval", "classification", "ranking")

SETTINGS: list[Setting] = [
    {"name": "extrinsic only"},
    *({"name": model, "model": model} for model in MODELS),
    {"name": "retrieval, slow server", "model": "retrieval", "judge": "slow", "steps": LONG},
    {"name": "retrieval, no server", "model": "retrieval", "judge": "nobody", "steps": LONG},
]


def spec_of(setting: Setting) -> Spec:
    """Return what the agent is paid by."""
    terms: list[Any] = ["reward"]
    if "model" in setting:
        judge: dict[str, Any] = {"oracle": list(reversed(HELPFUL))}  # the best first: the last room's is
        if setting.get("judge") == "slow":
            judge = {"llm": "default", "parallel": 16}
        elif setting.get("judge") == "nobody":  # what it pays by is never shown: labels of 0, at once
            judge = {"oracle": ["(nothing that is ever said)"]}
        feedback = {
            "task": "Find the way out of the castle.",
            "message": "info.message",
            "model": setting["model"],
            "judge": judge,
            "longest": 128,
            "after": 1,
            "every": EVERY,
        }
        if setting["model"] != "retrieval":
            feedback |= {"network": NETWORK, "fit": {"learning_rate": 2e-3}}
        terms.append({"feedback": feedback, "weight": WEIGHT})
    return from_data({"name": "message-rooms", "discount": DISCOUNT, "reward": terms})


def specs(setting: Setting) -> list[Spec]:
    """Return what the agent is paid by."""
    return [spec_of(setting)]


def run(setting: Setting, seed: int) -> list[Row]:
    """Train one agent; return its success along the way and in the end, and its speed."""
    if setting.get("judge") != "slow":
        return _trained(setting, seed, None)
    with (
        tempfile.TemporaryDirectory() as folder,
        slow_server() as address,
        mock.patch.dict(os.environ, {"REWARDSPEC_LLM": address}),
    ):
        return _trained(setting, seed, Path(folder))


def _trained(setting: Setting, seed: int, folder: Path | None) -> list[Row]:
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.vec_env import DummyVecEnv

    torch.set_num_threads(1)
    spec = spec_of(setting)
    learner = RewardLearner(spec, seed=seed, folder=folder) if "model" in setting else None
    ends: list[tuple[int, bool]] = []

    class Counting(BaseCallback):
        def _on_step(self) -> bool:
            for info, done in zip(self.locals["infos"], self.locals["dones"], strict=True):
                if done:
                    ends.append((self.num_timesteps, not info.get("TimeLimit.truncated", False)))
            return True

    def made() -> gym.Env[Any, Any]:
        env = gym.wrappers.TimeLimit(MessageRooms(observe="index"), HORIZON)
        return wrap(env, spec) if learner is None else learner.wrap(env)

    model = PPO(
        "MlpPolicy", DummyVecEnv([made] * ENVIRONMENTS), seed=seed, device="cpu", gamma=DISCOUNT,
        n_steps=ROLLOUT, batch_size=ROLLOUT, learning_rate=lambda left: 1e-3 * left, ent_coef=0.01,
    )  # fmt: skip
    callbacks: list[BaseCallback] = [Counting()]
    if learner is not None:
        callbacks.insert(0, learner.callback())
    began = time.perf_counter()
    model.learn(setting["steps"], callback=callbacks)
    seconds = time.perf_counter() - began
    rows: list[Row] = []
    for step in range(2048, setting["steps"] + 1, 2048):
        latest = [out for at, out in ends if at <= step][-100:]
        rows.append({"steps": step, "recent": statistics.fmean(latest) if latest else 0.0})
    end: Row = {"steps": model.num_timesteps, "recent": rows[-1]["recent"] if rows else 0.0}
    end |= {"success": _success(model), "rate": round(model.num_timesteps / seconds, 1)}
    if learner is not None:
        report = learner.reports[-1]
        end |= {name: report[name] for name in ("messages", "labels", "waiting", "unread")}
        learner.close()
    return [*rows, end]


def _success(model: Any) -> float:
    """Return how often the agent gets out, its actions sampled."""
    out = 0
    for episode in range(EPISODES):
        env = gym.wrappers.TimeLimit(MessageRooms(observe="index"), HORIZON)
        obs, _ = env.reset(seed=episode)
        over = False
        while not over:
            action, _ = model.predict(obs, deterministic=False)
            obs, _, terminated, truncated, _ = env.step(int(action))
            over = terminated or truncated
            out += terminated
    return out / EPISODES


@contextmanager
def slow_server() -> Iterator[str]:
    """Run a server in the form of OpenAI's, which knows the helpful messages and takes its time; yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked = body["messages"][-1]["content"].split("Now the message:")[-1]
            time.sleep(DELAY)
            text = "Label: FOO" if any(f"| {message}" in asked for message in HELPFUL) else "Label: BAR"
            choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            data = json.dumps({"choices": [choice]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


def score(rows: Sequence[Row]) -> float:
    """Return how often the agent gets out in the end."""
    return float(rows[-1]["success"]) if rows else 0.0


def curve(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Return the success of the latest episodes over the steps."""
    return [(row["steps"], row["recent"]) for row in rows]


def report(cells: Sequence[Cell], folder: Path) -> str:
    """Return the page."""
    lines = [
        "# ONI: do labels of messages lead out where the game's own reward teaches nothing?",
        "",
        "<!-- Made by `python -m benchmarks report oni` -->",
        "",
        "SB3 PPO in the twelve message rooms (44 messages, 11 of them helpful; 1 at the way out, episodes of"
        f" {HORIZON} steps), {STEPS:,} steps, {ENVIRONMENTS} environments side by side, discount {DISCOUNT}, a learning"
        " rate that falls from 0.001 to 0 (a constant one leaves policies that change from update to update). Feedback"
        f" weighs {WEIGHT}; its count's power is 3. A blind walk gets out in one of 3,700 episodes. Labels are exact:"
        " an oracle knows the helpful messages, and which of two is nearer to the way out. Success is that of"
        f" {EPISODES} episodes after training, actions sampled. The target: each of the three gets out in 80 % of the"
        " episodes, in a budget in which the own reward alone stays at or below 20 %.",
        "",
        "| arm | seeds | success: mean (least to greatest) | labels | steps a second, median |",
        "| --- | ---: | --- | ---: | ---: |",
    ]
    rates: dict[str, float] = {}
    for setting in SETTINGS:
        mine = [cell.rows[-1] for cell in cells if cell.name == setting["name"]]
        if not mine:
            continue
        found = [row["success"] for row in mine]
        rates[setting["name"]] = statistics.median(row["rate"] for row in mine)
        labels = statistics.median(row["labels"] for row in mine) if "labels" in mine[0] else None
        lines.append(
            f"| {setting['name']} | {len(mine)} | {statistics.fmean(found):.0%} ({min(found):.0%} to"
            f" {max(found):.0%}) | {'' if labels is None else f'{labels:g}'} | {rates[setting['name']]:,.0f} |"
        )
    slow, free = rates.get("retrieval, slow server"), rates.get("retrieval, no server")
    if slow and free:
        lines += [
            "",
            f"The slow server takes {DELAY:g} s for each answer, sixteen at a time, over a socket; *no server* is the"
            " same agent, whose messages are all labelled unhelpful at once. Both train four times as long,"
            f" {LONG:,} steps: the other arms' take seven seconds on a quiet core, in which the server has hardly begun"
            f" to answer. The agent with the slow server makes {slow / free:.0%} of the other's steps a second (wanted:"
            " at least 90 %), the annotator's process on the same machine included.",
        ]
    lines += ["", provenance(cells)]
    return "\n".join(lines) + "\n"
