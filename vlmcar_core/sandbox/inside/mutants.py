"""Small wrong versions of a checker's source, each a few edits: would what is recorded tell them from the original?

Mutation testing (DeMillo, Lipton & Sayward 1978), with the mistakes that reward code is prone to. Runs in a sealed
worker only: it parses a stranger's source.
"""

import ast
from collections.abc import Iterator
from typing import Any

from vlmcar_core.sandbox.inside.reached import reached

FACTORS = (0.5, 0.75, 0.9, 1.1, 1.25, 1.5)
PIXELS = 8
"""A region's edge is moved by so much."""
LIMIT = 120
SKIPPED_KEYWORDS = ("axis", "dtype", "ndmin", "connectivity", "ksize")

FLIPPED: dict[type[ast.cmpop], str] = {
    ast.Lt: ">=",
    ast.LtE: ">",
    ast.Gt: "<=",
    ast.GtE: "<",
    ast.Eq: "!=",
    ast.NotEq: "==",
}

Edit = tuple[int, int, str]
"""Bytes from, to, and what stands there instead."""

Mutant = dict[str, Any]
"""{"what", "line", "edits"}, and "where" the code around it; of a number also "value" and "changed"."""


def mutants(source: str) -> list[Mutant]:
    """At most `LIMIT`, by line; the same for the same source. Empty where it is not Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found = list(_Finder(source, tree).all())
    if len(found) > LIMIT:
        found = [found[round(place * (len(found) - 1) / (LIMIT - 1))] for place in range(LIMIT)]
    return found


class _Finder:
    """Walks the functions of a source."""

    def __init__(self, source: str, tree: ast.Module) -> None:
        self._bytes = source.encode()
        self._tree = tree
        starts = [0]
        for line in self._bytes.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        self._starts = starts

    def all(self) -> Iterator[Mutant]:
        used = reached(self._tree)
        for node in self._tree.body:
            if isinstance(node, ast.FunctionDef) and node.name in used:
                yield from self._first_frame_ignored(node)
                for statement in node.body:
                    yield from self._in(statement, statement)
            elif isinstance(node, ast.Assign) and used & {
                item.id for item in node.targets if isinstance(item, ast.Name)
            }:
                yield from self._in(node.value, node)

    def _in(self, node: ast.AST, around: ast.AST, index: bool = False) -> Iterator[Mutant]:
        """Of a piece of code and all in it; `around` is the comparison, else the statement, that it stands in."""
        around = node if isinstance(node, ast.Compare | ast.stmt) else around
        for mutant in self._of(node, index):
            yield {**mutant, "where": _short(self._text(around))}
        for name, child in _children(node):
            if not (isinstance(child, ast.keyword) and child.arg in SKIPPED_KEYWORDS):
                yield from self._in(child, around, index or (isinstance(node, ast.Subscript) and name == "slice"))

    def _of(self, node: ast.AST, index: bool) -> Iterator[Mutant]:
        """Of this piece itself."""
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            yield from self._compared(node)
        elif isinstance(node, ast.BoolOp):
            yield from self._dropped(node, node.values)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
            yield from self._dropped(node, [node.left, node.right])
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield self._mutant(node, "“not” dropped", [self._replaced(node, self._text(node.operand))])
        elif isinstance(node, ast.Constant):
            yield from self._number(node, index)
        elif isinstance(node, ast.Tuple) and len(node.elts) == 3:
            yield from self._colour(node)

    def _compared(self, node: ast.Compare) -> Iterator[Mutant]:
        flipped = FLIPPED.get(type(node.ops[0]))
        if flipped:
            text = f"{self._text(node.left)} {flipped} {self._text(node.comparators[0])}"
            yield self._mutant(node, f"the comparison turned into “{flipped}”", [self._replaced(node, f"({text})")])

    def _dropped(self, node: ast.AST, parts: list[ast.expr]) -> Iterator[Mutant]:
        for place, part in enumerate(parts):
            kept = [self._text(other) for number, other in enumerate(parts) if number != place]
            sign = _sign(node)
            what = f"the condition “{_short(self._text(part))}” dropped"
            yield self._mutant(
                part, what, [self._replaced(node, "(" + f" {sign} ".join(f"({one})" for one in kept) + ")")]
            )

    def _number(self, node: ast.Constant, index: bool) -> Iterator[Mutant]:
        value: Any = node.value
        if type(value) not in (int, float) or not abs(value) < 1e9:
            return
        if index:
            yield from self._indexed(node)
            return
        seen = {value}
        for factor in FACTORS:
            changed = round(value * factor) if type(value) is int else round(value * factor, 9)
            if changed not in seen:
                seen.add(changed)
                yield self._numbered(node, str(changed))
        if value == 0:
            yield self._numbered(node, "1")

    def _numbered(self, node: ast.Constant, changed: str) -> Mutant:
        value = str(node.value)
        mutant = self._mutant(node, f"{value} becomes {changed}", [self._replaced(node, changed)])
        return {**mutant, "value": value, "changed": changed}

    def _indexed(self, node: ast.Constant) -> Iterator[Mutant]:
        """A channel, or an edge of a region."""
        value = node.value
        if type(value) is int and 0 <= value <= 2:
            other = (value + 1) % 3
            yield self._mutant(node, f"index {value} becomes {other}", [self._replaced(node, str(other))])
        elif type(value) is int and value > PIXELS:
            for changed in (value - PIXELS, value + PIXELS):
                what = f"the edge {value} becomes {changed}"
                yield self._mutant(node, what, [self._replaced(node, str(changed))])

    def _colour(self, node: ast.Tuple) -> Iterator[Mutant]:
        if all(isinstance(item, ast.Constant) and type(item.value) in (int, float) for item in node.elts):
            texts = [self._text(item) for item in node.elts]
            turned = [*texts[1:], texts[0]]
            if turned != texts:
                what = f"the colour ({', '.join(texts)}) becomes ({', '.join(turned)})"
                yield self._mutant(node, what, [self._replaced(node, f"({', '.join(turned)})")])

    def _first_frame_ignored(self, function: ast.FunctionDef) -> Iterator[Mutant]:
        names = [argument.arg for argument in function.args.args]
        if function.name != "check" or len(names) < 2:
            return
        used = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == names[0]]
        edits = [self._replaced(node, names[1]) for node in used if isinstance(node.ctx, ast.Load)]
        if edits:
            yield self._mutant(used[0], "the first frame ignored: the current one taken for it", edits)

    def _mutant(self, node: ast.AST, what: str, edits: list[Edit]) -> Mutant:
        return {"what": what, "line": getattr(node, "lineno", 1), "edits": edits}

    def _replaced(self, node: ast.AST, text: str) -> Edit:
        return (*self._place(node), text)

    def _place(self, node: Any) -> tuple[int, int]:
        start = self._starts[node.lineno - 1] + node.col_offset
        return start, self._starts[node.end_lineno - 1] + node.end_col_offset

    def _text(self, node: ast.AST) -> str:
        start, end = self._place(node)
        text = self._bytes[start:end].decode()
        return f"({text})" if "\n" in text else text


def _children(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and name not in ("decorator_list", "returns", "annotation"):
                yield name, child


def _sign(node: ast.AST) -> str:
    if isinstance(node, ast.BoolOp):
        return "and" if isinstance(node.op, ast.And) else "or"
    return "&" if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd) else "|"


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= 60 else plain[:57] + "…"
