"""What models write when they are asked for truth values, and what it is read as. Nothing of it is evaluated."""

from __future__ import annotations

import builtins
import time

import pytest

from rewardspec.llm.answers import read_answer, read_list

KEY, DOOR = "pick up the key", "open the door"
ASKED = (KEY, DOOR)
NONE, K, D, BOTH = (
    {KEY: k, DOOR: d} for k, d in ((False, False), (True, False), (False, True), (True, True))
)

RAMBLING = "The agent walks about. " * 900
"""Some 20,000 characters."""

SHAPES: dict[str, tuple[str, dict[str, bool] | None]] = {
    # What was asked for.
    "json": ('{"pick up the key": true, "open the door": false}', K),
    "json, other order": ('{"open the door": true, "pick up the key": false}', D),
    "json, both": ('{"pick up the key": true, "open the door": true}', BOTH),
    "json over lines": ('{\n  "pick up the key": false,\n  "open the door": true\n}', D),
    "fenced json": ('```json\n{"pick up the key": true, "open the door": false}\n```', K),
    "fenced, not closed": ('```json\n{"pick up the key": true, "open the door": false}', K),
    "blanks around": ('\n\n  {"pick up the key": true, "open the door": false}  \n', K),
    # Python in place of JSON: the paper asks for it.
    "python": ("{'pick up the key': True, 'open the door': False}", K),
    "fenced python": ("```python\n{'pick up the key': False, 'open the door': True}\n```", D),
    "single quotes, JSON's words": ("{'pick up the key': true, 'open the door': false}", K),
    "double quotes, Python's words": ('{"pick up the key": True, "open the door": False}', K),
    "trailing comma": ('{"pick up the key": True, "open the door": False,}', K),
    "none": ("{'pick up the key': None, 'open the door': True}", D),
    "null": ('{"pick up the key": null, "open the door": true}', D),
    "assigned": ("subgoals = {'pick up the key': True, 'open the door': False}", K),
    # Times, as in the paper's formats.
    "times": ('{"pick up the key": 1, "open the door": 0}', K),
    "time 0 is no": ("{'pick up the key': 0, 'open the door': 0}", NONE),
    "times in lists": ("{'pick up the key': [1], 'open the door': []}", K),
    "several times": ("{'pick up the key': [0, 1], 'open the door': [0]}", K),
    "times as numbers with a point": ('{"pick up the key": 1.0, "open the door": 0.0}', K),
    # Words for truth.
    "yes and no": ('{"pick up the key": "yes", "open the door": "no"}', K),
    "bare yes and no": ("{'pick up the key': yes, 'open the door': no}", K),
    "truth as text": ('{"pick up the key": "True", "open the door": "false"}', K),
    "achieved": ('{"pick up the key": "achieved", "open the door": "not achieved"}', K),
    # Keys and values swapped.
    "swapped": ('{"true": "open the door", "false": "pick up the key"}', D),
    "swapped, a list": ("{True: ['open the door', 'pick up the key']}", BOTH),
    "swapped, python": ("{True: 'pick up the key'}", K),
    # Names that are nearly right.
    "capitals": ('{"Pick up the key": true, "Open the door": false}', K),
    "numbered": ('{"1. pick up the key": true, "2. open the door": false}', K),
    "by number": ('{"1": true, "2": false}', K),
    "called subgoals": ('{"subgoal 1": false, "subgoal 2": true}', D),
    "with a stop": ('{"pick up the key.": true, "open the door.": false}', K),
    "one left out": ('{"open the door": true}', D),
    "one too many": ('{"pick up the key": true, "reach the stairs": true}', K),
    # Prose around it.
    "prose before": ('The message says so: {"pick up the key": true, "open the door": false}', K),
    "prose after": ('{"pick up the key": true, "open the door": false}\nI hope this helps!', K),
    "braces in the prose": ('The set {x} is empty. {"pick up the key": true, "open the door": false}', K),
    "braces after it": ('{"pick up the key": true, "open the door": false} as in {format}', K),
    "two answers": ('{"pick up the key": true, "open the door": false}\nNo: {"pick up the key": false, "open the door": true}', D),  # noqa: E501
    "inside another": ('{"answer": {"pick up the key": true, "open the door": false}}', K),
    "twenty thousand characters": (RAMBLING + '{"pick up the key": true, "open the door": false}' + RAMBLING, K),
    # Lists and lines.
    "a list of those reached": ('["open the door"]', D),
    "a list of both": ("['pick up the key', 'open the door']", BOTH),
    "lines": ("pick up the key: yes\nopen the door: no", K),
    "a list in markdown": ("- **pick up the key**: True\n- **open the door**: False", K),
    "numbered lines": ("1. Pick up the key: false\n2. Open the door: true", D),
    # Nothing reached.
    "empty": ("{}", NONE),
    "empty, fenced": ("```python\n{}\n```", NONE),
    "empty list": ("[]", NONE),
    # Nothing said.
    "nothing": ("", None),
    "a fence alone": ("```", None),
    "prose alone": ("I cannot tell what happened.", None),
    "other names": ('{"kill the newt": true}', None),
    "other list": ('["kill the newt"]', None),
    "cut off": ('{"pick up the key": tr', None),
    "not a truth value": ('{"pick up the key": "perhaps", "open the door": "maybe"}', None),
    "rambling": (RAMBLING, None),
    "code": ("{'pick up the key': __import__('os').system('true')}", None),
    "a call": ("{'pick up the key': bool(1)}", None),
    "a comprehension": ("{g: True for g in ('pick up the key',)}", None),
    "an f-string": ("{'pick up the key': f'{1}'}", None),
    "deep": ("{'pick up the key': " + "[" * 3000 + "]" * 3000 + "}", None),
    "signs": ("{'pick up the key': " + "-" * 5000 + "1}", None),
    "a long number": ("{'pick up the key': " + "9" * 7000 + "}", None),
    "a power": ("{'pick up the key': 9 ** 9 ** 9}", None),
}  # fmt: skip


def test_the_corpus_is_large_enough() -> None:
    assert len(SHAPES) >= 40


@pytest.mark.parametrize(("text", "means"), SHAPES.values(), ids=SHAPES)
def test_an_answer_is_read(text: str, means: dict[str, bool] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object, **kwargs: object) -> object:
        raise AssertionError("a model's text was evaluated")

    monkeypatch.setattr(builtins, "eval", never)
    monkeypatch.setattr(builtins, "exec", never)
    assert read_answer(text, ASKED) == means


@pytest.mark.parametrize(
    "mark", ["{", "[", "'", "\n", " ", "- ", ":", "{'a': [", '"' + "\\" * 3, "true ", "=\n"]
)
def test_no_text_takes_long_to_read(mark: str) -> None:
    began = time.process_time()
    read_answer(mark * 100_000, ASKED)
    read_list(mark * 100_000, 6)
    assert time.process_time() - began < 5.0  # quadratic reading takes minutes


def test_a_proposed_list_is_cleaned() -> None:
    said = (
        '```json\n["Pick up the key", "  open   the door ", "pick up the key", "a\\nb", "", "'
        + "x" * 300
        + '"]\n```'
    )
    assert read_list(said, 6) == ["Pick up the key", "open the door", "a b"]
    assert read_list('["a", "b", "c"]', 2) == ["a", "b"]
    for nothing in ("", "[]", '{"a": 1}', "[1, 2]", "no list"):
        assert read_list(nothing, 6) is None
