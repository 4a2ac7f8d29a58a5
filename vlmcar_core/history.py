"""Comparing two proposals."""

import difflib
from collections.abc import Sequence

from vlmcar_core.types import Proposal

LINES_MAX = 5000
"""Comparing takes up to the square of the number of lines; nobody reads longer ones line by line."""


def text(proposal: Proposal) -> dict[str, str]:
    """A proposal as named texts: its outline, and each checker's source under its file name."""
    outline = [f"goal: {proposal.goal.title}", *(f"{step.key}: {step.title}" for step in proposal.subtasks)]
    sources = {f"{step.key}.py": step.checker.source for step in proposal.steps}
    return {"outline": "\n".join(outline) + "\n", **sources}


def diff(before: Proposal, after: Proposal) -> str:
    """A unified diff of outline and code, one hunk list per file; empty where nothing differs."""
    old, new = text(before), text(after)
    parts: list[str] = []
    for name in dict.fromkeys([*old, *new]):
        was = f"proposal {before.number}: {name}" if name in old else "nothing"
        now = f"proposal {after.number}: {name}" if name in new else "nothing"
        parts.extend(_lines(old.get(name, ""), new.get(name, ""), was, now))
    return "\n".join(parts)


def text_diff(before: str, after: str, name: str, other: str) -> str:
    """A unified diff of two texts; empty where nothing differs."""
    return "\n".join(_lines(before, after, name, other))


def _lines(before: str, after: str, name: str, other: str) -> Sequence[str]:
    old, new = before.splitlines(), after.splitlines()
    if old != new and max(len(old), len(new)) > LINES_MAX:
        return [f"--- {name}", f"+++ {other}", f"@@ {len(old):,} and {len(new):,} lines: too long to be compared @@"]
    return list(difflib.unified_diff(old, new, name, other, lineterm=""))
