"""`formalisms`: the list, the answer for a pair, and where a spec stands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run


def test_all_are_listed_with_the_steps_of_the_diagram(run: Run) -> None:
    result = run("formalisms")
    assert result.exit_code == 0
    assert result.stdout.count(" -> ") == 13
    assert len(json.loads(run("formalisms", "--json").stdout)["formalisms"]) == 17


def test_a_pair_is_answered_with_a_conversion_or_a_counterexample(run: Run) -> None:
    assert run("formalisms", "--pair", "mr", "rm").stdout == (
        "yes: reward machines (RM) can express whatever Markov rewards (MR) can\n"
        "   by way of MR -> RM\n"
        "   a machine with one state pays R\n"
    )
    assert run("formalisms", "--pair", "RM", "MR").stdout.startswith(
        "no: reward machines (RM) can express what Markov rewards (MR) cannot\n"
        "   what is good now depends on what was done before (W1: "
    )
    assert "Did you mean 'RRL'" in " ".join(run("formalisms", "--pair", "RRLL", "MR").stderr.split())


@pytest.mark.parametrize(
    ("reward", "group"),
    [
        ("reward", "MR"),
        ("{markov: reward, weight: 2}", "MR"),
        ("{ltl: F(a & X F a)}", "RM"),
        ("{once: a}", "RM"),
        ("{gate: reward, when: a, known: end, timing: relabel}", "FTR"),
        ("{normalise: reward}", "MR"),
    ],
)
def test_a_spec_is_placed_by_what_it_remembers(run: Run, tmp_path: Path, reward: str, group: str) -> None:
    (tmp_path / "s.yaml").write_text(f"propositions: {{a: reward > 0}}\nreward: {reward}\n")
    data = json.loads(run("formalisms", "s.yaml", "--json").stdout)
    assert data["group"] == group
    assert bool(data["caveat"]) == ("normalise" in reward)
    assert data["cannot_say"], "nothing but orders of policies says everything"


def test_the_diagram_is_drawn_with_the_spec_in_it(run: Run, office: Path, tmp_path: Path) -> None:
    assert "reward machines (RM)" in run("formalisms", office, "-o", "diagram.svg").stdout
    drawn = (tmp_path / "diagram.svg").read_text()
    assert "INMR = IMORL = FTR" in drawn and "#fde68a" in drawn
