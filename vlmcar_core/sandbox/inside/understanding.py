"""What a program in the released style seems to be, from its syntax tree alone: its classes, their methods, what these
return, and what is missing. It is a guess that a person confirms; nothing is run.

Runs in a sealed worker only.
"""

import ast
import builtins
import symtable
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

METHODS = ("check_and_progress", "reward")
"""What the released programs call the method that is given the path of a frame."""
CLASSES, MEMBERS = 20, 40
TEXT_CHARS = 80
DEPTH = 4
"""How far a returned name is followed to what it was set to."""

BOOLS = ("bool", "any", "all", "isinstance", "isclose", "allclose", "array_equal", "startswith", "endswith")
NUMBERS = (
    *("len", "sum", "int", "float", "abs", "round", "max", "min", "mean", "norm", "sqrt", "dist", "hypot", "clip"),
    *("countNonZero", "count_nonzero", "contourArea", "arcLength"),
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def classes(source: str) -> list[dict[str, Any]]:
    """Of each {"name", "line", "reset", "methods"}; of a method {"name", "line", "returns", "nothing"}, where `returns`
    are {"kind", "text", "line", "items"} and `nothing` says that it may return without a value. Empty where the source
    is not Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found = [node for node in tree.body if isinstance(node, ast.ClassDef)][:CLASSES]
    return [_class(node) for node in sorted(found, key=lambda node: not is_program(node))]


def is_program(node: ast.ClassDef) -> bool:
    """Whether a class has a method that the released programs are called by."""
    return any(name in methods(node) for name in METHODS)


def problems(tree: ast.Module, source: str) -> Iterator[tuple[int, str, str]]:
    """What will fail where it is reached: line, what, and what to do."""
    yield from _undefined(tree, source)
    functions = {node.name: node for node in tree.body if isinstance(node, Function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions:
            yield from _fits(node, functions[node.func.id], bound=False)
    for made in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        yield from _missing(made)


def _class(node: ast.ClassDef) -> dict[str, Any]:
    there = methods(node)
    wanted = sorted(
        (found for name, found in there.items() if not name.startswith(("_", "identify_")) and name != "reset"),
        key=lambda found: (METHODS.index(found.name) if found.name in METHODS else len(METHODS), found.lineno),
    )
    told = [_method(found, node) for found in wanted if takes(found, 1)][:MEMBERS]
    return {"name": node.name, "line": node.lineno, "reset": "reset" in there, "methods": told}


def methods(node: ast.ClassDef) -> dict[str, Function]:
    """By name."""
    return {item.name: item for item in node.body if isinstance(item, Function)}


def takes(method: Function, count: int) -> bool:
    """Whether it can be called with so many arguments beside `self`."""
    least, most = _arguments(method, bound=True)
    return least <= count <= most


def _arguments(function: Function, bound: bool) -> tuple[int, float]:
    """The fewest and the most positional arguments of a call; `bound` where `self` is given by itself."""
    arguments = function.args
    static = any(isinstance(item, ast.Name) and item.id == "staticmethod" for item in function.decorator_list)
    own = 1 if bound and not static else 0
    positional = len(arguments.posonlyargs) + len(arguments.args) - own
    least = positional - len(arguments.defaults) + sum(default is None for default in arguments.kw_defaults) * 100
    return max(0, least), float("inf") if arguments.vararg else positional


def _method(method: Function, owner: ast.ClassDef) -> dict[str, Any]:
    returned = [node for node in _own(method) if isinstance(node, ast.Return)]
    told = []
    for value in [value for node in returned if node.value is not None for value in _values(node.value)][:MEMBERS]:
        items = [_kind(item, method, owner) for item in value.elts] if isinstance(value, ast.Tuple) else []
        kind = "tuple" if items else _kind(value, method, owner)
        told.append({"kind": kind, "text": ast.unparse(value)[:TEXT_CHARS], "line": value.lineno, "items": items})
    nothing = _falls_through(method.body) or any(node.value is None for node in returned)
    return {"name": method.name, "line": method.lineno, "returns": told, "nothing": nothing}


def _values(node: ast.expr) -> list[ast.expr]:
    """The values that an expression may have."""
    return [*_values(node.body), *_values(node.orelse)] if isinstance(node, ast.IfExp) else [node]


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function but those of functions inside it."""
    for child in ast.iter_child_nodes(function):
        yield child
        if not isinstance(child, Function | ast.Lambda | ast.ClassDef):
            yield from _own(child)


def _falls_through(body: list[ast.stmt]) -> bool:
    """Whether the end of a block may be reached."""
    last = body[-1]
    if isinstance(last, ast.Return | ast.Raise):
        return False
    if isinstance(last, ast.If):
        return not last.orelse or _falls_through(last.body) or _falls_through(last.orelse)
    if isinstance(last, ast.With):
        return _falls_through(last.body)
    if isinstance(last, ast.Try):
        ends = [last.orelse or last.body, *(handler.body for handler in last.handlers)]
        return (
            _falls_through(last.finalbody)
            if last.finalbody and not any(map(_falls_through, ends))
            else any(map(_falls_through, ends))
        )
    return not (isinstance(last, ast.While) and isinstance(last.test, ast.Constant) and last.test.value is True)


def _kind(node: ast.AST, method: Function, owner: ast.ClassDef, depth: int = DEPTH) -> str:
    """bool, number, nothing or unknown."""
    plain = _plain_kind(node)
    if plain:
        return plain
    parts: Sequence[ast.AST] = ()
    if isinstance(node, ast.UnaryOp):
        parts = [node.operand]
    elif isinstance(node, ast.BoolOp):
        parts = node.values
    elif isinstance(node, ast.IfExp):
        parts = [node.body, node.orelse]
    elif depth and isinstance(node, ast.Name):
        parts = _set(method, node)
    elif depth and isinstance(node, ast.Attribute) and _is_self(node.value):
        parts = _set(owner, node)
    return _common(_kind(part, method, owner, depth - 1) for part in parts) if depth else "unknown"


def _plain_kind(node: ast.AST) -> str:
    """Where the expression alone tells it; empty where it does not."""
    if isinstance(node, ast.Constant):
        if node.value is None:
            return "nothing"
        return "bool" if type(node.value) is bool else "number" if type(node.value) in (int, float) else "unknown"
    if isinstance(node, ast.Compare) or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)):
        return "bool"
    if isinstance(node, ast.BinOp):
        return "number"
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        return "bool" if name in BOOLS else "number" if name in NUMBERS else "unknown"
    return ""


def _common(kinds: Iterable[str]) -> str:
    found = set(kinds) - {"nothing"}
    return found.pop() if len(found) == 1 else "unknown"


def _set(scope: ast.AST, wanted: ast.Name | ast.Attribute) -> list[ast.AST]:
    """What a name or an attribute of `self` is set to."""
    name, found = ast.unparse(wanted), list[ast.AST]()
    for node in ast.walk(scope):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and node.value is not None:
            found += [node.value for target in targets if target is not None and ast.unparse(target) == name]
    return found[:MEMBERS]


def _is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _attribute_of_self(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) and _is_self(node.value) else ""


def _undefined(tree: ast.Module, source: str) -> Iterator[tuple[int, str, str]]:
    if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree)):
        return
    top = symtable.symtable(source, "program", "exec")
    known = set(dir(builtins)) | {"__name__", "__file__"}
    tables = list(_tables(top))
    for table in tables:
        for symbol in table.get_symbols():
            made = symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
            if made and (table is top or symbol.is_declared_global()):
                known.add(symbol.get_name())
    missing = {
        symbol.get_name()
        for table in tables
        for symbol in table.get_symbols()
        if symbol.is_referenced() and symbol.is_global() and symbol.get_name() not in known
    }
    missing |= {symbol.get_name() for symbol in top.get_symbols() if symbol.is_referenced()} - known
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in missing:
            yield node.lineno, f"{node.id!r} is not defined anywhere", "define it, or correct its name"


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)


def _missing(made: ast.ClassDef) -> Iterator[tuple[int, str, str]]:
    """Attributes of `self` that nothing sets, and calls of its methods that do not fit."""
    if made.bases and not all(isinstance(base, ast.Name) and base.id == "object" for base in made.bases):
        return
    own = methods(made)
    there = set(own) | {
        target.id
        for node in made.body
        for target in (node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)])
        if isinstance(target, ast.Name)
    }
    used: list[ast.Attribute] = []
    for node in ast.walk(made):
        if isinstance(node, ast.Attribute) and _is_self(node.value):
            if isinstance(node.ctx, ast.Load):
                used.append(node)
            else:
                there.add(node.attr)
        if isinstance(node, ast.Call) and (called := _attribute_of_self(node.func)) in own:
            yield from _fits(node, own[called], bound=True)
    for node in used:
        if node.attr not in there and not node.attr.startswith("__"):
            yield node.lineno, f"{made.name} has no {node.attr!r}", "nothing in the class defines or sets it"


def _fits(call: ast.Call, function: Function, bound: bool) -> Iterator[tuple[int, str, str]]:
    if any(isinstance(item, ast.Starred) for item in call.args) or call.keywords:
        return
    least, most = _arguments(function, bound)
    if not least <= len(call.args) <= most:
        takes = f"{least:g}" if least == most else f"{least:g} to {most:g}"
        given = f"{function.name} takes {takes} arguments and is given {len(call.args)}"
        yield call.lineno, given, f"it is defined in line {function.lineno}"
