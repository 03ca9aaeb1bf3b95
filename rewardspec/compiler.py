"""From a spec to a program: names, terms, ends; then the passes; all problems are raised at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from rewardspec.errors import Problem, SpecError, list_names
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.passes import PASSES
from rewardspec.ir.program import Program, Proposition
from rewardspec.ir.program import Term as PaidTerm
from rewardspec.kinds.potential import Potential
from rewardspec.labels import load_labeller
from rewardspec.lowering import Draft, Scope
from rewardspec.operators import ending
from rewardspec.spec.model import Spec
from rewardspec.spec.terms import Kind, Term
from rewardspec.vocabulary import VOCABULARY

MAX_PROPOSITIONS = 4096


def compile_spec(spec: Spec) -> Program:
    """Compile a spec.

    Raises:
        SpecError: With every problem found, each with its place; `several-agents` when it says what several agents
            want.
    """
    refuse_agents(spec)
    program = lower_spec(spec)
    for change in PASSES:
        program = change(program)
    return program


def lower_spec(spec: Spec, vocabulary: Mapping[str, Kind] = VOCABULARY) -> Program:
    """Return the program as the spec is written, before any pass: every machine state is still there.

    Raises:
        SpecError: With every problem found, each with its place.
    """
    draft = Draft()
    names = declare_names(spec, draft)
    if draft.problems:  # every later complaint would be a consequence
        raise SpecError(draft.problems)
    order = list(zip(term_names(spec), spec.reward, range(len(spec.reward)), strict=True))
    check_term_names(spec, draft)
    # A potential may read the machine of any other term, so potentials come last.
    paid: dict[int, PaidTerm] = {}
    for name, term, index in sorted(order, key=lambda item: isinstance(item[1].body, Potential)):
        scope = Scope(spec, vocabulary, draft, names, ("reward", index), name)
        expr = scope.lower(term)
        paid[index] = PaidTerm(name, term.kind, expr, scope.at())
    terms = [paid[index] for index in sorted(paid)]
    taken = {term.name for term in terms}
    for i, end in enumerate(spec.end):
        owner = "end" if len(spec.end) == 1 else f"end_{i + 1}"
        while owner in taken:  # a term of the reward has that name: totals go by name
            owner += "_"
        taken.add(owner)
        scope = Scope(spec, vocabulary, draft, names, ("end", i), owner)
        expr = ending.lower(end, scope)
        if expr != ir.ZERO:
            terms.append(PaidTerm(owner, "end", expr, scope.at()))
    program = Program(
        name=spec.name,
        discount=spec.discount,
        propositions=tuple(draft.propositions.values()),
        machines=tuple(draft.machines.values()),
        folds=tuple(draft.folds.values()),
        params=tuple(draft.params.values()),
        terms=tuple(terms),
        ends=tuple(draft.ends),
        futures=tuple(draft.futures.items()),
        verdicts=tuple(draft.verdicts),
        learned=tuple(draft.learned.values()),
        sets=tuple(draft.sets.values()),
        judged=tuple(draft.judged.values()),
        observe=spec.observe,
        labels=spec.env.labels if spec.env else None,
    )
    if spec.objective.of is not None:
        scope = Scope(spec, vocabulary, draft, names, ("objective",), "objective")
        scope.expression(spec.objective.of, "of", names=return_names(spec), roots=())
    if not draft.problems:
        draft.problems.extend(find_circles(program))
        draft.problems.extend(find_learned_memory(program))
    if draft.problems:
        raise SpecError(draft.problems)
    return program


def return_names(spec: Spec) -> dict[str, Expr]:
    """Return what terms' names stand for in an objective's expression: `info.NAME`, which is to be their return."""
    return {name: ir.Field("info", (name,)) for name in term_names(spec)}


def refuse_agents(spec: Spec) -> None:
    """Raise where a spec says what several agents want, and one program is asked for.

    Raises:
        SpecError: `several-agents`.
    """
    if spec.is_for_agents:
        word = "agents" if spec.agents else "joint"
        hint = "`rewardspec.wrap_parallel` takes it, over a PettingZoo environment; for one agent write `reward:`."
        message = f"the spec says what several agents want ('{word}'), and this is for one"
        raise SpecError(Problem("several-agents", message, spec.place_of_key((word,)), (hint,)))


def term_names(spec: Spec) -> list[str]:
    """Return the name of each term: its own, or its kind's, numbered where that is taken."""
    taken = {term.name for term in spec.reward if term.name is not None}
    names: list[str] = []
    for term in spec.reward:
        name, number = term.name or term.kind, 2
        while term.name is None and name in taken:
            name, number = f"{term.kind}_{number}", number + 1
        taken.add(name)
        names.append(name)
    return names


def check_term_names(spec: Spec, draft: Draft) -> None:
    """Note terms that share a given name."""
    seen: set[str] = set()
    for i, term in enumerate(spec.reward):
        if term.name is not None and term.name in seen:
            place = spec.place(("reward", i, "name"))
            draft.problems.append(Problem("duplicate-name", f"two terms are named '{term.name}'", place))
        if term.name is not None:
            seen.add(term.name)


def declare_names(spec: Spec, draft: Draft) -> dict[str, Expr]:
    """Read signals and propositions in order; return what each name stands for."""
    names: dict[str, Expr] = {}
    scope = Scope(spec, VOCABULARY, draft, names)
    for name, signal in spec.signals.items():
        names[name] = scope.expression(signal.value, "signals", name, "value")
    if len(spec.propositions) > MAX_PROPOSITIONS:
        scope.problem("document-too-large", f"more than {MAX_PROPOSITIONS} propositions", "propositions")
        return names
    for name, text in spec.propositions.items():
        place = spec.place(("propositions", name))
        if name in spec.signals:
            scope.problem("duplicate-name", f"'{name}' is a signal already", "propositions", name)
        if text is None:
            expr: Expr = ir.Field("label", (name,), place=place)
        else:
            expr = scope.condition(text, "propositions", name)
        draft.propositions[name] = Proposition(name, expr, place)
        names[name] = ir.Holds(name)
    check_labels(spec, draft)
    return names


def check_labels(spec: Spec, draft: Draft) -> None:
    """Check every label that is read against the labeller that the spec names."""
    if spec.env is None or spec.env.labels is None:
        return
    try:
        labeller = load_labeller(spec.env.labels, spec.place(("env", "labels")))
    except SpecError as error:
        draft.problems.extend(error.problems)
        return
    for proposition in draft.propositions.values():
        for node in ir.walk(proposition.expr):
            if not (isinstance(node, ir.Field) and node.root == "label"):
                continue
            if len(node.path) != 1 or not isinstance(node.path[0], str):
                message = "a label is read by its name, as in label.has_key"
                draft.problems.append(Problem("unknown-label", message, node.place))
                continue
            reason = labeller.check(node.path[0])
            if reason is not None:
                message, _, hint = reason.partition(". ")
                draft.problems.append(Problem("unknown-label", message, node.place, (hint,) if hint else ()))


def find_circles(program: Program) -> Iterator[Problem]:
    """Yield a problem for each value that depends on itself within one step."""
    edges: dict[object, set[object]] = {}

    def needs(expr: Expr) -> set[object]:
        found: set[object] = set()
        for node in ir.walk(expr):
            if isinstance(node, ir.Memory) and node.after:
                found.add(("fold", node.fold))
            elif isinstance(node, ir.Ended):
                found.add(("end",))
            elif isinstance(node, ir.Holds):
                found.add(("proposition", node.name))
            elif isinstance(node, ir.StateTable | ir.OutputTable) and getattr(node, "after", True):
                found.add(("machine", node.machine))
        return found

    for proposition in program.propositions:
        edges["proposition", proposition.name] = needs(proposition.expr)
    for machine in program.machines:
        edges["machine", machine.name] = {("proposition", name) for name in machine.propositions}
    for fold in program.folds:
        edges["fold", fold.name] = needs(fold.update)
    edges["end",] = set().union(*(needs(end.when) for end in program.ends)) if program.ends else set()
    state: dict[object, int] = {}

    def visit(node: object) -> list[object] | None:
        stack: list[tuple[object, Iterator[object]]] = [(node, iter(edges.get(node, ())))]
        state[node] = 1
        while stack:
            current, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                state[current] = 2
                stack.pop()
            elif state.get(following) == 1:
                return [item for item, _ in stack]
            elif following not in state:
                state[following] = 1
                stack.append((following, iter(edges.get(following, ()))))
        return None

    for node in edges:
        if node not in state and (circle := visit(node)):
            shown = list_names(
                " ".join(str(part) for part in item) for item in circle if isinstance(item, tuple)
            )
            yield Problem("circular", f"a value depends on itself within one step: {shown}")
            return


def find_learned_memory(program: Program) -> Iterator[Problem]:
    """Yield a problem for each memory, proposition or end that depends on what a model says.

    A learned reward is paid anew whenever its model has been fitted, so only terms may depend on it.
    """
    names = {learned.name: learned for learned in program.learned}
    elsewhere = replace(program, terms=(), learned=()).roots()
    said: set[str] = set()
    for node in (node for root in elsewhere for node in ir.walk(root)):
        if isinstance(node, ir.Field) and node.root == "learned" and str(node.path[0]) not in said:
            said.add(str(node.path[0]))
            learned = names[str(node.path[0])]
            yield Problem(
                "learned-in-memory",
                f"an operator that remembers stands around the learned term '{learned.name}'",
                learned.place,
                (
                    "Its model changes while it is trained, and what was remembered would not.",
                    "Operators without memory may stand there: sum, product, min, affine, clip, tanh, sigmoid, ...",
                ),
            )


def find_terms(spec: Spec) -> Iterator[tuple[tuple[str | int, ...], Term]]:
    """Yield every term of a spec with its path, inner ones included."""

    def inner(term: Term, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Term]]:
        yield path, term
        for field in VOCABULARY[term.kind].terms:
            value = getattr(term.body, field)
            for i, child in enumerate(value if isinstance(value, tuple) else (value,)):
                step: tuple[str | int, ...] = (field, i) if isinstance(value, tuple) else (field,)
                yield from inner(child, (*path, *step))

    for i, term in enumerate(spec.reward):
        yield from inner(term, ("reward", i))
