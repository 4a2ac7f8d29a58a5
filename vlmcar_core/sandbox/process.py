"""The parent's side of the contained process: start it, feed it frames, judge its silence, start it again."""

import contextlib
import fcntl
import json
import os
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import psutil

from vlmcar_core.errors import SandboxError, UnknownName
from vlmcar_core.types import Checker, Frame, Frames, Inspection, Outcome, Seen

HEADER = struct.Struct("<II")
CHILD = Path(__file__).with_name("child.py")
BATCH = 64
SLOTS = 64
KILLS = 3
PIPE_BYTES = 1 << 20
START_SECONDS = 60.0
ANSWER_LIMIT_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """What one checker may use."""

    seconds: float = 1.0
    """CPU time of one call. After twice that, or ten times that of the clock on the wall, the process is killed."""

    memory_bytes: int = 512 * 1024 * 1024
    """Address space beyond what the libraries take."""

    output_chars: int = 4000
    """What it prints beyond this is dropped."""


class _Gone(Exception):
    """The child ended, or had to be ended: the outcome for what it was doing."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


class CheckerProcess:
    """Contained processes for some checkers, one each, so that none can change what another answers; for one thread
    at a time.

    A checker's process is started at the first question to it, and started again after it had to be killed. A
    checker for which that happened three times is `disabled` and not asked any more.

    Raises:
        SandboxError: by any method, where our own machinery fails.
        UnknownName: by any method, for a key that no checker has.
    """

    def __init__(self, checkers: Sequence[Checker], limits: Limits = Limits()) -> None:
        self._sources = {checker.key: checker.source for checker in checkers}
        self._limits = limits
        self._kills = dict.fromkeys(self._sources, 0)
        self._children: dict[str, _Child] = {}

    def __enter__(self) -> "CheckerProcess":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes; they may be used again afterwards."""
        while self._children:
            self._children.popitem()[1].kill()

    def start(self, key: str) -> None:
        """Start a checker's process now rather than at the first question; what goes wrong is met at that question."""
        with contextlib.suppress(_Gone):
            self._started(key)

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
            batch = frames[len(outcomes) : len(outcomes) + BATCH]
            try:
                self._started(key).run(key, initial, batch, outcomes)
            except _Gone as gone:
                outcomes.append(self._killed(key, gone))
        return outcomes

    def inspect(self, key: str, initial: Frame, current: Frame) -> Inspection:
        """One frame looked at closely: the outcome, what was printed, what every `identify_*` found."""
        try:
            return self._started(key).inspect(key, initial, current)
        except _Gone as gone:
            return Inspection(self._killed(key, gone), "", (), ())

    def _started(self, key: str) -> "_Child":
        if key not in self._sources:
            raise UnknownName.among("checker", key, self._sources)
        if key not in self._children:
            child = _Child(self._limits)
            self._children[key] = child
            child.start(skimage="skimage" in self._sources[key])
            child.load(key, self._sources[key])
        return self._children[key]

    def _killed(self, key: str, gone: _Gone) -> Outcome:
        self._children.pop(key).kill()
        self._kills[key] += 1
        return gone.outcome


class _Child:
    """A running child process and the messages to and from it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._home = tempfile.mkdtemp(prefix="vlmcar-")
        self._initials: OrderedDict[int, tuple[Frame, Frame]] = OrderedDict()
        self._slots: dict[int, int] = {}
        environment = {"LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(CHILD)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=self._home,
                env=environment,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            shutil.rmtree(self._home, ignore_errors=True)
            raise SandboxError(f"the process for checkers could not be started: {error}") from error

        _widen(self._process.stdin)

    def start(self, skimage: bool) -> None:
        """Have the libraries loaded and the limits fall; what goes wrong here is our fault, not a checker's."""
        request = {
            "op": "start",
            "skimage": skimage,
            "seconds": self._limits.seconds,
            "memory_bytes": self._limits.memory_bytes,
            "output_chars": self._limits.output_chars,
        }
        try:
            self._send(request)
            self._receive(START_SECONDS)
        except _Gone as gone:
            raise SandboxError(f"the process for checkers did not start: {gone.outcome.message}") from gone

    def load(self, key: str, source: str) -> None:
        """Run a checker's source; raises `_Gone` where that does not come to an end."""
        self._send({"op": "load", "key": key, "source": source})
        self._receive(factor=2.0)

    def run(self, key: str, initial: Frame, frames: Frames, outcomes: list[Outcome]) -> None:
        """Append an outcome per frame; those that were known when the process went stay."""
        slot = self._slot(initial)
        self._send({"op": "run", "key": key, "slot": slot, "shape": list(frames.shape)}, np.ascontiguousarray(frames))
        for _ in range(len(frames)):
            answer, _payload = self._receive()
            outcomes.append(_outcome(answer))

    def inspect(self, key: str, initial: Frame, current: Frame) -> Inspection:
        slot = self._slot(initial)
        self._send(
            {"op": "inspect", "key": key, "slot": slot, "shape": list(current.shape)}, np.ascontiguousarray(current)
        )
        answer, payload = self._receive(factor=40)
        try:
            before, rest = _seen(answer["initial"], payload)
            now, _ = _seen(answer["current"], rest)
            return Inspection(_outcome(answer["outcome"]), str(answer["printed"]), before, now)
        except (KeyError, TypeError, ValueError) as error:
            raise SandboxError(f"the process for checkers gave an answer that makes no sense ({error})") from error

    def diagnose(self, source: str) -> list[dict[str, Any]]:
        self._send({"op": "diagnose", "source": source})
        return list(self._receive()[0]["findings"])

    def kill(self) -> None:
        """End the process and whatever it left; nothing stays behind."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        shutil.rmtree(self._home, ignore_errors=True)

    def _slot(self, initial: Frame) -> int:
        """Where the child keeps this initial frame; it is sent only once while it stays the same."""
        identity = id(initial)
        known = self._initials.get(identity)
        if known is None or not np.array_equal(known[1], initial):
            if len(self._initials) >= SLOTS and known is None:
                oldest, _ = self._initials.popitem(last=False)
                self._slots[identity] = self._slots.pop(oldest)
            slot = self._slots.setdefault(identity, len(self._slots))
            self._initials[identity] = (initial, initial.copy())
            self._send({"op": "keep", "slot": slot, "shape": list(initial.shape)}, np.ascontiguousarray(initial))
        self._initials.move_to_end(identity)
        return self._slots[identity]

    def _send(self, request: dict[str, Any], payload: Frame | None = None) -> None:
        text = json.dumps(request).encode()
        data = b"" if payload is None else payload.data.cast("B")
        assert self._process.stdin is not None
        try:
            for part in (HEADER.pack(len(text), len(data)), text, data):
                _write_all(self._process.stdin.fileno(), part)
        except OSError:
            raise _Gone(self._death()) from None

    def _receive(self, seconds: float | None = None, factor: float = 1.0) -> tuple[dict[str, Any], bytes]:
        """One message; `seconds` of waiting, or as long as the limits of one call allow times `factor`."""
        text, payload = HEADER.unpack(self._read(HEADER.size, seconds, factor))
        if text + payload > ANSWER_LIMIT_BYTES:
            raise _Gone(Outcome("crash", None, "its process answered with more than may be"))
        try:
            answer = json.loads(self._read(text, seconds, factor))
        except ValueError:
            raise _Gone(Outcome("crash", None, "its process answered with what is no message")) from None
        if not isinstance(answer, dict):
            raise _Gone(Outcome("crash", None, "its process answered with what is no message"))
        return answer, self._read(payload, seconds, factor)

    def _read(self, size: int, seconds: float | None, factor: float) -> bytes:
        assert self._process.stdout is not None
        file, data = self._process.stdout.fileno(), b""
        patience = _Patience(self._process.pid, self._limits, seconds, factor)
        while len(data) < size:
            ready, _, _ = select.select([file], [], [], 0.05)
            if ready:
                part = os.read(file, min(size - len(data), 1 << 20))
                if not part:
                    raise _Gone(self._death())
                data += part
            elif patience.over():
                raise _Gone(Outcome("timeout", None, f"no answer after {patience.spent}; its process was ended"))
        return data

    def _death(self) -> Outcome:
        try:
            code = self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            code = 0
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return Outcome("crash", None, f"its process ended {how} while it ran")


class _Patience:
    """How long one answer may take: by the child's own CPU clock, so that a busy machine gives no false alarm."""

    def __init__(self, pid: int, limits: Limits, seconds: float | None, factor: float) -> None:
        self._pid = pid
        self._cpu_seconds = (2.0 * limits.seconds + 0.25) * factor
        self._wall_seconds = seconds if seconds is not None else (10.0 * limits.seconds + 5.0) * factor
        self._only_wall = seconds is not None
        self._began = time.monotonic()
        self._cpu_began: float | None = None
        self.spent = ""

    def over(self) -> bool:
        wall, cpu = time.monotonic() - self._began, self._cpu()
        self.spent = f"{cpu:.1f} s of CPU time, {wall:.1f} s in all"
        return wall > self._wall_seconds or (not self._only_wall and cpu > self._cpu_seconds)

    def _cpu(self) -> float:
        try:
            times = psutil.Process(self._pid).cpu_times()
        except psutil.Error:
            return 0.0
        now = float(times.user + times.system)
        if self._cpu_began is None:
            self._cpu_began = now
        return now - self._cpu_began


def _widen(pipe: IO[bytes] | None) -> None:
    """A pipe that holds several frames; where the system allows no more than usual, it is only slower."""
    if pipe is not None and hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def _write_all(file: int, data: bytes | memoryview) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


KINDS = ("ok", "rejected", "error", "denied", "timeout", "memory", "crash", "badreturn", "disabled")


def _outcome(answer: dict[str, Any]) -> Outcome:
    kind = answer.get("kind")
    if kind not in KINDS:
        raise SandboxError(f"the process for checkers gave an outcome that makes no sense: {str(kind)[:80]!r}")
    value = answer.get("value")
    line = answer.get("line")
    return Outcome(
        kind=kind,
        value=min(1.0, max(0.0, float(value))) if kind == "ok" and isinstance(value, int | float) else None,
        message=str(answer.get("message", "")),
        line=line if isinstance(line, int) else None,
    )


def _seen(items: list[dict[str, Any]], payload: bytes) -> tuple[tuple[Seen, ...], bytes]:
    found = []
    for item in items:
        name, kind, numbers = str(item["name"]), item["kind"], item.get("numbers", ())
        mask, payload = payload[: int(item["bytes"])], payload[int(item["bytes"]) :]
        if kind == "mask":
            height, width = (int(side) for side in item["shape"])
            bits = np.unpackbits(np.frombuffer(mask, np.uint8), count=height * width)
            found.append(Seen(name, "mask", mask=bits.reshape(height, width).astype(np.bool_)))
        elif kind == "box":
            found.append(Seen(name, "box", box=_numbers(numbers, 4)))
        elif kind == "point":
            found.append(Seen(name, "point", point=_numbers(numbers, 2)))
        else:
            found.append(Seen(name, "nothing" if kind == "nothing" else "fault", message=str(item.get("message", ""))))
    return tuple(found), payload


def _numbers(values: Any, count: int) -> Any:
    """So many floats, as a tuple."""
    found = tuple(float(value) for value in values)
    if len(found) != count:
        raise ValueError(f"expected {count} numbers, not {len(found)}")
    return found
