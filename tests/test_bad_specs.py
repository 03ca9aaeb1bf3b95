"""Bad specs with the whole message that each one gets, byte for byte: it is part of the product.

Each `tests/bad_specs/<code>[-variant].yaml` has its message beside it, in a `.txt` of the same name. After a
change of wording, `python -m tests.test_bad_specs` writes the messages anew; read them as a user would.
"""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path

import pytest

from rewardspec.analysis.pages import NOT_A_SPEC, NOT_RUN, provoke
from rewardspec.codes import CODES
from rewardspec.errors import Problem, SpecError, render_problems
from rewardspec.spec.text import read_text

FOLDER = Path(__file__).parent / "bad_specs"
SPECS = sorted(FOLDER.glob("*.yaml"))


def code_of(path: Path) -> str:
    """Return the code that a file is named after: the longest one that its name begins with."""
    fitting = [code for code in CODES if path.stem == code or path.stem.startswith(f"{code}-")]
    return max(fitting, key=len, default="several")


def message(path: Path) -> str:
    """Return what a user reads: the errors, or the findings of the code that the file is named after."""
    data = path.read_bytes()
    try:
        text = data.decode()
    except UnicodeDecodeError:
        with pytest.raises(SpecError) as caught:
            read_text(data, path.name)
        return f"{caught.value}\n"
    return render_problems(relevant(provoke(text, path.name), code_of(path))) + "\n"


def relevant(problems: tuple[Problem, ...], code: str) -> list[Problem]:
    """Return all problems where they are errors of a stage, else those with the code."""
    is_lint = code in CODES and CODES[code].severity != "error"
    of_code = [problem for problem in problems if problem.code == code]
    return of_code if is_lint or any(p.severity != "error" for p in problems) else list(problems)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_bad_spec_gets_this_message(path: Path) -> None:
    assert message(path) == path.with_suffix(".txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_message_has_the_code_that_its_file_is_named_after(path: Path) -> None:
    code = code_of(path)
    text = path.with_suffix(".txt").read_text(encoding="utf-8")
    assert code == "several" or f"[{code}]" in text


def codes_that_a_spec_can_trip() -> set[str]:
    return {c for c, e in CODES.items() if c not in NOT_A_SPEC and not e.example.startswith(NOT_RUN)}


def test_every_code_that_a_spec_can_trip_has_a_bad_spec() -> None:
    missing = codes_that_a_spec_can_trip() - {code_of(path) for path in SPECS}
    assert not missing, "run: python -m tests.test_bad_specs"
    assert len(SPECS) >= 60


def test_every_expected_message_has_its_spec() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == {path.stem for path in SPECS}


PYDANTICS_WORDS = re.compile(
    r"pydantic|validation error|input should|field required|extra inputs|input_type|type=|literal\[|"
    r"errors\.pydantic\.dev|valid (string|number|integer|dictionary|tuple)",
    re.IGNORECASE,
)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_no_word_of_pydantic_reaches_a_user(path: Path) -> None:
    assert not PYDANTICS_WORDS.search(path.with_suffix(".txt").read_text(encoding="utf-8"))


def write_messages() -> None:
    """Write the message of every bad spec beside it; a code without a bad spec gets its example."""
    warnings.simplefilter("ignore")
    for code in codes_that_a_spec_can_trip() - {code_of(path) for path in SPECS}:
        (FOLDER / f"{code}.yaml").write_text(CODES[code].example, encoding="utf-8")
    for path in sorted(FOLDER.glob("*.yaml")):
        path.with_suffix(".txt").write_text(message(path), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(write_messages())
