"""The text of an encoder: parsed within bounds, its one function found, and statements refused that it may not have."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Sequence

from rewardspec.encoder.refusal import EncoderError, refuse, too_large
from rewardspec.errors import list_names
from rewardspec.spec.scalars import short

NAME = "evaluation_func"
"""Name of the one function of a source."""

MAX_CHARACTERS = 20_000
MAX_NODES = 4_000
"""Nodes of the syntax tree."""

MAX_DEPTH = 60
"""Levels of the syntax tree."""

ROWS = ("observation", "action")
"""What the function's parameters are, in order."""

MODULES = ("np", "numpy")
"""Names that NumPy goes by."""


def parse(source: str) -> ast.FunctionDef:
    """Return the one function of a source; bounded in length, nodes and depth before anything looks inside."""
    if len(source) > MAX_CHARACTERS:
        raise too_large(f"the source has {len(source)} characters; the limit is {MAX_CHARACTERS}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except SyntaxError as error:
        found = EncoderError("encoder-syntax", f"this is not Python: {error.msg}")
        line = (
            source.splitlines()[error.lineno - 1]
            if error.lineno and error.lineno <= source.count("\n") + 1
            else ""
        )
        raise found.in_line(error.lineno or 1, short(line.strip())) from None
    except ValueError:
        raise EncoderError("encoder-syntax", "the source holds a character that is none") from None
    except (MemoryError, RecursionError):
        raise too_large("the source is nested too deeply") from None
    level: list[ast.AST] = [tree]
    count = depth = 0
    while level:
        count, depth = count + len(level), depth + 1
        if count > MAX_NODES or depth > MAX_DEPTH:
            what = f"{MAX_NODES} parts" if count > MAX_NODES else f"{MAX_DEPTH} levels"
            raise too_large(f"the source has more than {what}")
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    functions = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            functions.append(node)
        elif not (is_text(node) or imports_numpy(node)):
            raise about(node, source.splitlines(), refused_statement(node))
    if len(functions) != 1 or functions[0].name != NAME:
        has = list_names([function.name for function in functions])
        raise EncoderError(
            "encoder-syntax",
            f"the source must hold one function, {NAME}, and holds {has}",
            f"Write: def {NAME}(observation):",
        )
    return functions[0]


def parameters(function: ast.FunctionDef, action: int | None) -> list[str]:
    """Return the names of the function's parameters; the action's only where its width is given.

    Raises:
        EncoderError: `encoder-syntax`.
    """
    args = function.args
    names = [arg.arg for arg in args.args]
    odd = (
        args.posonlyargs
        or args.kwonlyargs
        or args.vararg
        or args.kwarg
        or args.defaults
        or function.decorator_list
    )
    most = 1 if action is None else 2
    if odd or not 1 <= len(names) <= most:
        wanted = ", ".join(ROWS[:most])
        hint = "The action is no array here, so the function cannot read it." if action is None else ""
        raise EncoderError(
            "encoder-syntax",
            f"{NAME} takes ({wanted}), without defaults and decorators",
            *([hint] if hint else []),
        )
    return names


def is_text(node: ast.stmt) -> bool:
    """Say whether a statement is a text alone, such as a docstring."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def imports_numpy(node: ast.stmt) -> bool:
    """Say whether a statement is `import numpy as np`: models write it by habit, and it has no effect here."""
    if not isinstance(node, ast.Import) or len(node.names) != 1:
        return False
    return node.names[0].name == "numpy" and node.names[0].asname in (None, *MODULES)


def about(node: ast.stmt | ast.expr, lines: Sequence[str], error: EncoderError) -> EncoderError:
    """Return an error with the line that it is about."""
    text = lines[node.lineno - 1].strip() if 0 < node.lineno <= len(lines) else ""
    return error.in_line(node.lineno, short(text))


_STATEMENTS: dict[type[ast.stmt], tuple[str, str]] = {
    ast.Import: ("an import", "Only NumPy is there, as np."),
    ast.ImportFrom: ("an import", "Only NumPy is there, as np."),
    ast.For: ("a loop", "Write the operation on whole arrays, with axis=1; reshape(-1, 6, 2) makes groups."),
    ast.While: ("a loop", "Write the operation on whole arrays, with axis=1."),
    ast.If: ("an if", "Use np.where(condition, a, b)."),
    ast.FunctionDef: ("a function inside", "Write its lines out."),
    ast.ClassDef: ("a class", ""),
    ast.With: ("a with", ""),
    ast.Try: ("a try", ""),
    ast.Raise: ("a raise", ""),
    ast.Assert: ("an assert", ""),
    ast.Delete: ("a del", ""),
    ast.Global: ("a global", ""),
    ast.Nonlocal: ("a nonlocal", ""),
    ast.Match: ("a match", "Use np.where(condition, a, b)."),
    ast.Pass: ("a pass", ""),
}


def refused_statement(node: ast.stmt) -> EncoderError:
    """Return the error for a statement that a source may not have."""
    what, hint = _STATEMENTS.get(
        type(node), ("this statement", "There are assignments to names, and a return.")
    )
    return refuse(f"{what} is not allowed", *([hint] if hint else []))
