"""What checkers pay many copies of an environment, stepped together: the same as `CheckerReward` pays each, sooner.

Nothing runs in Python for a copy in which nothing happens. A checker is asked only about a frame that changed, only
while it can still pay, and only if it was not asked before; the questions of one step go to it in one message for all
copies that share their first frame. What a frame completes is remembered by its key, in arrays (recalling.py), and what
became of a copy in which something happened by all that this followed from.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vlmcar_core import ahead
from vlmcar_core.copies import Moment, Past, Payments, Shown
from vlmcar_core.known import MIXERS, unknown
from vlmcar_core.payments import FARMED, Payment
from vlmcar_core.recalling import Recalling
from vlmcar_core.reward import PASSING, Judge, Watching
from vlmcar_core.types import Drawn, Frame, Outcome, Proposal

if TYPE_CHECKING:
    from vlmcar_core.timeline import Timeline

AHEAD = 8
"""It is asked ahead where at least a question in so many steps had to be put to a checker before."""

EVENTS = 20_000
"""Remembered, about 500 bytes each."""


class Event(NamedTuple):
    """What became of one copy in a step in which something happened."""

    reward: float
    parts: list[float]
    """Of it, for each sub-task, in their order."""

    completed: list[str]
    """The keys of the sub-tasks that it completed."""

    turn: int
    """Whose it is afterwards."""

    asked: int
    """How many questions that took."""


Happening = tuple[bytes, bytes, int, bool | None]
"""All that an event follows from, where that is all: the keys of the episode's first frame and of this one, whose turn
it is, and whether the environment says it is solved, where it has ended."""


class CheckerPay:
    """A `Payer` (copies.py).

    Args:
        count: how many copies there are.
        proposal: whose checkers pay.
        judge: theirs; who made it closes it. Where it is told to stop for a disabled checker, `begin` and `step` raise
            `CheckerDisabled`.
        env_reward: keep the environment's own reward.
        payment: how completions become a reward.
        frames: what is known of those that were asked about, as `Known.frames`, of these checkers alone; forgotten
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
        self._by_turn = bool(checkers) and not self._always and payment.way != "progress" and not payment.undo
        """What a frame pays follows from it, the first one, and whose turn it is."""
        self._events: OrderedDict[Happening, Event] = OrderedDict()
        """What happened before, where that tells what happens."""
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
        self._recalling = Recalling(self._copies, checkers, judge, frames)
        self._known = self._recalling.frames

    def begin(self, numbers: NDArray[np.intp], shown: Shown) -> None:
        wanted = np.zeros(len(self._copies), np.bool_)
        wanted[numbers] = True
        keys = shown.frame_keys(wanted)
        self._last[numbers] = keys[numbers]
        firsts = {number: cache(partial(shown.first_frame, number)) for number in numbers.tolist()}
        if self._by_turn:
            self._recalling.meet({keys[number].tobytes(): first for number, first in firsts.items()})
        for number, first in firsts.items():
            watching = self._copies[number]
            watching.meet(first, keys[number].tobytes())
            if self._by_turn:
                watching.account.resume(0)
                self._settle(number, {})
        begun = {number: self._copies[number].initial for number in firsts} if self._by_turn else {}
        answers = self._recalling.ask(begun, keys)
        for number in firsts:
            said = {0: answers[number]} if number in answers else {}
            if said and _is_not_done(said[0]):
                continue
            watching, faults = self._copies[number], dict[str, str]()
            if self._by_turn:
                self._recalling.add(number, 0, keys[number], said)
            watching.begin(*watching.initial, faults, said)
            if self._by_turn and not faults:
                self._recalling.keep(number, 0, keys[number])
            self._settle(number, faults)

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
        numbers = np.flatnonzero(loud).tolist()
        if self._at_the_end:
            numbers += [number for number in solved if not loud[number]]
        happened = self._happen(numbers, loud, keys, solved, shown.frame)
        for number, event in happened.items():
            rewards[number], components[number] = event.reward, event.parts
        completed = {number: event.completed for number, event in happened.items() if event.completed}
        return Payments(rewards, completed, components)

    def settle(self, moments: Sequence[Moment], solved: Sequence[Mapping[int, bool]]) -> Iterable[Payments]:
        if not moments:
            return []
        if not self._by_turn:
            return self._one_by_one(moments, solved)
        put = self._judge.asked - self._judge.remembered
        often, self._put = AHEAD * (put - self._put) >= len(moments), put
        if often:
            found = ahead.stretches(moments, len(self._copies), self._going_on)
            ahead.ask(found, self._checkers, self._judge, self._known)
        return self._at_once(moments, solved)

    def _one_by_one(self, moments: Sequence[Moment], solved: Sequence[Mapping[int, bool]]) -> Iterator[Payments]:
        for moment, ended in zip(moments, solved, strict=True):
            yield self.step(ended, Past(moment.shot))
            if moment.begun is not None:
                self.begin(moment.ended, Past(moment.begun))

    def _at_once(self, moments: Sequence[Moment], solved: Sequence[Mapping[int, bool]]) -> list[Payments]:
        """Steps in which nothing happens are not gone through."""
        from vlmcar_core.timeline import Timeline  # numba takes a second to import

        self._recalling.meet(
            {
                moment.begun.keys[number].tobytes(): partial(moment.begun.frame, number)
                for moment in moments
                if moment.begun is not None
                for number in moment.ended.tolist()
            }
        )
        line = Timeline(moments, self._last, self._known)
        self._follow(line, range(len(self._copies)), 0)
        loud = 0
        events = []
        for step, (moment, ended) in enumerate(zip(moments, solved, strict=True)):
            now = dict.fromkeys(ended, False) | line.due[step] if self._at_the_end else line.due[step]
            loud += sum(now.values())
            events.append(self._happen(sorted(now), now, line.keys[step], ended, moment.shot.frame) if now else {})
            moved = set(now)
            if moment.begun is not None:
                self.begin(moment.ended, Past(moment.begun))
                moved.update(moment.ended.tolist())
            self._follow(line, sorted(moved), step + 1)
        quiet = int(np.count_nonzero(line.turns < len(self.keys))) - loud
        self._judge.asked += quiet
        self._judge.remembered += quiet
        self._last = line.keys[-1].copy()
        if (begun := moments[-1].begun) is not None:
            self._last[moments[-1].ended] = begun.keys[moments[-1].ended]
        return self._payments(line.turns, events)

    def _follow(self, line: "Timeline", numbers: Sequence[int], step: int) -> None:
        """Some copies, from a step on, as they are now."""
        if numbers:
            some = np.array(numbers, np.intp)
            turns = self._turn[some]
            state = turns[:, 0].astype(np.intp), self._looks[some], self._again[some], self._first[some] + turns
            line.follow(some, step, *state)

    def _payments(self, turns: NDArray[np.intp], events: Sequence[Mapping[int, Event]]) -> list[Payments]:
        """Of steps, from whose turn it was in each, (T, N), and what happened."""
        idle = [self._idle_of.get(turn, (0.0, [0.0] * len(self.keys))) for turn in range(len(self.keys) + 1)]
        rewards = np.array([total for total, _ in idle], np.float64)[turns]
        components = np.array([parts for _, parts in idle], np.float64)[turns]
        found = []
        for step, happened in enumerate(events):
            for number, event in happened.items():
                rewards[step, number], components[step, number] = event.reward, event.parts
            completed = {number: event.completed for number, event in happened.items() if event.completed}
            found.append(Payments(rewards[step], completed, components[step]))
        return found

    def _happen(
        self,
        numbers: Sequence[int],
        loud: Mapping[int, bool] | NDArray[np.bool_],
        keys: NDArray[np.uint64],
        solved: Mapping[int, bool],
        frame: Callable[[int], Frame],
    ) -> dict[int, Event]:
        """What becomes of some copies in a step; those are left out in which nothing happened after all.

        Args:
            numbers: of the copies.
            loud: whether it is because of what one shows.
            keys: of the frames now, (N, 2).
            solved: as for `step`.
            frame: from a copy to what it shows.
        """
        found: dict[int, Event] = {}
        new: dict[int, Happening] = {}
        for number in numbers:
            watching, looks = self._copies[number], self._looks[number]
            shown = keys[number].tobytes() if looks else b""
            happening = (watching.initial[1], shown, watching.account.completed, solved.get(number))
            if (event := self._events.get(happening)) is None:
                new[number] = happening
                continue
            self._judge.asked += event.asked
            self._judge.remembered += event.asked
            watching.account.resume(event.turn)
            self._settle(number, {})
            found[number] = event
        seen = {number: (cache(partial(frame, number)), keys[number].tobytes()) for number in new}
        asked = {number: seen[number] for number in new if loud[number]} if self._by_turn else {}
        answers = self._recalling.ask(asked, keys)
        nothing = [number for number, told in answers.items() if number not in solved and _is_not_done(told)]
        self._again[nothing] = False
        for number in sorted(set(new).difference(nothing)):
            faults: dict[str, str] = {}
            said = {new[number][2]: answers[number]} if number in answers else {}
            found[number] = event = self._event(number, seen[number], keys[number], said, solved.get(number), faults)
            if self._by_turn and not faults:
                self._events[new[number]] = event
                if len(self._events) > EVENTS:
                    self._events.popitem(last=False)
            self._settle(number, faults)
        return found

    def _event(
        self,
        number: int,
        seen: tuple[Drawn, bytes],
        key: NDArray[np.uint64],
        said: dict[int, Outcome],
        solved: bool | None,
        faults: dict[str, str],
    ) -> Event:
        """What becomes of one copy; `said` are answers about what is seen, what goes wrong is added to `faults`."""
        watching = self._copies[number]
        turn, before = watching.account.completed, self._judge.asked - len(said)
        look = None
        if self._looks[number]:
            if self._by_turn:
                self._recalling.add(number, turn, key, said)
            look = watching.look(*seen, faults, answered=said)
        paid = watching.account.step(look, solved)
        if look is not None and self._by_turn and not faults:
            self._recalling.keep(number, turn, key)
        total = sum(paid.components.values())
        asked = self._judge.asked - before
        return Event(total, self._parts(paid.components), paid.completed, watching.account.completed, asked)

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
            changed &= unknown(self._known, marks)
        return np.asarray(changed)

    def _settle(self, number: int, faults: dict[str, str]) -> None:
        """What the next step depends on."""
        account = self._copies[number].account
        self._looks[number] = looks = account.looks
        self._again[number] = any(told.startswith(PASSING) for told in faults.values())
        self._turn[number] = turn = account.completed
        if self._by_turn and looks:
            _, self._first[number] = self._recalling.first(number, turn)
        if not self._always:
            if turn not in self._idle_of:  # what a step without a look pays follows from that alone
                idle = account.step(None).components
                self._idle_of[turn] = sum(idle.values()), self._parts(idle)
            self._idle[number], self._idle_parts[number] = self._idle_of[turn]


def _is_not_done(said: Outcome) -> bool:
    """It says of a frame that nothing is to be paid for it."""
    return said.kind == "ok" and said.value is not None and said.value < 1.0
