"""`python -m benchmarks NAME [options]`: run one of the benchmarks."""

from __future__ import annotations

import sys

from benchmarks.speed.__main__ import main as speed

BENCHMARKS = {"speed": speed}


def main(arguments: list[str]) -> int:
    """Run the benchmark that the first argument names."""
    if not arguments or arguments[0] not in BENCHMARKS:
        print(f"usage: python -m benchmarks {{{','.join(BENCHMARKS)}}} [--help]", file=sys.stderr)
        return 2
    return BENCHMARKS[arguments[0]](arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
