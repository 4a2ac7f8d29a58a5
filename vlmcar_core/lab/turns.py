"""Sub-tasks out of order: who is seen to be done before its turn, and what the chain pays for that."""

from collections.abc import Mapping, Sequence

import numpy as np

from vlmcar_core import chain
from vlmcar_core.examinations import Turn
from vlmcar_core.types import Answers, Count, SubTask


def turns(subtasks: Sequence[SubTask], said: Mapping[str, Mapping[str, Answers]]) -> tuple[Turn, ...]:
    """For each sub-task, in order, how often it is called done before its turn, and what it is paid there.

    Before its turn is: after the first frame, while a sub-task before it has not been completed.

    Args:
        subtasks: in order.
        said: by episode, then by checker key.
    """
    early, later, paid_early = ([0] * len(subtasks) for _ in range(3))
    for answers in said.values() if subtasks else ():
        done = np.stack([answers[step.key].done for step in subtasks], axis=1)
        completed = chain.completions(done)
        for place in range(1, len(subtasks)):
            turn = _turn(completed[:place], len(done))
            if done[1:turn, place].any():
                early[place] += 1
                paid = completed[place]
                later[place] += paid is not None and paid >= turn
                paid_early[place] += paid is not None and paid < turn
    total = len(said)
    return tuple(
        Turn(step.key, Count(early[place], total), Count(later[place], early[place]), paid_early[place])
        for place, step in enumerate(subtasks)
    )


def _turn(before: Sequence[int | None], frames: int) -> int:
    """The frame in which all sub-tasks before it are completed; `frames` where that never is."""
    known = [frame for frame in before if frame is not None]
    return max(known) if len(known) == len(before) else frames
