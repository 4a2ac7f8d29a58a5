"""Frames of stored trajectories, held in memory: packed, so that many fit, and read from their files only once."""

import random
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vlmcar_core import recordings
from vlmcar_core.recordings import Distinct

LIMIT_BYTES = 256 * 1024 * 1024
LEVEL = 1
"""Of zlib: quick, and a drawn picture is packed fifty times smaller already."""

Key = tuple[str, int, int, int]
"""Path, inode, time of the last change in ns, and size: another file by the same name is another trajectory."""


@dataclass(frozen=True, eq=False)
class _Packed:
    frames: Sequence[bytes]
    shape: tuple[int, ...]
    order: NDArray[np.int32]

    @property
    def nbytes(self) -> int:
        return sum(map(len, self.frames)) + self.order.nbytes

    def unpacked(self) -> Distinct:
        frames = np.empty(self.shape, np.uint8)
        size = frames[0].nbytes
        for number, data in enumerate(self.frames):
            frames[number] = np.frombuffer(zlib.decompress(data, bufsize=size), np.uint8).reshape(self.shape[1:])
        return Distinct(frames, self.order)


class Holding:
    """What was read of trajectories lately, within a limit; for any thread.

    Which one gives way to another is drawn by lot: where more are read in turn than fit, the one used longest ago would
    always be the one that is needed next.
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit, self._held_bytes = limit_bytes, 0
        self._held: dict[Key, _Packed] = {}
        self._lock = threading.Lock()
        self._lot = random.Random(0)

    def distinct(self, path: Path) -> Distinct:
        """The frames of a stored trajectory; as `recordings.read_distinct`, raising what it raises."""
        key = _key(path)
        with self._lock:
            packed = self._held.get(key)
        if packed is not None:
            return packed.unpacked()
        found = recordings.read_distinct(path)
        self._keep(
            key, _Packed([zlib.compress(frame, LEVEL) for frame in found.frames], found.frames.shape, found.order)
        )
        return found

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return self._held_bytes

    def _keep(self, key: Key, packed: _Packed) -> None:
        if packed.nbytes > self._limit:
            return
        with self._lock:
            for other in [other for other in self._held if other[0] == key[0]]:
                self._drop(other)
            while self._held_bytes + packed.nbytes > self._limit:
                self._drop(self._lot.choice(list(self._held)))
            self._held[key] = packed
            self._held_bytes += packed.nbytes

    def _drop(self, key: Key) -> None:
        self._held_bytes -= self._held.pop(key).nbytes


def _key(path: Path) -> Key:
    found = path.stat(follow_symlinks=False)
    return (str(path), found.st_ino, found.st_mtime_ns, found.st_size)


HOLDING = Holding()
"""Of this process."""
