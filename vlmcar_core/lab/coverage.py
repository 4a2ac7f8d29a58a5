"""Which branches of a checker's code the recorded frames take."""

from collections.abc import Iterable, Mapping
from typing import Any

from vlmcar_core import strict
from vlmcar_core.examinations import Branch, Coverage
from vlmcar_core.sandbox import CheckerProcess, Limits, diagnosis, heard
from vlmcar_core.sandbox.inside import wire
from vlmcar_core.sandbox.worker import Gone
from vlmcar_core.types import Checker, Count, Frame

KEY = "branches"
WHAT_CHARS = 120
KEPT = 400


def coverage(checker: Checker, pairs: Iterable[tuple[Frame, Frame]]) -> Coverage | None:
    """Run a checker on pairs of (initial, current) frames; None where its branches cannot be told.

    Raises:
        SandboxError: our own machinery failed.
    """
    try:
        said = diagnosis.parsed(wire.BRANCHES, checker.source)
        branches = [_branch(item) for item in said["branches"][:KEPT]]
        source = str(said["source"])
    except (Gone, KeyError, TypeError, ValueError):
        return None
    if not branches or checker.in_order:
        return None
    taken: set[int] = set()
    # What tells the branches keeps state, which the gate would refuse; the seal is the same.
    with CheckerProcess([Checker(KEY, source)], Limits(gate=False)) as process:
        for initial, current in pairs:
            taken |= _numbers(process.inspect(KEY, initial, current).printed)
            if len(taken) >= len(branches):
                break
    missed = [branch for number, branch in enumerate(branches) if number not in taken]
    return Coverage(Count(len(branches) - len(missed), len(branches)), tuple(missed))


def _numbers(printed: str) -> set[int]:
    """From the last line; a stranger's word."""
    try:
        found = strict.loads(printed.rstrip().rpartition("\n")[2].encode() or b"[]")
    except ValueError:
        return set()
    return {number for number in found if type(number) is int} if isinstance(found, list) else set()


def _branch(item: Mapping[str, Any]) -> Branch:
    return Branch(int(item["line"]), heard.text(item["what"], WHAT_CHARS))
