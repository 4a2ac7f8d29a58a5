"""Checkers, each in a sealed worker of its own, started at the first question and again where it had to be ended."""

import contextlib
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Literal

from vlmcar_core.errors import SandboxError, UnknownName
from vlmcar_core.sandbox.inside import wire
from vlmcar_core.sandbox.worker import USUAL_FRAME_BYTES, Gone, Limits, Worker
from vlmcar_core.types import Checker, Drawn, Frame, Frames, Inspection, Outcome

KILLS = 3
"""A checker whose process had to be ended so often is not asked any more."""

DISABLED = Outcome("disabled", None, f"not asked any more: its process had to be ended {KILLS} times")
LOST = Outcome("crash", None, "its process was ended earlier in this episode, and what it remembered is gone")


class Chances:
    """How often checkers had to be ended, of all that ask them side by side; for any thread.

    A question may cost a checker its process. So no more questions are under way to one at a time than it has chances
    left: it is never ended more often than `KILLS` times, however many ask.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._kills: dict[str, int] = {}
        self._asking: dict[str, int] = {}
        self._waiting = 0

    def question(self, key: str) -> "Chance":
        """Around one question to a checker, which waits for its chance; gives whether it has one left."""
        return Chance(self, key)

    def ended(self, key: str) -> None:
        """A checker had to be ended."""
        with self._changed:
            self._kills[key] = self._kills.get(key, 0) + 1
            self._changed.notify_all()

    def _taken(self, key: str) -> bool:
        """Whether a question may be asked, once one may; it is under way then."""
        with self._changed:
            while (kills := self._kills.get(key, 0)) < KILLS:
                asking = self._asking.get(key, 0)
                if kills + asking < KILLS:
                    self._asking[key] = asking + 1
                    return True
                self._waiting += 1
                try:
                    self._changed.wait()
                finally:
                    self._waiting -= 1
            return False

    def _given_back(self, key: str) -> None:
        with self._changed:
            self._asking[key] -= 1
            if self._waiting:
                self._changed.notify_all()


class Chance:
    """One question's chance. A class, since it is taken at every message, and a generator costs more than the rest."""

    __slots__ = ("_chances", "_key", "_left")

    def __init__(self, chances: Chances, key: str) -> None:
        self._chances, self._key = chances, key

    def __enter__(self) -> bool:
        self._left = self._chances._taken(self._key)
        return self._left

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._left:
            self._chances._given_back(self._key)


class CheckerProcess:
    """Sealed workers for some checkers, one each, so that none can change what another answers; for one thread at a
    time, but for `stop`.

    A checker's worker is started at the first question to it, and started again after it had to be killed. A checker
    for which that happened three times is `disabled` and not asked any more.

    Raises:
        SandboxError: by any method, where our own machinery fails, or cannot seal a worker on this machine.
        UnknownName: by any method, for a key that no checker has.
    """

    def __init__(self, checkers: Sequence[Checker], limits: Limits = Limits(), chances: Chances | None = None) -> None:
        """Args:
        checkers: with a key each.
        limits: of every one.
        chances: of these checkers; given to all that ask the same ones side by side.
        """
        self._sources = {checker.key: checker.source for checker in checkers}
        self._limits = limits
        self._chances = chances if chances is not None else Chances()
        self._workers: dict[str, Worker] = {}
        self._in_order = {checker.key for checker in checkers if checker.in_order}
        self._ending = threading.Lock()
        self._stopped = False
        self._going_on: set[tuple[str, int]] = set()
        """Key and stream of the episodes that their worker has seen from their beginning."""

    def __enter__(self) -> "CheckerProcess":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers; they may be used again afterwards."""
        for key in list(self._workers):
            self._dropped(key)

    def stop(self) -> None:
        """From any thread: end the workers now; the question under way, and every later one, raises `SandboxError`."""
        self._stopped = True
        with self._ending:
            for worker in self._workers.values():
                worker.kill()

    def start(self, key: str) -> None:
        """Start a checker's worker now rather than at the first question; what goes wrong is met at that question."""
        with contextlib.suppress(Gone):
            self._started(key, USUAL_FRAME_BYTES)

    def run(self, key: str, initial: Frame, frames: Frames, stream: int = 0, begins: bool = True) -> list[Outcome]:
        """One outcome per frame.

        Args:
            key: which checker.
            initial: the episode's first frame, uint8 (H, W, 3); not changed afterwards by its owner.
            frames: uint8 (N, H, W, 3). A checker in order (`Checker.in_order`) is shown them one after the other.
            stream: for such a checker, which of several episodes that go on side by side; from 0 to 1023.
            begins: for such a checker, whether its episode begins with the first of these frames, or goes on.
        """
        if key in self._in_order:
            return self._followed(key, initial, frames, stream, begins)
        return self._answered(key, len(frames), initial.nbytes, lambda worker, said: worker.run(initial, frames, said))

    def run_pairs(self, key: str, pairs: Sequence[tuple[Frame, Drawn]]) -> list[Outcome]:
        """One outcome per pair, of a checker that is a function of two frames: different episodes in one message.

        Args:
            key: which checker.
            pairs: an episode's first frame and the one to ask about, each uint8 (H, W, 3), all of one size. What draws
                the latter is called as it is put to the checker, once, or again where a process had to be ended.
        """
        if key in self._in_order:
            raise ValueError(f"the checker {key!r} is shown episodes in order, by `run`")
        return self._answered(key, len(pairs), pairs[0][0].nbytes, lambda worker, said: worker.run_pairs(pairs, said))

    def _answered(
        self, key: str, count: int, frame_bytes: int, ask: Callable[[Worker, list[Outcome]], None]
    ) -> list[Outcome]:
        """So many outcomes, each added by `ask`; where a process has to be ended, another goes on behind that frame."""
        outcomes: list[Outcome] = []
        while len(outcomes) < count:
            with self._chances.question(key) as left:
                if not left:
                    return [*outcomes, *[DISABLED] * (count - len(outcomes))]
                self._added(key, count, frame_bytes, ask, outcomes)
        return outcomes

    def firsts(self, key: str, initials: Sequence[Frame]) -> list[bytes | None] | Literal[False]:
        """Digests of what a checker takes from episodes' first frames: it answers alike for all first frames with the
        same. None where that cannot be told of one; False where it cannot be told of any.

        Args:
            key: which checker.
            initials: uint8 (H, W, 3) each, all of one size.
        """
        if key in self._in_order:
            return False
        with self._chances.question(key) as left:
            return self._taken(key, initials) if left else [None] * len(initials)

    def _taken(self, key: str, initials: Sequence[Frame]) -> list[bytes | None] | Literal[False]:
        try:
            return self._started(key, initials[0].nbytes).firsts(initials)
        except Gone as gone:
            self._killed(key, gone)
            return [None] * len(initials)
        except SandboxError:
            self._dropped(key)
            raise

    def _added(
        self,
        key: str,
        count: int,
        frame_bytes: int,
        ask: Callable[[Worker, list[Outcome]], None],
        outcomes: list[Outcome],
    ) -> None:
        """Ask for the outcomes that are left, up to one at which the process has to be ended."""
        try:
            ask(self._started(key, frame_bytes), outcomes)
        except Gone as gone:
            del outcomes[count - 1 :]  # it may have answered everything, and misbehaved then
            outcomes.append(self._killed(key, gone))
        except SandboxError:
            self._dropped(key)
            raise

    def _followed(self, key: str, initial: Frame, frames: Frames, stream: int, begins: bool) -> list[Outcome]:
        """What a checker in order says; after its process had to be ended it is lost for the rest of the episode."""
        if not 0 <= stream < wire.STREAMS:
            raise ValueError(f"a stream is a number from 0 to {wire.STREAMS - 1}, not {stream}")
        with self._chances.question(key) as left:
            return self._went_on(key, initial, frames, stream, begins) if left else [DISABLED] * len(frames)

    def _went_on(self, key: str, initial: Frame, frames: Frames, stream: int, begins: bool) -> list[Outcome]:
        place, outcomes = (key, stream), list[Outcome]()
        try:
            worker = self._started(key, initial.nbytes)
            if begins:
                self._going_on.add(place)
            if place in self._going_on:
                worker.run(initial, frames, outcomes, stream, begins)
        except Gone as gone:
            del outcomes[len(frames) - 1 :]
            outcomes.append(self._killed(key, gone))
        except SandboxError:
            self._dropped(key)
            raise
        return [*outcomes, *[LOST] * (len(frames) - len(outcomes))]

    def inspect(self, key: str, initial: Frame, current: Frame) -> Inspection:
        """One frame looked at closely: the outcome, what was printed, what every `identify_*` found."""
        try:
            return self._started(key, initial.nbytes).inspect(initial, current)
        except Gone as gone:
            return Inspection(self._killed(key, gone), "", (), ())
        except SandboxError:
            self._dropped(key)
            raise

    def _started(self, key: str, frame_bytes: int) -> "Worker":
        if key not in self._sources:
            raise UnknownName.among("checker", key, self._sources)
        if self._stopped:
            raise SandboxError("the checkers were stopped while they were asked")
        worker = self._workers.get(key)
        if worker is not None and worker.frame_bytes >= frame_bytes:
            return worker
        if worker is not None:
            self._dropped(key)
        source = self._sources[key]
        worker = Worker(self._limits, frame_bytes, skimage="skimage" in source)
        with self._ending:
            self._workers[key] = worker
            if self._stopped:
                worker.kill()
        worker.load(key, source)
        return worker

    def _killed(self, key: str, gone: Gone) -> Outcome:
        self._dropped(key)
        self._chances.ended(key)
        return gone.outcome

    def _dropped(self, key: str) -> None:
        self._going_on = {place for place in self._going_on if place[0] != key}
        if key in self._workers:
            with self._ending:
                self._workers.pop(key).end()
