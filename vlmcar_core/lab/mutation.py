"""The mutation score: of small wrong versions of a checker, how many does the evidence tell from a right one?

A survivor is a mistake that nothing recorded would show.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vlmcar_core.examinations import Mutation, Survivor
from vlmcar_core.lab import people
from vlmcar_core.lab.evidence import Witness, contradiction
from vlmcar_core.marks import Mark
from vlmcar_core.recordings import Distinct
from vlmcar_core.sandbox import CheckerProcess, Limits, diagnosis, heard
from vlmcar_core.sandbox.inside import wire
from vlmcar_core.sandbox.worker import Gone
from vlmcar_core.types import Checker, Count
from vlmcar_core.verify import ask

KEPT = 120
WHAT_CHARS = 200
PORTION_BYTES = 96 * 1024 * 1024
"""Of frames held at once."""

Held = tuple[Witness, Distinct]

KEY = "mutant"


@dataclass(frozen=True)
class Mutant:
    """A wrong version of a checker."""

    what: str
    line: int
    source: str
    where: str = ""
    value: str = ""
    changed: str = ""

    @property
    def survivor(self) -> Survivor:
        return Survivor(self.what, self.line, self.where, self.value, self.changed)


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
    told = (heard.text(item.get(name, ""), WHAT_CHARS) for name in ("where", "value", "changed"))
    return Mutant(heard.text(item["what"], WHAT_CHARS), line, (changed + source[at:]).decode(), *told)


def score(
    checker: Checker,
    witnesses: Sequence[Witness],
    frames_of: Callable[[str], Distinct],
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    marks: Sequence[Mark] = (),
    portion_bytes: int = PORTION_BYTES,
) -> Mutation:
    """Ask every mutant about the episodes in which it is known what is right, until one contradicts it.

    The episodes are taken a portion at a time, and every mutant that is left is asked about it, so that few frames are
    held at once and each is unpacked once.

    Args:
        checker: the original.
        witnesses: of the original; those that contradict it, or of which nothing is known, are left out.
        frames_of: an episode's frames, each different one once, by its id.
        progress: told (mutants told from the original, mutants in all).
        marks: what people said by eye and the original agrees with, as it stands; of these witnesses' episodes.
        portion_bytes: of frames held at once, at most, unless one episode has more.
    """
    marked = {mark.trajectory for mark in marks}
    telling = [
        witness
        for witness in witnesses
        if (witness.expected.fires is not None or witness.episode.id in marked) and contradiction(witness) is None
    ]
    telling.sort(key=lambda witness: (witness.expected.fires is not True, len(witness.answers.values)))
    found = mutants(checker.source)
    alike = dict.fromkeys(range(len(found)), True)
    """Of every mutant that is left, whether it has answered as the original does until now."""
    for portion in _portions(telling, frames_of, portion_bytes):
        for number in list(alike):
            progress(len(found) - len(alike), len(found))
            same = _answers_alike(Checker(KEY, found[number].source), portion, checker.key, marks)
            if same is None:
                del alike[number]
            else:
                alike[number] = alike[number] and same
    survivors = tuple(found[number].survivor for number in alike)
    return Mutation(Count(len(found) - len(alike), len(found)), survivors, sum(alike.values()))


def _portions(
    telling: Sequence[Witness], frames_of: Callable[[str], Distinct], portion_bytes: int
) -> Iterator[list[Held]]:
    portion: list[Held] = []
    for witness in telling:
        frames = frames_of(witness.episode.id)
        if portion and sum(held.frames.nbytes for _, held in portion) + frames.frames.nbytes > portion_bytes:
            yield portion
            portion = []
        portion.append((witness, frames))
    if portion:
        yield portion


def _answers_alike(mutant: Checker, portion: Sequence[Held], key: str, marks: Sequence[Mark]) -> bool | None:
    """None where an episode contradicts the mutant; else whether it answers as the original does."""
    same = True
    with CheckerProcess([mutant], Limits(gate=False)) as process:
        for witness, frames in portion:
            answers = ask(process, mutant, frames)
            marked = people.judged(key, marks, {witness.episode.id: answers})[1]
            if marked or contradiction(replace(witness, answers=answers)) is not None:
                return None
            same = same and np.array_equal(answers.done, witness.answers.done)
    return same
