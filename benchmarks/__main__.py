"""`python -m benchmarks list | run NAME | report NAME | speed`: learning experiments, and speed."""

from __future__ import annotations

import sys

COMMANDS = ("list", "run", "report", "speed")


def main(arguments: list[str]) -> int:
    """Run the command that the first argument names."""
    if not arguments or arguments[0] not in COMMANDS:
        print(f"usage: python -m benchmarks {{{','.join(COMMANDS)}}} [--help]", file=sys.stderr)
        return 2
    command, *rest = arguments
    if command == "speed":
        from benchmarks.speed.__main__ import main as speed

        return speed(rest)
    from benchmarks.runner import main as run

    return run(command, rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
