"""What is known of frames, where no more matters than whether one completes the sub-task whose turn it is."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vlmcar_core.known import COMPLETES, NOTHING, Known, keep, marks, recalled
from vlmcar_core.reward import Judge, Question, Watching
from vlmcar_core.types import Checker, Drawn, Outcome

TAKEN = 20_000
"""Of so many first frames and turns it is kept what a checker takes from them; about 250 bytes each."""


class Recalling:
    """What was said in the episodes of some copies, and in other runs; what is not known is asked.

    Args:
        copies: whose episodes.
        checkers: in the order of their turns.
        judge: theirs.
        frames: what is known, as `Known.frames`; forgotten with this object if None.
    """

    def __init__(
        self,
        copies: Sequence[Watching],
        checkers: Sequence[Checker],
        judge: Judge,
        frames: NDArray[np.uint64] | None = None,
    ) -> None:
        self._copies, self._checkers, self._judge = copies, checkers, judge
        self.frames = Known().frames if frames is None else frames
        """As `Known.frames`."""
        self._taken: OrderedDict[tuple[bytes, int], tuple[bytes, NDArray[np.uint64]]] = OrderedDict()
        """By an episode's first frame and a turn, what `first` gives."""

    def meet(self, firsts: Mapping[bytes, Drawn]) -> None:
        """Ask at once for what the checker whose turn it is first takes from some first frames, by their keys."""
        new = {key: first for key, first in firsts.items() if (key, 0) not in self._taken}
        questions = [Question(self._checkers[0], first, key, first, key) for key, first in new.items()]
        for key, taken in zip(new, self._judge.first_keys(questions), strict=True):
            self._take(key, 0, taken)

    def first(self, number: int, turn: int) -> tuple[bytes, NDArray[np.uint64]]:
        """The key of what a checker takes from the first frame of a copy's episode, and it as two numbers, (2,)."""
        watching = self._copies[number]
        found = self._taken.get((watching.initial[1], turn))
        return found or self._take(watching.initial[1], turn, watching.first_key(turn))

    def _take(self, initial: bytes, turn: int, taken: bytes) -> tuple[bytes, NDArray[np.uint64]]:
        found = self._taken[initial, turn] = taken, np.frombuffer(taken[:16], np.uint64)
        if len(self._taken) > TAKEN:
            self._taken.popitem(last=False)
        return found

    def _mark(self, number: int, turn: int, key: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Of a frame with this key, in a copy's episode, for the checker whose turn that is, (2,)."""
        return marks(key, self.first(number, turn)[0], turn)

    def ask(self, seen: Mapping[int, tuple[Drawn, bytes]], keys: NDArray[np.uint64]) -> dict[int, Outcome]:
        """By copy, what the checker says whose turn it is, of all of them at once.

        Args:
            seen: by copy, its frame and that one's key.
            keys: these keys again, (N, 2).
        """
        turns = {number: self._copies[number].account.completed for number in seen}
        placed = {number: self._mark(number, turn, keys[number]) for number, turn in turns.items()}
        found = {number: said for number, mark in placed.items() if (said := recalled(self.frames, mark)) is not None}
        self._count(len(found))
        unknown = [number for number in seen if number not in found]
        questions = [
            self._copies[number].question(turns[number], *seen[number], self.first(number, turns[number])[0])
            for number in unknown
        ]
        for number, outcome in zip(unknown, self._judge.ask_many(questions), strict=True):
            keep(self.frames, placed[number], outcome)
            found[number] = outcome
        return found

    def add(self, number: int, turn: int, key: NDArray[np.uint64], said: dict[int, Outcome]) -> None:
        """To what was said of a frame what is known of it, from a turn on as far as it is."""
        for index in range(turn, len(self._checkers)):
            if index not in said:
                outcome = recalled(self.frames, self._mark(number, index, key))
                if outcome is None:
                    return
                self._count(1)
                said[index] = outcome
            if not said[index].done:
                return

    def keep(self, number: int, turn: int, key: NDArray[np.uint64]) -> None:
        """What a frame was found to complete, from a turn on."""
        now = self._copies[number].account.completed
        for index in range(turn, min(now + 1, len(self._checkers))):
            keep(self.frames, self._mark(number, index, key), COMPLETES if index < now else NOTHING)

    def _count(self, questions: int) -> None:
        """These were asked and need not be put."""
        self._judge.asked += questions
        self._judge.remembered += questions
