"""A run's folder, told through the output of a process that runs elsewhere, and written again here.

Nothing but that output has to come back, so no storage has to be shared. Each line of it that begins with `MARK` holds
a piece of one file. Files that only grow (rows, logs) are told as they grow; others whole, whenever they were replaced,
and written only once they came whole. Reading the output again from its beginning changes nothing, so whoever collects
may be killed and begin again.
"""

import base64
import binascii
import json
import os
import re
import signal
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from vlmcar_core import files, jobs, runs, strict
from vlmcar_core.errors import DamagedFile

MARK = "vlmcar-relay "
PIECE_BYTES = 12 * 1024
"""Its line stays below what Ray passes on in one message (20,000 characters)."""

FILE_LIMIT_BYTES = 512 * 1024 * 1024
LINE_CHARS_MAX = 64 * 1024
PASS_SECONDS = 1.0
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=-]{0,120}")
GROWS = re.compile(r".*\.(?:jsonl|txt)|events\.out\.tfevents\..*")
KEPT_HERE = (jobs.LAUNCH, jobs.CANCEL, runs.CONFIG)
"""They belong to the one who asked for the run."""


@dataclass(frozen=True)
class Piece:
    """A piece of a file."""

    name: str
    """Of the file, in the run's folder or in one of its folders."""

    at: int
    """Where it begins, bytes."""

    data: str
    """Base64."""

    size: int | None = None
    """Of the whole file, bytes; None for one that grows."""

    crc: int = 0
    """CRC-32 of the whole file; 0 for one that grows."""


# There


@contextmanager
def relaying(folder: Path) -> Iterator[None]:
    """For the length of the block, tell the folder on standard output; what the block prints goes to its log.

    Where the process that started this one is gone, nobody listens any more, and the run is asked to stop.
    """
    files.folder(folder).mkdir(parents=True, exist_ok=True)
    out, errors = os.dup(1), os.dup(2)
    teller, stop, parent = Teller(folder), threading.Event(), os.getppid()

    def go_on() -> None:
        while not stop.wait(PASS_SECONDS):
            _write(out, teller)
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    thread = threading.Thread(target=go_on, daemon=True)
    with files.appending(folder / jobs.LOG) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            _write(out, teller)
            os.dup2(out, 1)
            os.dup2(errors, 2)
            os.close(out)
            os.close(errors)


def _write(out: int, teller: "Teller") -> None:
    for line in teller.lines():
        data = line.encode()
        while data:
            data = data[os.write(out, data) :]


class Teller:
    """What changed in a folder since it was asked last."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told: dict[str, tuple[int, int, int]] = {}

    def lines(self) -> Iterator[str]:
        """The lines that tell it; the state comes last, so that what it says is there when it arrives."""
        for path in sorted(_files(self._folder), key=lambda path: path.name == jobs.STATUS):
            name = str(path.relative_to(self._folder))
            try:
                found = path.lstat()
                key = (found.st_ino, found.st_size, found.st_mtime_ns)
                if self._told.get(name) == key:
                    continue
                pieces = list(self._pieces(name, path))
            except (FileNotFoundError, DamagedFile):
                continue
            self._told[name] = key
            yield from (f"{MARK}{json.dumps(vars(piece))}\n" for piece in pieces)

    def _pieces(self, name: str, path: Path) -> Iterator[Piece]:
        grows = GROWS.fullmatch(path.name) is not None
        data = files.read_bytes(path, FILE_LIMIT_BYTES)
        size, crc = (None, 0) if grows else (len(data), zlib.crc32(data))
        before = self._told.get(name)
        begin = before[1] if grows and before is not None and before[1] <= len(data) else 0
        for at in range(begin, max(len(data), begin + 1), PIECE_BYTES):
            yield Piece(name, at, base64.b64encode(data[at : at + PIECE_BYTES]).decode(), size, crc)


def _files(folder: Path) -> Iterator[Path]:
    """Those to be told, of the folder and of the folders in it."""
    for path in files.listed(folder, NAME):
        if path.is_symlink() or path.name in KEPT_HERE:
            continue
        if path.is_dir():
            yield from (inner for inner in files.listed(path, NAME) if inner.is_file() and not inner.is_symlink())
        else:
            yield path


# Here


@dataclass
class Collector:
    """Writes into a run's folder what is told of it."""

    folder: Path
    heard: bool = False
    """Something was told."""

    last: str = ""
    """The last line of the output that told nothing of the folder."""

    _rest: str = ""
    _whole: dict[str, bytearray] = field(default_factory=dict)

    def take(self, text: str) -> None:
        """The next part of the output."""
        *lines, self._rest = (self._rest + text).split("\n")
        self._rest = self._rest[:LINE_CHARS_MAX]
        for line in lines:
            if line.startswith(MARK):
                self._piece(line.removeprefix(MARK))
            elif line.strip():
                self.last = line.strip()[:300]

    def _piece(self, text: str) -> None:
        """A line that was cut, or tells what no run tells, is passed over: the file comes again, or is not written."""
        try:
            piece = strict.build(Piece, strict.loads(text.encode()))
            data = base64.b64decode(piece.data, validate=True)
        except (ValueError, binascii.Error):
            return
        path = self._path(piece.name)
        if path is None or not 0 <= piece.at <= FILE_LIMIT_BYTES:
            return
        self.heard = True
        if piece.size is None:
            _grow(path, piece.at, data)
        elif (whole := self._joined(piece, data)) is not None:
            files.write_bytes(path, _without_process(whole) if path.name == jobs.STATUS else whole)
            if runs.CHECKPOINT.fullmatch(path.name):
                for older in files.listed(path.parent, runs.CHECKPOINT):
                    if older.name < path.name:
                        files.remove(older)

    def _path(self, name: str) -> Path | None:
        """None for a name that no file of a run has."""
        *folders, last = name.split("/")
        if len(folders) > 1 or last in KEPT_HERE or not all(NAME.fullmatch(part) for part in (*folders, last)):
            return None
        inside = files.folder(self.folder, *folders)
        inside.mkdir(exist_ok=True)
        return inside / last

    def _joined(self, piece: Piece, data: bytes) -> bytes | None:
        """The whole file, once its last piece is there."""
        if piece.at == 0:
            self._whole[piece.name] = bytearray()
        whole = self._whole.get(piece.name)
        if whole is None or len(whole) != piece.at or piece.size is None or piece.size > FILE_LIMIT_BYTES:
            return None
        whole += data
        if len(whole) < piece.size:
            return None
        del self._whole[piece.name]
        return bytes(whole) if zlib.crc32(whole) == piece.crc else None


def _grow(path: Path, at: int, data: bytes) -> None:
    """A first piece that differs from what is there begins the file anew: it is another try's."""
    with files.appending(path) as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(0)
        if at == 0 and file.read(len(data)) != data[:size]:
            file.truncate(0)
            size = 0
        if at <= size < at + len(data):
            file.write(data[size - at :])


def _without_process(status: bytes) -> bytes:
    """The state as it is kept here: without the process, which is one of another machine, and by this machine's
    clock."""
    try:
        value = strict.loads(status)
    except ValueError:
        return status
    if not isinstance(value, dict):
        return status
    return json.dumps({**value, "pid": None, "process_created": None, "updated": time.time()}, indent=1).encode()
