"""The process that parses: `main(["video", path, "5"])` answers requests, a line of JSON each (see `_apart.py`).

In this order, before it reads a byte of a stranger's file with a library in C: it loads the library and has it decode
something of our own, so that nothing is left to be loaded; opens the files that the reader names; and seals itself.
Arrays go to one file that its parent opened (the descriptor in its arguments), one after the other from the beginning.
"""

import json
import os
import resource
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from vlmcar_core import files, plugins
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.readers import FILE_LIMIT_BYTES, Material
from vlmcar_core.readers._apart import FRAMES, Held, Told
from vlmcar_core.sandbox.inside import seal

MEMORY_BYTES = 6 * 1024**3
"""Twice the frames of an episode, and what the libraries need."""

OUT_BYTES = 2 * 1024**3
DESCRIPTORS = 64
"""So many are left for other things than the files that are read."""

UNSEALED = "the process that reads this could not be sealed here ({}), as one that runs checkers is"


def main(arguments: Sequence[str]) -> None:
    """Answer until nobody asks any more. What is no `BadInput` ends the process, which is an answer, too."""
    name, path, out = arguments
    serve(plugins.load("readers", name), Path(path), int(out))


def serve(reader: ModuleType, path: Path, out: int) -> None:
    """The same for a reader: `wanted(path)`, `warm_up()` and `inside(path, opened)`."""
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, OUT_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is no answer
    desk = Desk(reader, path, os.fdopen(out, "wb", buffering=0))
    desk.prepare(written=(1, 2, answers.fileno(), out))
    for line in sys.stdin:
        try:
            answer = desk.answer(json.loads(line))
        except BadInput as error:
            answer = {"error": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


class Desk:
    """What is open, and what was said of it."""

    def __init__(self, reader: ModuleType, path: Path, out: BinaryIO) -> None:
        self._reader, self._path, self._out = reader, path, out
        self._material: Material | None = None
        self._stack = ExitStack()
        self._opened: dict[Path, BinaryIO] = {}
        self._refused: BadInput | None = None
        self._note = ""

    def prepare(self, written: Sequence[int]) -> None:
        """Open, load, and seal; what cannot be opened is told to whoever asks."""
        try:
            self._opened = _opened(self._reader.wanted(self._path), self._stack)
        except (BadInput, DamagedFile) as error:
            self._refused = BadInput(str(error))
        self._reader.warm_up()
        try:
            seal.seal_parser(written, MEMORY_BYTES, OUT_BYTES)
        except seal.Unsealed as error:
            self._note = UNSEALED.format(error)

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Raises `BadInput` for what cannot be read."""
        if self._refused is not None:
            raise self._refused
        if self._material is None:
            found: Material = self._reader.inside(self._path, self._opened)
            self._material = replace(found, notes=(*found.notes, *([self._note] if self._note else ())))
        return _held(self._material, request["number"], self._out) if "number" in request else _told(self._material)


def _opened(paths: Sequence[Path], stack: ExitStack) -> dict[Path, BinaryIO]:
    """Each of them for reading, as long as the stack is there.

    Raises:
        BadInput: one is no plain file that can be read, or they are too many.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and len(paths) > most - DESCRIPTORS:
        raise BadInput(f"{len(paths):,} files are more than are open at once here; take them in parts of {most // 2:,}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        return {path: stack.enter_context(files.opened(path, FILE_LIMIT_BYTES)) for path in paths}
    except FileNotFoundError as error:
        name = files.label(Path(error.filename).name)
        raise BadInput(f"there is no {name} in {files.label(paths[0].parent.name)}: it is not whole") from error
    except DamagedFile as error:
        raise BadInput(str(error)) from error


def _told(material: Material) -> dict[str, Any]:
    return asdict(
        Told(material.title, material.name, material.count, material.lossy, material.notes, dict(material.settings))
    )


def _held(material: Material, number: int, out: BinaryIO) -> dict[str, Any]:
    episode = material.read(number)
    arrays: dict[str, NDArray[Any]] = dict(episode.arrays)
    frames = next((name for name, array in arrays.items() if array is episode.frames), None)
    if episode.frames is not None and frames is None:
        frames, arrays = FRAMES, {**arrays, FRAMES: episode.frames}
    at = None if frames is None else list(arrays).index(frames)
    ends = _written(out, list(arrays.values()))
    return asdict(Held(episode.name, episode.seed, episode.env_id, episode.source, tuple(arrays), ends, at))


def _written(out: BinaryIO, arrays: Sequence[NDArray[Any]]) -> tuple[int, ...]:
    """Where each of them ends in the file, in bytes."""
    out.seek(0)
    out.truncate(0)
    ends = []
    for array in arrays:
        np.lib.format.write_array(_Stream(out), array, version=(1, 0), allow_pickle=False)
        ends.append(out.tell())
    return tuple(ends)


class _Stream:
    """A file that NumPy does not know for one: it would open it anew by its descriptor."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]
        return len(data)
