"""`python -m benchmarks`: what is learnt, by how much, at what cost; and how fast it is."""

from __future__ import annotations

import os
import sys

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # the work is parallel over cells; read when the libraries load


def main(arguments: list[str]) -> int:
    """Run the command that the first argument names."""
    if arguments[:1] == ["speed"]:
        from benchmarks.speed.__main__ import main as speed

        return speed(arguments[1:])
    from benchmarks.commands import main as run

    try:
        return run(arguments)
    except KeyboardInterrupt:
        print("stopped; `python -m benchmarks resume` goes on where it was", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
