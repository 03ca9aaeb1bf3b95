"""Guards: boolean formulas over propositions, and the sets of labels they stand for.

A label is an integer whose bit i says whether `names[i]` is true. A cube `(mask, value)` is the set of labels
with `label & mask == value`; a guard becomes a few pairwise disjoint cubes, so thirty propositions cost no
more than three.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from rewardspec.errors import FormulaError
from rewardspec.logic.diagrams import Cube, Diagrams, TooLargeError
from rewardspec.logic.syntax import GUARD, Node, names_in, parse, show

MAX_NODES: Final = 200_000
"""Decision-diagram nodes that one guard may need."""

Guard = Node
"""A parsed guard: a `Node` with boolean operators only."""


def parse_guard(text: str, declared: Collection[str] | None = None) -> Guard:
    """Parse a guard such as `coffee and not office`.

    Args:
        text: Words `and or not xor implies iff true false`, or the symbols `& && | || ! ~ ^ -> => <-> <=>`.
        declared: The propositions that exist; None accepts every name.

    Raises:
        FormulaError: `formula-syntax`, `formula-too-long`, `unknown-proposition`, `reserved-name`.

    Example:
        >>> show_guard(parse_guard("!(a | b) && last_door"))
        'not (a or b) and last_door'
    """
    return parse(text, GUARD, declared)


def show_guard(guard: Guard) -> str:
    """Return the canonical text of a guard; parsing it again gives an equal guard."""
    return show(guard)


def guard_names(guard: Guard) -> tuple[str, ...]:
    """Return the propositions that a guard reads, in order of first occurrence."""
    return names_in(guard)


def guard_holds(guard: Guard, true_names: Collection[str]) -> bool:
    """Say whether a guard holds when exactly `true_names` are true.

    Example:
        >>> guard_holds(parse_guard("a implies b"), {"a"})
        False
    """
    values = [guard_holds(arg, true_names) for arg in guard.args]
    match guard.op:
        case "name":
            return guard.text in true_names
        case "true" | "false":
            return guard.op == "true"
        case "not":
            return not values[0]
        case "and":
            return all(values)
        case "or":
            return any(values)
        case "xor":
            return values[0] != values[1]
        case "implies":
            return not values[0] or values[1]
        case "iff":
            return values[0] == values[1]
    raise ValueError(f"not a guard: {guard.op}")


def guard_cubes(guard: Guard, names: Sequence[str], limit: int = 4096) -> tuple[Cube, ...]:
    """Return pairwise disjoint cubes whose union is the set of labels that satisfy a guard.

    Args:
        guard: The guard; every name it reads must be in `names`.
        names: Bit i of a label is `names[i]`.
        limit: Most cubes to return.

    Raises:
        FormulaError: `guard-too-large` when it needs more than `limit` cubes.

    Example:
        >>> guard_cubes(parse_guard("coffee and not office"), ("coffee", "office"))
        ((3, 1),)
    """
    # The diagram tests propositions in the order in which the guard reads them: people write what belongs
    # together side by side, and `a and b or c and d` is linear in that order and exponential in others.
    read = guard_names(guard)
    bits = [names.index(name) for name in read]
    diagrams = Diagrams(MAX_NODES)
    try:
        root = guard_diagram(diagrams, guard, {name: number for number, name in enumerate(read)})
        paths = [(m, v) for m, v, bottom in diagrams.paths(root, 8 * limit) if bottom == Diagrams.TRUE]
        if len(paths) > limit:
            raise TooLargeError(f"{limit} cubes")
    except TooLargeError:
        raise FormulaError(
            "guard-too-large",
            f"this guard needs more than {limit} edges",
            guard.offset,
            guard.length,
            ("declare a proposition for a part of it, and use that name here",),
        ) from None
    return tuple((move_bits(mask, bits), move_bits(value, bits)) for mask, value in paths)


def guard_diagram(diagrams: Diagrams, guard: Guard, variables: dict[str, int]) -> int:
    """Return the decision diagram of a guard whose name n is the variable `variables[n]`."""
    if guard.op == "name":
        return diagrams.variable(variables[guard.text])
    if guard.op in ("true", "false"):
        return Diagrams.TRUE if guard.op == "true" else Diagrams.FALSE
    # From the right: the later operands test later variables, so the conjunction grows from its bottom up.
    parts = [guard_diagram(diagrams, arg, variables) for arg in guard.args]
    return connect(diagrams, guard.op, parts)


def connect(diagrams: Diagrams, op: str, parts: Sequence[int]) -> int:
    """Return the diagram of a boolean operator over diagrams."""
    result = parts[-1]
    if op == "not":
        return diagrams.negation(result)
    for part in reversed(parts[:-1]):
        if op == "and":
            result = diagrams.both(part, result)
        elif op == "or":
            result = diagrams.either(part, result)
        elif op == "implies":
            result = diagrams.choice(part, result, Diagrams.TRUE)
        elif op == "iff":
            result = diagrams.choice(part, result, diagrams.negation(result))
        elif op == "xor":
            result = diagrams.choice(part, diagrams.negation(result), result)
        else:
            raise ValueError(f"not a boolean operator: {op}")
    return result


def move_bits(number: int, bits: Sequence[int]) -> int:
    """Return the number with bit i moved to bit `bits[i]`.

    Example:
        >>> bin(move_bits(0b101, [2, 0, 1]))
        '0b110'
    """
    return sum(1 << bit for i, bit in enumerate(bits) if number >> i & 1)


def cubes_overlap(left: Cube, right: Cube) -> bool:
    """Say whether two cubes share a label.

    Example:
        >>> cubes_overlap((0b01, 0b01), (0b11, 0b10)), cubes_overlap((0b01, 0b01), (0b10, 0b10))
        (False, True)
    """
    return not (left[1] ^ right[1]) & left[0] & right[0]


def find_overlap(left: Iterable[Cube], right: Iterable[Cube]) -> int | None:
    """Return a label in both unions of cubes (with as few bits true as they allow), or None.

    Example:
        >>> find_overlap([(0b01, 0b01)], [(0b10, 0b10)])
        3
    """
    right = tuple(right)
    for cube in left:
        for other in right:
            if cubes_overlap(cube, other):
                return cube[1] | other[1]
    return None


def find_gap(cubes: Iterable[Cube]) -> int | None:
    """Return a label in none of the cubes, or None when they cover every label.

    Raises:
        FormulaError: `guard-too-large` when the cubes are too many to decide it.

    Example:
        >>> find_gap([(0b01, 0b01), (0b11, 0b00)])
        2
    """
    diagrams = Diagrams(MAX_NODES)
    try:
        covered = union_of(diagrams, cubes)
    except TooLargeError:
        raise FormulaError("guard-too-large", "the guards of this state are too large to compare") from None
    if covered == Diagrams.TRUE:
        return None
    label = 0
    while covered != Diagrams.FALSE:  # in a reduced diagram every node but TRUE has a way to FALSE
        if diagrams.low[covered] != Diagrams.TRUE:
            covered = diagrams.low[covered]
        else:
            label |= 1 << diagrams.level[covered]
            covered = diagrams.high[covered]
    return label


def union_of(diagrams: Diagrams, cubes: Iterable[Cube]) -> int:
    """Return the diagram of a union of cubes."""
    union = Diagrams.FALSE
    for cube in cubes:
        union = diagrams.from_cube(cube, Diagrams.TRUE, union)
    return union


def show_cube(cube: Cube, names: Sequence[str]) -> str:
    """Return a cube as a conjunction.

    Example:
        >>> show_cube((0b11, 0b01), ("coffee", "office"))
        'coffee and not office'
    """
    mask, value = cube
    parts = [name if value >> bit & 1 else f"not {name}" for bit, name in enumerate(names) if mask >> bit & 1]
    return " and ".join(parts) or "true"


def show_label(label: int, names: Sequence[str]) -> str:
    """Return a label as the list of its true propositions.

    Example:
        >>> show_label(0b10, ("coffee", "office")), show_label(0, ("coffee",))
        ('office', 'nothing true')
    """
    return ", ".join(name for bit, name in enumerate(names) if label >> bit & 1) or "nothing true"


def cubes_to_guard(cubes: Iterable[Cube], names: Sequence[str]) -> str:
    """Return a short guard text for a union of cubes, for drawing edges.

    Writes a disjunction of conjunctions, or the negation of one where that is shorter.

    Example:
        >>> cubes_to_guard([(0b01, 0b00), (0b11, 0b01)], ("a", "b"))
        'not (a and b)'
    """
    diagrams = Diagrams(MAX_NODES)
    union = union_of(diagrams, cubes)
    direct = diagrams.cover(union)
    opposite = diagrams.cover(diagrams.negation(union))
    if _words(direct) <= _words(opposite) + 1 or not opposite:
        return _show_cubes(direct, names)
    negated = _show_cubes(opposite, names)
    return f"not ({negated})" if " " in negated else f"not {negated}"


def merge_cubes(cubes: Iterable[Cube]) -> tuple[Cube, ...]:
    """Return disjoint cubes with the same union, as few as a decision diagram finds.

    Example:
        >>> merge_cubes([(0b11, 0b01), (0b11, 0b11)])
        ((1, 1),)
    """
    cubes = tuple(cubes)
    diagrams = Diagrams(MAX_NODES)
    try:
        union = union_of(diagrams, cubes)
        found = [
            (m, v) for m, v, bottom in diagrams.paths(union, 8 * len(cubes) + 8) if bottom == Diagrams.TRUE
        ]
    except TooLargeError:
        return cubes
    return tuple(found) if len(found) < len(cubes) else cubes


def _words(cubes: Sequence[Cube]) -> int:
    """Return how many names, negations and cubes there are to read."""
    return sum(mask.bit_count() + (mask & ~value).bit_count() for mask, value in cubes) + len(cubes)


def _show_cubes(cubes: Sequence[Cube], names: Sequence[str]) -> str:
    return " or ".join(show_cube(cube, names) for cube in cubes) or "false"
