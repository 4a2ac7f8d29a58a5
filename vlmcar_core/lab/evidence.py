"""The coverage table: for every checker, how often it had to fire and did, and how often it must not and did not."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from vlmcar_core.examinations import Case, Kind, Row
from vlmcar_core.lab.truth import Episode, Expected
from vlmcar_core.types import Answers, Count


@dataclass(frozen=True, eq=False)
class Witness:
    """One episode, what a checker said about it, and what it had to say."""

    key: str
    episode: Episode
    source: str
    """As the table names it: the episode's own source, or what it was made into."""

    answers: Answers
    expected: Expected


def contradiction(witness: Witness) -> Case | None:
    """The first frame in which a checker is wrong, if there is one."""
    done, known = witness.answers.done, witness.expected

    def case(frame: int, kind: Kind, reason: str) -> Case:
        return Case(witness.key, witness.episode.id, frame, kind, reason)

    if known.fires is None:
        return None
    if witness.answers.faults:
        frame, fault = min(witness.answers.faults.items())
        return case(frame, "fault", f"it failed here: {fault.message}")
    early = done if known.fires is False else done[: known.since]
    if early.any():
        return case(int(np.argmax(early)), "false alarm", f"it is called done here: {known.why}")
    if known.fires and not done.any():
        best = float(np.nanmax(witness.answers.values))
        return case(len(done) - 1, "missed", f"it is never called done ({known.why}); its highest value is {best:g}")
    return None


def rows(witnesses: Iterable[Witness]) -> list[Row]:
    """Count what the witnesses say; by checker and source in order of appearance."""
    found: dict[tuple[str, str], list[Witness]] = {}
    for witness in witnesses:
        found.setdefault((witness.key, witness.source), []).append(witness)
    return [_row(key, source, group) for (key, source), group in found.items()]


def cases(witnesses: Iterable[Witness]) -> list[Case]:
    """Every contradiction, in order."""
    return [case for case in map(contradiction, witnesses) if case is not None]


def _row(key: str, source: str, group: Sequence[Witness]) -> Row:
    return Row(
        key,
        source,
        should=_count(witness for witness in group if witness.expected.fires is True),
        must_not=_count(witness for witness in group if witness.expected.fires is False),
        unknown=sum(witness.expected.fires is None for witness in group),
    )


def _count(group: Iterable[Witness]) -> Count:
    right = [contradiction(witness) is None for witness in group]
    return Count(sum(right), len(right))


def lacking(title: str, rows: Sequence[Row]) -> list[str]:
    """What to record next, where one side of a checker is not known at all."""
    wanted = []
    if not sum(row.should.total for row in rows):
        wanted.append(f"an episode in which “{title}” is done: an expert, or one that you play")
    if not sum(row.must_not.total for row in rows):
        wanted.append(f"an episode in which “{title}” is not done though it nearly is: a near miss")
    return wanted
