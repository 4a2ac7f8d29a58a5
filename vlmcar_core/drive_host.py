"""The process in which a driven environment lives: wishes come in on one pipe, answers with frames go out on another.

Every message has its length before it, four bytes, the largest first. A wish is JSON and small. An answer is JSON, with
its own length before it once more, and then a PNG where the frame may have changed. Each wish is answered once, in
order, with the number that it has. Wishes come from a page, and so from anybody: they are read as `Wish` and no more.

The process ends when the first pipe does, which it does whenever the app ends, or after a while without a wish.
"""

import json
import math
import os
import queue
import struct
import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from io import RawIOBase
from typing import Any, BinaryIO, Literal

from vlmcar_core import files, pipeline, strict
from vlmcar_core.driving import Driver
from vlmcar_core.envs import Pressed
from vlmcar_core.errors import VlmcarError
from vlmcar_core.store import Session
from vlmcar_core.types import SEED_MAX

WISH_LIMIT_BYTES = 8 * 1024
ANSWER_LIMIT_BYTES = files.PNG_LIMIT_BYTES + 1024 * 1024
LENGTH = struct.Struct(">I")

IDLE_SECONDS = 900.0
GRACE_SECONDS = 10.0
"""Given to a step that is under way when the app has gone."""

WAITING_MAX = 64
"""Wishes that wait; who sends more is not read until there is room."""

Deed = Literal["press", "undo", "begin", "next", "save", "initial", "goal"]


@dataclass(frozen=True)
class Wish:
    """What a page asks for."""

    number: int
    """The answer has the same."""

    do: Deed
    """begin: an episode from `seed`; next: one from the seed after this one's; initial, goal: make this frame that."""

    pressed: Pressed = field(default_factory=Pressed)
    seed: int = 0
    source: Literal["expert", "near-miss"] = "expert"
    driver: str = ""
    """The person's name, for what is kept."""


def packed(header: Mapping[str, Any], png: bytes = b"") -> bytes:
    """One answer."""
    text = json.dumps(header, allow_nan=False).encode()
    return LENGTH.pack(len(text)) + text + png


def read_message(source: RawIOBase | BinaryIO, limit: int) -> bytes | None:
    """The next message; None where the pipe has ended, or what comes is longer than `limit` bytes."""
    head = _exactly(source, LENGTH.size)
    if head is None or LENGTH.unpack(head)[0] > limit:
        return None
    return _exactly(source, LENGTH.unpack(head)[0])


def _exactly(source: RawIOBase | BinaryIO, length: int) -> bytes | None:
    """So many bytes, however the pipe cuts them; None where it has ended before."""
    data = bytearray()
    while len(data) < length:
        part = source.read(length - len(data))
        if not part:
            return None
        data += part
    return bytes(data)


def write_message(sink: BinaryIO, data: bytes) -> None:
    sink.write(LENGTH.pack(len(data)) + data)
    sink.flush()


def serve(session: Session, source: RawIOBase, sink: BinaryIO, idle_seconds: float = IDLE_SECONDS) -> None:
    """Answer wishes until there are none any more.

    Args:
        session: whose environment it is.
        source: unbuffered: a buffer that is being read could not be closed.
        sink: where answers go.
        idle_seconds: so long without a wish is the end, too.
    """
    wishes: queue.Queue[bytes | None] = queue.Queue(WAITING_MAX)
    threading.Thread(target=_listen, args=(source, wishes), daemon=True).start()
    try:
        with closing(Driver(session.task)) as driver:
            driver.rehearse()
            write_message(sink, _hello(driver))
            while (data := wishes.get(timeout=idle_seconds)) is not None:
                write_message(sink, answer(session, driver, data))
    except queue.Empty:
        words = f"nothing was done for {idle_seconds / 60:g} minutes, so the environment was closed; start it again"
        write_message(sink, packed({"error": words, "ended": True}))
    except VlmcarError as error:
        write_message(sink, packed({"error": str(error), "ended": True}))


def _listen(source: RawIOBase, wishes: "queue.Queue[bytes | None]") -> None:
    while (data := read_message(source, WISH_LIMIT_BYTES)) is not None:
        wishes.put(data)
    ending = threading.Timer(GRACE_SECONDS, os._exit, (1,))
    ending.daemon = True
    ending.start()
    wishes.put(None)


def _hello(driver: Driver) -> bytes:
    return packed({**_state(driver), "number": None, "controls": asdict(driver.controls)}, files.png(driver.frame))


def answer(session: Session, driver: Driver, data: bytes) -> bytes:
    """What one wish came to: the state now and its frame, or why it was not done."""
    number: int | None = None
    try:
        wish = strict.build(Wish, strict.loads(data))
        number = wish.number
        said = _done(session, driver, wish)
    except (ValueError, VlmcarError, OSError) as error:  # a full disk loses no episode
        return packed({**_state(driver), "number": number, "error": str(error)[:1000]})
    if wish.do in ("save", "initial", "goal"):
        return packed({**_state(driver), "number": number, "said": said, "kept": True})
    return packed({**_state(driver), "number": number, "said": said}, files.png(driver.frame))


def _done(session: Session, driver: Driver, wish: Wish) -> str:
    """Do it; returns what there is to say."""
    episode = driver.episode
    match wish.do:
        case "press":
            driver.press(wish.pressed)
        case "undo":
            driver.undo()
        case "begin":
            driver.begin(wish.seed)
        case "next":
            driver.begin((episode.seed + 1) % (SEED_MAX + 1))
        case "save":
            id = pipeline.save_driven(session, driver.trajectory(wish.source), wish.driver)
            return f"saved as {id}, {episode.steps} steps"
        case "initial":
            pipeline.set_initial_from_driving(session, driver.frame)
            return "this is the initial frame now"
        case "goal":
            pipeline.set_goal_from_driving(session, driver.frame, wish.driver, episode.seed, episode.steps)
            return "this is the goal frame now"
    return ""


def _state(driver: Driver) -> dict[str, Any]:
    """What a page shows beside the frame."""
    episode = driver.episode
    paid = sum(episode.rewards)
    return {
        "seed": episode.seed,
        "steps": episode.steps,
        "return": paid if math.isfinite(paid) else None,
        "over": "ended" if episode.terminated else "time limit" if episode.truncated else "",
        "success": episode.success,
        "staying": driver.staying,
        "instruction": driver.instruction[:500],
    }
