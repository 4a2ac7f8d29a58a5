"""What a worker says is a stranger's word: every field is looked at, bounded, and cleaned."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vlmcar_core.sandbox.inside import wire
from vlmcar_core.types import Diagnostic, Outcome, Seen

FAULT_KINDS = ("rejected", "error", "denied", "timeout", "memory", "badreturn")
KINDS_TOLD = ("ok", *FAULT_KINDS, "crash", "disabled")
TEXT_CHARS = 700
FINDINGS = 500


def outcomes_of(values: Sequence[float], faults: dict[int, Outcome]) -> list[Outcome]:
    """As far as there are answers, in order."""
    found = []
    for number, value in enumerate(values):
        if value != value:
            break
        if value == wire.FAULTY:
            found.append(faults.get(number) or nonsense("a fault without a reason"))
        else:
            found.append(_ANSWERS.get(value) or Outcome("ok", progress(value)))
    return found


_ANSWERS = {0.0: Outcome("ok", 0.0), 1.0: Outcome("ok", 1.0)}


def progress(value: Any) -> float:
    """In [0, 1]; raises as `float` does."""
    return min(1.0, max(0.0, float(value)))


def fault(said: dict[str, Any]) -> Outcome:
    """How a call of the checker failed; raises `KeyError` where there is no kind."""
    kind, line = said["kind"], said.get("line")
    if kind not in FAULT_KINDS:
        return nonsense(f"an outcome {str(kind)[:40]!r}")
    line = line if type(line) is int and 0 < line < 1_000_000 else None
    return Outcome(kind, None, text(said.get("message", ""), TEXT_CHARS), line)


def diagnostics(items: Any) -> list[Diagnostic]:
    """What the static gate found; raises `KeyError`, `TypeError`, `ValueError` where it makes no sense."""
    return [_diagnostic(item) for item in items[:FINDINGS]]


def _diagnostic(item: dict[str, Any]) -> Diagnostic:
    severity, line, column = item["severity"], item["line"], item["column"]
    if severity not in ("error", "warning") or type(line) is not int or type(column) is not int:
        raise ValueError(f"no finding: {text(item, 80)}")
    words = (text(item[name], TEXT_CHARS) for name in ("message", "hint"))
    return Diagnostic(text(item["rule"], 40), severity, max(1, line), max(0, column), *words)


def nonsense(what: object) -> Outcome:
    """The outcome of a call whose worker does not speak as it should."""
    return Outcome("crash", None, f"its process answered with what makes no sense ({text(what, 80)})")


def text(value: object, limit: int) -> str:
    """Bounded, valid UTF-8, without control characters, whatever the worker sent."""
    kept = str(value)[:limit]
    return "".join(c if c in "\n\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in kept)


def marks(items: list[dict[str, Any]], payload: bytes, shape: tuple[int, ...]) -> tuple[tuple[Seen, ...], bytes]:
    """What `identify_*` found in a frame of this height and width, and the rest of the payload.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: it makes no sense.
    """
    found = []
    height, width = shape
    for item in items[:64]:
        name, kind, size = text(item["name"], 80), item["kind"], (height * width + 7) // 8
        if kind == "mask":
            mask, payload = payload[:size], payload[size:]
            bits = np.unpackbits(np.frombuffer(mask, np.uint8), count=height * width)
            found.append(Seen(name, "mask", mask=bits.reshape(height, width).astype(np.bool_)))
        elif kind == "box":
            found.append(Seen(name, "box", box=_numbers(item["numbers"], 4)))
        elif kind == "point":
            found.append(Seen(name, "point", point=_numbers(item["numbers"], 2)))
        else:
            message = text(item.get("message", ""), TEXT_CHARS)
            found.append(Seen(name, "nothing" if kind == "nothing" else "fault", message=message))
    return tuple(found), payload


def _numbers(values: Any, count: int) -> Any:
    """So many finite floats, as a tuple."""
    found = tuple(float(value) for value in values)
    if len(found) != count or not all(abs(number) < 1e6 for number in found):
        raise ValueError(f"expected {count} numbers, not {str(found)[:80]}")
    return found
