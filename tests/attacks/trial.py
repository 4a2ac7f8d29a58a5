"""One attack, tried in the sandbox beside an honest checker, and judged from inside and outside."""

import signal
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from tests.attacks.arena import SIDE, Arena
from tests.attacks.attack import Attack
from vlmcar_core.sandbox import CheckerProcess, Limits
from vlmcar_core.types import Checker, Frames, Inspection, Outcome, OutcomeKind

HONEST = """
def check(initial, current):
    return int(((current[..., 0] > 200) & (current[..., 1] < 50)).sum()) >= 4
"""
MEMORY_BYTES = 256 * 1024 * 1024
SLACK_SECONDS = 8.0
BESIDE_SECONDS = 30.0
"""For all that is not the attack's own calls: starting, the honest checker, an inspection."""
MESSAGE_CHARS = 1000
OUTPUT_CHARS = 4000
INITIAL = 7
"""Every value of the initial frame that attacks are given."""


Verdict = Literal["held", "breach", "works", "fails", "skipped"]
"""In the sandbox it held, or something is not as promised; where nothing contains it, it works or it fails."""


@dataclass(frozen=True)
class Result:
    """What became of one attack."""

    name: str
    category: str
    verdict: Verdict
    failures: tuple[str, ...] = ()
    """Why it is not as it should be; empty where it is."""

    kinds: tuple[str, ...] = ()
    """How its calls ended."""

    message: str = ""
    """Of the last call."""

    seconds: float = 0.0
    skipped: str = ""
    """Why it was not tried; empty where it was."""


def tried(attack: Attack, category: str, arena: Arena, gate: bool) -> Result:
    """Let an attack loose, an honest checker beside it, and see what happened."""
    arena.reset()
    trial = _Trial(attack, arena, gate)
    began = time.monotonic()
    try:
        with _no_hang(_most_seconds(attack) + BESIDE_SECONDS):
            trial.run()
    except _Hang as hang:
        where = " < ".join(f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(hang.__traceback__)[:-4:-1])
        trial.failures.append(f"the app's side hangs, in {where}")
    except Exception as error:  # noqa: BLE001 (whatever an attack makes the app's side raise is what we look for)
        trial.failures.append(f"the app's side raised {type(error).__name__}: {str(error)[:300]}")
    seconds = time.monotonic() - began
    trial.failures += [*arena.left(), *arena.traces()]
    outcomes = trial.outcomes
    return Result(
        attack.name,
        category,
        "breach" if trial.failures else "held",
        tuple(trial.failures),
        tuple(outcome.kind for outcome in outcomes),
        outcomes[-1].message[:300] if outcomes else "",
        seconds,
    )


class _Hang(BaseException):
    """No `except OSError` of the app's side may catch it."""


class _Trial:
    """Collects what fails on the way, so that one failure does not hide the next."""

    def __init__(self, attack: Attack, arena: Arena, gate: bool) -> None:
        self._attack, self._arena = attack, arena
        self._limits = Limits(attack.seconds, MEMORY_BYTES, OUTPUT_CHARS, gate=gate)
        self._checkers = [Checker("attack", attack.text(arena.facts(), gate)), Checker("honest", HONEST)]
        self.failures: list[str] = []
        self.outcomes: list[Outcome] = []

    def run(self) -> None:
        with CheckerProcess(self._checkers, self._limits) as process:
            self._honest(process, "before the attack")
            threads = self._arena.threads()
            self._attacked(process)
            if self._arena.threads() > threads:
                self.failures.append("it has started a thread")
            self._honest(process, "after the attack")

    def _attacked(self, process: CheckerProcess) -> None:
        initial = np.full((SIDE, SIDE, 3), INITIAL, np.uint8)
        frames = np.zeros((self._attack.frames, SIDE, SIDE, 3), np.uint8)
        before = (initial.copy(), frames.copy())
        began = time.monotonic()
        self.outcomes = process.run("attack", initial, frames)
        if len(self.outcomes) != len(frames):
            self.failures.append(f"{len(self.outcomes)} outcomes for {len(frames)} frames")
        self._in_time(time.monotonic() - began)
        texts = [outcome.message for outcome in self.outcomes]
        if self._attack.looks:
            found = process.inspect("attack", initial, frames[0])
            self.outcomes.append(found.outcome)
            texts += _texts(found)
        if not (np.array_equal(before[0], initial) and np.array_equal(before[1], frames)):
            self.failures.append("the app's own frames were changed")
        self._said(texts)
        self._ended()

    def _ended(self) -> None:
        attack, outcomes = self._attack, self.outcomes
        self.failures += [fault for outcome in outcomes for fault in _faults(outcome)]
        if any(outcome.done for outcome in outcomes) and not attack.vain:
            self.failures.append("it says that it worked")
        if attack.kinds is not None and not self._limits.gate:
            wrong = [outcome for outcome in outcomes if outcome.kind not in (*attack.kinds, "disabled")]
            if wrong:
                how = ", ".join(sorted({f"{outcome.kind} ({outcome.message[:300]})" for outcome in wrong}))
                self.failures.append(f"ended as {how}, not {' or '.join(attack.kinds)}")

    def _said(self, texts: Sequence[str]) -> None:
        for text in texts:
            self.failures += self._arena.leaked(text)
            if any(not (c.isprintable() or c in "\n\t") for c in text):
                self.failures.append("control characters came out")
            if len(text) > OUTPUT_CHARS:
                self.failures.append(f"{len(text)} characters came out")

    def _in_time(self, seconds: float) -> None:
        if seconds > _most_seconds(self._attack):
            self.failures.append(f"took {seconds:.0f} s, more than {_most_seconds(self._attack):.0f}")

    def _honest(self, process: CheckerProcess, when: str) -> None:
        outcomes = process.run("honest", self._arena.picture(), _red(3, 4))
        if [outcome.kind for outcome in outcomes] != ["ok", "ok"] or [o.done for o in outcomes] != [False, True]:
            self.failures.append(f"{when} the honest checker says {outcomes}")


def _most_seconds(attack: Attack) -> float:
    """By the promise of `Limits.seconds`: ten times the limit and some, a frame; on the clock on the wall."""
    return (10.0 * attack.seconds + 5.0) * attack.frames + SLACK_SECONDS


def _red(*counts: int) -> Frames:
    """Black pictures with so many red pixels each, uint8 (N, 16, 16, 3)."""
    frames = np.zeros((len(counts), SIDE * SIDE, 3), np.uint8)
    for frame, count in zip(frames, counts, strict=True):
        frame[:count, 0] = 255
    return frames.reshape(-1, SIDE, SIDE, 3)


def _faults(outcome: Outcome) -> Iterator[str]:
    """What no outcome may be, whatever the attack."""
    if outcome.kind not in get_args(OutcomeKind):
        yield f"an outcome of kind {outcome.kind!r}"
    if (outcome.value is None) == (outcome.kind == "ok"):
        yield f"an outcome {outcome.kind} with the value {outcome.value}"
    if outcome.value is not None and not (type(outcome.value) is float and 0.0 <= outcome.value <= 1.0):
        yield f"a value {outcome.value!r}"
    if type(outcome.message) is not str or len(outcome.message) > MESSAGE_CHARS:
        yield f"a message of {len(outcome.message)} characters"
    if outcome.line is not None and not (type(outcome.line) is int and 0 < outcome.line < 1_000_000):
        yield f"a line {outcome.line!r}"


def _texts(found: Inspection) -> list[str]:
    items = (*found.initial, *found.current)
    return [found.printed, *(item.name for item in items), *(item.message for item in items)]


@contextmanager
def _no_hang(seconds: float) -> Iterator[None]:
    """Raise `_Hang` where the app's side waits for ever, or for much longer than it says."""

    def give_up(_signal: int, _frame: object) -> None:
        raise _Hang

    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
