"""The process in which a driven environment lives: wishes come in on one pipe, answers with frames go out on another.

Every message has its length before it, four bytes, the largest first. A wish is JSON and small. An answer is JSON, with
its own length before it once more, and then a PNG where the frame may have changed. Each wish is answered once, in
order, with the number that it has. Wishes come from a page, and so from anybody: they are read as `Wish` and no more.

The process ends when the first pipe does, which it does whenever the app ends, or after a while without a wish. What
was driven until then and not saved is in a draft (see `drafts`), which the next process offers.
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

from vlmcar_core import drafting, drafts, files, pipeline, strict
from vlmcar_core.driving import Driver
from vlmcar_core.envs import Pressed
from vlmcar_core.errors import VlmcarError
from vlmcar_core.store import DRIVING, Session
from vlmcar_core.types import SEED_MAX, Frame

WISH_LIMIT_BYTES = 8 * 1024
ANSWER_LIMIT_BYTES = files.PNG_LIMIT_BYTES + 1024 * 1024
LENGTH = struct.Struct(">I")

IDLE_SECONDS = 900.0
GRACE_SECONDS = 10.0
"""Given to a step that is under way when the app has gone."""

WAITING_MAX = 64
"""Wishes that wait; who sends more is not read until there is room."""

Deed = Literal["press", "undo", "begin", "next", "save", "initial", "goal", "drive-on", "save-draft", "discard"]


@dataclass(frozen=True)
class Wish:
    """What a page asks for."""

    number: int
    """The answer has the same."""

    do: Deed
    """begin: an episode from `seed`; next: one from the seed after this one's; initial, goal: make this frame that;
    drive-on, save-draft, discard: a draft that was left behind."""

    pressed: Pressed = field(default_factory=Pressed)
    seed: int = 0
    source: Literal["expert", "near-miss"] = "expert"
    driver: str = ""
    """The person's name, for what is kept."""

    draft: str = ""
    """Which one."""


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
        with closing(Driver(session.task)) as driver, closing(Bench(session, driver)) as bench:
            driver.rehearse()
            write_message(sink, bench.hello())
            while (data := wishes.get(timeout=idle_seconds)) is not None:
                write_message(sink, bench.answer(data))
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


class Bench:
    """Somebody's place at an environment: who drives it, and what is kept of that. `close` it before the driver."""

    def __init__(self, session: Session, driver: Driver) -> None:
        self._session, self._driver = session, driver
        self._shown: tuple[Frame, bytes] | None = None
        self._keeper = drafting.Keeper(session, self._png)

    def close(self) -> None:
        """What was not saved stays as a draft."""
        self._keeper.close()

    def hello(self) -> bytes:
        """What can be pressed, what was left behind, and the first frame."""
        controls = asdict(self._driver.controls)
        header = {**_state(self._driver), "number": None, "controls": controls, "drafts": self._drafts()}
        return packed(header, self._png(self._driver.frame))

    def answer(self, data: bytes) -> bytes:
        """What one wish came to: the state now and its frame, or why it was not done."""
        shown, wish, told = self._driver.frame, None, dict[str, Any]()
        try:
            wish = strict.build(Wish, strict.loads(data))
            told["said"] = self._done(wish)
            if wish.do in ("save", "save-draft", "initial", "goal"):
                told["kept"] = True
        except (ValueError, VlmcarError, OSError) as error:  # a full disk loses no episode
            told["error"] = str(error)[:1000]
        if wish is not None and wish.do in ("drive-on", "save-draft", "discard"):
            told["drafts"] = self._drafts()
        header = {**_state(self._driver), "number": None if wish is None else wish.number, **told}
        same_frame = self._driver.frame is shown
        return packed(header, b"" if same_frame else self._png(self._driver.frame))

    def _png(self, frame: Frame) -> bytes:
        """Of a frame that is kept and shown, made once."""
        if self._shown is None or self._shown[0] is not frame:
            self._shown = (frame, files.png(frame))
        return self._shown[1]

    def _done(self, wish: Wish) -> str:
        """Do it; returns what there is to say."""
        driver, seed = self._driver, self._driver.episode.seed
        match wish.do:
            case "press":
                driver.press(wish.pressed)
                return self._keeper.keep(driver)
            case "undo":
                driver.undo()
                return self._keeper.keep(driver)
            case "begin" | "next":
                driver.begin(wish.seed if wish.do == "begin" else (seed + 1) % (SEED_MAX + 1))
                self._keeper.forget()
                return ""
            case "drive-on" | "save-draft" | "discard":
                return self._with_draft(wish)
            case _:
                return self._kept(wish)

    def _kept(self, wish: Wish) -> str:
        session, driver, episode = self._session, self._driver, self._driver.episode
        if wish.do == "save":
            id = pipeline.save_driven(session, driver.trajectory(wish.source), wish.driver)
            self._keeper.forget()
            return f"saved as {id}, {episode.steps} steps"
        if wish.do == "initial":
            pipeline.set_initial_from_driving(session, driver.frame)
            return "this is the initial frame now"
        pipeline.set_goal_from_driving(session, driver.frame, wish.driver, episode.seed, episode.steps)
        return "this is the goal frame now"

    def _with_draft(self, wish: Wish) -> str:
        if wish.do == "discard":
            drafts.discard(self._session, wish.draft)
            return "discarded"
        if wish.do == "drive-on":
            return self._drive_on(wish.draft)
        with drafts.locked(self._session, wish.draft) as (path, _):
            found = drafts.read(path)
            id = pipeline.save_driven(self._session, found.trajectory(wish.source), wish.driver)
            files.remove(path)
        return f"saved as {id}, {len(found.steps)} steps"

    def _drive_on(self, name: str) -> str:
        """Where the episode that is under way was not saved, it becomes a draft itself."""
        path, file = drafts.take(self._session, name)
        try:
            found = drafts.read(path)
            self._keeper.close()
            drafts.drive_on(self._driver, found)
        except BaseException:
            file.close()
            raise
        self._keeper.go_on(file, found)
        return f"driven on from, after {len(found.steps)} steps"

    def _drafts(self) -> list[dict[str, Any]]:
        """What was left behind, as the page offers it, the newest first."""
        return [self._told(name) for name in drafts.left_behind(self._session)]

    def _told(self, name: str) -> dict[str, Any]:
        try:
            found = drafts.read(self._session.inside(DRIVING) / f"{name}.jsonl")
        except (VlmcarError, FileNotFoundError) as error:
            return {"name": name, "error": str(error)[:300]}
        beginning, last = found.beginning, found.steps[-1]
        about = {"seed": beginning.seed, "created": beginning.created[:40], "success": last.success}
        return {"name": name, "steps": len(found.steps), **about}


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
