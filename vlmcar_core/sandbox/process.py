"""The app's side of a worker: sends it frames, waits for its answers, ends it where it must, and starts it again."""

import contextlib
import json
import socket
import struct
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from vlmcar_core.errors import SandboxError, UnknownName
from vlmcar_core.sandbox import trust
from vlmcar_core.sandbox.forking import ZYGOTE
from vlmcar_core.sandbox.inside import wire
from vlmcar_core.sandbox.inside.worker import Order
from vlmcar_core.types import Checker, Frame, Frames, Inspection, Outcome, Seen

KILLS = 3
INITIALS = 32
"""Initial frames that a worker keeps."""
USUAL_FRAME_BYTES = 1 << 20
"""Room is made for frames of this size at first; it is taken only where it is used."""
FRAMES_BYTES = 8 << 20
"""For the frames of one message, unless a single frame is larger: about what the processor keeps near."""
SEAL_SECONDS = 60.0
LOOK_MICROSECONDS = 50_000
SIGKILL, SIGSYS = 9, 31


@dataclass(frozen=True)
class Limits:
    """What one checker may use."""

    seconds: float = 1.0
    """CPU time of one call. After twice that, or ten times that of the clock on the wall, its process is ended."""

    memory_bytes: int = 512 * 1024 * 1024
    """Address space beyond what the libraries take."""

    output_chars: int = 4000
    """What it prints beyond this is dropped."""

    gate: bool = True
    """Refuse what the static gate refuses. The seal holds without it; the tests of the seal switch it off."""


class _Gone(Exception):
    """The worker ended, or had to be ended: the outcome for what it was doing."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


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
        with contextlib.suppress(_Gone):
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
            except _Gone as gone:
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
        except _Gone as gone:
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

    def _killed(self, key: str, gone: _Gone) -> Outcome:
        self._dropped(key)
        self._kills[key] += 1
        return gone.outcome

    def _dropped(self, key: str) -> None:
        if key in self._workers:
            self._workers.pop(key).end()


class Worker:
    """A running worker and the messages to and from it."""

    def __init__(self, limits: Limits, frame_bytes: int = USUAL_FRAME_BYTES, skimage: bool = False) -> None:
        self._limits = limits
        self.frame_bytes = max(frame_bytes, USUAL_FRAME_BYTES)
        self._kept = INITIALS if self.frame_bytes <= USUAL_FRAME_BYTES else 2
        self._slots: OrderedDict[int, tuple[Frame, int]] = OrderedDict()
        order = Order(limits.seconds, limits.memory_bytes, limits.output_chars, limits.gate, trust.trusted(), skimage)
        self._fork = ZYGOTE.fork(order, self._kept * self.frame_bytes + max(FRAMES_BYTES, self.frame_bytes))
        self._channel = self._fork.channel
        # A wait that looks up now and then costs no more than one that does not.
        self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, LOOK_MICROSECONDS))
        self._pixels = np.frombuffer(self._fork.frames, np.uint8)
        self._values = np.frombuffer(self._fork.values, np.float64)
        self.layers = self._sealed()

    def _sealed(self) -> tuple[str, ...]:
        try:
            answer, _ = self._answer(SEAL_SECONDS)
        except _Gone as gone:
            self.end()
            raise SandboxError(f"the process for checkers did not start: {gone.outcome.message}") from gone
        if "refused" in answer:
            self.end()
            raise SandboxError(trust.refusal(str(answer["refused"])[:500]))
        return tuple(str(name) for name in answer.get("layers", ()))

    def load(self, key: str, source: str) -> None:
        """Run a checker's source; raises `_Gone` where that does not come to an end."""
        self._send(wire.message(wire.LOAD, {"key": key, "source": source}))
        self._answer(factor=2.0)

    def run(self, initial: Frame, frames: Frames, outcomes: list[Outcome]) -> None:
        """Append an outcome for every frame that has none yet; those that were known when the process went stay."""
        first = self._keep(initial)
        batch = min(wire.BATCH, max(1, FRAMES_BYTES // initial.nbytes))
        while len(outcomes) < len(frames):
            part = frames[len(outcomes) : len(outcomes) + batch]
            self._values[: len(part)] = np.nan
            self._send(self._asking(wire.ASK, first, part))
            faults: dict[int, Outcome] = {}
            try:
                self._wait(len(part), faults)
            finally:
                outcomes += _outcomes(self._values[: len(part)].copy(), faults)

    def inspect(self, initial: Frame, current: Frame) -> Inspection:
        self._send(self._asking(wire.INSPECT, self._keep(initial), current[None]))
        answer, payload = self._answer(factor=40)
        shape = current.shape[:2]
        try:
            said = answer["outcome"]
            outcome = Outcome("ok", _progress(said["value"])) if "value" in said else _fault(said)
            before, rest = _seen(answer["initial"], payload, shape)
            now, _ = _seen(answer["current"], rest, shape)
            return Inspection(outcome, _text(answer["printed"], self._limits.output_chars), before, now)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _Gone(_nonsense(error)) from None

    def diagnose(self, source: str) -> list[dict[str, Any]]:
        """The static gate's findings."""
        self._send(wire.message(wire.DIAGNOSE, {"source": source}))
        return list(self._answer(factor=4.0)[0]["findings"])

    def end(self) -> int | None:
        """End the process, whatever it does; nothing stays behind. How it ended: minus the signal, or its code."""
        self._fork.kill()
        wire.readable(self._fork.handle, 5.0)
        status = ZYGOTE.reap(self._fork.pid)
        del self._pixels, self._values
        self._slots.clear()
        self._fork.close()
        return status

    def _keep(self, initial: Frame) -> int:
        """Where the worker finds this initial frame; it is copied only once while it stays the same object."""
        identity = id(initial)
        if identity not in self._slots:
            slot = len(self._slots)
            if slot >= self._kept:
                _, (_, slot) = self._slots.popitem(last=False)
            # Held here, so that no other frame can take its identity.
            self._slots[identity] = (initial, slot)
            self._put(slot * self.frame_bytes, initial)
        self._slots.move_to_end(identity)
        return self._slots[identity][1] * self.frame_bytes

    def _put(self, offset: int, frames: NDArray[np.uint8]) -> None:
        if frames.dtype != np.uint8 or frames.shape[-1] != 3:
            raise ValueError(f"frames are uint8 (…, H, W, 3), not {frames.dtype} {frames.shape}")
        np.copyto(self._pixels[offset : offset + frames.nbytes].reshape(frames.shape), frames)

    def _asking(self, operation: int, first: int, frames: Frames) -> bytes:
        start = self._kept * self.frame_bytes
        self._put(start, frames)
        count, height, width, _ = frames.shape
        return wire.message(operation, wire.RUN.pack(first, start, count, height, width))

    def _send(self, data: bytes) -> None:
        try:
            self._channel.sendall(data)
        except OSError:
            raise _Gone(self._death()) from None

    def _wait(self, count: int, faults: dict[int, Outcome]) -> None:
        """Until all frames of a message are answered; faults come as they happen."""
        patience = _Patience(self._fork.pid, self._limits)
        answered = 0
        while True:
            operation, text, _ = self._message(patience, lambda: int(np.isfinite(self._values[:count]).sum()))
            if operation == wire.END:
                return
            if operation != wire.FAULT or answered >= count:
                raise _Gone(_nonsense(f"operation {operation}"))
            answered += 1
            try:
                faults[int(text["frame"])] = _fault(text)
            except (KeyError, TypeError, ValueError) as error:
                raise _Gone(_nonsense(error)) from None

    def _answer(self, seconds: float | None = None, factor: float = 1.0) -> tuple[dict[str, Any], bytes]:
        """One answer; `seconds` of waiting, or as long as the limits of one call allow times `factor`."""
        operation, text, payload = self._message(_Patience(self._fork.pid, self._limits, seconds, factor))
        if operation != wire.ANSWER:
            raise _Gone(_nonsense(f"operation {operation}"))
        return text, payload

    def _message(self, patience: "_Patience", progress: Any = None) -> tuple[int, dict[str, Any], bytes]:
        operation, text, payload = wire.HEADER.unpack(self._read(wire.HEADER.size, patience, progress))
        if text > wire.TEXT_LIMIT or payload > wire.PAYLOAD_LIMIT:
            raise _Gone(Outcome("crash", None, "its process answered with more than may be"))
        if not text:
            return operation, {}, b""
        try:
            answer = json.loads(self._read(text, patience))
        except (ValueError, RecursionError) as error:
            raise _Gone(_nonsense(error)) from None
        if not isinstance(answer, dict):
            raise _Gone(_nonsense("no object"))
        return operation, answer, self._read(payload, patience)

    def _read(self, size: int, patience: "_Patience", progress: Any = None) -> bytes:
        data = b""
        while len(data) < size:
            try:
                part = self._channel.recv(min(size - len(data), 1 << 20))
            except BlockingIOError:
                if patience.over(progress() if progress else 0):
                    raise _Gone(
                        Outcome("timeout", None, f"no answer after {patience.spent}; its process was ended")
                    ) from None
                continue
            except OSError:
                part = b""
            if not part:
                raise _Gone(self._death())
            data += part
        return data

    def _death(self) -> Outcome:
        """What to say of a process that ended by itself.

        Raises:
            SandboxError: it ended because the zygote did.
        """
        status = ZYGOTE.reap(self._fork.pid) if wire.readable(self._fork.handle, 5.0) else None
        if status is None:
            raise SandboxError("the process that starts checkers has ended, not the checker's fault; try again")
        if status == -SIGSYS:
            return Outcome("denied", None, "its process was ended for a system call that only an attack makes")
        if status == -SIGKILL:
            return Outcome("crash", None, "its process was killed from outside, perhaps for want of memory")
        how = f"by signal {-status}" if status < 0 else f"with exit code {status}"
        return Outcome("crash", None, f"its process ended {how} while it ran")


class _Patience:
    """How long one answer may take: by the worker's own CPU clock, so that a busy machine gives no false alarm."""

    def __init__(self, pid: int, limits: Limits, seconds: float | None = None, factor: float = 1.0) -> None:
        self._pid = pid
        self._cpu_seconds = (2.0 * limits.seconds + 0.25) * factor
        self._wall_seconds = seconds if seconds is not None else (10.0 * limits.seconds + 5.0) * factor
        self._only_wall = seconds is not None
        self._progress = -1
        self._began = time.monotonic()
        self._cpu_began = 0.0
        self.spent = ""

    def over(self, progress: int) -> bool:
        """Whether it is at an end; it begins anew whenever there was progress."""
        now, cpu_now = time.monotonic(), self._cpu()
        if self._progress != progress:
            if self._progress >= 0:
                self._began = now
            self._progress, self._cpu_began = progress, cpu_now
        wall, cpu = now - self._began, cpu_now - self._cpu_began
        self.spent = f"{cpu:.1f} s of CPU time, {wall:.1f} s in all"
        return wall > self._wall_seconds or (not self._only_wall and cpu > self._cpu_seconds)

    def _cpu(self) -> float:
        try:
            times = psutil.Process(self._pid).cpu_times()
        except psutil.Error:
            return 0.0
        return float(times.user + times.system)


# What a worker says is a stranger's word: every field is looked at.

FAULT_KINDS = ("rejected", "error", "denied", "timeout", "memory", "badreturn")
KINDS_TOLD = ("ok", *FAULT_KINDS, "crash", "disabled")
TEXT_CHARS = 700


def _outcomes(values: NDArray[np.float64], faults: dict[int, Outcome]) -> list[Outcome]:
    """As far as there are answers, in order."""
    found = []
    for number, value in enumerate(values.tolist()):
        if value != value:
            break
        if value == wire.FAULTY:
            found.append(faults.get(number) or _nonsense("a fault without a reason"))
        else:
            found.append(_ANSWERS.get(value) or Outcome("ok", _progress(value)))
    return found


_ANSWERS = {0.0: Outcome("ok", 0.0), 1.0: Outcome("ok", 1.0)}


def _progress(value: Any) -> float:
    return min(1.0, max(0.0, float(value)))


def _fault(said: dict[str, Any]) -> Outcome:
    kind, line = said["kind"], said.get("line")
    if kind not in FAULT_KINDS:
        return _nonsense(f"an outcome {str(kind)[:40]!r}")
    line = line if type(line) is int and 0 < line < 1_000_000 else None
    return Outcome(kind, None, _text(said.get("message", ""), TEXT_CHARS), line)


def _nonsense(what: object) -> Outcome:
    return Outcome("crash", None, f"its process answered with what makes no sense ({_text(what, 80)})")


def _text(value: object, limit: int) -> str:
    """Bounded, valid UTF-8, without control characters, whatever the worker sent."""
    text = str(value)[:limit]
    return "".join(c if c in "\n\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _seen(items: list[dict[str, Any]], payload: bytes, shape: tuple[int, ...]) -> tuple[tuple[Seen, ...], bytes]:
    found = []
    height, width = shape
    for item in items[:64]:
        name, kind, size = _text(item["name"], 80), item["kind"], (height * width + 7) // 8
        if kind == "mask":
            mask, payload = payload[:size], payload[size:]
            bits = np.unpackbits(np.frombuffer(mask, np.uint8), count=height * width)
            found.append(Seen(name, "mask", mask=bits.reshape(height, width).astype(np.bool_)))
        elif kind == "box":
            found.append(Seen(name, "box", box=_numbers(item["numbers"], 4)))
        elif kind == "point":
            found.append(Seen(name, "point", point=_numbers(item["numbers"], 2)))
        else:
            message = _text(item.get("message", ""), TEXT_CHARS)
            found.append(Seen(name, "nothing" if kind == "nothing" else "fault", message=message))
    return tuple(found), payload


def _numbers(values: Any, count: int) -> Any:
    """So many finite floats, as a tuple."""
    found = tuple(float(value) for value in values)
    if len(found) != count or not all(abs(number) < 1e6 for number in found):
        raise ValueError(f"expected {count} numbers, not {str(found)[:80]}")
    return found
