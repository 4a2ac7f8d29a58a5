"""A thing that is covered has not vanished: is a checker done when something only hides what it looks for?

Whether anything ever hides it in the environment nobody knows here, so this is told and not judged.
"""

import numpy as np

from vlmcar_core.examinations import Case
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.types import Checker, Frame, Seen

HOW = "with {} covered"

Box = tuple[int, int, int, int]
"""Rows from, to; columns from, to."""


def occluded(process: CheckerProcess, checker: Checker, id: str, initial: Frame) -> list[Case]:
    """Cover, one at a time, what the checker's `identify_*` find in the first frame, where nothing is done yet.

    Args:
        process: that asks it.
        checker: which.
        id: of the episode.
        initial: its first frame, uint8 (H, W, 3).
    """
    found = []
    for seen in process.inspect(checker.key, initial, initial).initial:
        box = place(seen, initial.shape[0], initial.shape[1])
        if box is None:
            continue
        outcome = process.run(checker.key, initial, np.stack([initial, covered(initial, box)]))[1]
        if outcome.done:
            reason = f"it is called done when only “{seen.name}” is covered, and nothing has happened"
            found.append(Case(checker.key, f"{id} {HOW.format(seen.name)}", 0, "changed", reason))
    return found


def place(seen: Seen, height: int, width: int) -> Box | None:
    """Where it is, with a pixel around it; None where nothing was found, or it fills more than half of the picture."""
    if seen.mask is not None and seen.mask.any():
        rows, columns = (np.flatnonzero(seen.mask.any(axis=axis)) for axis in (1, 0))
        edges = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    elif seen.box is not None:
        left, top, wide, high = seen.box
        edges = top, top + high, left, left + wide
    else:
        return None
    top, bottom, left, right = (round(edge) + step for edge, step in zip(edges, (-1, 1, -1, 1), strict=True))
    box = max(0, top), min(height, bottom), max(0, left), min(width, right)
    area = (box[1] - box[0]) * (box[3] - box[2])
    return box if box[0] < box[1] and box[2] < box[3] and area <= height * width / 2 else None


def covered(frame: Frame, box: Box) -> Frame:
    """The frame with a patch in the colour that is most common in it."""
    colours, counts = np.unique(frame.reshape(-1, 3), axis=0, return_counts=True)
    patched = frame.copy()
    patched[box[0] : box[1], box[2] : box[3]] = colours[int(np.argmax(counts))]
    return patched
