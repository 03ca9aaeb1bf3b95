"""`audit`: the verdict, the exit code, the picture, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

LAKE = "name: {name}\ndiscount: 0.9\nenv: {{id: FrozenLake-v1, kwargs: {{is_slippery: false}}}}\nreward: {reward}\n"


@pytest.fixture
def lakes(tmp_path: Path) -> Path:
    """Write a good proxy and one whose optimum idles: standing near the start pays."""
    (tmp_path / "good.yaml").write_text(LAKE.format(name="good", reward="2 * reward"))
    idle = "[{markov: reward}, {markov: 0.2 if next_obs == 1 else 0, name: idle}]"
    (tmp_path / "idle.yaml").write_text(LAKE.format(name="idle", reward=idle))
    return tmp_path


def test_a_good_proxy_passes(run: Run, lakes: Path) -> None:
    result = run("audit", "good.yaml", "--reference", "true:0.3", "--divergence", "chi2")
    assert result.exit_code == 0
    assert result.stdout.startswith(
        "'good' is not hacked: its optimum is as good by 'environment' as can be.\n"
    )
    assert "chi2: at every strength that was tried, no worse than the reference" in result.stdout


def test_a_hacked_proxy_fails_and_says_where_it_breaks(run: Run, lakes: Path) -> None:
    result = run("audit", "idle.yaml", "--reference", "true:0.3", "-o", "curve.png")
    assert result.exit_code == 1
    assert result.stdout.startswith(
        "'idle' is hacked: its optimum earns less of 'environment' than the reference"
    )
    assert "root of chi2: turns bad between strength" in result.stdout
    assert (lakes / "curve.png").read_bytes().startswith(b"\x89PNG")
    data = json.loads(
        run("audit", "idle.yaml", "--reference", "true:0.3", "--divergence", "tv", "--json").stdout
    )
    assert data["hacked"] is True and data["proxy_optimum"]["true"] < data["reference"]["true"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--reference", "true"), 2, "is none of `uniform`"),
        (("--reference", "best:0.1"), 2, "is none of `uniform`"),
        (("--divergence", "chi"), 2, "Did you mean 'chi2'"),
        (("--env", "CartPole-v1"), 1, "not-tabular"),
        (("--true", "good.yaml", "--gamma", "0.5"), 1, "discount-mismatch"),
    ],
)
def test_what_cannot_be_audited_is_said(
    run: Run, lakes: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    result = run("audit", "good.yaml", *arguments)
    assert result.exit_code == code
    assert said in " ".join(result.stderr.split())
