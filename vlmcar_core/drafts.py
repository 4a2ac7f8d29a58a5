"""An episode that somebody drives, kept on disk step by step until it is saved: `driving/<n>.jsonl` in the session.

    a beginning     seed, environment, versions, the first frame
    a step          what was pressed, the action, what was paid, where the episode stood then, the frame
    a way back      to how many steps

A line each, added as it happens: whatever ends the process (a crash, SIGKILL), all but a line that was being written is
there. Whoever drives holds a lock on the file, which the system takes away with the process, however it ends: a draft
that nobody holds is one that was left behind. It is driven on from by pressing the same again, which has to lead to the
same frames; where it does not, the frames that were seen can still be saved.

`drafting.Keeper` writes; here drafts are found, locked, read, and driven on from. Frames that were seen before are
named by their number. A file holds no more than `LIMIT_BYTES`; what comes after is driven, but not kept here.
"""

import base64
import contextlib
import fcntl
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from vlmcar_core import files, strict
from vlmcar_core.driving import EPISODE_LIMIT_BYTES, Driver
from vlmcar_core.envs import Pressed
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.store import DRIVING, Session
from vlmcar_core.types import SEED_MAX, Frame, Source, Trajectory

VERSION = 1
LIMIT_BYTES = 256 * 1024 * 1024
STEPS_MAX = 100_000
NAME = re.compile(r"([0-9]{3}|[1-9][0-9]{3,8})\.jsonl")
LOCK_SECONDS = 1.0
"""So long is waited for a lock: who only looks holds one for a moment."""


@dataclass(frozen=True)
class Beginning:
    """The first line."""

    version: int
    seed: int
    env_id: str
    created: str
    """UTC, ISO 8601."""

    versions: Mapping[str, str]
    facts: Mapping[str, bool]
    png: str
    """The first frame, as PNG in base 64."""

    def __post_init__(self) -> None:
        if self.version > VERSION:
            raise ValueError(f"it has version {self.version}, this program reads up to {VERSION}")
        if not 0 <= self.seed <= SEED_MAX:
            raise ValueError(f"{self.seed} is no seed")


@dataclass(frozen=True)
class Step:
    """A line for a step."""

    step: int
    """From 1."""

    pressed: Pressed
    action: Any
    """Numbers, nested as in the array that they are."""

    dtype: str
    """Of that array."""

    reward: float
    terminated: bool
    truncated: bool
    success: bool | None
    facts: Mapping[str, bool]
    frame: int
    """Its number among the different ones; the first frame has 0."""

    png: str = ""
    """In base 64, where it is a new one."""


@dataclass(frozen=True)
class Back:
    """A line for a way back."""

    back: int
    """So many steps stand."""


@dataclass(frozen=True, eq=False)
class Draft:
    """An episode that was left behind, as it was read."""

    path: Path
    beginning: Beginning
    steps: tuple[Step, ...]
    pictures: tuple[Frame, ...]
    """Every different one that was seen, on steps that were undone, too: RGB uint8 (H, W, 3)."""

    def frame(self, steps: int) -> Frame:
        """What was seen after so many steps."""
        return self.pictures[self.steps[steps - 1].frame if steps else 0]

    def trajectory(self, source: Source) -> Trajectory:
        """What was driven, as an episode. Raises `DamagedFile` where its parts do not fit each other."""
        return files.parse(self.path, lambda: self._trajectory(source))

    def _trajectory(self, source: Source) -> Trajectory:
        facts = (self.beginning.facts, *(step.facts for step in self.steps))
        last = self.steps[-1]
        return Trajectory(
            frames=np.stack([self.frame(number) for number in range(len(self.steps) + 1)]),
            actions=np.stack([_action(step) for step in self.steps]),
            rewards=np.array([step.reward for step in self.steps], np.float64),
            terminated=last.terminated,
            truncated=last.truncated,
            success=last.success,
            source=source,
            seed=self.beginning.seed,
            env_id=self.beginning.env_id,
            versions=self.beginning.versions,
            facts={name: np.array([now[name] for now in facts], np.bool_) for name in facts[0]},
        )


def _action(step: Step) -> NDArray[Any]:
    dtype = np.dtype(step.dtype)
    if dtype.kind not in "biuf":
        raise ValueError(f"an action is of {dtype}, which is no number")
    return np.array(step.action, dtype)


# Reading


def left_behind(session: Session) -> list[str]:
    """The names of drafts that nobody is at, the newest first; they are not read."""
    try:
        paths = files.listed(session.inside(DRIVING), NAME)
    except DamagedFile:
        return []
    return [path.stem for path in reversed(paths) if path.is_file() and not path.is_symlink() and _free(path)]


def _free(path: Path) -> bool:
    try:
        with files.opened(path, LIMIT_BYTES) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return False
    except DamagedFile:
        return True  # who opens it is told
    return True


@contextlib.contextmanager
def locked(session: Session, name: str) -> Iterator[tuple[Path, BinaryIO]]:
    """A draft's path and its file, open at its end, which nobody else is at for the length of the block.

    Raises:
        BadInput: there is none by this name, or somebody is at it.
        DamagedFile: it is a link or no plain file.
    """
    path, file = take(session, name)
    try:
        yield path, file
    finally:
        file.close()


def discard(session: Session, name: str) -> None:
    """Take a draft away. Raises what `locked` raises."""
    with locked(session, name) as (path, _):
        files.remove(path)


def take(session: Session, name: str) -> tuple[Path, BinaryIO]:
    """The same until the file is closed."""
    path = session.inside(DRIVING) / f"{name}.jsonl"
    if not NAME.fullmatch(path.name) or not files.there(path):
        raise BadInput(f"there is no unsaved episode {name[:40]!r} any more; it was saved or discarded in another tab")
    file = files.append_to(path)
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return path, file
        except BlockingIOError as error:
            if time.monotonic() > until:
                file.close()
                raise BadInput(f"the unsaved episode {name} is being driven in another tab") from error
            time.sleep(0.02)


def read(path: Path) -> Draft:
    """What a draft holds; a line that was cut short is passed over.

    Raises:
        FileNotFoundError: there is none.
        DamagedFile: it is none, holds no step, or its lines do not follow each other.
    """
    with files.opened(path, LIMIT_BYTES) as file:
        return files.parse(path, lambda: _read(file, path))


def _read(file: BinaryIO, path: Path) -> Draft:
    rows, name = _rows(file), files.label(path.name)
    beginning = strict.build(Beginning, next(rows, None))
    pictures = [_frame(beginning.png, name)]
    steps: list[Step] = []
    for row in rows:
        if "back" in row:
            steps = steps[: strict.build(Back, row).back]
            continue
        step = strict.build(Step, row)
        if step.png:
            _check_room(pictures)
            pictures.append(_frame(step.png, name))
        if step.step != len(steps) + 1 or not 0 <= step.frame < len(pictures) or len(steps) >= STEPS_MAX:
            raise ValueError(f"step {step.step} does not follow step {len(steps)}")
        steps.append(step)
    if not steps:
        raise ValueError("it holds no step")
    if (len(steps) + 1) * pictures[0].nbytes > EPISODE_LIMIT_BYTES or len({one.shape for one in pictures}) > 1:
        raise ValueError("its frames are of several sizes, or more than are held in memory")
    return Draft(path, beginning, tuple(steps), tuple(pictures))


def _rows(file: BinaryIO) -> Iterator[dict[str, Any]]:
    while line := file.readline(2 * strict.TEXT_CHARS_MAX):
        try:
            row = strict.loads(line)
        except ValueError:
            continue  # cut short; that a step is missing is seen by the numbers of the next
        if isinstance(row, dict):
            yield row


def _check_room(pictures: list[Frame]) -> None:
    if (len(pictures) + 1) * pictures[0].nbytes > EPISODE_LIMIT_BYTES:
        raise ValueError("its frames are more than are held in memory")


def _frame(text: str, name: str) -> Frame:
    return files.from_png(base64.b64decode(text, validate=True), name)


# Driving on


def drive_on(driver: Driver, draft: Draft) -> None:
    """Press the same again from the same seed.

    Raises:
        BadInput: that does not lead to the same frames and rewards. The driver is at the beginning of an episode then.
    """
    driver.begin(draft.beginning.seed)
    for number in range(len(draft.steps) + 1):
        if number:
            _again(driver, draft.steps[number - 1])
        if not np.array_equal(driver.frame, draft.frame(number)):
            _refuse(driver, number)


def _again(driver: Driver, step: Step) -> None:
    try:
        driver.press(step.pressed)
    except BadInput as error:
        _refuse(driver, step.step, error)
    if driver.episode.rewards[-1] != step.reward:
        _refuse(driver, step.step)


def _refuse(driver: Driver, number: int, why: Exception | None = None) -> None:
    driver.begin(driver.episode.seed)
    raise BadInput(
        f"it cannot be driven on from: the same {number} presses do not lead to the same frame and reward here again "
        "(another version or other settings, or an environment that is not the same twice); save it as it is, or "
        "discard it"
    ) from why
