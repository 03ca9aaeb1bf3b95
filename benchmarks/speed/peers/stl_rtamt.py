"""rtamt's online monitor of signal temporal logic, in a process of its own: nanoseconds per step, one a round.

.venv-bench/bin/python -m benchmarks.speed.peers.stl_rtamt FORMULA ROUNDS SECONDS
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
import rtamt


def monitor(formula: str) -> Any:
    """Return a monitor of a formula over x and y that is paid h steps late."""
    spec = rtamt.StlDiscreteTimeSpecification()
    for name in ("x", "y"):
        spec.declare_var(name, "float")
    spec.spec = formula
    spec.parse()
    spec.pastify()
    return spec


def main(formula: str, rounds: int, seconds: float) -> None:
    """Print the times."""
    spec = monitor(formula)
    values = np.random.default_rng(0).uniform(-1, 1, (4096, 2)).tolist()
    at, found = 0, []
    for _ in range(rounds + 1):
        steps, began = 0, time.thread_time_ns()
        while time.thread_time_ns() - began < seconds * 1e9:
            for _ in range(20):
                x, y = values[at & 4095]
                spec.update(at, [("x", x), ("y", y)])
                at += 1
            steps += 20
        found.append((time.thread_time_ns() - began) / steps)
    print(json.dumps(found[1:]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
