"""False positives kill a linter: good specs are quiet at the level of warnings (so is the gallery, by its own test)."""

from __future__ import annotations

from pathlib import Path

import pytest

from rewardspec.analysis.check import check
from rewardspec.vocabulary import load

HERE = Path(__file__).parent
GOOD = sorted((HERE / "good_specs").glob("*.yaml"))


@pytest.mark.parametrize("path", GOOD, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_good_spec_is_quiet(path: Path) -> None:
    grave = [problem.render() for problem in check(load(path)) if problem.severity != "info"]
    assert not grave, "\n".join(grave)
