"""Programs as pages that a person can read: what a program reads, remembers, pays and ends on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.program import VERDICTS, Fold, Learned, Machine, Program, SetMemory, Term, Verdict
from rewardspec.ir.show import join_items, quote, show_expr, show_number
from rewardspec.ir.show_machine import show_machine

WIDTH = 100
"""Characters of a sum that stay on one line of a page."""


@dataclass
class _Page:
    """A text page of headings and indented lines."""

    lines: list[str] = field(default_factory=list)

    def section(self, title: str, lines: Iterable[str]) -> None:
        """Add a section, unless it has no lines."""
        lines = [part for line in lines for part in line.split("\n")]
        if lines:
            self.lines += ["", title, *(f"  {line}" for line in lines)]


def show_program(program: Program) -> str:
    """Return a program as a readable page: what it reads, remembers, pays and ends on.

    Example:
        >>> from rewardspec.ir.program import Term
        >>> effort = Term("effort", "markov", ir.Unary("neg", ir.Field("action")))
        >>> print(show_program(Program("run", 0.9, (), (), (), (), (effort,), ())))
        run
          discount  0.9
          digest    ...
          scope     step
          observe   auto
        <BLANKLINE>
        reward
          effort (markov) = -action
    """
    page = _Page([program.name, *(f"  {line}" for line in _facts(program))])
    machines = program.machines

    def shown(expr: Expr) -> str:
        return show_expr(expr, machines)

    page.section("propositions", _aligned((p.name, f"= {shown(p.expr)}") for p in program.propositions))
    numbered = _machines_read_by_output(program)
    for machine in machines:
        text = show_machine(machine, machines, machine.name in numbered)
        page.section(f"machine {machine.name}", [text])
    page.section("memory", (line for fold in program.folds for line in _show_fold(fold, machines)))
    page.section("sets", (line for grown in program.sets for line in _show_set(grown, machines)))
    page.section("parameters", _aligned((p.name, f"= {show_number(p.initial)}") for p in program.params))
    page.section(
        "known at the end of the episode",
        _aligned((f"at_end({name})", f"= {shown(expr)}") for name, expr in program.futures),
    )
    page.section(
        "learned", (line for learned in program.learned for line in _show_learned(learned, machines))
    )
    page.section("reward", _aligned(_show_term(term, machines) for term in program.terms))
    page.section("ends", (f"{end.how} when {shown(end.when)}" for end in program.ends))
    page.section(
        "verdicts", (line for verdict in program.verdicts for line in _show_verdict(verdict, program))
    )
    page.section("how to read this", _legend(program))
    return "\n".join(page.lines)


def _facts(program: Program) -> Iterator[str]:
    facts = {
        "discount": None if program.discount is None else show_number(program.discount),
        "digest": program.digest(),
        "scope": program.scope,
        "observe": program.observe,
        "labels": program.labels,
    }
    return _aligned(((name, value) for name, value in facts.items() if value is not None), width=8)


def _aligned(rows: Iterable[tuple[str, str]], width: int = 0) -> Iterator[str]:
    """Yield rows of two columns; a first column beyond 24 characters does not push the others."""
    rows = list(rows)
    width = max([width, *(len(name) for name, _ in rows if len(name) <= 24)], default=0)
    for name, value in rows:
        yield f"{name:{width}}{' ' if value.startswith('=') else '  '}{value}"


def _show_fold(fold: Fold, machines: Sequence[Machine]) -> Iterator[str]:
    since = "episode" if fold.scope == "episode" else "run"
    hidden = "" if fold.observed else ", not observed"
    yield f"{fold.name}  = {show_number(fold.start)} at the start of the {since}{hidden}"
    yield f"{fold.name}' = {show_expr(fold.update, machines)}"


def _show_set(grown: SetMemory, machines: Sequence[Machine]) -> Iterator[str]:
    hidden = "" if grown.observed else ", not observed"
    function = grown.function
    yield f"{grown.name}  a set under {type(function).__name__} of {function.size} items{hidden}"
    yield f"  item = {show_expr(grown.item, machines)}"
    if grown.first is not None:
        yield f"  first = {show_expr(grown.first, machines)}"


def _show_learned(learned: Learned, machines: Sequence[Machine]) -> Iterator[str]:
    inputs = [show_expr(expr, machines) for expr in learned.inputs or ()]
    yield f"learned({learned.name})  a model of kind {learned.kind}, of {join_items(inputs) or 'obs and action'}"
    for name, expr in learned.measures:
        yield f"  {name} = {show_expr(expr, machines)}"


def _show_term(term: Term, machines: Sequence[Machine]) -> tuple[str, str]:
    """Return a term's name and what it pays, a long sum on several lines."""
    name = term.name if term.kind == term.name else f"{term.name} ({term.kind})"
    text = show_expr(term.expr, machines)
    if len(text) > WIDTH and isinstance(term.expr, ir.Combine) and term.expr.op == "sum":
        text = "\n    + ".join(show_expr(arg, machines) for arg in term.expr.args)
    return name, f"= {text}"


def _show_verdict(verdict: Verdict, program: Program) -> Iterator[str]:
    if len(verdict.machines) == 1:
        yield f"{verdict.term}, by the state of {verdict.machines[0]}"
    else:
        joined = "all hold" if verdict.combine == "and" else "one holds"
        yield f"{verdict.term} holds when {joined} of"
    for name, table in zip(verdict.machines, verdict.tables, strict=True):
        if len(verdict.machines) > 1:
            yield f"  {name}"
        for value in reversed(range(len(VERDICTS))):
            flags = [entry == value for entry in table]
            states = [quote(s) for s, flag in zip(program.machine(name).states, flags, strict=True) if flag]
            if states:
                indent = "    " if len(verdict.machines) > 1 else "  "
                word = "open" if verdict.infinite and value in (1, 2) else VERDICTS[value]
                yield f"{indent}{word:18}  {join_items(states)}"


def _machines_read_by_output(program: Program) -> set[str]:
    """Return the machines of which some expression asks which output they gave."""
    return {
        node.machine
        for root in program.roots()
        for node in ir.walk(root)
        if isinstance(node, ir.OutputTable) and all(isinstance(value, bool) for value in node.values)
    }


def _legend(program: Program) -> Iterator[str]:
    nodes = [node for root in program.roots() for node in ir.walk(root)]
    if program.folds or any(isinstance(node, ir.StateTable) and node.after for node in nodes):
        yield "x' is the value of x after the step, x the one before it."
    if program.sets:
        yield "gain(x) is what the step's item adds to the value of the set x; it is in the set from then on."
    if any(isinstance(node, ir.OutputTable) for node in nodes):
        yield "m.pays is what the edge that machine m took on this step pays."
    if any(isinstance(node, ir.Ended) for node in nodes):
        yield "step.terminated, step.truncated and step.last say that the episode is over,"
        yield "by the environment's word or by the program's."
    if any(isinstance(node, ir.Reduce) and node.axis == "B" for node in nodes):
        yield "batch.sum and the like join the environments that step together."
