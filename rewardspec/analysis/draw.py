"""Pictures of machines: DOT text, and SVG and PNG through the program `graphviz-pure`.

Every state and edge of a picture has an id that a page can address: machine i is `m{i}`, its state u is
`m{i}-u{u}`, its edge from u to v is `m{i}-u{u}-u{v}`. Adding the class `lit` to them, with `LIT_CSS` in the
page, shows the state that a machine is in and the edge that it took.

`dot.py` writes the text, `graphviz.py` has it laid out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

from rewardspec.analysis.dot import FEW_STATES, LIT, MAX_STATES, Drawing, Lit, head, quoted, to_dot
from rewardspec.analysis.graphviz import SECONDS, lay_out, tidy
from rewardspec.errors import Problem, UnsupportedError
from rewardspec.ir.program import Machine, Program

LIT_CSS = """\
.machine .state.lit > path, .machine .state.lit > ellipse { stroke: #b45309; stroke-width: 2.5; }
.machine .state.lit > path:not([fill=none]), .machine .state.lit > ellipse:not([fill=none]) { fill: #fde68a; }
.machine .step.lit > path { stroke: #b45309; stroke-width: 3; }
.machine .step.lit > polygon { fill: #b45309; stroke: #b45309; }
.machine .step.lit text { fill: #92400e; font-weight: bold; }
"""
"""Style of the states and edges that carry the class `lit`."""


Current: TypeAlias = "int | str | Lit | None"
"""What to light of a machine: a state's number or name, or a state with the edge that led to it."""


def machine_dot(machine: Machine, current: Current = None) -> str:
    """Return one machine as DOT text.

    Args:
        machine: The machine.
        current: Number or name of the state to light, or a `Lit` with the edge that led to it.

    Raises:
        ValueError: The machine has no such state.

    Example:
        >>> from rewardspec.ir.expr import ZERO
        >>> from rewardspec.ir.program import Edge
        >>> machine = Machine("m", ("a",), ("s", "t"), 0, ((Edge(1, 1, 1),), ()), (ZERO,))
        >>> print(machine_dot(machine))  # doctest: +ELLIPSIS
        digraph rewardspec {
        ...
        "m0-u0" -> "m0-u1" [id="m0-u0-u1" class="step" ... label=" a "];
        ...
    """
    return to_dot(_drawings(machine, current))


def program_dot(program: Program, current: Mapping[str, Current] | None = None) -> str:
    """Return all machines of a program as DOT text, each in a frame with its name.

    States of a formula's machines are green where the formula is satisfied for good, red where it is violated
    for good.

    Args:
        program: The program.
        current: Per machine's name, the state to light.

    Raises:
        ValueError: A machine has no such state.
    """
    return to_dot(_drawings(program, current))


def draw_svg(drawn: Program | Machine, current: Current | Mapping[str, Current] = None) -> str:
    """Return a picture as an SVG element, fit for a file and for a place inside an HTML page.

    Args:
        drawn: A program, for all of its machines, or one machine.
        current: The state to light; for a program, per machine's name.

    Raises:
        MissingExtraError: `missing-extra`: `graphviz-pure` is not installed.
        UnsupportedError: `drawing-too-large`: no layout could be made in `SECONDS`.
        ValueError: A machine has no such state.
    """
    return tidy(_render(_drawings(drawn, current), "svg").decode())


def draw_png(drawn: Program | Machine, current: Current | Mapping[str, Current] = None) -> bytes:
    """Return a picture as the bytes of a PNG file, on a white ground.

    Args:
        drawn: A program, for all of its machines, or one machine.
        current: The state to light; for a program, per machine's name.

    Raises:
        MissingExtraError: `missing-extra`: `graphviz-pure` is not installed.
        UnsupportedError: `drawing-too-large`: no layout could be made in `SECONDS`.
        ValueError: A machine has no such state.
    """
    return _render(_drawings(drawn, current), "png")


def _drawings(drawn: Program | Machine, current: Current | Mapping[str, Current]) -> list[Drawing]:
    """Return the machines to draw, with what is known of each."""
    if isinstance(drawn, Machine):
        if isinstance(current, Mapping):
            current = current.get(drawn.name)
        return [Drawing(drawn, 0, _lit(drawn, current))]
    if current is not None and not isinstance(current, Mapping):
        raise ValueError("for a program, name the machine of each lit state")
    verdicts = {
        name: table
        for verdict in drawn.verdicts
        for name, table in zip(verdict.machines, verdict.tables, strict=True)
    }
    lit = current or {}
    return [
        Drawing(
            machine,
            number,
            _lit(machine, lit.get(machine.name)),
            verdicts.get(machine.name, ()),
            drawn.machines,
        )
        for number, machine in enumerate(drawn.machines)
    ]


def _lit(machine: Machine, current: Current) -> Lit | None:
    """Return what is lit, checked against the machine."""
    if current is None:
        return None
    if isinstance(current, str):
        if current not in machine.states:
            raise ValueError(f"the machine '{machine.name}' has no state '{current}'")
        return Lit(machine.states.index(current))
    lit = current if isinstance(current, Lit) else Lit(current)
    for state in (lit.state, lit.before):
        if state is not None and not 0 <= state < len(machine.states):
            raise ValueError(
                f"the machine '{machine.name}' has {len(machine.states)} states, no number {state}"
            )
    return lit


def _render(drawings: Sequence[Drawing], form: str) -> bytes:
    """Return a picture as it can be had: folded where long, else as it comes, else with fewer states."""
    for folded, limit in ((True, MAX_STATES), (False, MAX_STATES), (False, FEW_STATES)):
        dot = to_dot([replace(drawing, folded=folded, limit=limit) for drawing in drawings])
        picture = lay_out(dot, form)
        if picture is not None:
            return picture
    raise UnsupportedError(
        Problem(
            "drawing-too-large",
            f"no layout of this picture could be made within {SECONDS:g} s",
            hints=("`rewardspec show` prints every state and edge as text.",),
        )
    )


def draw_graph(
    nodes: Mapping[str, str], edges: Sequence[tuple[str, str]], lit: str | None, form: Literal["svg", "png"]
) -> bytes:
    """Return a small graph as a picture, in the style of machines, edges from below to above.

    Args:
        nodes: Id -> text, with line breaks.
        edges: Pairs of ids.
        lit: The node to light.
        form: Which.

    Raises:
        MissingExtraError: `missing-extra`: `graphviz-pure` is not installed.
        UnsupportedError: `drawing-too-large`.
    """
    lines = head("BT")
    for name, text in nodes.items():
        light = f' fillcolor="{LIT}" penwidth="2"' if name == lit else ""
        lines.append(f'"{name}" [label={quoted(*text.splitlines())}{light}];')
    lines += [f'"{below}" -> "{above}" [arrowhead="none"];' for below, above in edges]
    picture = lay_out("\n".join([*lines, "}"]), form)
    if picture is None:
        text = f"no layout of this picture could be made within {SECONDS:g} s"
        raise UnsupportedError(Problem("drawing-too-large", text))
    return tidy(picture.decode()).encode() if form == "svg" else picture
