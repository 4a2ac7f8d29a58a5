"""Checkers, each in a sealed worker of its own, started at the first question and again where it had to be ended."""

import contextlib
from collections.abc import Sequence
from types import TracebackType

from vlmcar_core.errors import SandboxError, UnknownName
from vlmcar_core.sandbox.worker import USUAL_FRAME_BYTES, Gone, Limits, Worker
from vlmcar_core.types import Checker, Frame, Frames, Inspection, Outcome

KILLS = 3
"""A checker whose process had to be ended so often is not asked any more."""


class CheckerProcess:
    """Sealed workers for some checkers, one each, so that none can change what another answers; for one thread at a
    time.

    A checker's worker is started at the first question to it, and started again after it had to be killed. A checker
    for which that happened three times is `disabled` and not asked any more.

    Raises:
        SandboxError: by any method, where our own machinery fails, or cannot seal a worker on this machine.
        UnknownName: by any method, for a key that no checker has.
    """

    def __init__(self, checkers: Sequence[Checker], limits: Limits = Limits()) -> None:
        self._sources = {checker.key: checker.source for checker in checkers}
        self._limits = limits
        self._kills = dict.fromkeys(self._sources, 0)
        self._workers: dict[str, Worker] = {}

    def __enter__(self) -> "CheckerProcess":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers; they may be used again afterwards."""
        while self._workers:
            self._workers.popitem()[1].end()

    def start(self, key: str) -> None:
        """Start a checker's worker now rather than at the first question; what goes wrong is met at that question."""
        with contextlib.suppress(Gone):
            self._started(key, USUAL_FRAME_BYTES)

    def run(self, key: str, initial: Frame, frames: Frames) -> list[Outcome]:
        """One outcome per frame.

        Args:
            key: which checker.
            initial: the episode's first frame, uint8 (H, W, 3); not changed afterwards by its owner.
            frames: uint8 (N, H, W, 3).
        """
        outcomes: list[Outcome] = []
        while len(outcomes) < len(frames):
            if self._kills.get(key, 0) >= KILLS:
                rest = len(frames) - len(outcomes)
                message = f"not asked any more: its process had to be ended {KILLS} times"
                return [*outcomes, *[Outcome("disabled", None, message)] * rest]
            try:
                self._started(key, initial.nbytes).run(initial, frames, outcomes)
            except Gone as gone:
                del outcomes[len(frames) - 1 :]  # it may have answered everything, and misbehaved then
                outcomes.append(self._killed(key, gone))
            except SandboxError:
                self._dropped(key)
                raise
        return outcomes

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
        worker = self._workers.get(key)
        if worker is not None and worker.frame_bytes >= frame_bytes:
            return worker
        if worker is not None:
            self._workers.pop(key).end()
        source = self._sources[key]
        worker = self._workers[key] = Worker(self._limits, frame_bytes, skimage="skimage" in source)
        worker.load(key, source)
        return worker

    def _killed(self, key: str, gone: Gone) -> Outcome:
        self._dropped(key)
        self._kills[key] += 1
        return gone.outcome

    def _dropped(self, key: str) -> None:
        if key in self._workers:
            self._workers.pop(key).end()
