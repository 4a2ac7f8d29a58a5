"""A reader that a file has taken over: what it tries once it is sealed, by number."""

import ctypes
import importlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from vlmcar_core.readers import Episode, Material, _inside, minari, video

INSIDE = b"what is in the file"


def main(arguments: Sequence[str]) -> None:
    path, out = arguments
    _inside.serve(sys.modules[__name__], Path(path), int(out))


def wanted(path: Path) -> list[Path]:
    return [path]


def warm_up() -> None:
    minari.warm_up()
    video.warm_up()


def hdf5_by_path(path: Path) -> object:
    import h5py

    return h5py.File(path)


def film_by_path(path: Path) -> object:
    import av

    return av.open(str(path))


def threaded() -> None:
    thread = threading.Thread(target=print)
    thread.start()


ATTEMPTS: dict[str, Callable[[Path, BinaryIO], object]] = {
    "what is open": lambda _, file: file.seek(0) == 0 and file.read() == INSIDE,
    "the same file again": lambda path, _: path.read_bytes(),
    "another file": lambda *_: Path("/etc/hostname").read_text(),
    "a new file": lambda path, _: path.with_suffix(".new").write_text("x"),
    "write into what is open": lambda _, file: os.write(file.fileno(), b"x"),
    "a link": lambda path, _: path.with_suffix(".link").symlink_to("/"),
    "a name": lambda path, _: path.unlink(),
    "a folder": lambda path, _: list(path.parent.iterdir()),
    "an internet socket": lambda *_: socket.socket(socket.AF_INET),
    "a local socket": lambda *_: socket.socket(socket.AF_UNIX),
    "a process": lambda *_: os.fork(),
    "a program": lambda *_: subprocess.run(["/bin/true"], check=True),
    "a thread": lambda *_: threaded(),
    "a signal": lambda *_: os.kill(os.getppid(), 0),
    "a library": lambda path, _: ctypes.CDLL(str(path)),
    "a module": lambda *_: importlib.import_module("wave"),
    "HDF5 by its path": lambda path, _: hdf5_by_path(path),
    "a film by its path": lambda path, _: film_by_path(path),
    "a film by an address": lambda *_: film_by_path(Path("http://127.0.0.1:1/a.mp4")),
}


def attempted(attempt: Callable[[], object]) -> str:
    """What came of it, in a word."""
    try:
        return f"had: {attempt()}"
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        return f"refused: {type(error).__name__}"


def inside(path: Path, opened: Mapping[Path, BinaryIO]) -> Material:
    names = list(ATTEMPTS)

    def read(number: int) -> Episode:
        attempt = ATTEMPTS[names[number]]
        return Episode(attempted(lambda: attempt(path, opened[path])), None, {})

    notes: tuple[str, ...] = ()
    settings: dict[str, Any] = {"names": names}
    return Material("gone bad", path.name, len(names), read, "", notes, settings)
