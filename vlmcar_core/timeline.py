"""When in steps that were made already something may happen to each copy, as what is known of its frames tells.

Between two such moments nothing is looked at: however many steps there are, they are looked through at once.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vlmcar_core.copies import Moment
from vlmcar_core.known import MIXERS, unknown


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
        self._changed = _differ(self.keys, before)

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
        if start >= len(self._steps):
            return
        until = self._until[start, copies]
        stop = int(until.max())
        new = unknown(self._known, self._mixed[start:stop, copies] + offsets)
        loud = new & self._changed[start:stop, copies]
        loud[0] |= again & new[0]
        loud &= looks & (self._steps[start:stop, np.newaxis] < until)
        happens = np.flatnonzero(np.any(loud, axis=0))
        for step, copy in zip(loud[:, happens].argmax(axis=0).tolist(), copies[happens].tolist(), strict=True):
            self.due[start + step][copy] = True


def _differ(some: NDArray[np.uint64], others: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which pairs of numbers (…, 2) differ, (…); in half the time that `any` takes along so short an axis."""
    return np.asarray((some[..., 0] != others[..., 0]) | (some[..., 1] != others[..., 1]))
