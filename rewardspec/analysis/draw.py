"""Pictures of machines: DOT text, and SVG and PNG through the program `graphviz-pure`.

Every state and edge of a picture has an id that a page can address: machine i is `m{i}`, its state u is
`m{i}-u{u}`, its edge from u to v is `m{i}-u{u}-u{v}`. Adding the class `lit` to them, with `LIT_CSS` in the
page, shows the state that a machine is in and the edge that it took.

Names come from specs that anybody may have written: they reach DOT only as quoted, escaped ASCII, and the
program that lays it out gets them on its standard input, with no shell, under a time limit.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from rewardspec.errors import Problem, UnsupportedError, missing_extra
from rewardspec.ir import expr as ir
from rewardspec.ir.program import Machine, Program
from rewardspec.ir.show import ELIDED, show_expr, show_name
from rewardspec.ir.show_machine import arrows

MAX_STATES = 60
"""States of one machine that are drawn; of a larger one, those nearest to the start."""

FEW_STATES = 20
"""The same, where no layout can be found for more."""

MAX_EDGES = 160
"""Arrows of one machine that are drawn: of one with more, fewer states."""

MAX_TOTAL = 150
"""States of all machines on one picture."""

MAX_MACHINES = 24
"""Machines on one picture."""

ROW = 14
"""Steps from the start that are drawn in one row; a longer machine is folded into several columns."""

MAX_LINES = 8
"""Lines of one label."""

LINE = 30
"""Characters of a label after which a line is broken, at a space."""

SECONDS = 20.0
"""Time that the layout of one picture may take."""

DOTS_PER_INCH = 160
"""Resolution of PNG pictures."""

INCHES = 50
"""Greatest width and height of PNG pictures; larger ones are scaled down."""

LIT_CSS = """\
.machine .state.lit > path, .machine .state.lit > ellipse { stroke: #b45309; stroke-width: 2.5; }
.machine .state.lit > path:not([fill=none]), .machine .state.lit > ellipse:not([fill=none]) { fill: #fde68a; }
.machine .step.lit > path { stroke: #b45309; stroke-width: 3; }
.machine .step.lit > polygon { fill: #b45309; stroke: #b45309; }
.machine .step.lit text { fill: #92400e; font-weight: bold; }
"""
"""Style of the states and edges that carry the class `lit`."""

_FONT = 'fontname="Helvetica"'
_PLAIN, _GREY, _GREEN, _RED, _LIT = "#eef2ff", "#d9dee7", "#dcfce7", "#fee2e2", "#fde68a"
_INK, _LINE_COLOUR, _LABEL, _NOTE = "#0f172a", "#475569", "#334155", "#64748b"
_VERDICT_FILL = {0: _RED, 3: _GREEN}


@dataclass(frozen=True)
class Lit:
    """What of one machine is lit.

    Attributes:
        state: The state that the machine is in.
        before: The state that it was in before the step, where the edge between them is lit too.
    """

    state: int
    before: int | None = None


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
        >>> from rewardspec.ir.program import Edge
        >>> machine = Machine("m", ("a",), ("s", "t"), 0, ((Edge(1, 1, 1),), ()), (ir.ZERO,))
        >>> print(machine_dot(machine))  # doctest: +ELLIPSIS
        digraph rewardspec {
        ...
        "m0-u0" -> "m0-u1" [id="m0-u0-u1" class="step" ... label=" a "];
        ...
    """
    return _to_dot(_drawings(machine, current))


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
    return _to_dot(_drawings(program, current))


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
    return _tidy(_render(_drawings(drawn, current), "svg").decode())


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


def _drawings(drawn: Program | Machine, current: Current | Mapping[str, Current]) -> list[_Drawing]:
    """Return the machines to draw, with what is known of each."""
    if isinstance(drawn, Machine):
        if isinstance(current, Mapping):
            current = current.get(drawn.name)
        return [_Drawing(drawn, 0, _lit(drawn, current))]
    if current is not None and not isinstance(current, Mapping):
        raise ValueError("for a program, name the machine of each lit state")
    verdicts = {
        name: table
        for verdict in drawn.verdicts
        for name, table in zip(verdict.machines, verdict.tables, strict=True)
    }
    lit = current or {}
    return [
        _Drawing(
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


# -- DOT ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Drawing:
    """One machine on a picture.

    Attributes:
        machine: The machine.
        number: Its number on the picture, part of every id.
        lit: What is lit.
        verdicts: Per state the formula's verdict, empty for a reward machine.
        machines: All machines of the program, for payments that read them.
        limit: How many states may be drawn.
        folded: Whether the machine is laid out in columns where it is long.
    """

    machine: Machine
    number: int
    lit: Lit | None = None
    verdicts: tuple[int, ...] = ()
    machines: tuple[Machine, ...] = ()
    limit: int = MAX_STATES
    folded: bool = True

    def id(self, *states: int) -> str:
        """Return the id of the machine, of a state, or of the edge between two states."""
        return "-".join([f"m{self.number}", *(f"u{state}" for state in states)])


def _to_dot(drawings: Sequence[_Drawing]) -> str:
    """Return a whole picture: one frame per machine, as many states as fit."""
    frames: list[list[str]] = []
    room, is_tall = MAX_TOTAL, False
    for drawing in drawings:
        drawing = replace(drawing, limit=min(drawing.limit, room))
        kept = _drawable(drawing)
        ranks = _fold(drawing.machine, kept) if drawing.folded else {}
        is_tall |= bool(ranks) and max(ranks.values()) + 1 >= max(Counter(ranks.values()).values())
        frames.append(_frame(drawing, kept, ranks, framed=len(drawings) > 1))
        room -= len(kept)
        if room < FEW_STATES or len(frames) == MAX_MACHINES:
            break
    if not drawings:
        frames.append([_note("nothing", "this program has no machines")])
    elif len(frames) < len(drawings):
        frames.append([_note("left-out", f"{len(drawings) - len(frames)} more machines are not drawn")])
    if not is_tall:  # from left to right, the layout stacks frames from the bottom up
        frames.reverse()
    lines = [line for frame in frames for line in frame]
    return "\n".join([*_head("TB" if is_tall else "LR"), *lines, "}", ""])


def _drawable(drawing: _Drawing) -> list[int]:
    """Return the states to draw: as many as the limits on states and on arrows between them allow."""
    limit = drawing.limit
    while True:
        kept = nearest_states(drawing.machine, limit, drawing.lit)
        shown = set(kept)
        arrows_between = sum(
            len({edge.target for edge in drawing.machine.edges[state]} & shown) for state in kept
        )
        if arrows_between <= MAX_EDGES:
            return kept
        limit = len(kept) * 3 // 4


def _head(direction: str) -> list[str]:
    """Return the statements that open a picture and set its style."""
    return [
        "digraph rewardspec {",
        f'graph [id="machines" class="machine" bgcolor="white" rankdir="{direction}" nodesep="0.35" '
        f'ranksep="0.55" pad="0.2" {_FONT} fontsize="13" fontcolor="{_LABEL}"];',
        f'node [{_FONT} fontsize="13" fontcolor="{_INK}" color="{_LINE_COLOUR}" penwidth="1.2" '
        f'fillcolor="{_PLAIN}" shape="box" style="rounded,filled" margin="0.14,0.07" height="0.42"];',
        f'edge [{_FONT} fontsize="11" fontcolor="{_LABEL}" color="{_LINE_COLOUR}" arrowsize="0.75"];',
    ]


def _frame(drawing: _Drawing, kept: Sequence[int], ranks: Mapping[int, int], framed: bool) -> list[str]:
    """Return one machine, with a frame and its name where there are several."""
    machine = drawing.machine
    title = show_name(machine.name)
    if len(kept) < len(machine.states):
        title += f": {len(kept)} of {len(machine.states)} states"
    lines = [f'subgraph "cluster_{drawing.id()}" {{', f'id="{drawing.id()}";']
    if framed or len(kept) < len(machine.states):
        lines.append(f'label={_text(title)}; labeljust="l"; style="rounded"; color="#cbd5e1"; margin="12";')
    else:
        lines.append('peripheries="0"; label=""; margin="0";')
    start = f'"{drawing.id()}-start"'
    lines.append(f'{start} [shape="point" width="0.09" fillcolor="{_LINE_COLOUR}" label="" tooltip=" "];')
    lines += [_state(drawing, state) for state in kept]
    if machine.start in kept:
        lines.append(f'{start} -> "{drawing.id(machine.start)}" [tooltip=" " weight="9"];')
    heads = [state for state, rank in ranks.items() if rank == 0 and state != machine.start]
    lines += [f'{start} -> "{drawing.id(state)}" [style="invis" weight="0"];' for state in heads]
    return [*lines, *_edges(drawing, kept, ranks), "}"]


def _fold(machine: Machine, kept: Sequence[int]) -> dict[int, int]:
    """Return the rank of each state: its steps from the start, begun anew in each column where they are many.

    A small machine gets no ranks: the layout finds better ones. Left to itself, it would draw a long machine
    as one line.
    """
    if len(kept) <= ROW:
        return {}
    steps: dict[int, int] = {}
    shown = set(kept)
    for root in (machine.start, *kept):
        if root in steps or root not in shown:
            continue
        steps[root] = 0
        queue = deque([root])
        while queue:
            state = queue.popleft()
            for edge in machine.edges[state]:
                if edge.target in shown and edge.target not in steps:
                    steps[edge.target] = steps[state] + 1
                    queue.append(edge.target)
    count = max(steps.values()) + 1
    parts = 1 if count <= ROW else round((count / 6) ** 0.5) + 1
    length = -(-count // parts)
    return {state: step % length for state, step in steps.items()}


def nearest_states(machine: Machine, limit: int, lit: Lit | None = None) -> list[int]:
    """Return at most `limit` states: the lit one and the start, then those fewest edges away from them.

    Example:
        >>> from rewardspec.ir.program import Edge
        >>> chain = tuple((Edge(0, 0, u + 1),) for u in range(4)) + ((),)
        >>> nearest_states(Machine("m", (), tuple("abcde"), 0, chain, (ir.ZERO,)), 3)
        [0, 1, 2]
    """
    if len(machine.states) <= limit:
        return list(range(len(machine.states)))
    roots = [machine.start] if lit is None else [lit.state, machine.start]
    seen = dict.fromkeys(roots[:limit])
    queue = deque(seen)
    while queue and len(seen) < limit:
        for edge in machine.edges[queue.popleft()]:
            if edge.target not in seen and len(seen) < limit:
                seen[edge.target] = None
                queue.append(edge.target)
    return sorted(seen)


def _state(drawing: _Drawing, state: int) -> str:
    """Return the statement of one state."""
    machine = drawing.machine
    name = machine.states[state]
    terminal, accepting = state in machine.terminal, state in machine.accepting
    is_lit = drawing.lit is not None and drawing.lit.state == state
    fill = _GREY if terminal else _PLAIN
    if drawing.verdicts:
        fill = _VERDICT_FILL.get(drawing.verdicts[state], fill)
    kinds = [
        "state",
        *(
            word
            for word, given in (("terminal", terminal), ("accepting", accepting), ("lit", is_lit))
            if given
        ),
    ]
    attributes = {
        "id": drawing.id(state),
        "class": " ".join(kinds),
        "fillcolor": _LIT if is_lit else fill,
        "peripheries": "2" if accepting else "1",
        "penwidth": "2.2" if is_lit else "1.2",
    }
    if len(name) <= 3:
        attributes |= {"shape": "circle", "style": "filled", "width": "0.5", "margin": "0.04"}
    words = [word for word, given in (("terminal", terminal), ("accepting", accepting)) if given]
    hint = show_name(name, 400) + (f" ({', '.join(words)})" if words else "")
    label = _wrap(show_name(name), LINE)
    return f'"{drawing.id(state)}" [{_attributes(attributes)} label={_text(*label)} tooltip={_hint(hint)}];'


def _edges(drawing: _Drawing, kept: Sequence[int], ranks: Mapping[int, int]) -> list[str]:
    """Return the arrows between the drawn states, and from them to a note for the others."""
    machine, shown = drawing.machine, set(kept)
    lines: list[str] = []
    leaving: list[int] = []
    for state in kept:
        labels: dict[int, list[tuple[str, str]]] = {}
        for arrow in arrows(machine, state):
            paid = machine.payments[arrow.output]
            guard = "always" if arrow.guard == "true" else arrow.guard
            labels.setdefault(arrow.target, []).append((guard, _payment(paid, drawing.machines)))
        if not shown.issuperset(labels):
            leaving.append(state)
        lines += [
            _edge(drawing, state, target, parts, ranks[target] == ranks[state] + 1 if ranks else None)
            for target, parts in labels.items()
            if target in shown
        ]
    if leaving:
        rest = f"{drawing.id()}-more"
        free = ' constraint="false"' if ranks else ""
        lines.append(_note(rest, f"{len(machine.states) - len(kept)} more states"))
        lines += [
            f'"{drawing.id(state)}" -> "{rest}" [style="dashed" tooltip=" "{free}];' for state in leaving
        ]
    return lines


def _payment(paid: ir.Expr, machines: Sequence[Machine]) -> str:
    """Return what an edge pays, numbers with their sign, nothing for 0."""
    if paid == ir.ZERO:
        return ""
    if isinstance(paid, ir.Const):
        return ("+" if paid.value > 0 else "") + f"{float(paid.value):.6g}"
    return show_expr(paid, machines)


def _edge(
    drawing: _Drawing, source: int, target: int, parts: Sequence[tuple[str, str]], is_forward: bool | None
) -> str:
    """Return the statement of one arrow, a label line or more per guard.

    A folded machine is ranked by its forward edges alone; one that is not folded has no `is_forward`.
    """
    is_lit = drawing.lit is not None and (drawing.lit.before, drawing.lit.state) == (source, target)
    labels = [_edge_label(guard, paid) for guard, paid in parts]
    for label in labels[:-1]:
        label[-1] += ";"
    lines = [f" {line} " for label in labels for line in label]  # a little room between arrow and text
    if len(lines) > 2 * MAX_LINES:
        lines = [*lines[: 2 * MAX_LINES - 1], ELIDED]
    attributes = {"id": drawing.id(source, target), "class": "step lit" if is_lit else "step"}
    if is_forward is not None:
        attributes |= {"weight": "9"} if is_forward else {"constraint": "false"}
    if is_lit:
        attributes |= {"color": "#b45309", "penwidth": "2.4", "fontcolor": "#92400e"}
    names = drawing.machine.states
    hint = f"{show_name(names[source])} -> {show_name(names[target])}: " + "; ".join(
        f"{guard} / {paid}" if paid else guard for guard, paid in parts
    )
    return (
        f'"{drawing.id(source)}" -> "{drawing.id(target)}" '
        f"[{_attributes(attributes)} tooltip={_hint(hint[:600])} label={_text(*lines)}];"
    )


def _note(name: str, text: str) -> str:
    """Return a dashed box that says what is not drawn."""
    return (
        f'"{name}" [class="note" style="rounded,dashed" color="{_NOTE}" fontcolor="{_NOTE}" '
        f'tooltip=" " label={_text(text)}];'
    )


def _attributes(attributes: Mapping[str, str]) -> str:
    return " ".join(f'{name}="{value}"' for name, value in attributes.items())


def _edge_label(guard: str, paid: str) -> list[str]:
    """Return the lines of a guard and its payment, broken before `or`, `and` and `/` where one is too long.

    A long guard loses its last lines, never its payment.

    Example:
        >>> _edge_label("coffee_in_hand and not at_the_office or lights_on", "+0.1")
        ['coffee_in_hand', 'and not at_the_office', 'or lights_on / +0.1']
    """
    last = f"/ {paid}" if paid else ""
    lines = [f"{guard} {last}".rstrip()]
    if len(lines[0]) > LINE:
        lines = [
            line for either in re.split(r" (?=or )", guard) for line in _fill(re.split(r" (?=and )", either))
        ]
        lines += _fill([lines.pop(), last])
    lines = [part for line in lines for part in _wrap(line, LINE + 8)]
    if len(lines) <= MAX_LINES:
        return lines
    ending = _wrap(last, LINE + 8)[:2] if last else []
    return [*lines[: MAX_LINES - 1 - len(ending)], ELIDED, *ending]


def _fill(pieces: Iterable[str]) -> list[str]:
    """Return pieces joined into lines of at most `LINE` characters, a longer piece alone."""
    lines = [""]
    for piece in pieces:
        if lines[-1] and len(lines[-1]) + 1 + len(piece) > LINE:
            lines.append(piece)
        else:
            lines[-1] = f"{lines[-1]} {piece}".strip()
    return lines


def _wrap(text: str, width: int) -> list[str]:
    """Return lines of at most `width` characters, broken at spaces; a longer word is cut."""
    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]


def _text(*lines: str) -> str:
    r"""Return lines as a quoted DOT string in ASCII that is shown as it is.

    Example:
        >>> print(_text('say "a\\b" & é'))
        "say &quot;a\\b&quot; &amp; &#233;"
    """
    return '"' + "\\n".join("".join(_character(c) for c in line) for line in lines) + '"'


def _hint(text: str) -> str:
    """Return a tooltip as a quoted DOT string; Graphviz reads its backslashes twice."""
    return _text(text).replace("\\\\", "\\\\\\\\")


def _character(character: str) -> str:
    if character in _ENTITIES:
        return _ENTITIES[character]
    if not character.isprintable():
        return "?"
    return character if character.isascii() else f"&#{ord(character)};"


_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\\": "\\\\"}
"""Graphviz reads entities in a label as characters, and after them backslashes as escapes."""


# -- layout ---------------------------------------------------------------------------------------


def _program_path() -> str:
    """Return the path of the layout program: beside this Python, or on the search path."""
    name = "graphviz-pure.exe" if os.name == "nt" else "graphviz-pure"
    for folder in (sysconfig.get_path("scripts"), str(Path(sys.executable).parent)):
        candidate = Path(folder) / name
        if candidate.is_file():
            return str(candidate)
    found = shutil.which("graphviz-pure")
    if found is None:
        raise missing_extra("graphviz-pure", "report", "drawing a machine")
    return found


def _render(drawings: Sequence[_Drawing], form: str) -> bytes:
    """Return a picture as it can be had: folded where long, else as it comes, else with fewer states."""
    for folded, limit in ((True, MAX_STATES), (False, MAX_STATES), (False, FEW_STATES)):
        dot = _to_dot([replace(drawing, folded=folded, limit=limit) for drawing in drawings])
        picture = _lay_out(dot, form)
        if picture is not None:
            return picture
    raise UnsupportedError(
        Problem(
            "drawing-too-large",
            f"no layout of this picture could be made within {SECONDS:g} s",
            hints=("`rewardspec show` prints every state and edge as text.",),
        )
    )


def _lay_out(dot: str, form: str) -> bytes | None:
    """Return a graph in DOT as a picture; None where the layout takes too long or gives up, as on rare graphs."""
    command = [_program_path(), f"-T{form}"]
    if form == "png":
        command += [f"-Gdpi={DOTS_PER_INCH}", f"-Gsize={INCHES},{INCHES}"]
    try:
        done = subprocess.run(command, input=dot.encode("ascii"), capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None


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
    lines = _head("BT")
    for name, text in nodes.items():
        light = f' fillcolor="{_LIT}" penwidth="2"' if name == lit else ""
        lines.append(f'"{name}" [label={_text(*text.splitlines())}{light}];')
    lines += [f'"{below}" -> "{above}" [arrowhead="none"];' for below, above in edges]
    picture = _lay_out("\n".join([*lines, "}"]), form)
    if picture is None:
        text = f"no layout of this picture could be made within {SECONDS:g} s"
        raise UnsupportedError(Problem("drawing-too-large", text))
    return _tidy(picture.decode()).encode() if form == "svg" else picture


def _tidy(svg: str) -> str:
    """Return the `svg` element alone: no prolog, no comments, no links, no titles that repeat ids.

    Tooltips become titles, which browsers show and screen readers read.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<title>[^<]*</title>\n?", "", svg)
    svg = re.sub(r'<g id="a_[^"]*-label"><a xlink:title="[^"]*">\n?', "", svg)
    svg = re.sub(r'<g id="a_[^"]*"><a xlink:title="([^"]*)">', r"<title>\1</title>", svg)
    svg = re.sub(r"</a>\n</g>\n?", "", svg)
    svg = re.sub(r"<title>\s*</title>\n?", "", svg)
    svg = svg.replace("&#45;", "-")
    return svg.replace("<svg ", '<svg role="img" style="max-width:100%;height:auto" ', 1)
