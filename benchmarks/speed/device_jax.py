"""Goal G7: PPO beside a PPO modelled on PureJaxRL, on the same GPU.

Environments, steps, epochs, minibatches and networks are equal; ours pays by a spec, which the peer does not. The peer
runs in `.venv-bench` in a process of its own, which sleeps while ours trains. Both are timed by the wall clock, to the
end of the device's work, and neither's compiling counts.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.speed.method import Result, absent, ratios
from benchmarks.speed.pycrm import PYTHON, ROOT

ENVS, STEPS, EPOCHS, MINIBATCHES, HIDDEN = 16_384, 32, 4, 4, 64
GOAL = 3
UPDATES = 10
"""Updates of the peer's in a block."""

CHECK = "import flax, gymnax, optax, jax; print(jax.default_backend())"


def why_not() -> str | None:
    """Return why the peer cannot run on a GPU here; None where it can."""
    if not PYTHON.exists():
        return "unmeasured: the peers are not installed (`--install-peers`)"
    done = subprocess.run([PYTHON, "-W", "ignore", "-c", CHECK], capture_output=True, text=True, timeout=120)
    if done.returncode:
        return (
            f"unmeasured: jax, flax, optax or gymnax is missing: {done.stderr.strip().splitlines()[-1][:80]}"
        )
    found = done.stdout.strip()
    return (
        None if found == "gpu" else f"unmeasured: jax sees no GPU, only '{found}' (`pip install jax[cuda12]`)"
    )


def measure(ours: Callable[[], list[float]]) -> Iterator[Result]:
    """Measure both; where the peer has no GPU, give one line that says why.

    Args:
        ours: Trains ours for a while at `ENVS` environments and `STEPS` steps; millions of steps a second, per round.
    """
    what = "PPO, N = 16,384, T = 32: ours captured / JAX's (modelled on PureJaxRL)"
    reason = why_not()
    if reason is not None:
        yield absent("G7", what, reason)
        return
    mine = ours()
    with peer(ENVS, STEPS) as train:
        theirs = [train() for _ in mine]
    yield Result.of("JAX's PPO (modelled on PureJaxRL), N = 16,384, T = 32", "M/s", theirs, None, "high")
    yield Result.of(what, "x", ratios(mine, theirs), GOAL, "high", code="G7")


@contextmanager
def peer(
    envs: int, steps: int, updates: int = UPDATES, platform: str = "cuda"
) -> Iterator[Callable[[], float]]:
    """Start the peer; give a function that trains a block and returns millions of environment steps a second."""
    arguments: dict[str, Any] = {
        "n_envs": envs, "n_steps": steps, "batch_size": envs * steps // MINIBATCHES, "n_epochs": EPOCHS,
        "hidden": HIDDEN, "learning_rate": 1e-3, "gamma": 0.99, "gae_lambda": 0.95, "clip_range": 0.2,
        "vf_coef": 0.5, "ent_coef": 0.01, "max_grad_norm": 0.5, "seed": 0, "updates": updates, "clock": "wall",
    }  # fmt: skip
    # Without preallocation: this process holds memory of the device, too.
    environ = {**os.environ, "JAX_PLATFORMS": platform, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    process = subprocess.Popen(
        [PYTHON, "-m", "benchmarks.speed.peers.ppo_jax", json.dumps(arguments)],
        cwd=ROOT, env=environ, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def train() -> float:
        print(updates, file=stdin, flush=True)
        rate: float = json.loads(stdout.readline())[0]
        return rate / 1e6

    try:
        stdout.readline()  # compiled, and a first block trained
        yield train
    finally:
        stdin.close()
        process.wait(timeout=60)
