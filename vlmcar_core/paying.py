"""What checkers pay many copies of an environment, stepped together: the same as `CheckerReward` pays each, sooner.

Nothing runs in Python for a copy in which nothing happens. A checker is asked only about a frame that changed, only
while it can still pay, and only if it was not asked before; the questions of one step go to it in one message for all
copies that share their first frame. That a frame completes nothing is remembered by its key, in arrays.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from vlmcar_core import ahead
from vlmcar_core.copies import Moment, Payments, Shown
from vlmcar_core.known import Known, slots
from vlmcar_core.payments import FARMED, Payment
from vlmcar_core.reward import PASSING, Drawn, Judge, Watching
from vlmcar_core.types import Outcome, Proposal

AHEAD = 8
"""It is asked ahead where at least a question in so many steps had to be put to a checker before."""

MIXERS = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9], np.uint64)
"""Odd, so that no two keys become the same; from SplitMix64 (Steele, Lea, Flood 2014)."""


class CheckerPay:
    """A `Payer` (copies.py).

    Args:
        count: how many copies there are.
        proposal: whose checkers pay.
        judge: theirs; who made it closes it. Where it is told to stop for a disabled checker, `begin` and `step` raise
            `CheckerDisabled`.
        env_reward: keep the environment's own reward.
        payment: how completions become a reward.
        frames: marks of those that are known to complete nothing, as `Known.frames`, of these checkers alone; forgotten
            with this object if None.

    Raises:
        UnknownName, BadInput: the payment does not fit these checkers.
    """

    def __init__(
        self,
        count: int,
        proposal: Proposal,
        judge: Judge,
        env_reward: bool = True,
        payment: Payment | None = None,
        frames: NDArray[np.uint64] | None = None,
    ) -> None:
        self.env_reward = env_reward
        self._judge = judge
        payment = payment or Payment()
        checkers = tuple(step.checker for step in proposal.paid)
        self._checkers = checkers
        self._put = -math.inf
        """Questions that had been put to checkers when it was last thought of asking ahead."""
        self.keys = tuple(checker.key for checker in checkers)
        self._copies = [Watching(checkers, judge, payment) for _ in range(count)]
        self._at_the_end = payment.way == "potential"
        self._always = payment.way in FARMED or any(checker.in_order for checker in checkers)
        """Every frame is looked at, also one that did not change."""
        self._by_turn = not self._always and payment.way != "progress" and not payment.undo
        """What a frame pays follows from it, the first one, and whose turn it is."""
        self._idle = np.zeros(count)
        """What a step is paid in which nothing happens, (N,)."""
        self._idle_parts = np.zeros((count, len(checkers)))
        """The same for each sub-task, (N, K)."""
        self._idle_of: dict[int, tuple[float, list[float]]] = {}
        """Both of them, by how many sub-tasks are done."""
        self._looks = np.zeros(count, np.bool_)
        """The next frame matters, (N,)."""
        self._last = np.zeros((count, 2), np.uint64)
        """The keys of the frames that were looked at last."""
        self._again = np.zeros(count, np.bool_)
        """The last frame has to be asked about again: a checker failed for reasons that may pass."""
        self._first, self._turn = np.zeros((count, 2), np.uint64), np.zeros((count, 1), np.uint64)
        """Whose turn it is, and the key of what that checker takes from the first frame."""
        self._first_keys = [b""] * count
        self._known = Known().frames if frames is None else frames

    def begin(self, numbers: NDArray[np.intp], shown: Shown) -> None:
        wanted = np.zeros(len(self._copies), np.bool_)
        wanted[numbers] = True
        keys = shown.frame_keys(wanted)
        self._last[numbers] = keys[numbers]
        for number in numbers.tolist():
            faults: dict[str, str] = {}
            first = cache(partial(shown.first_frame, number))
            self._begin(number, first, keys[number], faults)
            self._settle(number, faults)

    def _begin(self, number: int, first: Drawn, key: NDArray[np.uint64], faults: dict[str, str]) -> None:
        """One copy's episode; its first frame, too, may be known to complete nothing."""
        watching, digest = self._copies[number], key.tobytes()
        said: dict[int, Outcome] = {}
        if self._by_turn and self.keys:
            watching.meet(first, digest)
            mark = key * MIXERS + self._first_of(number, 0)
            if (self._known[slots(mark)] == mark).all():
                self._judge.asked += 1
                self._judge.remembered += 1
                said[0] = Outcome("ok", 0.0)
        watching.begin(first, digest, faults, said)

    def _first_of(self, number: int, turn: int) -> NDArray[np.uint64]:
        """Of what a checker takes from this episode's first frame, (2,)."""
        self._first_keys[number] = self._copies[number].first_key(turn)
        return np.frombuffer(self._first_keys[number][:16], np.uint64)

    def step(self, solved: Mapping[int, bool], shown: Shown) -> Payments:
        looks = self._looks
        keys = shown.frame_keys(looks)
        marks = keys * MIXERS + self._first + self._turn
        loud = looks & self._news(keys, marks)
        self._last = keys
        quiet = int(np.count_nonzero(looks)) - int(np.count_nonzero(loud))
        self._judge.asked += quiet
        self._judge.remembered += quiet
        rewards, components = self._idle.copy(), self._idle_parts.copy()
        completed: dict[int, list[str]] = {}
        numbers = np.flatnonzero(loud).tolist()
        if self._at_the_end:
            numbers += [number for number in solved if not loud[number]]
        seen = {number: (cache(partial(shown.frame, number)), keys[number].tobytes()) for number in numbers}
        answers = self._asked({number: seen[number] for number in numbers if loud[number]})
        nothing = [number for number, told in answers.items() if number not in solved and _is_not_done(told)]
        self._known[slots(marks[nothing])] = marks[nothing]
        self._again[nothing] = False
        for number in sorted(set(numbers).difference(nothing)):
            faults: dict[str, str] = {}
            watching = self._copies[number]
            said = {watching.account.completed: answers[number]} if number in answers else {}
            look = watching.look(*seen[number], faults, answered=said) if looks[number] else None
            paid = watching.account.step(look, solved.get(number))
            rewards[number] = sum(paid.components.values())
            components[number] = self._parts(paid.components)
            if paid.completed:
                completed[number] = paid.completed
            self._settle(number, faults)
        return Payments(rewards, completed, components)

    def ahead(self, moments: Sequence[Moment]) -> None:
        put = self._judge.asked - self._judge.remembered
        often, self._put = AHEAD * (put - self._put) >= len(moments), put
        if often and self._by_turn and self.keys:
            found = ahead.stretches(moments, len(self._copies), self._going_on)
            ahead.ask(found, self._checkers, self._judge, self._known, _marks)

    def _going_on(self, number: int) -> tuple[int, tuple[Drawn, bytes]] | None:
        watching = self._copies[number]
        return (watching.account.completed, watching.initial) if self._looks[number] else None

    def _parts(self, paid: Mapping[str, float]) -> list[float]:
        """What was paid for each sub-task, in their order."""
        return [paid.get(key, 0.0) for key in self.keys]

    def _news(self, keys: NDArray[np.uint64], marks: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which frames may bring something, (N,)."""
        if self._always:
            return np.ones(len(keys), np.bool_)
        changed = (keys != self._last).any(axis=1) | self._again
        if self._by_turn:
            changed &= (self._known[slots(marks)] != marks).any(axis=1)
        return np.asarray(changed)

    def _asked(self, seen: Mapping[int, tuple[Drawn, bytes]]) -> dict[int, Outcome]:
        """By copy, what the checker says whose turn it is, of all of them at once."""
        if not self._by_turn:
            return {}
        questions = [
            self._copies[number].question(self._copies[number].account.completed, *frame, self._first_keys[number])
            for number, frame in seen.items()
        ]
        return dict(zip(seen, self._judge.ask_many(questions), strict=True))

    def _settle(self, number: int, faults: dict[str, str]) -> None:
        """What the next step depends on."""
        account = self._copies[number].account
        self._looks[number] = account.looks
        self._again[number] = any(told.startswith(PASSING) for told in faults.values())
        self._turn[number] = account.completed
        if self._by_turn and account.looks:
            self._first[number] = self._first_of(number, account.completed)
        if not self._always:
            if account.completed not in self._idle_of:  # what a step without a look pays follows from that alone
                idle = account.step(None).components
                self._idle_of[account.completed] = sum(idle.values()), self._parts(idle)
            self._idle[number], self._idle_parts[number] = self._idle_of[account.completed]


def _marks(keys: NDArray[np.uint64], first_key: bytes, turn: int) -> NDArray[np.uint64]:
    """As `CheckerPay.step` makes them, (L, 2)."""
    return np.asarray(keys * MIXERS + np.frombuffer(first_key[:16], np.uint64) + np.uint64(turn))


def _is_not_done(said: Outcome) -> bool:
    """It says of a frame that nothing is to be paid for it."""
    return said.kind == "ok" and said.value is not None and said.value < 1.0
