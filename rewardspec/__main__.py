"""`python -m rewardspec` is the command `rewardspec`."""

from __future__ import annotations

from rewardspec.cli import main

if __name__ == "__main__":
    main()
