"""Proposals and verifications as JSON, and back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vlmcar_core import files, strict
from vlmcar_core.errors import DamagedFile
from vlmcar_core.examinations import Examination
from vlmcar_core.types import Checker, Proposal, SubTask
from vlmcar_core.verdicts import Verification

SOURCE_LIMIT_BYTES = 256 * 1024
"""More than the sandbox takes, so that it can say so itself."""


@dataclass(frozen=True)
class StoredStep:
    """A sub-task, or the goal, as JSON holds it: its source is a file of its own."""

    key: str
    title: str
    doubt: str
    digest: str


@dataclass(frozen=True)
class StoredProposal:
    """A proposal as JSON holds it."""

    number: int | None
    created: str
    author: str
    reason: str
    parent: int | None
    doubts: tuple[str, ...]
    goal: StoredStep
    subtasks: tuple[StoredStep, ...]
    dialogue: int | None = None
    candidate: bool = False
    sources: Mapping[str, str] = field(default_factory=dict)
    """By key, where a draft keeps them beside the rest."""

    version: int = 1


def proposal_json(proposal: Proposal) -> dict[str, Any]:
    def step(item: SubTask) -> dict[str, str]:
        return {"key": item.key, "title": item.title, "doubt": item.doubt, "digest": item.checker.digest}

    return {
        "number": proposal.number,
        "created": proposal.created,
        "author": proposal.author,
        "reason": proposal.reason,
        "parent": proposal.parent,
        "doubts": list(proposal.doubts),
        "dialogue": proposal.dialogue,
        "candidate": proposal.candidate,
        "goal": step(proposal.goal),
        "subtasks": [step(item) for item in proposal.subtasks],
    }


def proposal(folder: Path, value: dict[str, Any]) -> Proposal:
    """Raises `DamagedFile` where a source cannot be read, `ValueError` where the rest does not fit."""

    def source(key: str) -> str:
        path = folder / f"{key}.py"
        try:
            return files.read_text(path, SOURCE_LIMIT_BYTES)
        except FileNotFoundError as error:
            raise DamagedFile(f"proposal {folder.name} has no {path.name}; move the folder away") from error

    return _built(strict.build(StoredProposal, value), int(folder.name), source)


def draft(value: dict[str, Any]) -> Proposal:
    """Raises `ValueError` or `KeyError` where it does not fit."""
    stored = strict.build(StoredProposal, value)
    return _built(stored, stored.number, lambda key: stored.sources[key])


def _built(stored: StoredProposal, number: int | None, source: Callable[[str], str]) -> Proposal:
    def step(item: StoredStep) -> SubTask:
        checked = Checker(item.key, "")  # a key that is no plain word must not become a path
        return SubTask(item.title, Checker(checked.key, source(checked.key)), item.doubt)

    return Proposal(
        goal=step(stored.goal),
        subtasks=tuple(step(item) for item in stored.subtasks),
        author=stored.author,
        reason=stored.reason,
        parent=stored.parent,
        doubts=stored.doubts,
        dialogue=stored.dialogue,
        candidate=stored.candidate,
        number=number,
        created=stored.created,
    )


def read_verification(path: Path) -> Verification:
    """Raises `DamagedFile`."""
    value = files.read_json(path)
    return files.parse(path, lambda: _verification(path, value))


def _verification(path: Path, value: dict[str, Any]) -> Verification:
    kept = {name: part for name, part in value.items() if name != "version"}
    return strict.build(Verification, {**kept, "number": int(path.stem)})


def read_examination(path: Path) -> Examination:
    """Raises `DamagedFile`."""
    value = files.read_json(path)

    def built() -> Examination:
        kept = {name: part for name, part in value.items() if name != "version"}
        return strict.build(Examination, {**kept, "number": int(path.stem)})

    return files.parse(path, built)
