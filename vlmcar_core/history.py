"""Comparing two proposals."""

import difflib

from vlmcar_core.types import Proposal


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
        lines = difflib.unified_diff(
            old.get(name, "").splitlines(),
            new.get(name, "").splitlines(),
            fromfile=f"proposal {before.number}: {name}" if name in old else "nothing",
            tofile=f"proposal {after.number}: {name}" if name in new else "nothing",
            lineterm="",
        )
        parts.extend(lines)
    return "\n".join(parts)


def text_diff(before: str, after: str, name: str, other: str) -> str:
    """A unified diff of two texts; empty where nothing differs."""
    return "\n".join(difflib.unified_diff(before.splitlines(), after.splitlines(), name, other, lineterm=""))
