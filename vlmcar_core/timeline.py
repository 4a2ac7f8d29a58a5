"""When in steps that were made already something may happen to each copy, as what is known of its frames tells.

Between two such moments nothing is looked at. The looking through is compiled.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vlmcar_core.compiling import compiled
from vlmcar_core.copies import Moment
from vlmcar_core.known import MIXERS, SHIFT, WAYS

NEVER = -1


class Timeline:
    """T steps of N copies.

    Args:
        moments: the steps, one or more.
        last: the keys of the frames before them, (N, 2).
        known: marks of frames that are known to complete nothing, as `Known.frames`.
    """

    def __init__(self, moments: Sequence[Moment], last: NDArray[np.uint64], known: NDArray[np.uint64]) -> None:
        self.keys = np.stack([moment.shot.keys for moment in moments])
        """Of the frames, (T, N, 2)."""
        before = np.concatenate([last[np.newaxis], self.keys[:-1]])
        until = np.full(self.keys.shape[:2], len(moments), np.intp)
        for number, moment in enumerate(moments):
            if moment.begun is not None:
                until[number, moment.ended] = number + 1
                if number + 1 < len(moments):
                    before[number + 1, moment.ended] = moment.begun.keys[moment.ended]
        self._until = np.ascontiguousarray(np.minimum.accumulate(until[::-1])[::-1])
        """Of each step, how many there are up to the end of its episode, (T, N)."""
        self._known = known
        self._mixed = self.keys * MIXERS
        self._changed = (self.keys != before).any(axis=2)
        self.due: list[dict[int, bool]] = [{} for _ in moments]
        """At each step, the copies to which something may happen; whether it is for what they show."""
        self.turns = np.zeros(self.keys.shape[:2], np.intp)
        """Whose it is before each step, (T, N)."""

    def follow(
        self,
        copies: NDArray[np.intp],
        start: int,
        turns: NDArray[np.intp],
        looks: NDArray[np.bool_],
        again: NDArray[np.bool_],
        offsets: NDArray[np.uint64],
    ) -> None:
        """Look through some copies' episodes from a step on, each up to when something may happen or to its end.

        Args:
            copies: which, (M,).
            start: the step.
            turns: whose it is in each, (M,).
            looks: whether their frames matter, (M,).
            again: whether the first of these counts as one that changed, (M,).
            offsets: what is added to their frames' keys, once these are mixed, to be their marks, (M, 2).
        """
        self.turns[start:, copies] = turns
        if start < len(self.due):
            found = np.empty(len(copies), np.intp)
            _follow(
                *(self._mixed, self._changed, self._until, self._known, copies, start, looks, again, offsets),
                *(SHIFT, WAYS, found),
            )
            for step, copy in zip(found.tolist(), copies.tolist(), strict=True):
                if step != NEVER:
                    self.due[step][copy] = True


@compiled
def _follow(
    mixed: NDArray[np.uint64],
    changed: NDArray[np.bool_],
    until: NDArray[np.intp],
    known: NDArray[np.uint64],
    copies: NDArray[np.intp],
    start: int,
    looks: NDArray[np.bool_],
    again: NDArray[np.bool_],
    offsets: NDArray[np.uint64],
    shift: np.uint64,
    ways: int,
    found: NDArray[np.intp],
) -> None:
    """For each copy the first step at which something may happen to it, or `NEVER`, into `found`."""
    for row in range(len(copies)):
        copy = copies[row]
        found[row] = NEVER
        if not looks[row]:
            continue
        for step in range(start, until[start, copy]):
            if not changed[step, copy] and not (again[row] and step == start):
                continue
            low, high = mixed[step, copy, 0] + offsets[row, 0], mixed[step, copy, 1] + offsets[row, 1]
            place = np.intp(low >> shift) * ways
            is_known = False
            for way in range(ways):
                is_known |= known[place + way, 0] == low and known[place + way, 1] == high
            if not is_known:
                found[row] = step
                break
