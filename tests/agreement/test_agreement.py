"""Every kind and operator on every backend pays what the oracle pays, on drawn specs and traces."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.agreement.agreement import check_agreement
from tests.agreement.worlds import specs

PARTS = 8
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0")) or 2000 // PARTS


@pytest.mark.parametrize("part", range(PARTS))
def test_backends_agree_with_the_oracle(part: int) -> None:
    @seed(int(os.environ.get("FUZZ_SEED", "0")) * PARTS + part)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(specs(), st.integers(0, 10**6))
    def agree(data: dict[str, Any], trace: int) -> None:
        check_agreement(data, trace)

    agree()
