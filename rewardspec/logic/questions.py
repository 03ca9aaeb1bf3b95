"""What a linter asks of a formula: can it hold, can it fail, is a part of it idle, do its readings differ.

Questions on finite traces are answered from the automaton; those on infinite words by Spot.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rewardspec.errors import FormulaError
from rewardspec.logic.automaton import Verdict, to_hoa, verdicts
from rewardspec.logic.finite import DEFAULT_LIMIT, StateLimit, compile_factor
from rewardspec.logic.formula import Formula, load_spot, to_spot
from rewardspec.logic.syntax import FALSE, TRUE, Node

MAX_ASKED: Final = 40
"""Operators and names up to which Spot is asked: it cannot be stopped and may be exponential."""


def _ask_spot(root: Node) -> Any:
    """Return the formula for Spot, or raise `formula-too-large` when an answer might take too long."""
    formula = to_spot(root)
    size = load_spot().length(formula)
    if size > MAX_ASKED:
        raise FormulaError(
            "formula-too-large",
            f"this formula has {size} operators and names; Spot is asked about {MAX_ASKED} at most",
            root.offset,
            root.length,
            ("split it into several 'ltl' terms",),
        )
    return formula


def is_satisfiable(formula: Formula, limit: StateLimit = DEFAULT_LIMIT) -> bool:
    """Say whether some trace (with at least one step), or some infinite word, satisfies a formula.

    Raises:
        FormulaError: `formula-too-large`.

    Example:
        >>> from rewardspec.logic.formula import parse_formula
        >>> is_satisfiable(parse_formula("G X true"))  # every step has a next one: no finite trace
        False
    """
    if formula.semantics == "finite":
        return bool(compile_factor(formula.root, limit).accepting)
    return not bool(to_spot(formula.root).translate("any", "low").is_empty())


def is_tautology(formula: Formula, limit: StateLimit = DEFAULT_LIMIT) -> bool:
    """Say whether every trace, or every infinite word, satisfies a formula."""
    negation = Node("not", (formula.root,), offset=formula.root.offset, length=formula.root.length)
    return not is_satisfiable(Formula(formula.text, negation, formula.semantics, formula.propositions), limit)


def equivalent(left: Formula, right: Formula, limit: StateLimit = DEFAULT_LIMIT) -> bool:
    """Say whether two formulas of the same semantics hold on the same traces or words.

    Example:
        >>> from rewardspec.logic.formula import parse_formula
        >>> equivalent(parse_formula("!F a"), parse_formula("G !a"))
        True
    """
    if left.semantics != right.semantics:
        raise ValueError("formulas of different semantics cannot be compared")
    return _equivalent(left.root, right.root, left.semantics, limit)


def _equivalent(left: Node, right: Node, semantics: str, limit: StateLimit) -> bool:
    if semantics == "finite":
        return not compile_factor(Node("xor", (left, right)), limit).accepting
    return bool(load_spot().are_equivalent(_ask_spot(left), _ask_spot(right)))


def finite_infinite_differ(formula: Formula, limit: StateLimit = DEFAULT_LIMIT) -> bool:
    """Say whether the finite and the infinite reading of a formula part ways.

    They agree when an infinite word satisfies the formula exactly if, from some step on, all its prefixes
    do. `F a`, `G a` and `a U b` agree; `G F a` (on finite traces: a at the last step), `G(a -> X b)` (a must
    not come last) and `G X true` differ.
    """
    spot = load_spot()
    automaton = compile_factor(formula.root, limit)
    return not spot.are_equivalent(spot.automaton(to_hoa(automaton, "co-Buchi")), _ask_spot(formula.root))


def has_no_finite_violation(formula: Formula, limit: StateLimit = DEFAULT_LIMIT) -> bool:
    """Say whether no finite trace can violate a formula for good (liveness, as in `G F a` or `F a`)."""
    if formula.semantics == "infinite":
        return bool(load_spot().is_liveness(_ask_spot(formula.root)))
    return Verdict.VIOLATED_FOR_GOOD not in verdicts(compile_factor(formula.root, limit))


def is_safety(formula: Formula) -> bool:
    """Say whether every violation of a formula on infinite words shows after finitely many steps."""
    return str(load_spot().mp_class(_ask_spot(formula.root))) in ("B", "S")


def idle_parts(formula: Formula, limit: StateLimit = DEFAULT_LIMIT, most: int = 40) -> tuple[Node, ...]:
    """Return the largest parts that may be replaced by true or by false without a difference.

    Source: vacuity as in Beer, Ben-David, Eisner and Rodeh, "Efficient detection of vacuity in temporal model
        checking" (2001), applied to the formula alone.

    Args:
        formula: The formula.
        limit: How large the automata may become.
        most: Parts to try; larger formulas are looked at outside in as far as that.

    Example:
        >>> from rewardspec.logic.formula import parse_formula
        >>> [str(part) for part in idle_parts(parse_formula("F a | F(a & b)"))]
        ['F (a and b)']
    """
    idle: list[Node] = []
    tried = 0
    for path, part in _parts(formula.root):
        inside_idle = any(p.offset <= part.offset < p.offset + p.length for p in idle)
        if not path or part.op in ("true", "false") or inside_idle:
            continue
        if tried == most:
            break
        tried += 1
        for constant in (TRUE, FALSE):
            changed = _replace(formula.root, path, constant)
            if _equivalent(changed, formula.root, formula.semantics, limit):
                idle.append(part)
                break
    return tuple(idle)


def _parts(root: Node) -> Iterator[tuple[tuple[int, ...], Node]]:
    """Yield every part with the path to it, outer parts first."""
    queue: list[tuple[tuple[int, ...], Node]] = [((), root)]
    for path, node in queue:  # grows while we read it
        yield path, node
        queue.extend(((*path, i), arg) for i, arg in enumerate(node.args))


def _replace(node: Node, path: tuple[int, ...], by: Node) -> Node:
    if not path:
        return by
    args = list(node.args)
    args[path[0]] = _replace(args[path[0]], path[1:], by)
    return Node(
        node.op,
        tuple(args),
        node.text,
        node.low,
        node.high,
        node.suffix,
        node.offset,
        node.length,
        node.depth,
    )
