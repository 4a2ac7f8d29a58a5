"""The messages between the app and a worker: an operation, a JSON object or a struct, a payload. Never pickle.

    L  {"key", "source"}                     load a checker                       -> A {}
    R  a RUN struct                          ask about frames in shared memory    -> F {"frame", …}*, E
    P  a RUN struct, a PLACE for each frame  the same, each with an initial frame of its own
    O  a RUN struct                          what is taken from frames as first ones -> A {"firsts": [SHA-256 or null]}
    I  a RUN struct, one frame               the same, looked at closely          -> A {…} + packed masks
    D  {"source"}                            the static gate's findings           -> A {"findings": […]}
    U  {"source"}                            what a program seems to be           -> A {"classes", "findings"}
    M  {"source"}                            small wrong versions of it            -> A {"mutants": […]}
    B  {"source"}                            one that says which branches it took  -> A {"source", "branches": […]}

Before the first request a worker says A {"layers": […]} or A {"refused": …}. Answers to R and P are float64 values in
the second shared memory, written as they come, so that those that were given stay when the worker has to be killed:
progress in [0, 1], or FAULTY, where an F message says why; NaN where there is none yet. To O it answers null where it
cannot be told of a frame, and false where it cannot be told of any.

To wake a process on another core takes longer than most answers, so each end first looks for a moment whether something
comes, and sleeps only then. The worker, which may read and write its channel and nothing else, looks at the bell: the
last 8 bytes of the first shared memory, which it cannot write, and which change with every request.
"""

import json
import os
import select
import struct
import time
from collections.abc import Callable
from typing import Any

HEADER = struct.Struct("<BII")
"""Operation, bytes of the text, bytes of the payload."""

RUN = struct.Struct("<QQIIIII")
"""Offsets of the initial frame and of the frames in shared memory, how many frames or pairs, height, width; for
programs that are shown an episode in order: which of several episodes side by side, and whether it begins with these
frames."""

PLACE = struct.Struct("<QQ")
"""Of an initial frame: its offset in shared memory, and a number that no other frame there ever had."""

ASKED = struct.Struct(HEADER.format + RUN.format.lstrip("<"))
"""A whole message about frames: a header and a RUN."""

LOAD, ASK, ASK_PAIRS, FIRST, INSPECT, DIAGNOSE, UNDERSTAND, MUTATE, BRANCHES = b"LRPOIDUMB"
ANSWER, FAULT, END = b"AFE"
FAULTY = 2.0

STREAMS = 1024
"""Episodes that a program is shown side by side, at most."""

BELL_BYTES = 8

LOOK_SECONDS = 100e-6
"""To look out for so long costs about twice as much as to be woken."""
RESTS = 128
"""After having looked in vain again and again, an end sleeps at once so many times, at most."""

BATCH = 64
"""Frames in one message, at most; larger ones are slower."""

TEXT_LIMIT, PAYLOAD_LIMIT = 1 << 20, 64 << 20
"""Bytes that an answer may have."""


def message(operation: int, text: bytes | dict[str, Any] = b"", payload: bytes = b"") -> bytes:
    """As bytes, whole."""
    if isinstance(text, dict):
        text = json.dumps(text).encode()
    return HEADER.pack(operation, len(text), len(payload)) + text + payload


def asking(operation: int, *run: int) -> bytes:
    """A whole message about frames, from the fields of a RUN; the same as `message` makes, and faster."""
    return ASKED.pack(operation, RUN.size, 0, *run)


def asking_pairs(start: int, count: int, height: int, width: int, places: bytes) -> bytes:
    """A whole message about frames that have an initial frame each, at these places."""
    return ASKED.pack(ASK_PAIRS, RUN.size + len(places), 0, 0, start, count, height, width, 0, False) + places


END_MESSAGE = message(END)


class Lookout:
    """Looks again and again for what mostly comes at once, as long as that mostly is so.

    After a look in vain it rests once, after the next in vain twice, then four times; and half as often after each that
    was not: so neither a core that something else took for a moment nor one that both ends share costs many messages.
    """

    def __init__(self) -> None:
        self._rests = 0
        self._patience = 1
        """So often it rests after the next look in vain."""

    def seen(self, come: Callable[[], bool]) -> bool:
        """Whether it came while one looked.

        Args:
            come: whether it is there now.
        """
        if self._rests:
            self._rests -= 1
            return False
        until = time.perf_counter() + LOOK_SECONDS
        while not (found := come()) and time.perf_counter() < until:
            pass
        found = found or come()  # its own core may have been taken meanwhile
        if found:
            self._patience = max(1, self._patience // 2)
        else:
            self._rests, self._patience = self._patience, min(RESTS, self._patience * 2)
        return found


def write_all(file: int, data: bytes) -> None:
    """Write all of it to a descriptor."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def readable(file: int, seconds: float) -> bool:
    """Whether there is something to read, or its other end is gone, after at most so long."""
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
