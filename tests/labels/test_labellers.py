"""The list of labellers, and what they promise together."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rewardspec.errors import SpecError
from rewardspec.labels import LABELLERS, load_labeller


@pytest.mark.parametrize("name", LABELLERS)
def test_a_labeller_offers_the_three_functions(name: str) -> None:
    labeller = load_labeller(name)
    patterns = [pattern for pattern, _ in labeller.describe()]
    assert len(patterns) == len(set(patterns)) > 0
    plain = [pattern for pattern in patterns if "<" not in pattern]
    assert all(labeller.check(pattern) is None for pattern in plain)
    assert labeller.check("no such label")
    assert callable(labeller.bind)


def test_an_unknown_labeller_is_refused_with_a_near_miss() -> None:
    with pytest.raises(SpecError) as caught:
        load_labeller("minigird")
    problem = caught.value.problems[0]
    assert (problem.code, problem.message) == ("unknown-labeller", "unknown labeller 'minigird'")
    assert problem.hints == ("there are: environment, minigrid, minihack. Did you mean 'minigrid'?",)


def test_checking_a_name_loads_no_environment_package() -> None:
    """A spec is checked where MiniGrid and NetHack are not installed."""
    program = (
        "import sys\n"
        "from rewardspec.labels import LABELLERS, load_labeller\n"
        "for name in LABELLERS: load_labeller(name).check('carrying_key'), load_labeller(name).describe()\n"
        "print([m for m in ('minigrid', 'minihack', 'nle', 'gymnasium') if m in sys.modules])\n"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"
