"""What two sources have in common but for the names of their variables, their comments and their annotations.

A small model that is shown an example tends to give it back; by this form a copy is known, whatever it is called.
"""

from __future__ import annotations

import ast
import copy
import hashlib


class _Renamed(ast.NodeTransformer):
    """Numbers the variables of a function in the order in which they come up."""

    def __init__(self, own: set[str]) -> None:
        self.own = own
        self.numbers: dict[str, str] = {}

    def _new(self, name: str) -> str:
        return self.numbers.setdefault(name, f"v{len(self.numbers)}") if name in self.own else name

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.copy_location(ast.Name(self._new(node.id), node.ctx), node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.copy_location(ast.arg(self._new(node.arg)), node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        if node.value is None:
            return node
        return self._statement(ast.copy_location(ast.Assign([node.target], node.value), node))

    def _statement(self, node: ast.Assign) -> ast.Assign:
        self.generic_visit(node)
        return node


def canonical(function: ast.FunctionDef) -> str:
    """Return a function's text with its variables numbered, without comments, texts and annotations."""
    function = copy.deepcopy(function)
    function.returns = None
    function.body = [
        node
        for node in function.body
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        and not isinstance(node, ast.Import)
    ]
    own = {arg.arg for arg in function.args.args}
    own |= {
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return ast.unparse(ast.fix_missing_locations(_Renamed(own).visit(function)))


def digest(function: ast.FunctionDef) -> str:
    """Return the SHA-256 of a function's canonical text."""
    return hashlib.sha256(canonical(function).encode()).hexdigest()
