"""What checkers said in training, kept on this machine: what one run asked, no other asks again.

Two tables, in which everything has one place, or one of two, and may take that of another: of frames, whether they are
known to complete something or nothing, and of what checkers take from first frames. All runs of the same checkers on
the same task share them, also at the same time and without a lock: what two write at once is in part one's and in part
the other's, and seen to be.

They lie in the person's folder for caches and in no session, where a stranger's could say anything.
"""

import contextlib
import hashlib
import json
import mmap
import os
import stat
import struct
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vlmcar_core import files
from vlmcar_core.errors import BadInput
from vlmcar_core.types import Checker, Outcome, Task

FOLDER_VARIABLE = "VLMCAR_CACHE"
SLOTS, FIRSTS = 1 << 20, 1 << 18
"""Of frames, 16 bytes each; of first frames, 32 bytes each."""
BYTES = SLOTS * 16 + FIRSTS * 32
CALLED = ("vlmcar-studio", "numpy", "opencv-python-headless", "scikit-image")
"""Packages of which an answer may depend on the version, beside those that draw frames."""

TWO = struct.Struct("<QQ")
TABLES = 8
"""Files kept on this machine, 24 MiB each; the one not opened for longest is removed first."""


MIXERS = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9], np.uint64)
"""Odd, so that no two keys become the same; from SplitMix64 (Steele, Lea, Flood 2014)."""

WAYS = 2
"""Places that a mark may have; the one that it takes where both are taken is told by its second half."""
SHIFT = np.uint64(64 - (SLOTS // WAYS - 1).bit_length())
"""What leaves a number of a pair of places of its highest bits."""

DONE = np.array([0xD1342543DE82EF95, 0xDA942042E4DD58B5], np.uint64)
"""Added to the mark of a frame that completes nothing, it is that of one that completes something."""


def marks(keys: NDArray[np.uint64], first_key: bytes, turn: int) -> NDArray[np.uint64]:
    """What frames with these keys (…, 2) are remembered by, (…, 2).

    Args:
        keys: as `Shown.frame_keys` gives them.
        first_key: of what the checker takes from the first frame, as `Judge.first_key` gives it.
        turn: the checker's.
    """
    return np.asarray(keys * MIXERS + np.frombuffer(first_key[:16], np.uint64) + np.uint64(turn))


def unknown(frames: NDArray[np.uint64], marks: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which of some marks (…, 2) are not among some frames', (…)."""
    kept = frames.reshape(-1, WAYS, 2)[marks[..., 0] >> SHIFT]
    low, high = marks[..., 0, np.newaxis], marks[..., 1, np.newaxis]
    differ = (kept[..., 0] != low) | (kept[..., 1] != high)
    return np.asarray(differ[..., 0] & differ[..., 1])


NOTHING, COMPLETES = Outcome("ok", 0.0), Outcome("ok", 1.0)
"""What is said again of a frame, where no more matters than whether it completes something."""


def holds(frames: NDArray[np.uint64], mark: NDArray[np.uint64]) -> bool:
    """Whether a mark (2,) is among some frames'."""
    return mark.tolist() in _places(frames, mark).tolist()


def _places(frames: NDArray[np.uint64], mark: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Both that this mark may have, (2, 2), to be written to."""
    return np.asarray(frames.reshape(-1, WAYS, 2)[int(mark[0] >> SHIFT)])


def recalled(frames: NDArray[np.uint64], mark: NDArray[np.uint64]) -> Outcome | None:
    """What is known of the frame with this mark (2,)."""
    if holds(frames, mark):
        return NOTHING
    return COMPLETES if holds(frames, mark + DONE) else None


def keep(frames: NDArray[np.uint64], mark: NDArray[np.uint64], outcome: Outcome) -> None:
    """What was said of the frame with this mark (2,), unless it was a fault."""
    if outcome.kind != "ok":
        return
    kept = mark + DONE if outcome.done else mark
    places = _places(frames, kept)
    there = places.tolist()
    if kept.tolist() in there:
        return
    places[there.index([0, 0]) if [0, 0] in there else int(kept[1] % WAYS)] = kept


class Known:
    """The two tables of some checkers.

    Args:
        memory: `BYTES` of them, zero at first; of this run alone if None.
    """

    def __init__(self, memory: mmap.mmap | None = None) -> None:
        whole = np.zeros(BYTES // 8, np.uint64) if memory is None else np.frombuffer(memory, np.uint64)
        self.frames = whole[: SLOTS * 2].reshape(SLOTS, 2)
        """`marks` of frames that complete nothing, and, moved by `DONE`, of those that do; a
        mark that two wrote at once is one half of each, and belongs to no frame but with a probability of 2⁻⁶⁴."""
        self._firsts = whole[SLOTS * 2 :].reshape(FIRSTS, 4)
        """A key, its second half combined with a sum of the value, and the value."""

    def first(self, key: bytes) -> bytes | None:
        """The 16 bytes that were kept under a key of 16 bytes; None where there are none any more."""
        low, high = TWO.unpack(key)
        kept = self._firsts[low % FIRSTS].tolist()
        if kept[0] != low or kept[1] != high ^ _sum(*kept[2:]):
            return None
        return TWO.pack(*kept[2:])

    def keep_first(self, key: bytes, value: bytes) -> None:
        """Keep 16 bytes under a key of 16 bytes."""
        (low, high), (one, other) = TWO.unpack(key), TWO.unpack(value)
        self._firsts[low % FIRSTS] = low, high ^ _sum(one, other), one, other


def _sum(one: int, other: int) -> int:
    """Of the two halves of a value, so that halves of two values are told from one."""
    return (one * 0x9E3779B97F4A7C15 + other * 0xBF58476D1CE4E5B9) % (1 << 64)


def shared(checkers: Sequence[Checker], task: Task, versions: Mapping[str, str]) -> Known:
    """The tables that all runs of these checkers on this task share; of this run alone where there can be none.

    Args:
        checkers: in the order of their turns.
        task: in which they are asked.
        versions: of what draws the frames.

    Raises:
        BadInput: others may write in the folder for it.
    """
    called = {name: version(name) for name in CALLED}
    said = [[checker.digest for checker in checkers], task.env_id, task.family, task.settings, versions, called]
    name = hashlib.sha256(json.dumps(said, sort_keys=True, default=dict).encode()).hexdigest()[:32]
    with contextlib.suppress(OSError):  # a full disk, a folder that cannot be written: then nothing is shared
        folder = _folder()
        path = folder / f"{name}.table"
        if not path.exists():
            _made(path)
        found = _mapped(path)
        if found is not None:
            _tidied(folder)
            return found
    return Known()


def _folder() -> Path:
    chosen = os.environ.get(FOLDER_VARIABLE)
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(chosen) / "known" if chosen else caches / "vlmcar-studio" / "known"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not files.only_ours(folder):
        raise BadInput(
            f"others may write in the folder {str(folder)!r}, and what stands there changes what training pays: take "
            f"that right away, or set {FOLDER_VARIABLE} to another folder"
        )
    return folder


def _made(path: Path) -> None:
    """An empty one, there whole or not at all. Its space is taken now: memory that has none later ends the process."""
    part = path.with_suffix(f".{os.getpid()}")
    file = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        os.posix_fallocate(file, 0, BYTES)
        with contextlib.suppress(FileExistsError):  # another run was first
            os.link(part, path)
    finally:
        os.close(file)
        part.unlink()


def _mapped(path: Path) -> Known | None:
    """None where the file is none of ours."""
    file = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_size != BYTES or found.st_uid != os.getuid():
            return None
        os.utime(file)
        return Known(mmap.mmap(file, BYTES))
    finally:
        os.close(file)


def _tidied(folder: Path) -> None:
    """A table that a run still has open stays whole for it."""
    opened = sorted(folder.glob("*.table"), key=lambda path: path.stat().st_mtime)
    for path in opened[:-TABLES]:
        path.unlink(missing_ok=True)
