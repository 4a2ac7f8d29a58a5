"""The mutation score: of small wrong versions of a checker, how many does the evidence tell from a right one?

A survivor is a mistake that nothing recorded would show.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vlmcar_core import recordings
from vlmcar_core.examinations import Mutation, Survivor
from vlmcar_core.lab import people
from vlmcar_core.lab.evidence import Witness, contradiction
from vlmcar_core.marks import Mark
from vlmcar_core.sandbox import CheckerProcess, Limits, diagnosis, heard
from vlmcar_core.sandbox.inside import wire
from vlmcar_core.sandbox.worker import Gone
from vlmcar_core.types import Answers, Checker, Count, Frames

KEPT = 120
WHAT_CHARS = 200
KEY = "mutant"


@dataclass(frozen=True)
class Mutant:
    """A wrong version of a checker."""

    what: str
    line: int
    source: str


def mutants(source: str) -> list[Mutant]:
    """The wrong versions of a source; none of one that cannot be parsed."""
    try:
        said = diagnosis.parsed(wire.MUTATE, source)["mutants"]
        return [_mutant(item, source.encode()) for item in said[:KEPT]]
    except (Gone, KeyError, TypeError, ValueError):
        return []


def _mutant(item: Mapping[str, Any], source: bytes) -> Mutant:
    """From a stranger's word; raises `KeyError`, `TypeError` or `ValueError` where it makes no sense."""
    line, edits = int(item["line"]), sorted((int(start), int(end), str(text)) for start, end, text in item["edits"])
    changed, at = b"", 0
    for start, end, text in edits:
        if not at <= start <= end <= len(source):
            raise ValueError(f"an edit from {start} to {end} of {len(source)} bytes")
        changed, at = changed + source[at:start] + text.encode(), end
    return Mutant(heard.text(item["what"], WHAT_CHARS), line, (changed + source[at:]).decode())


def score(
    checker: Checker,
    witnesses: Sequence[Witness],
    frames_of: Callable[[str], Frames],
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    marks: Sequence[Mark] = (),
) -> Mutation:
    """Ask every mutant about the episodes in which it is known what is right, until one contradicts it.

    Args:
        checker: the original.
        witnesses: of the original; those that contradict it, or of which nothing is known, are left out.
        frames_of: an episode's frames, by its id.
        progress: told (mutants done, mutants in all).
        marks: what people said by eye and the original agrees with, as it stands; of these witnesses' episodes.
    """
    marked = {mark.trajectory for mark in marks}
    telling = [
        witness
        for witness in witnesses
        if (witness.expected.fires is not None or witness.episode.id in marked) and contradiction(witness) is None
    ]
    telling.sort(key=lambda witness: (witness.expected.fires is not True, len(witness.answers.values)))
    found = mutants(checker.source)
    survivors: list[Survivor] = []
    alike = 0
    distinct = {witness.episode.id: recordings.distinct_frames(frames_of(witness.episode.id)) for witness in telling}
    for number, mutant in enumerate(found):
        progress(number, len(found))
        verdict = _tried(Checker(KEY, mutant.source), telling, distinct, checker.key, marks)
        if verdict != "killed":
            survivors.append(Survivor(mutant.what, mutant.line))
            alike += verdict == "alike"
    return Mutation(Count(len(found) - len(survivors), len(found)), tuple(survivors), alike)


def _tried(
    checker: Checker, telling: Sequence[Witness], distinct: Mapping[str, Any], key: str, marks: Sequence[Mark]
) -> str:
    """killed, alike (it answers as the original does), or survives."""
    same = True
    with CheckerProcess([checker], Limits(gate=False)) as process:
        for witness in telling:
            frames, order = distinct[witness.episode.id]
            outcomes = process.run(KEY, frames[0], frames)
            values = np.array([np.nan if one.value is None else one.value for one in outcomes], np.float32)
            faults = {place: outcomes[at] for place, at in enumerate(order) if outcomes[at].kind != "ok"}
            answers = Answers(values[order], faults)
            marked = people.judged(key, marks, {witness.episode.id: answers})[1]
            if marked or contradiction(replace(witness, answers=answers)) is not None:
                return "killed"
            same = same and np.array_equal(answers.done, witness.answers.done)
    return "alike" if same else "survives"
