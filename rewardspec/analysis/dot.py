"""Machines as DOT text: which states are drawn, where a long machine is folded, and what every label says.

Names come from specs that anybody may have written: they reach DOT only as quoted, escaped ASCII.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rewardspec.ir import expr as ir
from rewardspec.ir.program import Machine
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

FONT = 'fontname="Helvetica"'
PLAIN, GREY, GREEN, RED, LIT = "#eef2ff", "#d9dee7", "#dcfce7", "#fee2e2", "#fde68a"
INK, LINE_COLOUR, LABEL, NOTE = "#0f172a", "#475569", "#334155", "#64748b"
VERDICT_FILL = {0: RED, 3: GREEN}


@dataclass(frozen=True)
class Lit:
    """What of one machine is lit.

    Attributes:
        state: The state that the machine is in.
        before: The state that it was in before the step, where the edge between them is lit too.
    """

    state: int
    before: int | None = None


@dataclass(frozen=True)
class Drawing:
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


def to_dot(drawings: Sequence[Drawing]) -> str:
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
    return "\n".join([*head("TB" if is_tall else "LR"), *lines, "}", ""])


def _drawable(drawing: Drawing) -> list[int]:
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


def head(direction: str) -> list[str]:
    """Return the statements that open a picture and set its style."""
    return [
        "digraph rewardspec {",
        f'graph [id="machines" class="machine" bgcolor="white" rankdir="{direction}" nodesep="0.35" '
        f'ranksep="0.55" pad="0.2" {FONT} fontsize="13" fontcolor="{LABEL}"];',
        f'node [{FONT} fontsize="13" fontcolor="{INK}" color="{LINE_COLOUR}" penwidth="1.2" '
        f'fillcolor="{PLAIN}" shape="box" style="rounded,filled" margin="0.14,0.07" height="0.42"];',
        f'edge [{FONT} fontsize="11" fontcolor="{LABEL}" color="{LINE_COLOUR}" arrowsize="0.75"];',
    ]


def _frame(drawing: Drawing, kept: Sequence[int], ranks: Mapping[int, int], framed: bool) -> list[str]:
    """Return one machine, with a frame and its name where there are several."""
    machine = drawing.machine
    title = show_name(machine.name)
    if len(kept) < len(machine.states):
        title += f": {len(kept)} of {len(machine.states)} states"
    lines = [f'subgraph "cluster_{drawing.id()}" {{', f'id="{drawing.id()}";']
    if framed or len(kept) < len(machine.states):
        lines.append(f'label={quoted(title)}; labeljust="l"; style="rounded"; color="#cbd5e1"; margin="12";')
    else:
        lines.append('peripheries="0"; label=""; margin="0";')
    start = f'"{drawing.id()}-start"'
    lines.append(f'{start} [shape="point" width="0.09" fillcolor="{LINE_COLOUR}" label="" tooltip=" "];')
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


def _state(drawing: Drawing, state: int) -> str:
    """Return the statement of one state."""
    machine = drawing.machine
    name = machine.states[state]
    terminal, accepting = state in machine.terminal, state in machine.accepting
    is_lit = drawing.lit is not None and drawing.lit.state == state
    fill = GREY if terminal else PLAIN
    if drawing.verdicts:
        fill = VERDICT_FILL.get(drawing.verdicts[state], fill)
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
        "fillcolor": LIT if is_lit else fill,
        "peripheries": "2" if accepting else "1",
        "penwidth": "2.2" if is_lit else "1.2",
    }
    if len(name) <= 3:
        attributes |= {"shape": "circle", "style": "filled", "width": "0.5", "margin": "0.04"}
    words = [word for word, given in (("terminal", terminal), ("accepting", accepting)) if given]
    hint = show_name(name, 400) + (f" ({', '.join(words)})" if words else "")
    label = _wrap(show_name(name), LINE)
    return f'"{drawing.id(state)}" [{_attributes(attributes)} label={quoted(*label)} tooltip={_hint(hint)}];'


def _edges(drawing: Drawing, kept: Sequence[int], ranks: Mapping[int, int]) -> list[str]:
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
    drawing: Drawing, source: int, target: int, parts: Sequence[tuple[str, str]], is_forward: bool | None
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
        f"[{_attributes(attributes)} tooltip={_hint(hint[:600])} label={quoted(*lines)}];"
    )


def _note(name: str, text: str) -> str:
    """Return a dashed box that says what is not drawn."""
    return (
        f'"{name}" [class="note" style="rounded,dashed" color="{NOTE}" fontcolor="{NOTE}" '
        f'tooltip=" " label={quoted(text)}];'
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


def quoted(*lines: str) -> str:
    r"""Return lines as a quoted DOT string in ASCII that is shown as it is.

    Example:
        >>> print(quoted('say "a\\b" & é'))
        "say &quot;a\\b&quot; &amp; &#233;"
    """
    return '"' + "\\n".join("".join(_character(c) for c in line) for line in lines) + '"'


def _hint(text: str) -> str:
    """Return a tooltip as a quoted DOT string; Graphviz reads its backslashes twice."""
    return quoted(text).replace("\\\\", "\\\\\\\\")


def _character(character: str) -> str:
    if character in _ENTITIES:
        return _ENTITIES[character]
    if not character.isprintable():
        return "?"
    return character if character.isascii() else f"&#{ord(character)};"


_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\\": "\\\\"}
"""Graphviz reads entities in a label as characters, and after them backslashes as escapes."""
