"""Commands that learn: `train` and `watch`."""

from __future__ import annotations
