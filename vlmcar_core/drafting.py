"""Keeping the episode that somebody drives on disk as it happens; see `drafts` for what is kept."""

import base64
import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vlmcar_core import drafts, files, strict
from vlmcar_core.drafts import NAME, VERSION, Back, Beginning, Draft, Step
from vlmcar_core.driving import Driver
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.store import DRIVING, Session
from vlmcar_core.types import Frame

KEPT = 8
"""Of drafts that were left behind; the oldest give way to a new one."""

NOT_KEPT = "this episode is not kept in case of an accident"
TOO_LARGE = "from here on nothing is kept in case of an accident: the episode is too large; save it soon"


class Keeper:
    """Keeps the episode that a driver is at; `close` it. Nothing that goes wrong with that ends the driving."""

    def __init__(self, session: Session, png: Callable[[Frame], bytes] = files.png) -> None:
        """Nothing is written before the first step; `png` may know a frame's picture already."""
        self._session, self._png = session, png
        self._file: BinaryIO | None = None
        self._path = session.folder
        self._seen: dict[bytes, int] = {}
        self._steps = 0
        self._gave_up = False

    def keep(self, driver: Driver) -> str:
        """Bring the file to where the episode is now; returns why it cannot be kept, once, else nothing."""
        if self._gave_up or (self._file is None and not driver.episode.steps):
            return ""
        try:
            self._bring(driver)
        except (OSError, DamagedFile, ValueError) as error:
            self._gave_up = True
            return TOO_LARGE if isinstance(error, _Full) else f"{NOT_KEPT}: {error}"
        return ""

    def _bring(self, driver: Driver) -> None:
        episode = driver.episode
        if self._file is None:
            self._path, self._file = _new(self._session)
            self._write(_beginning(driver, self._picture(episode.frames[0])))
        if episode.steps < self._steps:
            self._write(asdict(Back(episode.steps)))
            self._steps = episode.steps
        while self._steps < episode.steps:
            self._write(self._step(driver, self._steps + 1))
            self._steps += 1

    def _step(self, driver: Driver, number: int) -> dict[str, Any]:
        episode, now = driver.episode, number == driver.episode.steps
        action = np.asarray(episode.actions[number - 1])
        png = self._picture(episode.frames[number])
        row = Step(
            step=number,
            pressed=driver.pressed[number - 1],
            action=action.tolist(),
            dtype=action.dtype.str,
            reward=episode.rewards[number - 1],
            terminated=now and episode.terminated,
            truncated=now and episode.truncated,
            success=driver.successes[number - 1],
            facts=episode.facts[number],
            frame=self._seen[_digest(episode.frames[number])],
        )
        return asdict(row) | ({"png": png} if png else {})

    def _picture(self, frame: Frame) -> str:
        """In base 64 the first time, empty afterwards."""
        known = len(self._seen)
        if self._seen.setdefault(_digest(frame), known) != known:
            return ""
        return base64.b64encode(self._png(frame)).decode("ascii")

    def _write(self, row: Mapping[str, Any]) -> None:
        assert self._file is not None
        line = json.dumps(row, allow_nan=False).encode() + b"\n"
        size = self._file.seek(0, os.SEEK_END) + len(line)
        if size > drafts.LIMIT_BYTES or len(row.get("png", "")) > strict.TEXT_CHARS_MAX:
            raise _Full
        self._file.write(line)
        self._file.flush()

    def go_on(self, file: BinaryIO, draft: Draft) -> None:
        """Keep on in the file of a draft that was driven on from, as `take` gave it."""
        self.close()
        self._path, self._file, self._steps = draft.path, file, len(draft.steps)
        self._seen = {_digest(picture): number for number, picture in enumerate(draft.pictures)}
        if not _whole(file):
            file.write(b"\n")  # the line that was being written stays half, and is passed over

    def forget(self) -> None:
        """The episode is saved, or to be lost."""
        if self._file is not None:
            files.remove(self._path)
        self.close()

    def close(self) -> None:
        """Leave the episode as it is, for whoever drives on from it; one without a step goes away."""
        if self._file is not None:
            if not self._steps:
                with contextlib.suppress(DamagedFile):
                    files.remove(self._path)
            self._file.close()
        self._file, self._seen, self._steps, self._gave_up = None, {}, 0, False


class _Full(ValueError):
    """No more is kept."""


def _digest(frame: Frame) -> bytes:
    return sha256(frame.tobytes()).digest()


def _beginning(driver: Driver, png: str) -> dict[str, Any]:
    episode = driver.episode
    return asdict(
        Beginning(
            version=VERSION,
            seed=episode.seed,
            env_id=str(driver.env_id),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions=driver.versions,
            facts=episode.facts[0],
            png=png,
        )
    )


def _new(session: Session) -> tuple[Path, BinaryIO]:
    """A new file, open and locked; of those that were left behind only so many stay."""
    folder = session.inside(DRIVING)
    folder.mkdir(parents=True, exist_ok=True)
    for name in drafts.left_behind(session)[KEPT - 1 :]:
        with contextlib.suppress(BadInput):  # somebody has taken it up, or away, just now
            drafts.discard(session, name)
    number = max((int(path.stem) for path in files.listed(folder, NAME)), default=-1) + 1
    while files.there(folder / f"{number:03d}.jsonl"):
        number += 1
    path = folder / f"{number:03d}.jsonl"
    file = files.append_to(path)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return path, file


def _whole(file: BinaryIO) -> bool:
    """Whether its last line was written to its end."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
    return file.read() in (b"", b"\n")
