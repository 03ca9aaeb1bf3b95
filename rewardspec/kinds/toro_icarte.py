"""Reward machines in the text format of Toro Icarte's `reward_machines` repository: read and written.

A file of that format, comments and all::

    0      # initial state
    [2]    # terminal states
    (0,0,'!e&!n',ConstantRewardFunction(0))
    (0,1,'e&!n',ConstantRewardFunction(0))
    (1,1,'!g&!n',ConstantRewardFunction(0))
    (1,2,'g&!n',ConstantRewardFunction(1))

What the lines mean there, and how it is kept here:

- There, a label that no transition of the state covers ends the episode with reward 0 ("the agent falls from
  the reward machine"; in the file above, whenever `n` holds). Here a machine stays where it is, so reading
  adds an `otherwise` edge to the terminal state `fallen`, and writing adds the self-loops that staying means.
- There, all terminal states become one state -1. Here they stay apart.
- There, the transition written first wins where two overlap. Here an overlap is an error of the compiler's.
- There, a guard written twice from one state silently keeps the later line. Here that is an error.
- There, transitions that leave a terminal state are skipped. Here too.

The repository reads its lines with `eval`; this module has a tokenizer.

Source: Toro Icarte, Klassen, Valenzano and McIlraith, "Reward Machines" (JAIR 73, 2022), and the file
`reward_machine.py` of its released code.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from rewardspec.errors import FormulaError, Place, Problem, SpecError, UnsupportedError, list_names, near_miss
from rewardspec.ir import expr as ir
from rewardspec.ir.text import parse_expression
from rewardspec.kinds.reward_machine import OTHERWISE, EdgeSpec, RewardMachine
from rewardspec.logic.diagrams import Cube, Diagrams
from rewardspec.logic.guards import (
    MAX_NODES,
    Guard,
    find_gap,
    guard_cubes,
    guard_names,
    parse_guard,
    show_guard,
    union_of,
)
from rewardspec.logic.syntax import FALSE, Node
from rewardspec.spec.scalars import short
from rewardspec.spec.terms import Term

CONSTANT = "ConstantRewardFunction"

REWARD_FUNCTIONS: Mapping[str, str] = {
    "RewardControl": "info.reward_ctrl",
    "RewardForward": "info.reward_run + info.reward_ctrl",
    "RewardBackwards": "-info.reward_run + info.reward_ctrl",
}
"""What the repository's other reward functions pay, for HalfCheetah up to version 4 of its gymnasium id.

In version 5 the key `reward_run` is called `reward_forward`: pass a mapping of your own.
"""

FALLEN = "fallen"
"""Name of the terminal state that stands for "no transition covers the label"."""

MAX_CHARACTERS = 8 * 2**20

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?!\w))
      | (?P<text>'[^'\\\n]*'|"[^"\\\n]*")
      | (?P<name>[^\W\d]\w*)
      | (?P<mark>[()\[\],])
      | (?P<end>\#.*|$)
    )""",
    re.VERBOSE,
)
_NOT_IN_GUARDS = re.compile(r"[^\w&|! ]")
_STATE_NUMBER = re.compile(r"u(-?(?:0|[1-9]\d{0,8}))")


@dataclass(frozen=True)
class _Transition:
    """One line of the file."""

    source: int
    target: int
    guard: Guard
    reward: str | float
    place: Place


def read_toro_icarte(
    text: str, file: str = "<text>", *, functions: Mapping[str, str] = REWARD_FUNCTIONS
) -> dict[str, Any]:
    r"""Return what the text says as the fields of a `reward_machine` term; state n is called `u<n>`.

    Args:
        text: The content of a file.
        file: Name for error messages.
        functions: What reward functions other than `ConstantRewardFunction` pay, as expressions, by name.

    Raises:
        SpecError: `toro-icarte-syntax` and the guards' own codes, with line and column; every problem found.
        UnsupportedError: `toro-icarte-unsupported` when a reward function is not in `functions`.

    Example:
        >>> body = read_toro_icarte("0\n[1]\n(0,1,'a',ConstantRewardFunction(1))")
        >>> body["edges"][0], body["terminal"]
        ({'from': 'u0', 'to': 'u1', 'when': 'a', 'reward': 1}, ['u1', 'fallen'])
    """
    reader = _Reader(text, file, functions)
    start, terminal, transitions = reader.read()
    edges = [_edge_of(transition) for transition in transitions]
    leaving: dict[int, list[_Transition]] = {n: [] for t in transitions for n in (t.source, t.target)}
    for transition in transitions:
        leaving[transition.source].append(transition)
    names = [state_name(n) for n in terminal if n in leaving]
    open_states = [
        state_name(state)
        for state, found in leaving.items()
        if state not in terminal and _has_gap(found, reader)
    ]
    reader.finish()
    if open_states:
        edges.append({"from": open_states, "to": FALLEN, "when": OTHERWISE})
        names.append(FALLEN)
    body: dict[str, Any] = {"start": state_name(start), "edges": edges}
    return {**body, "terminal": names} if names else body


def write_toro_icarte(
    machine: RewardMachine | Term, *, functions: Mapping[str, str] = REWARD_FUNCTIONS
) -> str:
    r"""Return a reward machine in the text format; the repository's code reads the same machine from it.

    States called `u<n>` keep their number, others take the free numbers in order. Guards become disjunctions
    of conjunctions, and a state whose guards leave a gap gets a self-loop that pays 0. The repository tests a
    proposition by `name in true_propositions` on a string of letters: give propositions one letter each.

    Args:
        machine: The machine, or the term that holds it; the term's weight is not written.
        functions: The reward functions that stand for expressions, as in `read_toro_icarte`.

    Raises:
        UnsupportedError: `toro-icarte-unsupported`: counters, or a reward that is neither a number nor in
            `functions`.
        SpecError: A guard cannot be read.

    Example:
        >>> body = read_toro_icarte("0\n[1]\n(0,1,'True',ConstantRewardFunction(1))")
        >>> print(write_toro_icarte(RewardMachine(**body)))
        0 # initial state
        [1] # terminal state
        (0,1,'True',ConstantRewardFunction(1))
    """
    if isinstance(machine, Term):
        if not isinstance(machine.body, RewardMachine):
            _refuse(f"a term of the kind '{machine.kind}' is not a reward machine", "")
        machine = machine.body
    if machine.counters or machine.propositions:
        _refuse(
            "the text format has no counters", "counters", "The compiled machine without them can be written."
        )
    numbers = _number_states(machine)
    lines = [f"{numbers[machine.start]} # initial state"]
    lines.append(f"[{','.join(str(numbers[name]) for name in machine.terminal)}] # terminal state")
    guards = _read_guards(machine.edges)
    edges: dict[str, list[tuple[int, EdgeSpec]]] = {name: [] for name in numbers}
    for i, edge in enumerate(machine.edges):
        for name in edge.from_:
            edges[name].append((i, edge))
    terminal = frozenset(machine.terminal)
    for name, leaving in edges.items():
        if name in terminal:
            continue
        number = numbers[name]
        rivals = [guards[i] for i, _ in leaving if guards[i].op != OTHERWISE]
        rest = _none_of(rivals)
        covered = False
        for i, edge in leaving:
            covered = covered or guards[i].op == OTHERWISE
            guard = rest if guards[i].op == OTHERWISE else guards[i]
            target = numbers[edge.to if edge.to is not None else name]
            lines.extend(_line(number, target, guard, _reward_text(edge, i, functions)))
        if not covered:
            lines.extend(_line(number, number, rest, f"{CONSTANT}(0)"))
    return "\n".join(lines)


def state_name(number: int) -> str:
    """Return the name of a state that the text format numbers.

    Example:
        >>> state_name(3)
        'u3'
    """
    return f"u{number}"


def propositions_of(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the propositions that the guards of a machine's fields read, in order of first occurrence.

    Example:
        >>> propositions_of({"edges": [{"when": "e and not n"}, {"when": "otherwise"}]})
        ('e', 'n')
    """
    texts = [str(edge.get("when", "true")) for edge in body["edges"]]
    return _names_of(parse_guard(text) for text in dict.fromkeys(texts) if text != OTHERWISE)


class _Reader:
    """Reads one file line by line; collects problems and raises them once."""

    def __init__(self, text: str, file: str, functions: Mapping[str, str]) -> None:
        if len(text) > MAX_CHARACTERS:
            message = f"the text is longer than {MAX_CHARACTERS // 2**20} MiB"
            raise SpecError(Problem("document-too-large", message, Place(file)))
        self.text, self.file, self.functions = text, file, functions
        self.problems: list[Problem] = []
        self.unsupported: list[Problem] = []

    def read(self) -> tuple[int, tuple[int, ...], list[_Transition]]:
        """Return initial state, terminal states and transitions, those from terminal states left out."""
        lines = [_Line(self, number, line) for number, line in enumerate(self.text.splitlines(), 1)]
        lines = [line for line in lines if not line.is_empty()]
        if len(lines) < 3:
            self.problems.append(
                Problem(
                    "toro-icarte-syntax",
                    "the text stops too early",
                    Place(self.file, len(self.text.splitlines()) or 1, 1),
                    (
                        "Line 1 is the initial state, line 2 the list of terminal states, then one "
                        "transition a line: (0,1,'a&!b',ConstantRewardFunction(1)).",
                    ),
                )
            )
            self.finish()
        start = lines[0].read(_Line.state, 0)
        terminal = lines[1].read(_Line.states, ())
        found = [line.read(_Line.transition, None) for line in lines[2:]]
        transitions = [t for t in found if t is not None and t.source not in terminal]
        self.refuse_repeated(transitions)
        self.finish()
        if not any(t.source == start for t in transitions):
            problem = Problem(
                "toro-icarte-syntax", f"no transition leaves the initial state {start}", lines[0].place(0, 1)
            )
            self.problems.append(problem)
            self.finish()
        return start, terminal, transitions

    def refuse_repeated(self, transitions: Sequence[_Transition]) -> None:
        """Note guards that leave one state twice: there, the later line would silently win."""
        seen: dict[tuple[int, Guard], Place] = {}
        for t in transitions:
            first = seen.setdefault((t.source, t.guard), t.place)
            if first is not t.place:
                self.problems.append(
                    Problem(
                        "toro-icarte-syntax",
                        f"two transitions leave state {t.source} with the guard "
                        f"'{short(show_guard(t.guard))}'",
                        t.place,
                        (f"The other one stands in line {first.line}. Keep one of them.",),
                    )
                )

    def finish(self) -> None:
        """Raise what was found."""
        if self.problems:
            raise SpecError(self.problems)
        if self.unsupported:
            raise UnsupportedError(self.unsupported)


class _Stop(Exception):
    """Ends the reading of one line; its problem has been noted."""


class _Line:
    """The tokens of one line, taken from left to right."""

    def __init__(self, reader: _Reader, number: int, text: str) -> None:
        self.reader, self.number, self.text = reader, number, text
        self.offset = 0

    def read(self, what: Any, otherwise: Any) -> Any:
        """Return what the line holds and nothing else, or `otherwise` where a problem was noted."""
        try:
            found = what(self)
            if not self.is_empty():
                self.fail("this line should end here")
            return found
        except _Stop:
            return otherwise

    def is_empty(self) -> bool:
        """Say whether nothing but a comment is left."""
        match = _TOKEN.match(self.text, self.offset)
        return match is not None and match.lastgroup == "end"

    def place(self, offset: int, length: int) -> Place:
        return Place(self.reader.file, self.number, offset + 1, "", self.text, max(1, length))

    def fail(self, message: str, *hints: str) -> NoReturn:
        match = _TOKEN.match(self.text, self.offset)
        group = (match and match.lastgroup) or "end"
        start = match.start(group) if match else len(self.text) - len(self.text[self.offset :].lstrip())
        length = len(match[group]) if match and group != "end" else 1
        place = self.place(start, length)
        self.reader.problems.append(Problem("toro-icarte-syntax", message, place, hints))
        raise _Stop

    def take(self, group: str, message: str, *allowed: str) -> re.Match[str]:
        """Return the next token, which must be of a group (and one of the allowed texts, if any)."""
        match = _TOKEN.match(self.text, self.offset)
        if match is None or match.lastgroup != group or (allowed and match[group] not in allowed):
            self.fail(message)
        self.offset = match.end()
        return match

    def next_is(self, mark: str) -> bool:
        match = _TOKEN.match(self.text, self.offset)
        return match is not None and match["mark"] == mark

    def mark(self, mark: str) -> None:
        self.take("mark", f"a '{mark}' is missing here", mark)

    def state(self) -> int:
        message = "a state is a whole number"
        before = self.offset
        found = self.take("number", message)["number"]
        if not re.fullmatch(r"-?\d{1,9}", found):
            self.offset = before
            self.fail(message)
        return int(found)

    def states(self) -> tuple[int, ...]:
        opening = self.take("mark", "the terminal states are a list, such as [2]", "[", "(")["mark"]
        closing = "]" if opening == "[" else ")"
        found: dict[int, None] = {}
        while not self.next_is(closing):
            found[self.state()] = None
            if not self.next_is(closing):
                self.mark(",")
        self.mark(closing)
        return tuple(found)

    def transition(self) -> _Transition:
        self.mark("(")
        start = self.offset
        source = self.state()
        self.mark(",")
        target = self.state()
        self.mark(",")
        quoted = self.take("text", "a guard in quotes is missing here, such as 'a&!b'")
        guard = self.guard(
            quoted["text"][1:-1], self.place(quoted.start("text") + 1, len(quoted["text"]) - 2)
        )
        self.mark(",")
        reward = self.reward()
        self.mark(")")
        return _Transition(source, target, guard, reward, self.place(start, self.offset - start))

    def guard(self, text: str, place: Place) -> Guard:
        """Read a guard of `&`, `|`, `!`, names, `True` and `False`."""
        bad = _NOT_IN_GUARDS.search(text)
        try:
            if bad:
                message = f"'{short(bad[0])}' does not belong into a guard of this format"
                hint = "A guard joins names by '&' and '|', '!' negates; there are no parentheses."
                raise FormulaError("toro-icarte-syntax", message, bad.start(), 1, (hint,))
            # Same length, so that offsets stay right.
            words = re.sub(r"\b(True|False)\b", lambda match: match[0].lower(), text)
            return parse_guard(words)
        except FormulaError as error:
            self.reader.problems.append(error.at(place))
            raise _Stop from None

    def reward(self) -> str | float:
        """Read `ConstantRewardFunction(1)` or the call of another function without arguments."""
        named = self.take("name", f"a reward function is missing here, such as {CONSTANT}(1)")
        name = named["name"]
        self.mark("(")
        if name == CONSTANT:
            value = self.take("number", f"{CONSTANT} takes one number")["number"]
            self.mark(")")
            return _number(value)
        if self.next_is(")") and name in self.reader.functions:
            self.mark(")")
            return self.reader.functions[name]
        known = (CONSTANT, *self.reader.functions)
        self.reader.unsupported.append(
            Problem(
                "toro-icarte-unsupported",
                f"the reward function '{short(name)}' is not known"
                if name not in self.reader.functions
                else f"'{name}' takes no arguments here",
                self.place(named.start("name"), len(name)),
                (
                    f"Known: {list_names(known)}.{near_miss(name, known)}",
                    "Say what it pays as an expression: read_toro_icarte(text, functions={"
                    f"{short(name)!r}: 'info.some_key'}}).",
                ),
            )
        )
        raise _Stop


def _number(text: str) -> float:
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _edge_of(transition: _Transition) -> dict[str, Any]:
    edge: dict[str, Any] = {
        "from": state_name(transition.source),
        "to": state_name(transition.target),
        "when": show_guard(transition.guard),
    }
    return {**edge, "reward": transition.reward} if transition.reward != 0 else edge


def _has_gap(leaving: Sequence[_Transition], reader: _Reader) -> bool:
    """Say whether the transitions of one state leave a label uncovered; note a guard that is too large."""
    names = _names_of(t.guard for t in leaving)
    cubes: list[Cube] = []
    for t in leaving:
        try:
            cubes.extend(guard_cubes(t.guard, names))
        except FormulaError as error:
            reader.problems.append(error.at(t.place))
    try:
        return find_gap(cubes) is not None
    except FormulaError as error:
        reader.problems.append(error.at(leaving[0].place if leaving else Place(reader.file)))
        return False


def _names_of(guards: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for guard in guards for name in guard_names(guard)))


# -- writing ---------------------------------------------------------------------------------------


def _refuse(message: str, path: str, *hints: str) -> NoReturn:
    raise UnsupportedError(Problem("toro-icarte-unsupported", message, Place(path=path), hints))


def _number_states(machine: RewardMachine) -> dict[str, int]:
    """Return a number for each state, in order of first mention, the initial state first."""
    names: dict[str, None] = {machine.start: None}
    for edge in machine.edges:
        names.update(dict.fromkeys(edge.from_))
        if edge.to is not None:
            names.setdefault(edge.to)
    names.update(dict.fromkeys(machine.terminal))
    kept = {name: int(match[1]) for name in names if (match := _STATE_NUMBER.fullmatch(name))}
    taken = set(kept.values())
    free = (number for number in itertools.count() if number not in taken)
    return {name: kept[name] if name in kept else next(free) for name in names}


def _read_guards(edges: Sequence[EdgeSpec]) -> list[Guard]:
    guards: list[Guard] = []
    for i, edge in enumerate(edges):
        if edge.when.strip() in (OTHERWISE, "else"):
            guards.append(Node(OTHERWISE))
            continue
        try:
            guards.append(parse_guard(edge.when))
        except FormulaError as error:
            raise SpecError(error.at(Place(path=f"edges[{i}].when"))) from None
    return guards


def _none_of(guards: Sequence[Guard]) -> Guard:
    either = Node("or", tuple(guards)) if len(guards) > 1 else guards[0] if guards else FALSE
    return Node("not", (either,))


def _line(source: int, target: int, guard: Guard, reward: str) -> Iterator[str]:
    """Yield the transition, unless its guard never holds."""
    names = _names_of([guard])
    diagrams = Diagrams(MAX_NODES)
    cubes = diagrams.cover(union_of(diagrams, guard_cubes(guard, names)))
    if cubes:
        yield f"({source},{target},'{'|'.join(_cube_text(cube, names) for cube in cubes)}',{reward})"


def _cube_text(cube: Cube, names: Sequence[str]) -> str:
    mask, value = cube
    literals = [("" if value >> i & 1 else "!") + name for i, name in enumerate(names) if mask >> i & 1]
    return "&".join(literals) or "True"


def _reward_text(edge: EdgeSpec, index: int, functions: Mapping[str, str]) -> str:
    for name, text in functions.items():
        if edge.reward == text:
            return f"{name}()"
    try:
        paid = parse_expression(edge.reward, {})
    except FormulaError:
        paid = ir.TRUE  # reads names of its spec: not a number, in any case
    if isinstance(paid, ir.Const) and not isinstance(paid.value, bool):
        return f"{CONSTANT}({_number(repr(paid.value))})"
    _refuse(
        f"the text format cannot pay '{short(edge.reward)}'",
        f"edges[{index}].reward",
        f"It pays numbers and the functions: {list_names(functions)}.",
    )
