"""What people said by eye: in these frames this sub-task is done, or not; and how far a checker agrees.

marks.jsonl     one line per mark, in the order in which they were made; a line that undoes an earlier one is a
                mark, too, so nothing is ever taken away
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlmcar_core import files, strict
from vlmcar_core.errors import BadInput
from vlmcar_core.recordings import STEPS_MAX
from vlmcar_core.types import KEY_PATTERN, Answers, Count

VERSION = 1
MARKS_LIMIT_BYTES = 16 * 1024 * 1024
NAME_CHARS_MAX, REASON_CHARS_MAX = 64, 500
PROBLEMS_MAX = 5
"""Damaged lines that are named one by one."""

NONE = Count(0, 0)


@dataclass(frozen=True)
class Mark:
    """One person's word on one sub-task, in one frame or a span of frames."""

    trajectory: str
    first: int
    last: int
    """Frames, both included; 0 is the episode's first."""

    key: str
    """Of the sub-task."""

    done: bool
    """Whether it should be called done there."""

    author: str
    reason: str = ""
    created: str = ""
    """UTC, ISO 8601; empty until it is stored."""

    undoes: int | None = None
    """The number of the mark that this one takes back; the rest then repeats that mark. None for a mark proper."""

    number: int | None = None
    """Its line in the file, from 0; None until it was read from there."""

    def __post_init__(self) -> None:
        if not 0 <= self.first <= self.last <= STEPS_MAX:
            raise BadInput(f"a span runs from a frame to the same or a later one, not from {self.first} to {self.last}")
        if not 1 <= len(self.trajectory) <= NAME_CHARS_MAX or not KEY_PATTERN.fullmatch(self.key):
            raise BadInput(f"{self.trajectory!r} and {self.key!r} are no trajectory and sub-task that can be marked")
        if not self.author.strip() or len(self.author) > NAME_CHARS_MAX:
            raise BadInput(f"a mark has an author of 1 to {NAME_CHARS_MAX} characters; type your name")
        if len(self.reason) > REASON_CHARS_MAX:
            raise BadInput(f"a reason has at most {REASON_CHARS_MAX} characters, not {len(self.reason)}")
        if self.undoes is not None and self.undoes < 0:
            raise BadInput(f"a mark to be undone has a number from 0, not {self.undoes}")


def undoing(mark: Mark, author: str, reason: str = "") -> Mark:
    """The mark that takes a stored one back. Undoing that one again brings the first back."""
    if mark.number is None:
        raise ValueError("only a mark that is stored can be undone")
    return dataclasses.replace(mark, author=author, reason=reason, created="", undoes=mark.number, number=None)


def standing(marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """The marks that nobody has taken back, oldest first."""
    undone: set[int] = set()
    found = []
    for mark in sorted(marks, key=_number, reverse=True):
        if _number(mark) in undone:
            continue
        if mark.undoes is None:
            found.append(mark)
        elif mark.undoes < _number(mark):
            undone.add(mark.undoes)
    return tuple(reversed(found))


def expected(marks: Sequence[Mark], trajectory: str, key: str, frames: int) -> list[bool | None]:
    """What a checker should say about each frame of a trajectory: done or not; None where nobody has marked it.

    Args:
        marks: as they stand; where several are about a frame, the newest holds.
        trajectory: its id.
        key: of the sub-task.
        frames: how many there are, T + 1.
    """
    found: list[bool | None] = [None] * frames
    for mark in marks:
        if (mark.trajectory, mark.key) == (trajectory, key):
            for frame in range(mark.first, min(mark.last + 1, frames)):
                found[frame] = mark.done
    return found


@dataclass(frozen=True)
class Confusion:
    """People against checkers over marked frames: counts only."""

    both_done: int = 0
    only_person: int = 0
    """The person says done, the checker does not: missed."""

    only_checker: int = 0
    """The checker says done, the person does not: a false alarm."""

    neither: int = 0
    failed: int = 0
    """Marked frames on which the checker's call did not end well; in none of the four."""

    unknown: int = 0
    """Marked frames about which the checker was never asked; in none of the four."""

    spans: Count = NONE
    """Of the marks of which at least one frame was compared, those with no contradiction. The frames of one span are
    one judgement and much alike, so this is the count whose interval may be read as one of independent trials."""

    @property
    def frames(self) -> Count:
        """Frames on which both say the same, of those compared."""
        same = self.both_done + self.neither
        return Count(same, same + self.only_person + self.only_checker)

    def __add__(self, other: "Confusion") -> "Confusion":
        parts = {
            one.name: getattr(self, one.name) + getattr(other, one.name)
            for one in dataclasses.fields(self)
            if one.name != "spans"
        }
        hits, total = self.spans.hits + other.spans.hits, self.spans.total + other.spans.total
        return Confusion(**parts, spans=Count(hits, total))


def agreement(marks: Sequence[Mark], answers: Mapping[tuple[str, str], Answers]) -> Confusion:
    """How far checkers agree with people, over every frame that somebody has marked.

    Args:
        marks: as they stand; each frame counts once, with the newest mark about it.
        answers: by trajectory id and checker key.
    """
    pairs = dict.fromkeys((mark.trajectory, mark.key) for mark in marks)
    return sum((_agreement_on(marks, pair, answers.get(pair)) for pair in pairs), Confusion())


def _agreement_on(marks: Sequence[Mark], pair: tuple[str, str], said: Answers | None) -> Confusion:
    """The same for one trajectory and one sub-task."""
    about = [mark for mark in marks if (mark.trajectory, mark.key) == pair]
    frames = max(mark.last for mark in about) + 1
    owner = np.full(frames, -1)
    for place, mark in enumerate(about):
        owner[mark.first : mark.last + 1] = place
    marked = owner >= 0
    person = np.array([mark.done for mark in about])[owner]
    asked = np.arange(frames) < (0 if said is None else len(said.values))
    values = np.full(frames, np.nan)
    if said is not None:
        values[asked] = said.values[:frames]
    failed = np.isnan(values)
    checker, compared = values >= 1.0, marked & ~failed
    return Confusion(
        both_done=_count(compared & person & checker),
        only_person=_count(compared & person & ~checker),
        only_checker=_count(compared & ~person & checker),
        neither=_count(compared & ~person & ~checker),
        failed=_count(marked & asked & failed),
        unknown=_count(marked & ~asked),
        spans=_spans(owner, compared, compared & (person != checker)),
    )


def _spans(owner: NDArray[np.int_], compared: NDArray[np.bool_], wrong: NDArray[np.bool_]) -> Count:
    """Marks with at least one frame that was compared, and of these the ones without a contradiction."""
    seen, contradicted = set(owner[compared].tolist()), set(owner[wrong].tolist())
    return Count(len(seen - contradicted), len(seen))


def _count(frames: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(frames))


def _number(mark: Mark) -> int:
    return -1 if mark.number is None else mark.number


# On disk


def read(path: Path) -> tuple[tuple[Mark, ...], tuple[str, ...]]:
    """Every whole line of a file of marks, in order, and what is wrong with the others; nothing where there is none.

    Raises:
        DamagedFile: the file cannot be opened, or is too large.
    """
    try:
        lines = files.read_bytes(path, MARKS_LIMIT_BYTES).splitlines()
    except FileNotFoundError:
        return (), ()
    found: list[Mark] = []
    problems: list[str] = []
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            found.append(_parsed(number, line))
        except (ValueError, TypeError, BadInput) as error:
            problems.append(f"line {number + 1} of {path.name} is no mark ({str(error)[:200]}); it is passed over")
    more = len(problems) - PROBLEMS_MAX
    rest = (f"and {more} more lines of {path.name}",) if more > 0 else ()
    return tuple(found), (*problems[:PROBLEMS_MAX], *rest)


def append(path: Path, mark: Mark) -> None:
    """Add a mark at the end of the file.

    Raises:
        BadInput: the file has no room for it.
        DamagedFile: something else is in the file's place.
    """
    kept = {name: value for name, value in asdict(mark).items() if name != "number"}
    try:
        files.append_row(path, {"version": VERSION, **kept}, MARKS_LIMIT_BYTES)
    except ValueError as error:
        raise BadInput(f"{path.name} is full ({error}); move it away to begin a new one") from error


def _parsed(number: int, line: bytes) -> Mark:
    value: Any = strict.loads(line)
    if not isinstance(value, dict) or value.pop("version", None) != VERSION:
        raise ValueError(f"it has no version that this program reads ({VERSION})")
    if "number" in value:
        raise ValueError("a mark's number is its line, and is not written")
    return strict.build(Mark, {**value, "number": number})
