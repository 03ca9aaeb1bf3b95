"""The strict YAML reader: one reading for each text, a place for each value, an error for every trap."""

from __future__ import annotations

import string
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rewardspec.errors import SpecError
from rewardspec.spec import text as text_module
from rewardspec.spec.text import MAX_BYTES, MAX_DEPTH, dump_text, path_text, read_file, read_text
from rewardspec.vocabulary import load, loads

OFFICE = """\
rewardspec: 1
name: office-coffee
reward:
  - reward_machine:
      start: want
      edges:
        - {from: want, to: have, when: coffee and not broken, reward: 0.1}
        - {from: [want, have], to: lost, when: "brökén"}
  - markov: |  # a block of text

      -0.01 * abs(action)
    name: 'effort'
"""


def refusal(text: str | bytes) -> str:
    """Return the message with which a text is refused."""
    with pytest.raises(SpecError) as caught:
        read_text(text, "bad.yaml")
    return str(caught.value)


# What is read.


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1), ("-7", -7), ("+7", 7), ("0", 0), ("1e-3", 0.001), ("1E3", 1000.0), (".5", 0.5),
        ("1.", 1.0), ("-0.01", -0.01), ("1.e2", 100.0), ("'1'", "1"), ('"1e3"', "1e3"),
        ("true", True), ("True", True), ("FALSE", False), ("null", None), ("~", None), ("", None),
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("Off", "Off"), ("y", "y"), ("nan", "nan"),
        ("1.2.3", "1.2.3"), ("3 + 4", "3 + 4"), ("-x", "-x"), ("1-2", "1-2"), ("=", "="),
        ("0.5 * x", "0.5 * x"),
        ("F(a & X F b) & G !c", "F(a & X F b) & G !c"), ("next_obs.cell == 3", "next_obs.cell == 3"),
    ],
)  # fmt: skip
def test_plain_scalars_have_one_reading(text: str, value: object) -> None:
    read = read_text(f"a: {text}\n").value["a"]
    assert (read, type(read)) == (value, type(value))


def test_keys_are_texts_as_they_were_written() -> None:
    value = read_text("on: 1\nno: 2\n1: 3\n010: 4\ntrue: 5\nnull: 6\n1:30: 7\n").value
    assert value == {"on": 1, "no": 2, "1": 3, "010": 4, "true": 5, "null": 6, "1:30": 7}


def test_line_breaks_and_byte_order_marks_of_other_systems_are_accepted() -> None:
    document = read_text(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert document.value == {"a": 1, "b": 2}
    assert (document.place(("b",)).line, document.place(("b",)).column) == (2, 4)


# Where it stands.


@pytest.mark.parametrize(
    ("path", "line", "underlined"),
    [
        (("name",), 2, "office-coffee"),
        (("reward", 0), 4, "reward_machine"),
        (("reward", 0, "reward_machine", "edges", 0), 7, None),
        (("reward", 0, "reward_machine", "edges", 0, "when"), 7, "coffee and not broken"),
        (("reward", 0, "reward_machine", "edges", 0, "reward"), 7, "0.1"),
        (("reward", 0, "reward_machine", "edges", 1, "from"), 8, "[want, have]"),
        (("reward", 0, "reward_machine", "edges", 1, "from", 1), 8, "have"),
        (("reward", 0, "reward_machine", "edges", 1, "when"), 8, "brökén"),
        (("reward", 1, "markov"), 11, "-0.01 * abs(action)"),
        (("reward", 1, "name"), 12, "effort"),
    ],
)
def test_every_value_has_its_place(path: tuple[str | int, ...], line: int, underlined: str | None) -> None:
    document = read_text(OFFICE, "office.yaml")
    place = document.place(path)
    assert (place.file, place.line, place.path) == ("office.yaml", line, path_text(path))
    assert place.excerpt == OFFICE.splitlines()[line - 1]
    marked = place.excerpt[place.column - 1 : place.column - 1 + place.length]
    assert marked == (underlined or place.excerpt.strip().removeprefix("- "))
    assert document.places[path] == place


def test_keys_have_places_too() -> None:
    document = read_text(OFFICE)
    place = document.key_place(("reward", 0, "reward_machine", "edges", 1, "to"))
    assert (place.line, place.excerpt[place.column - 1 : place.column - 1 + place.length]) == (8, "to")
    assert document.key_places[("name",)] == document.key_place(("name",))
    assert ("reward", 0) not in document.key_places


def test_an_unknown_path_has_the_place_of_what_is_nearest_above() -> None:
    document = read_text(OFFICE)
    assert (
        document.place(("reward", 0, "reward_machine", "edges", 9, "when")).path
        == "reward[0].reward_machine.edges"
    )
    assert document.place(("nothing",)) == document.place()


def test_an_alias_stands_where_it_is_written_and_its_parts_where_they_are() -> None:
    document = read_text("a: &x {b: 1}\nc: *x\nd: &y\n  'e'\n")
    assert document.value == {"a": {"b": 1}, "c": {"b": 1}, "d": "e"}
    assert (document.place(("c",)).line, document.place(("c", "b")).line) == (2, 1)
    assert (document.place(("d",)).line, document.place(("d",)).column) == (4, 4)


@given(st.text(alphabet="ab \n\u00e9\U0001f600'\"#", max_size=30), st.integers(0, 3))
def test_the_place_of_a_text_is_its_first_character(value: str, before: int) -> None:
    text = "# é\U0001f600\n" * before + dump_text({"k\u00e9": [value, "end"]})
    document = read_text(text)
    place = document.place(("ké", 1))
    assert text.split("\n")[place.line - 1][place.column - 1 :].startswith("end")


# What is refused, with the whole message.

REFUSED = {
    "ambiguous-scalar": (
        "a: 010\nb: [1:30, 1_000]\n",
        """\
        bad.yaml:1:4: a: 010 may be read as a decimal or an octal number [ambiguous-scalar]
           1 | a: 010
             |    ^^^
           write '010' in quotes for the text, or 10 for the number
        bad.yaml:2:5: b[0]: 1:30 may be read as a time or a number in base 60 [ambiguous-scalar]
           2 | b: [1:30, 1_000]
             |     ^^^^
           write '1:30' in quotes for the text
        bad.yaml:2:11: b[1]: 1_000 may be read as a number or a text [ambiguous-scalar]
           2 | b: [1:30, 1_000]
             |           ^^^^^
           write '1_000' in quotes for the text, or 1000 for the number""",
    ),
    "control-character": (
        "a: b\x07\n",
        """\
        bad.yaml:1:5: the character U+0007 cannot be seen and does not belong here [control-character]
           1 | a: b\N{REPLACEMENT CHARACTER}
             |     ^
           remove it, or write it as '\\u0007' in double quotes""",
    ),
    "cut-by-comma": (
        "e:\n- {when: max(a, b)}\n",
        """\
        bad.yaml:2:10: e[0].when: 'max(a' looks like a piece of a text that YAML cut at a comma [cut-by-comma]
           2 | - {when: max(a, b)}
             |          ^^^^^
           inside [...] and {...} quote a text that holds a comma: {when: 'max(a, b) > 2'}""",
    ),
    "duplicate-key": (
        "discount: 0.9\nname: x\ndiscount: 0.95\n",
        """\
        bad.yaml:3:1: discount: the key 'discount' stands twice in this mapping [duplicate-key]
           3 | discount: 0.95
             | ^^^^^^^^
           first here, in line 1: discount: 0.9
           keep one of them; YAML would silently take the last""",
    ),
    "empty-document": (
        "# nothing but a comment\n",
        """\
        bad.yaml: the document is empty [empty-document]
           the least that a spec holds is its reward, as in 'reward: 1 - abs(next_obs[0])'""",
    ),
    "merge-key": (
        "a: &x {b: 1}\nc: {<<: *x}\n",
        """\
        bad.yaml:2:5: c: merge keys ('<<') are not part of the spec language [merge-key]
           2 | c: {<<: *x}
             |     ^^
           write the keys out: a reward that inherits in part is read wrongly too easily""",
    ),
    "non-finite-number": (
        "a: -.inf\n",
        """\
        bad.yaml:1:4: a: '-.inf' is not a finite number [non-finite-number]
           1 | a: -.inf
             |    ^^^^^
           numbers are finite and below 1.8e308; for 'no limit', leave the key out""",
    ),
    "non-string-key": (
        "[a, b]: 1\n",
        """\
        bad.yaml:1:1: a key must be a text; this is a list [non-string-key]
           1 | [a, b]: 1
             | ^^^^^^
           a key is a text, as in 'name: value'; quote a text that begins with '[', '{' or '*'""",
    ),
    "not-a-mapping": (
        "- markov: x\n",
        """\
        bad.yaml:1:1: a spec is a mapping of names to values; this is a list [not-a-mapping]
           1 | - markov: x
             | ^
           the least that a spec holds is its reward, as in 'reward: 1 - abs(next_obs[0])'""",
    ),
    "not-utf8": (
        b"a: 1\nb: caf\xe9\n",
        """\
        bad.yaml:2:7: the byte 0xe9 is not UTF-8 [not-utf8]
           save the file as UTF-8""",
    ),
    "recursive-alias": (
        "a: &x [1, *x]\n",
        """\
        bad.yaml:1:11: a[1]: '*x' stands inside the value that it repeats [recursive-alias]
           1 | a: &x [1, *x]
             |           ^^
           a spec is finite: write out the levels that you need""",
    ),
    "several-documents": (
        "a: 1\n---\nb: 2\n",
        """\
        bad.yaml:2:1: a second YAML document begins here [several-documents]
           2 | ---
             | ^^^
           one file holds one spec: put the other one into a file of its own""",
    ),
    "unknown-anchor": (
        "a: *b\n",
        """\
        bad.yaml:1:4: a: no anchor '&b' comes before this [unknown-anchor]
           1 | a: *b
             |    ^^
           a text that begins with '*' needs quotes: '*b'
           an alias comes after its anchor, as in 'a: &x 1' and then 'b: *x'""",
    ),
    "yaml-directive": (
        "%YAML 1.1\n---\na: 1\n",
        """\
        bad.yaml:1:1: YAML directives ('%...') are not part of the spec language [yaml-directive]
           1 | %YAML 1.1
             | ^
           leave the line out""",
    ),
    "yaml-syntax": (
        "name: a: b\n",
        """\
        bad.yaml:1:8: this is not YAML: mapping values are not allowed in this context [yaml-syntax]
           1 | name: a: b
             |        ^
           a text that holds ': ' needs quotes, as in name: 'a: b'""",
    ),
    "yaml-tag": (
        "when: !broken\nx: !!python/object/apply:os.system [ls]\n",
        """\
        bad.yaml:1:7: when: '!broken' is a YAML tag, and a spec has none [yaml-tag]
           1 | when: !broken
             |       ^^^^^^^
           a text that begins with '!' needs quotes: when: '!broken'; or write: when: not broken
        bad.yaml:2:4: x: '!!python/object/apply:os.system' is a YAML tag, and a spec has none [yaml-tag]
           2 | x: !!python/object/apply:os.system [ls]
             |    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
           a text that begins with '!' needs quotes: when: '!broken'; or write: when: not broken""",
    ),
}


def with_footer(code: str, message: str) -> str:
    return textwrap.dedent(message) + f"\n   `rewardspec explain {code}` shows an example and the fix."


@pytest.mark.parametrize("code", REFUSED)
def test_a_refusal_says_what_to_write_instead(code: str) -> None:
    text, message = REFUSED[code]
    assert refusal(text) == with_footer(code, message)


def test_deep_nesting_is_refused() -> None:
    deep = "a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert read_text(deep).value
    assert refusal("a: " + "[" * 5000).splitlines()[0] == (
        "bad.yaml:1:67: lists and mappings nest more than 64 levels deep [document-too-deep]"
    )
    chain = "a0: &a0 [1]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}]\n" for n in range(MAX_DEPTH))
    assert "[document-too-deep]" in refusal(chain)


def test_large_texts_and_large_expansions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal("a" * (MAX_BYTES + 1)) == with_footer(
        "document-too-large",
        """\
        bad.yaml: the text is larger than 8 MiB [document-too-large]
           split the spec, or generate what it enumerates from Python""",
    )
    laughs = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
        f"{new}: &{new} [{', '.join(['*' + old] * 10)}]\n"
        for old, new in zip(string.ascii_letters, string.ascii_letters[1:], strict=False)
    )
    expected = "g[0]: the document holds more than 2,000,000 values, aliases written out [document-too-large]"
    assert expected in refusal(laughs)
    monkeypatch.setattr(text_module, "MAX_NODES", 5)
    assert read_text("a: [1, 2]").value == {"a": [1, 2]}
    assert "[document-too-large]" in refusal("a: [1, 2, 3]")


def test_a_missing_file_names_one_that_is_nearly_the_same(tmp_path: Path) -> None:
    (tmp_path / "office.yaml").write_text("a: 1\n")
    assert read_file(tmp_path / "office.yaml").value == {"a": 1}
    missing = tmp_path / "ofice.yaml"
    with pytest.raises(SpecError) as caught:
        read_file(missing)
    assert str(caught.value) == with_footer(
        "unreadable-file",
        f"""\
        {missing}: cannot read the file: no such file or directory [unreadable-file]
           Did you mean 'office.yaml'?""",
    )
    with pytest.raises(SpecError) as alien:
        read_file(tmp_path / "none.yaml")
    assert "Did you mean" not in str(alien.value), "what is alike is the suffix"
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(SpecError, match=rf"a run, whose spec is {tmp_path / 'spec.yaml'}"):
        read_file(tmp_path)
    for path in (tmp_path, "nul\0", tmp_path / "no" / "such.yaml"):
        with pytest.raises(SpecError, match="unreadable-file"):
            read_file(path)


def test_text_where_a_path_belongs_and_the_other_way_round() -> None:
    with pytest.raises(SpecError, match=r"`rewardspec\.loads"):
        load("name: a\nreward: 1")
    with pytest.raises(SpecError, match="`loads` reads YAML text, and this is a dict"):
        loads({"reward": 1})  # type: ignore[arg-type]


def test_problems_are_collected_and_bounded() -> None:
    with pytest.raises(SpecError) as caught:
        read_text("a: 010\na: !x 1\nb: .nan\nc: {d: 'x' y}\n")
    codes = [problem.code for problem in caught.value.problems]
    assert codes == ["ambiguous-scalar", "duplicate-key", "yaml-tag", "non-finite-number", "yaml-syntax"]
    with pytest.raises(SpecError) as caught:
        read_text("a: [" + "010, " * 100_000 + "]")
    assert len(caught.value.problems) == text_module.MAX_PROBLEMS
    assert len(str(caught.value)) < 3000


@pytest.mark.parametrize(
    "text",
    [
        "a: 0x1F",
        "a: 0o17",
        "a: 0b1",
        "a: -010",
        "a: 08.5",
        "a: 2024-01-01",
        "a: 12:30:45",
        "a: 1__0",
        "a: +1_0.5",
    ],
)
def test_every_ambiguous_form_is_refused_and_its_quoted_form_read(text: str) -> None:
    assert "[ambiguous-scalar]" in refusal(text)
    scalar = text.removeprefix("a: ")
    assert read_text(f"a: '{scalar}'").value == {"a": scalar}


@pytest.mark.parametrize(
    "text", ["a: .nan", "a: .INF", "a: 1e999", "a: -1e999", "a: " + "9" * 400, "a: " + "9" * 9999]
)
def test_numbers_are_finite(text: str) -> None:
    assert "[non-finite-number]" in refusal(text)


@pytest.mark.parametrize("text", ["a: [f(1, 2)]", "- {x}", "a: {b: 1, c > 2}", "a: {? b, c: 1}"])
def test_a_comma_that_cuts_a_text_is_seen(text: str) -> None:
    assert "[cut-by-comma]" in refusal("top:\n" + text if text.startswith("-") else text)


@pytest.mark.parametrize(
    ("text", "path", "written"),
    [
        ("a: {b: -abs(obs[2]), c: 1}", "a.b", 'b: "-abs(obs[2])"'),
        ("a: [1, obs[2]]", "a[1]", 'whole text: "obs[2]"'),
        ("a: {b: max(obs[0], info['x']) > 2}", "a.b", "b: \"max(obs[0], info['x']) > 2\""),
        ('a: {b: info["x"][0]}', "a.b", "b: 'info[\"x\"][0]'"),
        ("a: {b: max(obs[0],", "a.b", "quote the whole text"),
    ],
)
def test_a_bracket_that_cuts_a_text_is_seen_and_the_whole_is_shown(
    text: str, path: str, written: str
) -> None:
    told = refusal(text)
    assert f": {path}: " in told and "[cut-at-bracket]" in told and written in told
    assert "yaml-syntax" not in told and "cut-by-comma" not in told, "one cause, one message"


@pytest.mark.parametrize("text", ["a: {b: , c: 1}", "a: {'f(1, 2)': 1, b: '(', c: f(1)}", "a: f(1, (2"])
def test_commas_and_brackets_elsewhere_are_let_be(text: str) -> None:
    assert read_text(text).value


# What is written.

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.text(alphabet="019.:_-+eExo ~#&*!|>'\"%@`,[]{}()?\\=\n\tyn", max_size=8)
    | st.sampled_from(
        ["on", "off", "yes", "No", "null", "~", "true", "010", "1:30", "", " x", "x ", "a: b", "a #b"]
    )
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
)


@settings(max_examples=400)
@given(st.dictionaries(st.text(max_size=8), values, max_size=5))
@example({"a": "one\ntwo\n\n  three\n", "b": ["x\ny", "x\n\n", "\nx", " x\ny", "x\n \ny", "\n"]})
@example({"a": [[[[["deep"]]]], {}, [], [{}], [[]], {"b": {"c": {}}}]})
def test_what_is_written_is_read_back(value: dict[str, object]) -> None:
    assert read_text(dump_text(value)).value == value


def test_writing_is_made_for_readers() -> None:
    value = read_text(OFFICE).value
    assert dump_text(value) == (
        "rewardspec: 1\nname: office-coffee\nreward:\n  - reward_machine:\n      start: want\n      edges:\n"
        "        - {from: want, to: have, when: coffee and not broken, reward: 0.1}\n"
        '        - {from: [want, have], to: lost, when: "brökén"}\n'
        '  - markov: "\\n-0.01 * abs(action)\\n"\n    name: effort\n'
    )


@pytest.mark.parametrize(
    "value",
    [{"a": float("nan")}, {"a": 10**400}, {"a": object()}, {1: 2}, {"a": "\ud800"}, {"k" * 501: 1}, []],
)
def test_what_cannot_be_written_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"a number|plain data|a key|surrogate|the top"):
        dump_text(value)  # type: ignore[arg-type]


# Whatever is thrown at it.


def read_or_refuse(text: str | bytes) -> None:
    try:
        document = read_text(text)
    except SpecError as error:
        assert error.problems and all(problem.code for problem in error.problems)
        assert len(str(error)) < 10_000
    else:
        assert set(document.places) >= {()}
        read_text(dump_text(document.value))


@settings(max_examples=2000)
@given(st.text() | st.text(alphabet="ab:-?[]{},&*!|>'\"%@`#~<= \n\t0\\(.", max_size=60))
@example("a: *b")
@example("*a")
@example("&a\n- *a")
@example("? - a\n  - b\n: c")
@example("{? }")
@example("{: 1}")
@example("a: |\nb: 1")
def test_random_text_is_read_or_refused(text: str) -> None:
    read_or_refuse(text)


@settings(max_examples=1000)
@given(st.binary(max_size=80) | st.binary(max_size=40).map(lambda tail: b"a:\n  - " + tail))
def test_random_bytes_are_read_or_refused(data: bytes) -> None:
    read_or_refuse(data)


@settings(max_examples=1500)
@given(st.integers(0, len(OFFICE)), st.integers(0, 12), st.text(alphabet=string.printable, max_size=4))
def test_a_damaged_spec_is_read_or_refused(at: int, removed: int, added: str) -> None:
    read_or_refuse(OFFICE[:at] + added + OFFICE[at + removed :])


def test_bombs_end_within_256_mib() -> None:
    """Read hostile texts of 8 MiB in a process whose address space may grow by 256 MiB."""
    program = """
        import resource
        from rewardspec.errors import SpecError
        from rewardspec.spec.text import MAX_BYTES, read_text

        pieces = ["[],", "{a: },", "[", "010,", "1:1", "{a: "]
        read_text("a: 1")
        now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + 256 * 2**20,) * 2)
        for piece in pieces:
            text = "a: [" + piece * ((MAX_BYTES - 8) // len(piece)) + "]"
            try:
                read_text(text)
            except SpecError as error:
                assert len(str(error)) < 5000
            del text
        print("survived")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.stdout == "survived\n", done.stderr[-2000:]
