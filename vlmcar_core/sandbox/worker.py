"""The app's end of a worker: sends it frames, waits for its answers no longer than it may, ends it."""

import json
import math
import re
import socket
import struct
import time
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import psutil
from numpy.typing import NDArray

from vlmcar_core.errors import SandboxError
from vlmcar_core.sandbox import heard, trust
from vlmcar_core.sandbox.forking import ZYGOTE
from vlmcar_core.sandbox.inside import wire
from vlmcar_core.sandbox.inside.worker import Order
from vlmcar_core.types import Diagnostic, Drawn, Frame, Frames, Inspection, Outcome

INITIALS = 32
"""Initial frames that a worker keeps."""
USUAL_FRAME_BYTES = 1 << 20
"""Room is made for frames of this size at first; it is taken only where it is used."""
FRAMES_BYTES = 8 << 20
"""For the frames of one message, unless a single pair is larger: about what the processor keeps near."""
SEAL_SECONDS = 60.0
LOOK_MICROSECONDS = 50_000
IDLE_SECONDS = 1.0
"""A worker that sleeps for so much longer than a call may take is ended."""
SIGKILL, SIGSYS = 9, 31

NOTHING_YET = memoryview(array("d", [math.nan] * wire.BATCH))
UINT8 = np.dtype(np.uint8)
DIGEST = re.compile("[0-9a-f]{64}")


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


class Gone(Exception):
    """The worker ended, or had to be ended: the outcome for what it was doing."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


class Worker:
    """A running worker and the messages to and from it."""

    def __init__(self, limits: Limits, frame_bytes: int = USUAL_FRAME_BYTES, skimage: bool = False) -> None:
        self._limits = limits
        self.frame_bytes = max(frame_bytes, USUAL_FRAME_BYTES)
        self._kept = INITIALS if self.frame_bytes <= USUAL_FRAME_BYTES else 2
        self._slots: OrderedDict[int, tuple[Frame, int, int]] = OrderedDict()
        """By the identity of an initial frame: the frame, held so that no other can take its identity; in which slot it
        is; its number among all that were kept."""
        self._ever_kept = 0
        order = Order(limits.seconds, limits.memory_bytes, limits.output_chars, limits.gate, trust.trusted(), skimage)
        self._fork = ZYGOTE.fork(order, self._kept * self.frame_bytes + max(FRAMES_BYTES, 2 * self.frame_bytes))
        self._channel = self._fork.channel
        # A wait that looks up now and then costs no more than one that does not.
        self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, LOOK_MICROSECONDS))
        self._pixels = np.frombuffer(self._fork.frames, np.uint8)
        self._values = memoryview(self._fork.values).cast("d")
        self._bell = memoryview(self._fork.frames)[-wire.BELL_BYTES :].cast("Q")
        self._lookout = wire.Lookout()
        self._place = self._pixels[:0]
        """Where the frames of one message are put, in the shape of those of the last."""
        self.layers = self._sealed()

    def _sealed(self) -> tuple[str, ...]:
        try:
            answer, _ = self._answer(SEAL_SECONDS)
        except Gone as gone:
            self.end()
            raise SandboxError(f"the process for checkers did not start: {gone.outcome.message}") from gone
        if "refused" in answer:
            self.end()
            raise SandboxError(trust.refusal(str(answer["refused"])[:500]))
        return tuple(str(name) for name in answer.get("layers", ()))

    def load(self, key: str, source: str) -> None:
        """Run a checker's source; raises `Gone` where that does not come to an end."""
        self._send(wire.message(wire.LOAD, {"key": key, "source": source}))
        self._answer(factor=2.0)

    def run(
        self, initial: Frame, frames: Frames, outcomes: list[Outcome], stream: int = 0, begins: bool = False
    ) -> None:
        """Append an outcome for every frame that has none yet; those that were known when the process went stay.

        Args:
            initial: the episode's first frame.
            frames: which to ask about.
            outcomes: of the first of them.
            stream: for a program, which of several episodes side by side.
            begins: for a program, whether that episode begins with the first of the frames.
        """
        first = self._keep(initial)

        def asking(part: Frames) -> bytes:
            return self._asking(wire.ASK, first, part, stream, begins and not outcomes)

        self._run(frames, initial.nbytes, asking, outcomes)

    def run_pairs(self, pairs: Sequence[tuple[Frame, Drawn]], outcomes: list[Outcome]) -> None:
        """As `run`, about frames of different episodes, for a checker that is a function of two frames.

        Args:
            pairs: an episode's first frame and the one to ask about, all of one size.
            outcomes: of the first of them.
        """
        self._run(pairs, pairs[0][0].nbytes, self._asking_pairs, outcomes, self._together)

    def _run(
        self,
        asked: Any,
        each_bytes: int,
        asking: Callable[[Any], bytes],
        outcomes: list[Outcome],
        together: Callable[[Any], int] = len,
    ) -> None:
        """Ask about a part of them after the other, as many as go into a message, and of these the first so many that
        may go `together`."""
        batch = min(wire.BATCH, max(1, FRAMES_BYTES // each_bytes))
        while len(outcomes) < len(asked):
            part = asked[len(outcomes) : len(outcomes) + batch]
            part = part[: together(part)]
            count = len(part)
            self._values[:count] = NOTHING_YET[:count]
            self._send(asking(part))
            faults: dict[int, Outcome] = {}
            try:
                self._wait(count, faults)
            finally:
                found = heard.outcomes_of(self._values[:count].tolist(), faults)
                outcomes += found
            if len(found) < count:
                raise Gone(heard.nonsense("fewer answers than frames"))

    def firsts(self, initials: Sequence[Frame]) -> list[bytes | None] | Literal[False]:
        """Of each first frame, all of one size, a digest of what the checker takes from it; None where that cannot be
        told of a frame, False where it cannot be told of any."""
        batch = min(wire.BATCH, max(1, FRAMES_BYTES // initials[0].nbytes))
        found: list[bytes | None] = []
        while len(found) < len(initials):
            part = initials[len(found) : len(found) + batch]
            self._send(self._asking(wire.FIRST, 0, np.stack(part)))
            said = self._answer(factor=2.0 * len(part), begun=self._begun())[0].get("firsts")
            if said is False:
                return False
            if not isinstance(said, list) or len(said) != len(part):
                raise Gone(heard.nonsense("no digests"))
            found += [_digest(one) for one in said]
        return found

    def inspect(self, initial: Frame, current: Frame) -> Inspection:
        self._send(self._asking(wire.INSPECT, self._keep(initial), current[None]))
        answer, payload = self._answer(factor=12.0)
        shape = current.shape[:2]
        try:
            said = answer["outcome"]
            outcome = Outcome("ok", heard.progress(said["value"])) if "value" in said else heard.fault(said)
            before, rest = heard.marks(answer["initial"], payload, shape)
            now, _ = heard.marks(answer["current"], rest, shape)
            return Inspection(outcome, heard.text(answer["printed"], self._limits.output_chars), before, now)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise Gone(heard.nonsense(error)) from None

    def diagnose(self, source: str) -> list[Diagnostic]:
        """The static gate's findings."""
        self._send(wire.message(wire.DIAGNOSE, {"source": source}))
        answer = self._answer(factor=4.0)[0]
        try:
            return heard.diagnostics(answer["findings"])
        except (KeyError, TypeError, ValueError) as error:
            raise Gone(heard.nonsense(error)) from None

    def parsed(self, operation: int, source: str) -> dict[str, Any]:
        """What `wire.UNDERSTAND`, `MUTATE` or `BRANCHES` say of a source; a stranger's word still."""
        self._send(wire.message(operation, {"source": source}))
        return self._answer(factor=4.0)[0]

    def kill(self) -> None:
        """End the process from any thread, while no other calls `end`; who waits for its answer meets `Gone`."""
        self._fork.kill()

    def end(self) -> int | None:
        """End the process, whatever it does; nothing stays behind. How it ended: minus the signal, or its code."""
        self._fork.kill()
        wire.readable(self._fork.handle, 5.0)
        status = ZYGOTE.reap(self._fork.pid)
        self._values.release()
        self._bell.release()
        del self._pixels, self._place
        self._slots.clear()
        self._fork.close()
        return status

    def _keep(self, initial: Frame) -> int:
        """Where the worker finds this initial frame; it is copied only once while it stays the same object."""
        return self._place_of(initial)[0]

    def _place_of(self, initial: Frame) -> tuple[int, int]:
        """The same, and which of all that were ever kept it is."""
        identity = id(initial)
        if identity not in self._slots:
            _right(initial)
            slot = len(self._slots)
            if slot >= self._kept:
                _, (_, slot, _) = self._slots.popitem(last=False)
            self._ever_kept += 1
            self._slots[identity] = (initial, slot, self._ever_kept)
            np.copyto(self._room(slot * self.frame_bytes, initial.shape), initial)
        self._slots.move_to_end(identity)
        _, slot, number = self._slots[identity]
        return slot * self.frame_bytes, number

    def _room(self, offset: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        return self._pixels[offset : offset + math.prod(shape)].reshape(shape)

    def _asking(self, operation: int, first: int, frames: Frames, stream: int = 0, begins: bool = False) -> bytes:
        start = self._kept * self.frame_bytes
        _right(frames)
        if self._place.shape != frames.shape:
            self._place = self._room(start, frames.shape)
        np.copyto(self._place, frames)
        count, height, width, _ = frames.shape
        return wire.asking(operation, first, start, count, height, width, stream, begins)

    def _together(self, pairs: Sequence[tuple[Frame, Drawn]]) -> int:
        """So many of the first of them have no more initial frames than are kept."""
        different: set[int] = set()
        for number, (initial, _) in enumerate(pairs):
            different.add(id(initial))
            if len(different) > self._kept:
                return number
        return len(pairs)

    def _asking_pairs(self, pairs: Sequence[tuple[Frame, Drawn]]) -> bytes:
        """Each copied to its place at once: to put them together first would cost more than the message."""
        start = self._kept * self.frame_bytes
        height, width, _ = pairs[0][0].shape
        place = self._room(start, (len(pairs), height, width, 3))
        places = []
        for number, (initial, drawn) in enumerate(pairs):
            frame = drawn() if callable(drawn) else drawn
            _right(frame)
            place[number] = frame
            places.append(wire.PLACE.pack(*self._place_of(initial)))
        return wire.asking_pairs(start, len(pairs), height, width, b"".join(places))

    def _send(self, data: bytes) -> None:
        try:
            self._channel.sendall(data)
        except OSError:
            raise Gone(self._death()) from None
        self._bell[0] += 1

    def _wait(self, count: int, faults: dict[int, Outcome]) -> None:
        """Until all frames of a message are answered; faults come as they happen."""
        begun = self._begun()
        if begun == wire.END_MESSAGE:
            return
        patience = Patience(self._fork.pid, self._limits)
        answered = 0
        while True:
            operation, text, payload = self._message(patience, lambda: self._known(count), begun)
            begun = b""
            if operation == wire.END:
                return
            if operation != wire.FAULT or answered >= count or payload:
                raise Gone(heard.nonsense(f"operation {operation}"))
            answered += 1
            try:
                faults[int(text["frame"])] = heard.fault(text)
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise Gone(heard.nonsense(error)) from None

    def _known(self, count: int) -> int:
        """So many of the first frames are answered."""
        return sum(value == value for value in self._values[:count].tolist())

    def _begun(self) -> bytes:
        """The beginning of a message, if it comes soon: most end here, and need no patience."""
        begun = b""

        def come() -> bool:
            nonlocal begun
            try:
                begun = self._channel.recv(wire.HEADER.size, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
            return True

        try:
            return begun if self._lookout.seen(come) else self._channel.recv(wire.HEADER.size)
        except OSError:
            return b""

    def _answer(
        self, seconds: float | None = None, factor: float = 1.0, begun: bytes = b""
    ) -> tuple[dict[str, Any], bytes]:
        """One answer; `seconds` of waiting, or as long as the limits of one call allow times `factor`."""
        patience = Patience(self._fork.pid, self._limits, seconds, factor)
        operation, text, payload = self._message(patience, begun=begun)
        if operation != wire.ANSWER:
            raise Gone(heard.nonsense(f"operation {operation}"))
        return text, payload

    def _message(
        self, patience: "Patience", progress: Any = None, begun: bytes = b""
    ) -> tuple[int, dict[str, Any], bytes]:
        operation, text, payload = wire.HEADER.unpack(self._read(wire.HEADER.size, patience, progress, begun))
        if text > wire.TEXT_LIMIT or payload > (wire.PAYLOAD_LIMIT if operation == wire.ANSWER else 0):
            raise Gone(Outcome("crash", None, "its process answered with more than may be"))
        if not text:
            return operation, {}, b""
        try:
            answer = json.loads(self._read(text, patience))
        except (ValueError, RecursionError) as error:
            raise Gone(heard.nonsense(error)) from None
        if not isinstance(answer, dict):
            raise Gone(heard.nonsense("no object"))
        return operation, answer, self._read(payload, patience)

    def _read(self, size: int, patience: "Patience", progress: Any = None, begun: bytes = b"") -> bytes:
        data = bytearray(begun)
        while len(data) < size:
            try:
                part = self._channel.recv(min(size - len(data), 1 << 20))
                if not part:
                    raise Gone(self._death())
                data += part
            except BlockingIOError:
                pass
            except OSError:
                raise Gone(self._death()) from None
            # Nothing came, or only a part: also what comes in drops has to come to an end.
            if len(data) < size and patience.over(progress() if progress else 0):
                raise Gone(Outcome("timeout", None, f"no answer after {patience.spent}; its process was ended"))
        return bytes(data)

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


def _right(frames: NDArray[np.uint8]) -> None:
    if frames.dtype != UINT8 or frames.shape[-1] != 3:
        raise ValueError(f"frames are uint8 (…, H, W, 3), not {frames.dtype} {frames.shape}")


def _digest(said: object) -> bytes | None:
    if said is None:
        return None
    if not isinstance(said, str) or DIGEST.fullmatch(said) is None:
        raise Gone(heard.nonsense("no digest"))
    return bytes.fromhex(said)


class Patience:
    """How long one answer may take: by the worker's own CPU clock, so that a busy machine gives no false alarm."""

    def __init__(self, pid: int, limits: Limits, seconds: float | None = None, factor: float = 1.0) -> None:
        self._pid = pid
        self._cpu_seconds = (2.0 * limits.seconds + 0.25) * factor
        self._wall_seconds = seconds if seconds is not None else (10.0 * limits.seconds + 5.0) * factor
        self._only_wall = seconds is not None
        self._idle_seconds = limits.seconds + IDLE_SECONDS
        self._progress = -1
        self._began = self._busy = time.monotonic()
        self._cpu_began = 0.0
        self.spent = ""

    def over(self, progress: int) -> bool:
        """Whether it is at an end; it begins anew whenever there was progress."""
        now, (cpu_now, asleep) = time.monotonic(), self._seen()
        if not asleep:
            self._busy = now
        if progress > self._progress:
            if self._progress >= 0:
                self._began = self._busy = now
            self._progress, self._cpu_began = progress, cpu_now
        wall, cpu = now - self._began, cpu_now - self._cpu_began
        self.spent = f"{cpu:.1f} s of CPU time, {wall:.1f} s in all"
        if self._only_wall:
            return wall > self._wall_seconds
        # One that sleeps waits for something that a checker has no business with.
        return wall > self._wall_seconds or cpu > self._cpu_seconds or now - self._busy > self._idle_seconds

    def _seen(self) -> tuple[float, bool]:
        """Its CPU time in seconds, and whether it sleeps."""
        try:
            process = psutil.Process(self._pid)
            with process.oneshot():
                times = process.cpu_times()
                return float(times.user + times.system), process.status() == psutil.STATUS_SLEEPING
        except psutil.Error:
            return 0.0, False
