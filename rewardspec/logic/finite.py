"""LTLf to deterministic automata, by progression on decision diagrams. Needs no Spot.

Progression rewrites "the trace from here on satisfies f" into what it asks of the present label and what it
asks of the rest. Let `next(f)` say "there is a next step, and f holds from there"; then::

    now(p)        = p
    now(not f)    = not now(f)
    now(f and g)  = now(f) and now(g)
    now(X f)      = next(f)
    now(f U g)    = now(g) or (now(f) and next(f U g))

and everything else is written with these: `F g = true U g`, `G g = not F not g`, `WX g = not X not g`,
`f R g = not (not f U not g)`, and so on. `now(f)` is thus a boolean function of propositions and of
*obligations* `next(g)`. As a decision diagram with the propositions on top, it is the edges of an automaton
state: each path through the propositions is a cube, and the function of obligations at its end is the
next state. Reading the next label replaces every obligation `next(g)` by `now(g)`. A trace may end where a
state holds with every obligation false, for there is no next step.

States that are equal as boolean functions are the same node, which makes the states finitely many; the rest
of the merging is left to partition refinement. No label is ever enumerated.

Source: Bacchus and Kabanza, "Planning for temporally extended goals" (1998), for progression; De Giacomo and
Vardi, "Linear temporal logic and linear dynamic logic on finite traces" (IJCAI 2013), for LTLf; Duret-Lutz,
Zhu, Piterman, De Giacomo and Vardi, "Engineering an LTLf synthesis tool" (CIAA 2025), for diagrams with
propositions above formulas. They keep formulas in the leaves; here the diagram continues below, so that
propositional equality of states costs nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rewardspec.errors import FormulaError
from rewardspec.logic.automaton import Automaton, merge_edges, refine_diagrams, trim
from rewardspec.logic.diagrams import NO_VARIABLE, Diagrams, TooLargeError
from rewardspec.logic.factors import FiniteMonitor, combine_factors
from rewardspec.logic.formula import Formula
from rewardspec.logic.guards import connect
from rewardspec.logic.syntax import FALSE, TRUE, Node, names_in, show


@dataclass(frozen=True)
class StateLimit:
    """How large an automaton may become.

    Attributes:
        states: States of one factor before minimisation.
        cubes: Edges that leave one state.
        nodes: Decision-diagram nodes of one factor.
        seconds: Processor seconds of one factor (this thread's).
    """

    states: int = 2_000
    cubes: int = 4_096
    nodes: int = 1_000_000
    seconds: float = 5.0


DEFAULT_LIMIT: Final = StateLimit()

Acceptance = Literal["ended", "good", "not bad"]

OBLIGATIONS: Final = 1 << 40
"""The oldest obligation's variable. Newer ones count down from it, so they are tested first: a state that
grows by a new obligation then shares the diagram of the old ones, and what they became, with its ancestor."""


def compile_finite(formula: Formula, limit: StateLimit = DEFAULT_LIMIT) -> FiniteMonitor:
    """Compile an LTLf formula to deterministic automata that are stepped side by side.

    A conjunction or disjunction at the top (after pushing negations inwards, and through `G` over `and`
    and `F` over `or`) stays factored; factors are joined where that makes them no larger, and where only
    the product knows that the verdict is final (see `factors`).

    Args:
        formula: Parsed with `semantics="finite"`.
        limit: How large each factor may become.

    Raises:
        FormulaError: `formula-too-large`, with the part that is.

    Example:
        >>> from rewardspec.logic.formula import parse_formula
        >>> monitor = compile_finite(parse_formula("F(a & X F b)"))
        >>> len(monitor.factors), len(monitor.factors[0])
        (1, 3)
    """
    combine, parts = split(formula.root)
    automata = tuple(compile_factor(part, limit) for part in parts)
    return combine_factors(automata, combine, formula.propositions)


def compile_factor(root: Node, limit: StateLimit = DEFAULT_LIMIT, accept: Acceptance = "ended") -> Automaton:
    """Compile one formula to one minimal automaton over the propositions that it reads.

    Args:
        root: The formula.
        limit: How large it may become.
        accept: Which traces to accept. `ended`: those that satisfy the formula as an LTLf formula. `good`:
            prefixes after which nothing is asked any more; an infinite word satisfies a formula whose
            untils all stand positively (syntactic co-safety) exactly when it has one. `not bad`: prefixes
            after which something may still be asked; a word satisfies a formula whose untils all stand
            negatively (syntactic safety) exactly when it has no other.

    Raises:
        FormulaError: `formula-too-large`.
    """
    try:
        return _compile(root, limit, accept)
    except TooLargeError as error:
        what = error.what
    except RecursionError:  # diagrams recurse once a variable
        what = "some hundreds of obligations in one state"
    raise _explain_size(root, limit, what)


def decided_by_prefixes(root: Node) -> Acceptance | None:
    """Return which prefixes decide a formula on infinite words: `good` ones, those `not bad`, or None.

    Example:
        >>> from rewardspec.logic.formula import parse_formula
        >>> [decided_by_prefixes(parse_formula(text).root) for text in ("!G a & X F b", "a W b", "G F a")]
        ['good', 'not bad', None]
    """
    signs: set[bool] = set()
    stack = [(root, True)]
    while stack:
        node, positive = stack.pop()
        if node.op == "sere":
            return None
        if node.op in ("U", "M") or (node.op == "F" and node.high is None):
            signs.add(positive)
        elif node.op in ("R", "W") or (node.op == "G" and node.high is None):
            signs.add(not positive)
        for i, arg in enumerate(node.args):
            flips = node.op == "not" or (node.op == "implies" and i == 0)
            stack.append((arg, positive != flips))
            if node.op in ("iff", "xor"):
                stack.append((arg, not positive))
    if signs == {True, False}:
        return None
    return "good" if signs == {True} else "not bad"


def split(root: Node) -> tuple[str, tuple[Node, ...]]:
    """Return the top connective, `and` or `or`, and the formulas that it connects.

    Example:
        >>> from rewardspec.logic.formula import parse_formula
        >>> combine, parts = split(parse_formula("!(F a | F !b)").root)
        >>> combine, [str(part) for part in parts]
        ('and', ['G not a', 'G b'])
    """
    root = _push_negation(root, positive=True)
    for combine, across in (("and", "G"), ("or", "F")):
        parts = _flatten(root, combine, across)
        if len(parts) > 1:
            return combine, parts
    return "and", (root,)


def _push_negation(node: Node, positive: bool) -> Node:
    """Return the node, or its negation, with negations pushed as far as `split` looks."""
    op = node.op
    if op == "not":
        return _push_negation(node.args[0], not positive)
    dual = {"and": "or", "or": "and", "F": "G", "G": "F"}
    if op in dual:
        args = tuple(_push_negation(arg, positive) for arg in node.args)
        return _rebuild(node, op if positive else dual[op], args)
    if op == "implies":
        left, right = node.args
        args = (_push_negation(left, not positive), _push_negation(right, positive))
        return _rebuild(node, "or" if positive else "and", args)
    if op in ("true", "false"):
        return node if positive else (FALSE if op == "true" else TRUE)
    return node if positive else _rebuild(node, "not", (node,))


def _rebuild(node: Node, op: str, args: tuple[Node, ...]) -> Node:
    bounds = (node.low, node.high) if op in ("F", "G") else (0, None)
    return Node(op, args, "", *bounds, offset=node.offset, length=node.length)


def _flatten(node: Node, combine: str, across: str) -> tuple[Node, ...]:
    """Return the operands of nested `combine`, distributing `across` (G over and, F over or)."""
    if node.op == combine:
        return tuple(part for arg in node.args for part in _flatten(arg, combine, across))
    if node.op == across:
        inner = _flatten(node.args[0], combine, across)
        return tuple(_rebuild(node, across, (part,)) for part in inner)
    return (node,)


class _Progression:
    """Formulas as interned terms, what each asks of now, and what a state becomes by a label.

    A term is a number; `terms[t]` is `(kind, left, right)` with kind `name`, `true`, `not`, `and`, `or`,
    `iff`, `next` or `until`, and the numbers of its parts.
    """

    def __init__(self, root: Node, limit: StateLimit) -> None:
        self.names = names_in(root)
        self.diagrams = Diagrams(limit.nodes, limit.seconds)
        self.terms: list[tuple[str, int, int]] = []
        self._interned: dict[tuple[str, int, int], int] = {}
        self._now: dict[int, int] = {}
        self._obligation_of: dict[int, int] = {}  # term -> variable
        self._owed: dict[int, int] = {}  # variable -> term
        self._after: dict[int, int] = {}
        self.start = self.obligation(self.intern(root))

    # -- formulas to terms -----------------------------------------------------------------------------

    def term(self, kind: str, left: int = 0, right: int = 0) -> int:
        """Return the number of a term, simplified by the constants and by double negation."""
        if kind == "not" and self.terms[left][0] == "not":
            return self.terms[left][1]
        key = (kind, left, right)
        if key not in self._interned:
            self._interned[key] = len(self.terms)
            self.terms.append(key)
        return self._interned[key]

    def negated(self, term: int) -> int:
        """Return the term of the negation."""
        return self.term("not", term)

    def intern(self, node: Node) -> int:
        """Return the term of a formula."""
        op, term, negated = node.op, self.term, self.negated
        if op == "name":
            return term("name", self.names.index(node.text))
        if op in ("true", "false"):
            return term("true") if op == "true" else negated(term("true"))
        args = [self.intern(arg) for arg in node.args]
        first, last = args[0], args[-1]
        match op:
            case "not":
                return negated(first)
            case "and" | "or":
                for arg in reversed(args[:-1]):
                    last = term(op, arg, last)
                return last
            case "implies":
                return term("or", negated(first), last)
            case "iff":
                return term("iff", first, last)
            case "xor":
                return negated(term("iff", first, last))
            case "X":
                return self.repeat_next(first, max(1, node.low))
            case "WX":
                return negated(term("next", negated(first)))
            case "F":
                return self.eventually(first, node.low, node.high)
            case "G":
                return negated(self.eventually(negated(first), node.low, node.high))
            case "U":
                return term("until", first, last)
            case "R":
                return negated(term("until", negated(first), negated(last)))
            case "M":  # f M g: g holds until, and at the step when, f holds; and f does hold
                return term("until", last, term("and", first, last))
            case "W":
                return negated(term("until", negated(last), term("and", negated(first), negated(last))))
        raise ValueError(f"not an LTLf operator: {op}")

    def repeat_next(self, body: int, steps: int) -> int:
        """Return the term of X[steps] body."""
        for _ in range(steps):
            body = self.term("next", body)
        return body

    def eventually(self, body: int, low: int, high: int | None) -> int:
        """Return the term of F[low:high] body."""
        if high is None:
            found = self.term("until", self.term("true"), body)
        else:
            found = body
            for _ in range(high - low):
                found = self.term("or", body, self.term("next", found))
        return self.repeat_next(found, low)

    # -- progression -----------------------------------------------------------------------------------

    def obligation(self, term: int) -> int:
        """Return the diagram of `next(term)`, a variable of its own."""
        if term not in self._obligation_of:
            variable = OBLIGATIONS - len(self._owed)
            self._obligation_of[term] = variable
            self._owed[variable] = term
        return self.diagrams.variable(self._obligation_of[term])

    def now(self, term: int) -> int:
        """Return what a term asks of the present label and of the steps after it."""
        found = self._now.get(term)
        if found is None:
            found = self._now[term] = self._expand(term)
        return found

    def _expand(self, term: int) -> int:
        kind, left, right = self.terms[term]
        diagrams = self.diagrams
        match kind:
            case "true":
                return Diagrams.TRUE
            case "name":
                return diagrams.variable(left)
            case "not":
                return diagrams.negation(self.now(left))
            case "next":
                return self.obligation(left)
            case "until":
                stay = diagrams.both(self.now(left), self.obligation(term))
                return diagrams.either(self.now(right), stay)
            case _:
                return connect(diagrams, kind, (self.now(left), self.now(right)))

    def after(self, state: int) -> int:
        """Return the edges of a state: every obligation `next(f)` replaced by `now(f)`."""
        diagrams = self.diagrams
        variable = diagrams.level[state]
        if variable == NO_VARIABLE:
            return state
        found = self._after.get(state)
        if found is None:
            then, otherwise = self.after(diagrams.high[state]), self.after(diagrams.low[state])
            found = self._after[state] = diagrams.choice(self.now(self._owed[variable]), then, otherwise)
        return found

    def may_end(self, state: int) -> bool:
        """Say whether a state holds where no step follows: with every obligation false."""
        while self.diagrams.level[state] != NO_VARIABLE:
            state = self.diagrams.low[state]
        return state == Diagrams.TRUE


def _compile(root: Node, limit: StateLimit, accept: Acceptance = "ended") -> Automaton:
    """Return the minimal automaton of a formula, or raise `TooLargeError`."""
    progression = _Progression(root, limit)
    diagrams = progression.diagrams
    top = len(progression.names)  # the first variable that is no proposition
    number = {progression.start: 0}
    states = [progression.start]
    roots: list[int] = []
    for state in states:  # grows while we read it
        roots.append(progression.after(state))
        for target in diagrams.bottoms(roots[-1], top):
            if target not in number:
                if len(states) >= limit.states:
                    raise TooLargeError(f"{limit.states} states")
                number[target] = len(states)
                states.append(target)
    if accept == "ended":
        accepts = [progression.may_end(state) for state in states]
    elif accept == "good":
        accepts = [state == Diagrams.TRUE for state in states]
    else:
        accepts = [state != Diagrams.FALSE for state in states]
    # Bottoms are states; a class is shown as a leaf of its own.
    classes = refine_diagrams(
        diagrams,
        roots,
        accepts,
        target_of=number.__getitem__,
        rename=lambda bottom, class_of: diagrams.leaf(("class", class_of[number[bottom]])),
        top=top,
    )
    return _read_off(diagrams, roots, classes, accepts, number, progression.names, limit)


def _read_off(
    diagrams: Diagrams,
    roots: Sequence[int],
    classes: Sequence[int],
    accepts: Sequence[bool],
    number: dict[int, int],
    names: tuple[str, ...],
    limit: StateLimit,
) -> Automaton:
    """Return the automaton whose states are the classes, with edges as cubes."""
    top = len(names)
    first: dict[int, int] = {}
    for state, class_number in enumerate(classes):
        first.setdefault(class_number, state)
    memo: dict[int, int] = {}
    edges = []
    for state in first.values():
        root = diagrams.relabel(
            roots[state], lambda bottom: diagrams.leaf(("to", classes[number[bottom]])), memo, top
        )
        leaving = []
        for mask, value, leaf in diagrams.paths(root, limit.cubes):
            payload = diagrams.payload[leaf]
            assert isinstance(payload, tuple)
            leaving.append((mask, value, payload[1]))
        edges.append(merge_edges(leaving))
    accepting = frozenset(class_number for class_number, state in first.items() if accepts[state])
    return trim(Automaton(names, classes[0], tuple(edges), accepting))


# -- saying what was too large -------------------------------------------------------------------------


def _explain_size(root: Node, limit: StateLimit, what: str) -> FormulaError:
    """Return the error for a formula that is too large: the smallest part that is, and a way out."""
    culprit = root
    until = time.thread_time() + limit.seconds / 2
    while time.thread_time() < until:
        remaining = StateLimit(limit.states, limit.cubes, limit.nodes, until - time.thread_time())
        parts = [part for part in culprit.args if part.op not in ("name", "true", "false")]
        guilty = next((part for part in parts if _exceeds(part, remaining)), None)
        if guilty is None or time.thread_time() >= until:
            break
        culprit = guilty
    shown = show(culprit)
    shown = shown if len(shown) <= 160 else shown[:157] + "..."
    hints = [f"the part is: {shown}"]
    rewritten = close_until(root)
    if rewritten != root and not _exceeds(rewritten, limit):
        hints.append(
            "in 'p U (q & X(p U ...))' p may fail at the step of q, so every subset of steps done must be "
            f"remembered; if p should hold there too, this is small: {show(rewritten)}"
        )
    else:
        hints.append(
            "split it into several 'ltl' terms, or declare a reward_machine with the states you need"
        )
    return FormulaError(
        "formula-too-large",
        f"the automaton of this formula needs more than {what}",
        culprit.offset,
        culprit.length,
        hints,
    )


def _exceeds(root: Node, limit: StateLimit) -> bool:
    try:
        _compile(root, limit)
    except (TooLargeError, RecursionError):
        return True
    return False


def close_until(node: Node) -> Node:
    """Return the formula with `p U (q & X(p U r))` made `p U (q & p & X(p U r))`, at every level.

    Not equivalent: p must then hold at the step of q too, which is what people who write it nearly always
    mean, and takes a linear number of states in place of an exponential one.

    Example:
        >>> from rewardspec.logic.formula import parse_formula
        >>> str(close_until(parse_formula("!c U (a & X(!c U b))").root))
        'not c U (a and not c and X (not c U b))'
    """
    args = tuple(close_until(arg) for arg in node.args)
    if node.op == "U" and args[1].op == "and":
        left, right = args
        repeats = any(
            arg.op == "X" and arg.args[0].op == "U" and arg.args[0].args[0] == left for arg in right.args
        )
        if repeats and left not in right.args:
            *others, last = right.args
            args = (left, _rebuild(right, "and", (*others, left, last)))
    return Node(
        node.op, args, node.text, node.low, node.high, node.suffix, node.offset, node.length, node.depth
    )
