"""Settings of the test run: one thread, no window, reproducible examples.

`make test` runs Hypothesis with the profile `ci` (the same examples every time); `make fuzz` the same tests
with the profile `fuzz` (new examples every time, `FUZZ_EXAMPLES` of them where a test states no number).
"""

from __future__ import annotations

import os

# Read by libraries when they load, so these come before any of them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "fuzz",
    deadline=None,
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "2000")),
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip, with the reason, what needs a CUDA device, or real weights that nobody asked for or fetched."""
    for item in items:
        if item.get_closest_marker("live_llm") and (reason := no_weights(str(config.getoption("-m")))):
            item.add_marker(pytest.mark.skip(reason=reason))
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and not cuda_is_there():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def no_weights(asked: str) -> str:
    """Say why a test with real weights is skipped; nothing where it is not."""
    import importlib.util

    from rewardspec.llm.weights import weights_named

    if "live_llm" not in asked:
        return "asks a language model: `pytest -m live_llm`"
    if importlib.util.find_spec("xllamacpp") is None:
        return "NO RUNTIME: pip install 'rewardspec[local-llm]'"
    return "" if weights_named("smollm2").is_there else "NO WEIGHTS: rewardspec llm fetch smollm2"


def cuda_is_there() -> bool:
    """Say whether torch is installed and sees a CUDA device."""
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())
