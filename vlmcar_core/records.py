"""Proposals and verifications as JSON, and back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vlmcar_core import files
from vlmcar_core.errors import DamagedFile
from vlmcar_core.types import Checker, Count, Proposal, SubTask, Thresholds
from vlmcar_core.verdicts import Verdict, Verification, Wrong


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
    def source(key: str) -> str:
        path = folder / f"{key}.py"
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DamagedFile(f"{path.name} of proposal {folder.name} cannot be read ({error})") from error

    return _built(value, int(folder.name), source)


def draft(value: dict[str, Any]) -> Proposal:
    return _built(value, value["number"], lambda key: str(value["sources"][key]))


def _built(value: dict[str, Any], number: int | None, source: Callable[[str], str]) -> Proposal:
    def step(item: dict[str, str]) -> SubTask:
        checked = Checker(item["key"], "")  # a key that is no plain word must not become a path
        return SubTask(str(item["title"]), Checker(checked.key, source(checked.key)), str(item["doubt"]))

    return Proposal(
        goal=step(value["goal"]),
        subtasks=tuple(step(item) for item in value["subtasks"]),
        author=str(value["author"]),
        reason=str(value["reason"]),
        parent=value["parent"],
        doubts=tuple(str(doubt) for doubt in value["doubts"]),
        dialogue=value.get("dialogue"),
        candidate=bool(value.get("candidate", False)),
        number=number,
        created=str(value["created"]),
    )


def read_verification(path: Path) -> Verification:
    value = files.read_json(path)
    return files.parse(path, lambda: _verification(path, value))


def _verification(path: Path, value: dict[str, Any]) -> Verification:
    def wrongs(items: list[dict[str, Any]]) -> tuple[Wrong, ...]:
        return tuple(Wrong(**item) for item in items)

    def verdict(item: dict[str, Any]) -> Verdict:
        counts = {name: Count(**item[name]) for name in ("expert", "random", "at_start", "faulty", "false_goals")}
        return Verdict(
            key=item["key"],
            digest=item["digest"],
            fault=item["fault"],
            wrong=wrongs(item["wrong"]),
            frame_seconds=item.get("frame_seconds"),
            impure=str(item.get("impure", "")),
            **counts,
        )

    return Verification(
        proposal=int(value["proposal"]),
        verdicts=tuple(verdict(item) for item in value["verdicts"]),
        expert=Count(**value["expert"]),
        random=Count(**value["random"]),
        random_solved=int(value["random_solved"]),
        random_steps=int(value["random_steps"]),
        thresholds=Thresholds(**value["thresholds"]),
        trajectories=tuple(value["trajectories"]),
        wrong=wrongs(value["wrong"]),
        number=int(path.stem),
        created=str(value["created"]),
    )
