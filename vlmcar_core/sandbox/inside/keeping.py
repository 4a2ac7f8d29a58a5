"""What in a checker's source keeps something between calls, as far as it can be seen without running it.

A checker is a function of its two frames. Here is found what changes a thing that outlives the call: a list of the
module, a default argument, an attribute of a function or a library, a cache. What cannot be seen, asking in another
order finds (`vlmcar_core/purity.py`).
"""

import ast
from collections.abc import Iterator

CHANGING = frozenset(
    {"append", "extend", "insert", "remove", "pop", "popitem", "clear", "add", "discard", "update", "setdefault"}
    | {
        "sort",
        "reverse",
        "appendleft",
        "extendleft",
        "popleft",
        "rotate",
        "fill",
        "itemset",
        "put",
        "resize",
        "setflags",
    }
)
"""Methods that change what they are called on."""

CACHES = ("lru_cache", "cache", "cached_property", "singledispatch")
MUTABLE = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
HINT = "work on a copy inside the function, and return what you need"

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Kept = tuple[ast.AST, str, str]
"""Where, what, and what to do instead."""


def kept(tree: ast.Module) -> list[Kept]:
    """Every place that keeps something between calls."""
    imported = frozenset(
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    )
    found = [item for node in tree.body for item in _in(node, None, imported)]
    return found + [item for node in ast.walk(tree) for item in _cache(node)]


def _cache(node: ast.AST) -> Iterator[Kept]:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    if name in CACHES:
        yield node, f"{name} keeps results between calls", "compute it again; answers are remembered for you"


def _in(node: ast.AST, local: frozenset[str] | None, imported: frozenset[str]) -> Iterator[Kept]:
    """What is kept by a statement or expression; `local` are the names bound in the functions around it, None outside
    of any, where names are being made; `imported` the libraries, whose functions change nothing of theirs."""
    if isinstance(node, Function):
        local = (local or frozenset()) | _bound(node)
    elif local is not None:
        yield from _changes(node, local, imported)
    for child in ast.iter_child_nodes(node):
        yield from _in(child, local, imported)


def _changes(node: ast.AST, local: frozenset[str], imported: frozenset[str]) -> Iterator[Kept]:
    for changed in _changed(node, imported):
        root = _root(changed)
        if root is not None and root.id not in local:
            yield node, f"{root.id!r} outlives the call, and is changed here", HINT


def _changed(node: ast.AST, imported: frozenset[str]) -> list[ast.AST]:
    """The expressions whose objects a node changes in place."""
    if isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
        return [node.value]
    if isinstance(node, ast.Call):
        return _changed_by_call(node, imported)
    return []


def _changed_by_call(node: ast.Call, imported: frozenset[str]) -> list[ast.AST]:
    function = node.func
    if isinstance(function, ast.Attribute) and function.attr in CHANGING:
        library = isinstance(function.value, ast.Name) and function.value.id in imported
        return [] if library else [function.value]
    if isinstance(function, ast.Name) and function.id == "next" and node.args:
        return [node.args[0]]
    return []


def _root(node: ast.AST) -> ast.Name | None:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node if isinstance(node, ast.Name) else None


def _bound(function: Function) -> frozenset[str]:
    """The names that are made anew in every call: not those of default arguments that can change."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    names = {argument.arg for argument in (*every, arguments.vararg, arguments.kwarg) if argument is not None}
    body = function.body if isinstance(function.body, list) else [function.body]
    for statement in body:
        for node in ast.walk(statement):
            names |= _made(node)
    return frozenset(names - _mutable_defaults(arguments))


def _made(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return {node.id}
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.arg):
        return {node.arg}
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        return {node.name}
    return set()


def _mutable_defaults(arguments: ast.arguments) -> set[str]:
    positional = [*arguments.posonlyargs, *arguments.args]
    pairs = list(zip(reversed(positional), reversed(arguments.defaults), strict=False))
    pairs += [(name, value) for name, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value]
    return {name.arg for name, value in pairs if isinstance(value, MUTABLE)}
