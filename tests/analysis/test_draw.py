"""Pictures show every state and edge, can be lit by a page, and hold nothing that a name smuggled in."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from rewardspec.analysis import dot, graphviz
from rewardspec.analysis.dot import MAX_EDGES, MAX_MACHINES, MAX_STATES, Lit
from rewardspec.analysis.draw import draw_png, draw_svg, machine_dot, program_dot
from rewardspec.compiler import compile_spec
from rewardspec.errors import MissingExtraError, UnsupportedError
from rewardspec.ir import expr as ir
from rewardspec.ir.program import Edge, Machine, Program, Term
from rewardspec.vocabulary import loads

SVG = "{http://www.w3.org/2000/svg}"

DOOR = Machine(
    name="door",
    propositions=("key", "push"),
    states=("shut", "ajar", "open"),
    start=0,
    edges=(
        (Edge(0b11, 0b01, 1, 1), Edge(0b11, 0b11, 1, 1), Edge(0b11, 0b10, 0, 2)),
        (Edge(0b10, 0b10, 2, 3),),
        (),
    ),
    payments=(ir.ZERO, ir.Const(0.1), ir.Const(-1.0), ir.Field("reward")),
    terminal=frozenset({2}),
)

FORMULAS = """
rewardspec: 1
name: formulas
propositions: {a: label.a, b: label.b, c: label.c}
reward:
  - ltl: F(a & X F b) & G !c
    name: errand
  - ltl: F a
"""


def groups(svg: str) -> dict[str, ElementTree.Element]:
    """Return the groups of a picture by id."""
    root = ElementTree.fromstring(svg)
    return {str(group.get("id")): group for group in root.iter(f"{SVG}g")}


def words(group: ElementTree.Element) -> str:
    """Return the text that is written in a group, a line per label line."""
    return "\n".join((text.text or "").strip() for text in group.iter(f"{SVG}text"))


def test_every_state_and_edge_has_an_id_and_its_words() -> None:
    found = groups(draw_svg(DOOR))
    assert words(found["m0-u0"]) == "shut"
    assert words(found["m0-u2"]) == "open"
    assert words(found["m0-u0-u1"]) == "key / +0.1", "the two cubes are one guard on one arrow"
    assert words(found["m0-u0-u0"]) == "not key and push / -1", "a loop is drawn like any edge"
    assert words(found["m0-u1-u2"]) == "push / reward"
    assert sum("u" in name and name.startswith("m0-") for name in found) == 6
    titles = [title.text for title in found["m0-u2"].iter(f"{SVG}title")]
    assert titles == ["open (terminal)"]


def test_a_loop_is_an_arrow_outside_its_state() -> None:
    found = groups(draw_svg(DOOR))
    state = next(found["m0-u0"].iter(f"{SVG}path"))
    loop = next(found["m0-u0-u0"].iter(f"{SVG}path"))
    top = min(float(pair.split(",")[1]) for pair in _points(state))
    assert min(float(pair.split(",")[1]) for pair in _points(loop)) < top - 10


def _points(path: ElementTree.Element) -> list[str]:
    return str(path.get("d")).replace("M", " ").replace("C", " ").split()


def test_terminal_and_accepting_states_look_different() -> None:
    program = compile_spec(loads(FORMULAS))
    svg = draw_svg(program)
    found = groups(svg)
    number = {machine.name: i for i, machine in enumerate(program.machines)}
    machine = program.machine("ltl")
    accepting = next(iter(machine.accepting))
    group = found[f"m{number['ltl']}-u{accepting}"]
    assert len(list(group.iter(f"{SVG}ellipse"))) == 2, "an accepting state is a double circle"
    assert next(group.iter(f"{SVG}ellipse")).get("fill") == dot.GREEN, "satisfied for good"
    plain = found[f"m{number['ltl']}-u{machine.start}"]
    assert len(list(plain.iter(f"{SVG}ellipse"))) == 1
    terminal = groups(draw_svg(DOOR))["m0-u2"]
    assert next(terminal.iter(f"{SVG}path")).get("fill") == dot.GREY
    assert "terminal" in str(terminal.get("class")).split()
    assert dot.RED in svg, "`G !c` can be violated for good"


def test_all_machines_of_a_program_are_on_one_picture_with_their_names() -> None:
    program = compile_spec(loads(FORMULAS))
    found = groups(draw_svg(program))
    for i, machine in enumerate(program.machines):
        assert words(found[f"m{i}"]).splitlines()[0] == machine.name
        for state in range(len(machine.states)):
            assert f"m{i}-u{state}" in found
    heights = [
        float(next(found[f"m{i}"].iter(f"{SVG}text")).get("y", "")) for i in range(len(program.machines))
    ]
    assert heights == sorted(heights), "in the program's order, the first on top"


def test_a_state_and_the_edge_to_it_can_be_lit() -> None:
    found = groups(draw_svg(DOOR, Lit(1, before=0)))
    lit = {name for name, group in found.items() if "lit" in str(group.get("class")).split()}
    assert lit == {"m0-u1", "m0-u0-u1"}
    assert next(found["m0-u1"].iter(f"{SVG}path")).get("fill") == dot.LIT
    assert "step lit" not in machine_dot(DOOR, Lit(1)), "no edge, where it is not known which was taken"
    assert machine_dot(DOOR, 1) == machine_dot(DOOR, "ajar") == machine_dot(DOOR, Lit(1))
    program = Program("p", None, (), (DOOR,), (), (), (), ())
    assert 'class="state lit"' in program_dot(program, {"door": "ajar"})


@pytest.mark.parametrize("current", ["missing", 3, -1, Lit(0, before=7)])
def test_a_state_that_is_not_there_cannot_be_lit(current: Any) -> None:
    with pytest.raises(ValueError, match="door"):
        machine_dot(DOOR, current)


def test_a_picture_fits_into_a_page() -> None:
    svg = draw_svg(DOOR)
    assert svg.startswith("<svg ") and "<!--" not in svg and "<?xml" not in svg
    assert "<a " not in svg, "a picture holds no links"
    background = next(ElementTree.fromstring(svg).iter(f"{SVG}polygon"))
    assert background.get("fill") == "white", "readable on a dark page too"


HOSTILE = [
    'x"]; evil [label="pwned',
    "back\\slash \\N \\G \\n",
    "<script>alert(1)</script>",
    "</svg><b>&amp;&lt;",
    "naïve λ 状態",
    "control\x1b[31m\x00\n\tend",
    "--> comment <!-- ",
    "{rank=same}",
    "percent %s {0}",
    "a" * 79,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_shown_and_never_read(name: str) -> None:
    machine = Machine(
        name, (name,), ("plain", name), 0, ((Edge(1, 1, 1),), ()), (ir.ZERO,), accepting=frozenset({1})
    )
    program = Program(name, None, (), (machine, machine), (), (), (), ())
    dot = program_dot(program)
    assert dot.isascii()
    svg = draw_svg(program)
    found = groups(svg)
    assert sum(identity.startswith(("m0-u", "m1-u")) for identity in found) == 6, "no more and no fewer parts"
    assert "<script" not in svg and "<b>" not in svg
    shown = "".join(c if c.isprintable() else "?" for c in name)
    expected = "".join(shown.split())
    written = "".join(words(found["m0-u1"]).split())
    assert written == expected or "..." in written
    hints = [title.text or "" for title in found["m0-u1"].iter(f"{SVG}title")]
    assert ["".join(hint.split()) for hint in hints] == [expected + "(accepting)"]
    assert draw_png(program).startswith(b"\x89PNG")


def test_a_long_guard_is_wrapped_and_keeps_its_payment() -> None:
    names = tuple(f"some_long_proposition_{i}" for i in range(20))
    edges = tuple(Edge((2 << i) - 1, 1 << i, 1, 1) for i in range(20))
    machine = Machine("wide", names, ("s", "t"), 0, (edges, ()), (ir.ZERO, ir.Const(2.5)))
    lines = words(groups(draw_svg(machine))["m0-u0-u1"]).splitlines()
    assert lines[0] == "some_long_proposition_0"
    assert lines[1] == "or some_long_proposition_1"
    assert lines[-2:] == ["...", "/ +2.5"]
    assert len(lines) <= dot.MAX_LINES and max(map(len, lines)) <= dot.LINE


def test_two_payments_between_the_same_states_are_two_lines_of_one_arrow() -> None:
    edges = ((Edge(0b11, 0b01, 1, 1), Edge(0b11, 0b10, 1, 0)), ())
    machine = Machine("m", ("a", "b"), ("s", "t"), 0, edges, (ir.ZERO, ir.Const(1.0)))
    assert words(groups(draw_svg(machine))["m0-u0-u1"]) == "a and not b / +1;\nnot a and b"


def chain(count: int) -> Machine:
    edges = tuple((Edge(0b1, 0b1, u + 1), Edge(0b11, 0b10, max(0, u - 5))) for u in range(count - 1))
    names = tuple(f"s{u}" for u in range(count))
    return Machine("chain", ("a", "b"), names, 0, (*edges, ()), (ir.ZERO,), frozenset({count - 1}))


def size_of(svg: str) -> tuple[float, float]:
    box = str(ElementTree.fromstring(svg).get("viewBox")).split()
    return float(box[2]), float(box[3])


def test_a_long_machine_is_folded_into_a_page() -> None:
    svg = draw_svg(chain(40))
    width, height = size_of(svg)
    assert 0.4 < width / height < 2.5, "and not one line of forty states"
    assert all(f"m0-u{state}" in groups(svg) for state in range(40))


def test_of_a_large_machine_the_nearest_states_are_drawn_and_the_others_counted() -> None:
    svg = draw_svg(chain(1000))
    found = groups(svg)
    assert "m0-u0" in found and f"m0-u{MAX_STATES - 1}" in found and f"m0-u{MAX_STATES}" not in found
    assert f"chain: {MAX_STATES} of 1000 states" in svg
    assert f"{1000 - MAX_STATES} more states" in svg
    assert "m0-u700" in groups(draw_svg(chain(1000), 700)), "the lit state is always drawn"


def test_of_a_dense_machine_fewer_states_are_drawn() -> None:
    edges = tuple(tuple(Edge(0b111111, label, label) for label in range(64)) for _ in range(64))
    names = tuple(f"p{i}" for i in range(6))
    machine = Machine("dense", names, tuple(f"s{u}" for u in range(64)), 0, edges, (ir.ZERO,))
    found = groups(draw_svg(machine))
    arrows = sum(name.count("-u") == 2 for name in found)
    assert MAX_EDGES / 2 < arrows <= MAX_EDGES


def test_of_very_many_machines_the_first_are_drawn() -> None:
    machines = tuple(
        Machine(f"f{i}", ("a",), ("s", "t"), 0, ((Edge(1, 1, 1),), ()), (ir.ZERO,)) for i in range(100)
    )
    svg = draw_svg(Program("many", None, (), machines, (), (), (), ()))
    assert f"m{MAX_MACHINES - 1}-u0" in groups(svg) and f"m{MAX_MACHINES}-u0" not in groups(svg)
    assert f"{100 - MAX_MACHINES} more machines are not drawn" in svg


def test_a_program_without_machines_says_so() -> None:
    program = Program("p", None, (), (), (), (), (Term("t", "markov", ir.ONE),), ())
    assert "this program has no machines" in draw_svg(program)


def test_a_picture_is_the_same_each_time() -> None:
    program = compile_spec(loads(FORMULAS))
    assert draw_svg(program) == draw_svg(program) and draw_png(program) == draw_png(program)


# -- when the layout program cannot -------------------------------------------------------------------


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphviz.Path, "is_file", lambda self: False)
    monkeypatch.setattr(graphviz.shutil, "which", lambda name: None)
    assert machine_dot(DOOR), "DOT text needs no package"
    with pytest.raises(MissingExtraError, match=r"graphviz-pure(.|\n)*rewardspec\[report\]"):
        draw_svg(DOOR)


def test_a_layout_that_does_not_end_is_an_error_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(command: list[str], **settings: Any) -> None:
        assert settings["timeout"] <= graphviz.SECONDS
        raise subprocess.TimeoutExpired(command, settings["timeout"])

    monkeypatch.setattr(graphviz.subprocess, "run", never)
    with pytest.raises(UnsupportedError, match="drawing-too-large") as caught:
        draw_svg(chain(60))
    assert "rewardspec show" in str(caught.value)


def test_where_one_layout_fails_a_simpler_one_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    run, tried = subprocess.run, []

    def fail_twice(command: list[str], **settings: Any) -> Any:
        tried.append(settings["input"].decode())
        done = run(command, **settings)
        done.returncode = 1 if len(tried) < 3 else 0
        return done

    monkeypatch.setattr(graphviz.subprocess, "run", fail_twice)
    found = groups(draw_svg(chain(40)))
    assert 'constraint="false"' in tried[0] and 'constraint="false"' not in tried[1]
    assert f"m0-u{dot.FEW_STATES - 1}" in found and f"m0-u{dot.FEW_STATES}" not in found
