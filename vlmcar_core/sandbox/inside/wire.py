"""The messages between the app and a worker: an operation, a JSON object or a struct, a payload. Never pickle.

    L  {"key", "source"}                     load a checker                       -> A {}
    R  a RUN struct                          ask about frames in shared memory    -> F {"frame", …}*, E
    I  a RUN struct, one frame               the same, looked at closely          -> A {…} + packed masks
    D  {"source"}                            the static gate's findings           -> A {"findings": […]}

Before the first request a worker says A {"layers": […]} or A {"refused": …}. Answers to R are float64 values in the
second shared memory, written as they come, so that those that were given stay when the worker has to be killed:
progress in [0, 1], or FAULTY, where an F message says why; NaN where there is none yet.
"""

import json
import os
import select
import struct
from typing import Any

HEADER = struct.Struct("<BII")
"""Operation, bytes of the text, bytes of the payload."""

RUN = struct.Struct("<QQIII")
"""Offsets of the initial frame and of the frames in shared memory, how many frames, height, width."""

LOAD, ASK, INSPECT, DIAGNOSE = b"LRID"
ANSWER, FAULT, END = b"AFE"
FAULTY = 2.0

BATCH = 64
"""Frames in one message, at most; larger ones are slower."""

TEXT_LIMIT, PAYLOAD_LIMIT = 1 << 20, 64 << 20
"""Bytes that an answer may have."""


def message(operation: int, text: bytes | dict[str, Any] = b"", payload: bytes = b"") -> bytes:
    """As bytes, whole."""
    if isinstance(text, dict):
        text = json.dumps(text).encode()
    return HEADER.pack(operation, len(text), len(payload)) + text + payload


END_MESSAGE = message(END)


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
