"""A checker's source that also says which of its branches it took. Runs in a sealed worker only, as all that parses."""

import ast
from typing import Any

from vlmcar_core.sandbox.inside.reached import reached

LIMIT = 400

HEAD = """
_vlmcar_taken = set()


def _vlmcar_took(number):
    _vlmcar_taken.add(number)


"""
TAIL = """

_vlmcar_check = check
_vlmcar_loaded = set(_vlmcar_taken)


def check(initial, current):
    _vlmcar_taken.clear()
    try:
        return _vlmcar_check(initial, current)
    finally:
        print()
        print(sorted(_vlmcar_taken | _vlmcar_loaded))
"""


def told(source: str) -> dict[str, Any]:
    """{"source", "branches": [{"line", "what"}]}: the source prints, as the last line of each call, the numbers of the
    branches that it took. No branches where it is not Python or has too many."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {"source": source, "branches": []}
    marker, used = _Marker(), reached(tree)
    body = [marker.visit(node) if getattr(node, "name", "") in used else node for node in tree.body]
    marked = ast.fix_missing_locations(ast.Module(body, []))
    if not 0 < len(marker.branches) <= LIMIT:
        return {"source": source, "branches": []}
    head = [node for node in marked.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    marked.body = [node for node in marked.body if node not in head]
    future = "".join(ast.unparse(node) + "\n" for node in head)
    return {"source": future + HEAD + ast.unparse(marked) + TAIL, "branches": marker.branches}


class _Marker(ast.NodeTransformer):
    def __init__(self) -> None:
        self.branches: list[dict[str, Any]] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self._mark(node.body, node.lineno, f"the function {node.name}")
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST:
        condition = ast.unparse(node.test)[:60]
        self._mark(node.body, node.body[0].lineno, f"“{condition}” is true")
        line = node.orelse[0].lineno if node.orelse else node.lineno
        self._mark(node.orelse, line, f"“{condition}” is false")
        return self.generic_visit(node)

    def visit_For(self, node: ast.For) -> ast.AST:
        self._mark(node.body, node.body[0].lineno, f"the loop over “{ast.unparse(node.iter)[:60]}” has something to do")
        return self.generic_visit(node)

    def visit_While(self, node: ast.While) -> ast.AST:
        self._mark(
            node.body, node.body[0].lineno, f"the loop while “{ast.unparse(node.test)[:60]}” has something to do"
        )
        return self.generic_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        self._mark(node.body, node.body[0].lineno, "something was raised")
        return self.generic_visit(node)

    def _mark(self, body: list[ast.stmt], line: int, what: str) -> None:
        number = len(self.branches)
        self.branches.append({"line": line, "what": what})
        body.insert(0, ast.parse(f"_vlmcar_took({number})").body[0])
