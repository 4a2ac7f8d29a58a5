"""What a checker takes from an episode's first frame, where that can be told apart from the rest.

Most checkers look at the first frame through functions of it alone, `len(find_key(initial))`, and so answer the same
for all first frames of which these functions say the same. Which functions they are is read from the source; whatever
cannot be read with certainty counts as the whole frame. So training need not ask again for another first frame, and
these functions need not look at one again.
"""

import ast
import copy
import functools
import hashlib
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

REACHING = frozenset({"locals", "vars", "globals", "dir", "eval", "exec", "inspect", "gc", "sys", "_getframe"})
"""With these a function may come by what it was not given."""

REMEMBERED = 64
"""First frames of which it is remembered what was said of them, at most."""
REMEMBERED_BYTES = 1 << 16
"""What is larger is not remembered."""


def readers(source: str) -> list[str] | None:
    """The functions through which alone `check` looks at the first frame; None where it does so in any other way."""
    try:
        tree = ast.parse(source)
        return _readers(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _readers(tree: ast.Module) -> list[str] | None:
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.decorator_list}
    check, bound = functions.get("check"), Counter(_bound(tree))
    if check is None or not check.args.args or any(name in REACHING for name in _named(tree)):
        return None
    first = check.args.args[0].arg
    calls = [node for node in ast.walk(check) if isinstance(node, ast.Call) and _takes(node, first, functions)]
    used = sum(isinstance(node, ast.Name) and node.id == first for node in ast.walk(check))
    names = sorted({node.func.id for node in calls if isinstance(node.func, ast.Name)})
    plain = bound["check"] == 1 and Counter(_bound(check))[first] == 1 and all(bound[name] == 1 for name in names)
    return names if plain and used == len(calls) else None


def _takes(call: ast.Call, first: str, functions: dict[str, ast.FunctionDef]) -> bool:
    """Whether a function of the checker's own is given the first frame and nothing else."""
    alone = len(call.args) == 1 and not call.keywords
    own = isinstance(call.func, ast.Name) and call.func.id in functions and call.func.id != "check"
    return alone and own and isinstance(call.args[0], ast.Name) and call.args[0].id == first


def _named(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.alias):
            yield from node.name.split(".")


def _bound(tree: ast.AST) -> Iterator[str]:
    """Every name that is given a value somewhere, as often as it is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).split(".")[0]
        elif isinstance(node, ast.Global | ast.Nonlocal):
            yield from node.names
        else:
            yield from _bound_by_name(node)


def _bound_by_name(node: ast.AST) -> Iterator[str]:
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    if isinstance(node, definitions | ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        yield node.name
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest


class Readers:
    """The functions through which a checker looks at first frames, which are asked about each only once.

    Args:
        names: a checker's; the functions take their own place among them.
        functions: the names of those, as `readers` gives them.
    """

    def __init__(self, names: dict[str, Any], functions: list[str]) -> None:
        self.functions = functions
        self._initial: Any = None
        self._known: dict[int, dict[str, Any]] = {}
        self._said: dict[str, Any] = {}
        for name in functions:
            names[name] = self._remembering(name, names[name])

    def remember(self, initial: Any, which: int) -> None:
        """From now on, until `forget`, this is the first frame, of this number; none else has it."""
        if which not in self._known and len(self._known) >= REMEMBERED:
            self._known.clear()
        self._initial, self._said = initial, self._known.setdefault(which, {})

    def forget(self) -> None:
        """What comes now is asked about anew."""
        self._initial = None

    def _remembering(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def asked(*args: Any, **named: Any) -> Any:
            if named or len(args) != 1 or self._initial is None or args[0] is not self._initial:
                return function(*args, **named)
            if name in self._said:
                return copy.deepcopy(self._said[name])
            value = function(self._initial)
            if _is_small(value):
                self._said[name] = copy.deepcopy(value)
            return value

        return asked


def _is_small(value: Any) -> bool:
    """Whether a value is plain data that may be remembered."""
    try:
        return sum(len(part) for part in _parts(value)) <= REMEMBERED_BYTES
    except TypeError:
        return False


def told(values: list[Any]) -> str:
    """SHA-256 of some values, equal only where they are; raises `TypeError` for what is not plain data."""
    digest = hashlib.sha256()
    for part in _parts(values):
        digest.update(struct.pack("<Q", len(part)))
        digest.update(part)
    return digest.hexdigest()


def _parts(value: Any) -> Iterator[bytes]:
    """A value's kind and content; of a collection its length, and then its members'."""
    kind = type(value)
    yield kind.__name__.encode()
    if kind in (list, tuple, dict):
        yield struct.pack("<Q", len(value))
        for item in value.items() if kind is dict else value:
            yield from _parts(item)
    elif kind is float:
        yield struct.pack("<d", value)
    elif kind in (int, bool, str):
        yield str(value).encode()
    elif value is not None:
        yield from _numbers(value)


def _numbers(value: Any) -> Iterator[bytes]:
    array = type(value) is np.ndarray or isinstance(value, np.generic)
    if not array or value.dtype.kind not in "biuf":
        raise TypeError("not plain data")
    yield f"{value.dtype.str} {value.shape}".encode()
    yield value.tobytes()
