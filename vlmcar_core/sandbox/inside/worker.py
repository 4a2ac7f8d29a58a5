"""The worker: seals itself, then answers about frames until its channel ends. Forked by the zygote, one a checker."""

import contextlib
import json
import mmap
import os
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from vlmcar_core import programs
from vlmcar_core.sandbox.inside import branches, first, gate, mutants, seal, understanding, wire
from vlmcar_core.sandbox.inside.program import CLOCK, Fault, Output, Program, clean

UINT8 = np.dtype(np.uint8)


@dataclass(frozen=True)
class Order:
    """What the zygote is asked to fork."""

    seconds: float
    """CPU time of one call."""
    memory_bytes: int
    """Beyond what the libraries take."""
    output_chars: int
    gated: bool
    """The static gate looks at the source first."""
    trusted: bool
    """Run even where system calls cannot be filtered."""
    skimage: bool


class Worker:
    """One checker, the frames that it may see, and its answers."""

    def __init__(self, order: Order, frames: mmap.mmap, values: mmap.mmap) -> None:
        self._order = order
        self._frames = memoryview(frames)
        self._bell = self._frames[-wire.BELL_BYTES :].cast("Q")
        self._lookout = wire.Lookout()
        self._values = np.frombuffer(values, np.float64)
        self._program: Program | None = None
        self._readers: first.Readers | None = None
        """Through which alone it looks at the first frame; None where it does so in any other way."""

    def serve(self) -> None:
        """Answer until the other end is closed."""
        answers = {
            wire.LOAD: self._load,
            wire.ASK: self._ask,
            wire.ASK_PAIRS: self._ask_pairs,
            wire.FIRST: self._firsts,
            wire.INSPECT: self._inspect,
            wire.DIAGNOSE: self._diagnose,
            wire.UNDERSTAND: self._understand,
            wire.MUTATE: self._mutate,
            wire.BRANCHES: self._branches,
        }
        rung = 0
        while (request := self._awaited(rung)) is not None:
            operation, text = request
            rung = self._bell[0]
            answers[operation](text)

    def _awaited(self, rung: int) -> tuple[int, bytes] | None:
        """The next request, after the one at which the bell was rung so often."""
        self._lookout.seen(lambda: self._bell[0] != rung)
        return _received()

    def _load(self, text: bytes) -> None:
        request = json.loads(text)
        key, source, gated = request["key"], request["source"], self._order.gated
        reading = programs.reading_of(source)
        if reading is None:
            self._program = Program(key, source, gated)
            found = None if self._program.fault else first.readers(source)
            self._readers = None if found is None else first.Readers(self._program.names, found)
        else:
            from vlmcar_core.sandbox.inside.released import Released  # with OpenCV, which the app does without

            self._program = Released(key, source, gated, reading)
        _send(wire.message(wire.ANSWER, {}))

    def _ask(self, text: bytes) -> None:
        assert self._program is not None
        initial, frames, stream, begins = self._seen(text)
        answer = self._program.following(stream, begins)
        for number, frame in enumerate(frames):
            self._say(number, answer(initial, frame))
        _send(wire.END_MESSAGE)

    def _ask_pairs(self, text: bytes) -> None:
        assert self._program is not None
        _, start, count, height, width, _, _ = wire.RUN.unpack_from(text)
        shape, answer = (height, width, 3), self._program.answer
        frames = np.ndarray((count, *shape), UINT8, self._frames, start)
        readers = self._readers
        for number, (offset, which) in enumerate(wire.PLACE.iter_unpack(text[wire.RUN.size :])):
            initial = np.ndarray(shape, UINT8, self._frames, offset)
            if readers is not None:
                readers.remember(initial, which)
            self._say(number, answer(initial, frames[number]))
        if readers is not None:
            readers.forget()
        _send(wire.END_MESSAGE)

    def _say(self, number: int, found: float | Fault) -> None:
        """The answer about one of a message's frames."""
        if not isinstance(found, float):
            _send(wire.message(wire.FAULT, {"frame": number, **found}))
            found = wire.FAULTY
        self._values[number] = found

    def _firsts(self, text: bytes) -> None:
        assert self._program is not None
        _, frames, _, _ = self._seen(text)
        answer: list[str | None] | bool = False
        if self._readers is not None:
            functions = [self._program.names[name] for name in self._readers.functions]
            answer = [self._program.call(_told, functions, frame)[0] for frame in frames]
        _send(wire.message(wire.ANSWER, {"firsts": answer}))

    def _inspect(self, text: bytes) -> None:
        assert self._program is not None
        initial, frames, _, _ = self._seen(text)
        output = Output(self._order.output_chars)
        with contextlib.redirect_stdout(output):
            found = self._program.looked_at(initial, frames[0])
        outcome = {"value": found} if isinstance(found, float) else found
        before, now = self._program.identified(initial), self._program.identified(frames[0])

        answer = {
            "outcome": outcome,
            "printed": clean(output.text, output.limit),
            "initial": before[0],
            "current": now[0],
        }
        _send(wire.message(wire.ANSWER, answer, before[1] + now[1]))

    def _diagnose(self, text: bytes) -> None:
        _send(wire.message(wire.ANSWER, {"findings": gate.examine(json.loads(text)["source"])}))

    def _understand(self, text: bytes) -> None:
        _send(wire.message(wire.ANSWER, _understood(json.loads(text)["source"])))

    def _mutate(self, text: bytes) -> None:
        _send(wire.message(wire.ANSWER, {"mutants": mutants.mutants(json.loads(text)["source"])}))

    def _branches(self, text: bytes) -> None:
        _send(wire.message(wire.ANSWER, branches.told(json.loads(text)["source"])))

    def _seen(self, text: bytes) -> tuple[Any, Any, int, bool]:
        """The initial frame and the frames, read-only views of shared memory; which episode, whether it begins."""
        offset, start, count, height, width, stream, begins = wire.RUN.unpack(text)
        initial = np.ndarray((height, width, 3), UINT8, self._frames, offset)
        frames = np.ndarray((count, height, width, 3), UINT8, self._frames, start)
        return initial, frames, stream, bool(begins)


def run(order: Order, parent: int, channel: int, frames: int, values: int) -> None:
    """The life of a worker, from just after the fork; does not return.

    Args:
        order: what it may do.
        parent: the zygote's process id.
        channel: the descriptor of its socket.
        frames: of the frames' shared memory, which is mapped for reading only.
        values: of the answers' shared memory.
    """
    seen = mmap.mmap(frames, 0, mmap.MAP_SHARED, mmap.PROT_READ)
    said = mmap.mmap(values, 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    os.dup2(channel, seal.CHANNEL)
    seal.keep_only([seal.CHANNEL])
    sys.stdin, sys.stdout, sys.stderr = None, Output(0), Output(0)
    CLOCK.arm(order.seconds)
    try:
        layers = seal.seal(parent, order.memory_bytes, order.trusted)
    except seal.Unsealed as error:
        _send(wire.message(wire.ANSWER, {"refused": str(error)}))
        os._exit(1)
    _send(wire.message(wire.ANSWER, {"layers": layers}))
    Worker(order, seen, said).serve()
    os._exit(0)


def _told(functions: list[Any], frame: Any) -> str:
    return first.told([function(frame.copy()) for function in functions])


def _understood(source: str) -> dict[str, Any]:
    findings = gate.examine(source, program=True)
    whole = not any(item["rule"] in ("syntax", "size") for item in findings)
    return {"classes": understanding.classes(source) if whole else [], "findings": findings}


def _received() -> tuple[int, bytes] | None:
    """An operation and its text; None where the other end is closed."""
    data = os.read(seal.CHANNEL, 4096)
    if not data:
        return None
    if len(data) == wire.ASKED.size and data[0] in (wire.ASK, wire.FIRST):
        return data[0], data[wire.HEADER.size :]
    while len(data) < wire.HEADER.size or len(data) < wire.HEADER.size + wire.HEADER.unpack_from(data)[1]:
        part = os.read(seal.CHANNEL, 1 << 16)
        if not part:
            return None
        data += part
    return data[0], data[wire.HEADER.size :]


def _send(data: bytes) -> None:
    wire.write_all(seal.CHANNEL, data)
