"""The yardstick in one command: what a spec is worth, the way there, and where two specs part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from agents import value_iteration
from agents.value_iteration import Args, main, run_command
from rewardspec.errors import RewardSpecError

SPECS = Path("examples/specs")


def told(args: Args) -> str:
    console = Console(record=True, width=200, quiet=False)
    with console.capture() as captured:
        main(args, console)
    return captured.get()


def test_it_says_what_a_spec_is_worth_and_the_way_there(tmp_path: Path) -> None:
    text = told(Args(SPECS / "office_coffee.yaml", json=tmp_path / "out.json"))
    assert "0.228768" in text, "0.9 ** 14"
    assert [line.split()[1] for line in text.splitlines() if line.startswith(("│ 12 ", "│ 15 "))] == [
        "12",
        "15",
    ]
    facts = json.loads((tmp_path / "out.json").read_text())["specs"][0]
    assert facts["length"] == pytest.approx(15)


def test_it_says_where_two_specs_part_and_when_they_do_not(tmp_path: Path) -> None:
    both, mail = SPECS / "office_both.yaml", SPECS / "office_mail.yaml"
    assert "part after 11 steps" in told(Args(both, against=mail))
    scaled = tmp_path / "scaled.yaml"
    scaled.write_text(mail.read_text().replace("reward: 1", "reward: 5").split("tests:")[0])
    assert "have the same optimal policies" in told(Args(mail, against=scaled))


def test_another_discount_and_a_world_without_a_table_are_refused() -> None:
    for args, code in (
        (Args(SPECS / "office_mail.yaml", gamma=0.5), "discount-mismatch"),
        (Args(SPECS / "pendulum.yaml"), "not-tabular"),
        (Args(SPECS / "office_mail.yaml", epsilon=1.5), "wrong-setting"),
    ):
        with pytest.raises(RewardSpecError) as caught:
            main(args, Console(quiet=True))
        assert caught.value.problems[0].code == code


def test_an_interrupt_and_a_mistake_end_in_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--spec", str(SPECS / "office_mail.yaml")]
    assert run_command([*words, "--gamma", "0.5"]) == 1
    assert "[discount-mismatch]" in capsys.readouterr().err

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(value_iteration, "solved", interrupted)
    assert run_command(words) == 130
    assert capsys.readouterr() == ("", "stopped\n")
