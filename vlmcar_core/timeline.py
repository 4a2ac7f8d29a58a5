"""When in steps that were made already something may happen to each copy, as what is known of its frames tells.

Between two such moments nothing is looked at: however many steps there are, they are looked through at once.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vlmcar_core.copies import Moment
from vlmcar_core.known import MIXERS, slots


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
        self._until = np.minimum.accumulate(until[::-1])[::-1]
        """Of each step, how many there are up to the end of its episode, (T, N)."""
        self._steps = np.arange(len(moments))
        self._known = known
        self._mixed = self.keys * MIXERS
        self._changed = (self.keys != before).any(axis=2)

        self.due: list[dict[int, bool]] = [{} for _ in moments]
        """At each step, the copies to which something may happen; whether it is for what they show."""
        self.turns = np.zeros(self.keys.shape[:2], np.intp)
        """Whose it is before each step, (T, N)."""

    def begin(
        self,
        turns: NDArray[np.intp],
        looks: NDArray[np.bool_],
        again: NDArray[np.bool_],
        offsets: NDArray[np.uint64],
    ) -> None:
        """Look through the episodes that are going on at first.

        Args:
            turns: whose it is in each, (N,).
            looks: copies whose frames matter, (N,).
            again: copies whose first frame here counts as one that changed, (N,).
            offsets: what is added to their frames' keys, once these are mixed, to be their marks, (N, 2).
        """
        self.turns[:] = turns
        loud = self._unknown(self._mixed + offsets) & self._changed
        loud[0] |= again & self._unknown(self._mixed[0] + offsets)
        loud &= looks & (self._steps[:, np.newaxis] < self._until[0])
        copies = np.flatnonzero(loud.any(axis=0))
        for step, copy in zip(loud[:, copies].argmax(axis=0).tolist(), copies.tolist(), strict=True):
            self.due[step][copy] = True

    def go_on(self, copy: int, start: int, turn: int, looks: bool, again: bool, offset: NDArray[np.uint64]) -> None:
        """Look through one copy's episode from a step on; the rest as for `begin`."""
        self.turns[start:, copy] = turn
        if not looks or start >= len(self._steps):
            return
        stop = self._until[start, copy]
        unknown = self._unknown(self._mixed[start:stop, copy] + offset)
        loud = unknown & self._changed[start:stop, copy]
        if again:
            loud[0] = unknown[0]
        at = int(loud.argmax())
        if loud[at]:
            self.due[start + at][copy] = True

    def _unknown(self, marks: NDArray[np.uint64]) -> NDArray[np.bool_]:
        return np.asarray((self._known[slots(marks)] != marks).any(axis=-1))
