"""The meaning of LTLf and LTL by recursion on the trace: slow, plain, sharing no code with the compiler."""

from __future__ import annotations

from collections.abc import Sequence

from rewardspec.logic.syntax import Node


def holds(node: Node, trace: Sequence[set[str]], i: int = 0) -> bool:
    """Say whether a trace satisfies a formula from step i on (De Giacomo and Vardi 2013, section 2)."""
    n = len(trace)

    def at(arg: Node, j: int) -> bool:
        return holds(arg, trace, j)

    args = node.args
    match node.op:
        case "true":
            return True
        case "false":
            return False
        case "name":
            return node.text in trace[i]
        case "not":
            return not at(args[0], i)
        case "and":
            return all(at(a, i) for a in args)
        case "or":
            return any(at(a, i) for a in args)
        case "xor":
            return at(args[0], i) != at(args[1], i)
        case "iff":
            return at(args[0], i) == at(args[1], i)
        case "implies":
            return not at(args[0], i) or at(args[1], i)
        case "X":
            j = i + max(1, node.low)
            return j < n and at(args[0], j)
        case "WX":
            return i + 1 >= n or at(args[0], i + 1)
        case "F" | "G":
            last = n - 1 if node.high is None else min(n - 1, i + node.high)
            steps = [at(args[0], j) for j in range(i + node.low, last + 1)]
            return any(steps) if node.op == "F" else all(steps)
        case "U":
            return any(at(args[1], k) and all(at(args[0], j) for j in range(i, k)) for k in range(i, n))
        case "M":
            return any(at(args[0], k) and all(at(args[1], j) for j in range(i, k + 1)) for k in range(i, n))
        case "R":
            return all(at(args[1], k) or any(at(args[0], j) for j in range(i, k)) for k in range(i, n))
        case "W":
            return all(at(args[0], k) or any(at(args[1], j) for j in range(i, k + 1)) for k in range(i, n))
    raise ValueError(node.op)
