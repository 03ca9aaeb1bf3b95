"""Print docs/errors.md: `python -m rewardspec.codes > docs/errors.md`."""

from __future__ import annotations

import sys

from rewardspec.codes.pages import document

if __name__ == "__main__":
    sys.stdout.write(document())
