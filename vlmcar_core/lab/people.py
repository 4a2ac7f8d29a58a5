"""What people marked by eye, as evidence: a span of frames is one judgement."""

from collections.abc import Mapping, Sequence

import numpy as np

from vlmcar_core.examinations import Case, Row
from vlmcar_core.marks import Mark
from vlmcar_core.types import Answers, Count

SOURCE = "human"


def judged(key: str, marks: Sequence[Mark], said: Mapping[str, Answers]) -> tuple[list[Row], list[Case]]:
    """What people's marks say about one checker: one row, if anything is marked, and every contradiction.

    Args:
        key: the checker's.
        marks: as they stand, oldest first; where several are about a frame, the newest holds.
        said: by trajectory id, what the checker said of each frame; marks of other trajectories are passed over.
    """
    cases: list[Case] = []
    counts = {True: [0, 0], False: [0, 0]}
    about = [mark for mark in marks if mark.key == key and mark.trajectory in said]
    for place, mark in enumerate(about):
        frames = _held(mark, about[place + 1 :], len(said[mark.trajectory].values))
        if frames:
            case = _contradiction(mark, frames, said[mark.trajectory])
            cases += [] if case is None else [case]
            counts[mark.done][0] += case is None
            counts[mark.done][1] += 1
    should, must_not = Count(*counts[True]), Count(*counts[False])
    rows = [Row(key, SOURCE, should, must_not, 0)] if should.total or must_not.total else []
    return rows, cases


def agreed(key: str, marks: Sequence[Mark], said: Mapping[str, Answers]) -> list[Mark]:
    """The marks about one checker in those trajectories in which it contradicts none of them."""
    wrong = {case.episode for case in judged(key, marks, said)[1]}
    about = (mark for mark in marks if mark.key == key and mark.trajectory in said)
    return [mark for mark in about if mark.trajectory not in wrong]


def _held(mark: Mark, later: Sequence[Mark], frames: int) -> list[int]:
    """The frames of a mark about which nobody has said anything since."""
    since = [(one.first, one.last) for one in later if one.trajectory == mark.trajectory]
    span = range(mark.first, min(mark.last + 1, frames))
    return [frame for frame in span if not any(first <= frame <= last for first, last in since)]


def _contradiction(mark: Mark, frames: Sequence[int], said: Answers) -> Case | None:
    """The first frame of a mark in which the checker says something else, or fails."""
    told = f"{mark.author} marked it {'done' if mark.done else 'not done'} here"
    told += f": {mark.reason}" if mark.reason else ""
    done = said.done
    for frame in frames:
        if frame in said.faults:
            return Case(mark.key, mark.trajectory, frame, "fault", f"it failed: {said.faults[frame].message}; {told}")
        if np.isnan(said.values[frame]) or bool(done[frame]) != mark.done:
            return Case(mark.key, mark.trajectory, frame, "missed" if mark.done else "false alarm", told)
    return None
