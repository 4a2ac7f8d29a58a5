"""What checkers are going to be asked about steps that were made already, put to them before these are paid for.

Steps are paid for one after the other, and whose turn it is in one follows from what was said of those before it. Here
that is followed ahead in rounds: in each, the next few frames of every episode about which nothing is known go to the
checker whose turn it is there, all that one checker is asked in one message. Its answers are remembered; what was not
foreseen is asked in its turn.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vlmcar_core.copies import Moment, Shot
from vlmcar_core.known import COMPLETES, DONE, holds, keep, marks, unknown
from vlmcar_core.reward import Judge, Question
from vlmcar_core.types import Checker, Drawn, Outcome

WINDOW_MAX = 8
"""Frames of one episode in a round, at most; in the first it is one, and twice as many in each that follows."""


class Stretch:
    """A part of one copy's episode.

    Args:
        shots: of its moments.
        number: of the copy.
        turn: whose it is at first.
        initial: the episode's first frame, and its key.
    """

    def __init__(self, shots: Sequence[Shot], number: int, turn: int, initial: tuple[Drawn, bytes]) -> None:
        self._shots, self._number, self._initial = shots, number, initial
        self._keys = np.array([shot.keys[number] for shot in shots])
        self.turn, self._at = turn, 0

    @property
    def length(self) -> int:
        """How many moments it has."""
        return len(self._shots)

    def finish(self) -> None:
        """Nothing more is to be asked about it."""
        self._at = len(self._shots)

    def question(self, checker: Checker, at: int, first_key: bytes | None) -> Question:
        """To the checker whose turn it is, about one of its moments."""
        frame = partial(self._shots[at].frame, self._number)
        return Question(checker, *self._initial, frame, self._keys[at].tobytes(), first_key)

    def marks(self, first_key: bytes) -> NDArray[np.uint64]:
        """Of the frames that are left."""
        return marks(self._keys[self._at :], first_key, self.turn)

    def places(self, new: NDArray[np.bool_], most: int) -> list[int]:
        """The first so many different ones of those that are left, of which nothing is known."""
        found: dict[bytes, int] = {}
        for place in (np.flatnonzero(new) + self._at).tolist():
            found.setdefault(self._keys[place].tobytes(), place)
            if len(found) == most:
                break
        return list(found.values())

    @property
    def left(self) -> bool:
        """Whether there are moments that were not looked at yet."""
        return self._at < len(self._shots)

    def told(self, place: int, outcome: Outcome) -> None:
        """What was said of a frame by whom it was asked whose turn it is."""
        self._at = place if outcome.done else place + 1
        self.turn += outcome.done


def stretches(
    moments: Sequence[Moment], count: int, going_on: Callable[[int], tuple[int, tuple[Drawn, bytes]] | None]
) -> list[Stretch]:
    """The parts of episodes that some steps of `count` copies consist of.

    Args:
        moments: the steps.
        count: how many copies.
        going_on: from a copy to whose turn it is in its episode, and the first frame of that and its key; None where
            nothing is looked at any more.
    """
    begun: list[list[int]] = [[0] for _ in range(count)]
    for number, moment in enumerate(moments, 1):
        for copy in moment.ended.tolist():
            begun[copy].append(number)
    found = []
    for copy in range(count):
        for start, end in pairwise([*begun[copy], len(moments)]):
            shots = [moment.shot for moment in moments[start:end]]
            first = moments[start - 1].begun if start else None
            if first is not None:
                initial = cache(partial(first.frame, copy)), first.keys[copy].tobytes()
                found.append(Stretch([first, *shots], copy, 0, initial))
            elif shots and (now := going_on(copy)) is not None:
                found.append(Stretch(shots, copy, *now))
    return found


def ask(found: Sequence[Stretch], checkers: Sequence[Checker], judge: Judge, known: NDArray[np.uint64]) -> None:
    """Put to the checkers what they are going to be asked about some stretches, and keep what they say.

    Args:
        found: the stretches.
        checkers: in the order of their turns.
        judge: theirs. It counts what is put to them here as such, and not as asked, which it will be in its turn.
        known: marks of frames of which that is known, as `Known.frames`.
    """
    asked, remembered = judge.asked, judge.remembered
    window, going = 1, list(found)
    while going:
        questions, rounds = [], []
        first_keys = judge.first_keys([stretch.question(checkers[stretch.turn], 0, None) for stretch in going])
        for stretch, first_key in zip(going, first_keys, strict=True):
            made = stretch.marks(first_key)
            places = stretch.places(unknown(known, made), window)
            if not places:
                stretch.finish()
            for place in places:
                mark = made[place - stretch.length]
                done = holds(known, mark + DONE)
                rounds.append((stretch, stretch.turn, place, mark, done))
                if done:
                    break
                questions.append(stretch.question(checkers[stretch.turn], place, first_key))
        answers = iter(judge.ask_many(questions))
        for stretch, turn, place, mark, done in rounds:
            outcome = COMPLETES if done else next(answers)
            if stretch.turn == turn:
                keep(known, mark, outcome)
                stretch.told(place, outcome)
        going = [stretch for stretch in going if stretch.left and stretch.turn < len(checkers)]
        window = min(WINDOW_MAX, 2 * window)
    put = (judge.asked - asked) - (judge.remembered - remembered)
    judge.asked, judge.remembered = asked, remembered - put
