"""The replay player as a browser gets it: its code, and an episode as it takes one. The app shows it; so does a report.

The scripts are plain JavaScript that fetch frames by an address, or find them in what they are given. Drawing, stepping
and comparing happen in the browser.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vlmcar_core import chain
from vlmcar_core.pictures import Outline, outline
from vlmcar_core.recordings import Distinct
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.types import Answers, Checker, Proposal
from vlmcar_core.verdicts import Wrong

FOLDER = Path(__file__).parent
SCRIPTS = ("frames.js", "colour.js", "picture.js", "lanes.js", "track.js", "player.js")
"""In this order they are one script: each uses those before it."""
PAGE = "page.js"
"""What starts the player in a page of its own."""


def _part(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def html() -> str:
    return _part("replay.html")


def css() -> str:
    return _part("replay.css")


def script(*more: str) -> str:
    """The player's code, and more of its files after it."""
    return "\n".join(_part(name) for name in (*SCRIPTS, *more))


def said(
    proposal: Proposal,
    answers: Mapping[str, Answers],
    overlays: Mapping[int, Sequence[Outline]],
    wrong: Sequence[Wrong],
    expected: Mapping[str, Sequence[bool | None]],
) -> dict[str, Any]:
    """What checkers said and saw in an episode, as the player takes it, beside its name, frames and order.

    Args:
        proposal: whose checkers.
        answers: by checker key; lanes are shown for those that are there.
        overlays: what they see, by number of the distinct frame.
        wrong: places that are marked.
        expected: by checker key, of each frame whether it should be done; None where nothing is known.
    """
    return {
        "lanes": _lanes(proposal, answers, expected),
        "overlays": {str(number): [item.json() for item in found] for number, found in overlays.items()},
        "objects": sorted({item.name for found in overlays.values() for item in found}),
        "wrong": [{"frame": item.frame, "reason": item.reason} for item in wrong],
    }


def _lanes(
    proposal: Proposal, answers: Mapping[str, Answers], expected: Mapping[str, Sequence[bool | None]]
) -> list[dict[str, Any]]:
    counted: dict[str, int | None] = {}
    if all(step.key in answers for step in proposal.subtasks) and proposal.subtasks:
        done = np.stack([answers[step.key].done for step in proposal.subtasks], axis=1)
        frames = chain.completions(done)
        counted = {step.key: frame for step, frame in zip(proposal.subtasks, frames, strict=True)}
    return [
        {
            "title": (step.title if step is not proposal.goal else f"Goal: {step.title}").rstrip("."),
            "values": [_shown(float(value)) for value in answers[step.key].values],
            "faults": {str(frame): fault.message for frame, fault in answers[step.key].faults.items()},
            "completed": counted.get(step.key),
            "expected": list(expected.get(step.key, ())),
        }
        for step in proposal.steps
        if step.key in answers
    ]


def _shown(value: float) -> float | None:
    """A value in few digits: None where the call failed, and never rounded up to done."""
    if value != value:
        return None
    return 1.0 if value >= 1.0 else min(round(value, 3), 0.999)


def seen(process: CheckerProcess, checker: Checker, episode: Distinct) -> dict[int, list[Outline]]:
    """What a checker's `identify_*` find in every distinct frame of an episode, by the frame's number."""
    return {
        number: [outline(found) for found in process.inspect(checker.key, episode.initial, frame).current]
        for number, frame in enumerate(episode.frames)
    }


def together(parts: Mapping[str, Mapping[int, Sequence[Outline]]]) -> dict[int, list[Outline]]:
    """What several checkers see, by the frame's number: the same thing once, another by the same name with its checker.

    Args:
        parts: by checker key.
    """
    merged: dict[int, list[Outline]] = {}
    owners: dict[str, str] = {}
    for key, part in parts.items():
        for number, found in part.items():
            there = merged.setdefault(number, [])
            for item in found:
                if item in there:
                    continue
                taken = owners.setdefault(item.name, key) != key
                there.append(dataclasses.replace(item, name=f"{item.name} ({key})") if taken else item)
    return merged
