"""JSON from a file that anybody may have written: within bounds, without surprises, and of the type that is wanted.

`loads` refuses what Python's reader lets pass (NaN, a key twice, half a surrogate pair, a number of a thousand digits)
and what would only be large; `build` checks every value against the annotations of a frozen dataclass, whose
constructor checks the rest.
"""

import dataclasses
import functools
import json
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

T = TypeVar("T")

VALUES_MAX = 2_000_000
"""Objects, lists and members in one text; beyond it a text of a few megabytes becomes gigabytes of Python objects."""

TEXT_CHARS_MAX = 2_000_000
WHOLE_MAX = 2**63 - 1
DEPTH_MAX = 8
"""How deep lists and objects may nest where any JSON value may stand, such as the settings of an environment."""

QUOTED_CHARS = 80
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def loads(data: bytes) -> Any:
    """The value that a JSON text in UTF-8 holds.

    Raises:
        ValueError: it is none, or holds too much; the message says what is wrong with it.
    """
    if sum(data.count(mark) for mark in (b"{", b"[", b",")) > VALUES_MAX:
        raise ValueError(f"it holds more than {VALUES_MAX:,} values")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_int,
        )
        if SURROGATE.search(data):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("it nests too deep") from error
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {short(name)} stands there twice")
        found[name] = value
    return found


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:QUOTED_CHARS]} is too large")
    return value


def _int(text: str) -> int:
    if len(text) > 20 or abs(int(text)) > WHOLE_MAX:
        raise ValueError(f"the number {text[:QUOTED_CHARS]} is too large")
    return int(text)


def build(kind: type[T], value: Any) -> T:
    """A value of `kind` from what JSON holds. A dataclass comes from an object with its fields' names and no others;
    fields with a default may be missing. A part that is a dataclass already stays as it is.

    Raises:
        ValueError: it does not fit; the message names the place.
    """
    built: T = _fitted(kind, value, "")
    return built


def _fitted(kind: Any, value: Any, where: str) -> Any:
    """The same for any annotation: None, bool, int, float, str, Any, literals, unions, tuples, mappings, dataclasses.

    Args:
        kind: the annotation.
        value: what JSON holds.
        where: the place, for the message, such as "task.seed".
    """
    if kind is Any:
        return _shallow(value, where, DEPTH_MAX)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return value if isinstance(value, kind) else _dataclass(kind, value, where)
    if kind in SIMPLE:
        return SIMPLE[kind](value, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    for forms, fit in PARTS:
        if origin in forms:
            return fit(arguments, value, where)
    raise TypeError(f"{kind!r} is no annotation that JSON is read as")


def short(value: Any) -> str:
    """What a message quotes of a value."""
    text = repr(value) if not isinstance(value, (list, dict)) else f"a {type(value).__name__}"
    return text if len(text) <= QUOTED_CHARS else f"{text[:QUOTED_CHARS]}…"


def _expected(words: str, value: Any, where: str) -> ValueError:
    return ValueError(f"{where or 'it'} is {words}, not {short(value)}")


def _shallow(value: Any, where: str, depth: int) -> Any:
    if not depth:
        raise ValueError(f"{where or 'it'} nests too deep")
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _shallow(part, where, depth - 1)
    return value


def _none(value: Any, where: str) -> None:
    if value is not None:
        raise _expected("null", value, where)


def _bool(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise _expected("true or false", value, where)
    return value


def _whole(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > WHOLE_MAX:
        raise _expected("a whole number", value, where)
    return value


def _number(value: Any, where: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise _expected("a number", value, where)
    return float(value)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise _expected("a text", value, where)
    if len(value) > TEXT_CHARS_MAX:
        raise ValueError(f"{where or 'it'} has {len(value):,} characters; at most {TEXT_CHARS_MAX:,} are read")
    return value


SIMPLE: dict[Any, Callable[[Any, str], Any]] = {
    type(None): _none,
    bool: _bool,
    int: _whole,
    float: _number,
    str: _text,
}


def _union(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    faults = []
    for kind in arguments:
        try:
            return _fitted(kind, value, where)
        except ValueError as error:
            faults.append(error)
    raise faults[0]


def _literal(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if not any(type(value) is type(allowed) and value == allowed for allowed in arguments):
        raise _expected(f"one of {', '.join(map(str, arguments))}", value, where)
    return value


def _tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise _expected("a list", value, where)
    kinds = [arguments[0]] * len(value) if arguments[-1] is ... else list(arguments)
    if len(kinds) != len(value):
        raise ValueError(f"{where or 'it'} has {len(value)} parts, not {len(kinds)}")
    parts = enumerate(zip(kinds, value, strict=True))
    return tuple(_fitted(kind, part, f"{where}[{number}]") for number, (kind, part) in parts)


def _mapping(arguments: tuple[Any, ...], value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _expected("an object", value, where)
    return {name: _fitted(arguments[1], part, f"{where}[{short(name)}]") for name, part in value.items()}


PARTS: tuple[tuple[tuple[Any, ...], Callable[[tuple[Any, ...], Any, str], Any]], ...] = (
    ((typing.Union, types.UnionType), _union),
    ((Literal,), _literal),
    ((tuple,), _tuple),
    ((Mapping, dict), _mapping),
)


def _dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _expected("an object", value, where)
    hints, needed = _hints(kind)
    if unknown := sorted(set(value) - set(hints)):
        raise ValueError(f"{where or 'it'} has no {short(unknown[0])}")
    if missing := sorted(needed - set(value)):
        raise ValueError(f"{where or 'it'} lacks {short(missing[0])}")
    inside = f"{where}." if where else ""
    return kind(**{name: _fitted(hints[name], part, f"{inside}{name}") for name, part in value.items()})


@functools.cache
def _hints(kind: Any) -> tuple[dict[str, Any], frozenset[str]]:
    """A dataclass's annotations by field, and the fields without a default."""
    fields = [field for field in dataclasses.fields(kind) if field.init]
    hints = typing.get_type_hints(kind)
    bare = (field for field in fields if field.default is field.default_factory is dataclasses.MISSING)
    return {field.name: hints[field.name] for field in fields}, frozenset(field.name for field in bare)
