"""The line: every run that was asked for and has not ended, of all sessions, in the order in which they were asked for.

It lies in one folder of the person (`VLMCAR_QUEUE`), outside every session: what a stranger's session says is never
started, and no address in it is ever asked.

    line.json             the entries in order; changed only while `line.lock` is held, and replaced whole
    <launcher>.serving    held by the process that serves this launcher
    <launcher>.log        what that process printed
    places/<id>.lock      held by a run of this machine for as long as it lives

All locks are `flock`s, which the operating system takes from a process when it ends, however it ends. So there is
nothing to clean up after a process was killed, and nothing that can stay locked.
"""

import fcntl
import os
import platform
import re
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from vlmcar_core import files
from vlmcar_core.errors import BadInput
from vlmcar_core.escaping import one_line

FOLDER_VARIABLE, CORES_VARIABLE = "VLMCAR_QUEUE", "VLMCAR_CORES"
LINE, LOCK, PLACES = "line.json", "line.lock", "places"
LINE_MAX = 10_000
"""Entries; the file is read as a whole."""

CORES_MAX = 4096
TAKING_TRIES, TAKING_SECONDS = 10, 0.05
ID = re.compile(r"[0-9a-f]{32}")
CARRIED = re.compile(
    r"VLMCAR_(?!.*KEY)\w+|PATH|PYTHONPATH|TMPDIR|VIRTUAL_ENV|CUDA_VISIBLE_DEVICES|MUJOCO_GL|"
    r"(OMP|OPENBLAS|MKL)_NUM_THREADS|VECLIB_MAXIMUM_THREADS"
)
"""The variables of the environment that a run takes along from where it was asked for. No key is among them."""


@dataclass(frozen=True)
class Entry:
    """A run in the line."""

    id: str
    folder: str
    """The run's, absolute."""

    command: tuple[str, ...]
    """What follows `vlmcar` to be that run."""

    launcher: str = "local"
    address: str = ""
    """Of the cluster, where the launcher wants one."""

    here: bool = True
    """Its process is one of this machine."""

    cores: int = 1
    """It starts only where fewer runs than that are at work on this machine."""

    python: str = sys.executable
    working_folder: str = "/"
    environment: Mapping[str, str] = field(default_factory=dict)
    asked: float = 0.0
    """Unix time, seconds."""

    started: float | None = None
    """Unix time at which it left the line, seconds; None while it waits."""

    tries: int = 0
    """How often it was started."""

    note: str = ""
    """What its launcher has to say about it, if anything."""

    def __post_init__(self) -> None:
        if not ID.fullmatch(self.id):
            raise ValueError(f"{self.id!r} is no entry's id")
        if not 1 <= self.cores <= CORES_MAX:
            raise ValueError(f"{self.cores} cores are none")


@dataclass(frozen=True)
class _Line:
    entries: tuple[Entry, ...] = ()


def root() -> Path:
    """The folder: `VLMCAR_QUEUE`, or one of this machine's in the person's folder for states; made where it is not
    there.

    Raises:
        BadInput: it cannot be made, or others may write there.
    """
    chosen = os.environ.get(FOLDER_VARIABLE)
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    folder = Path(chosen) if chosen else state / "vlmcar-studio" / f"queue-{platform.node() or 'here'}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ours = files.only_ours(folder)
    except OSError as error:
        raise BadInput(
            f"the queue's folder {str(folder)!r} cannot be used ({error.strerror}); set {FOLDER_VARIABLE}"
        ) from error
    if not ours:
        raise BadInput(
            f"others may write in the queue's folder {str(folder)!r}, and what stands there is run: take that right "
            f"away, or set {FOLDER_VARIABLE} to another folder"
        )
    return folder


def cores() -> int:
    """How many runs may be at work on this machine at once: `VLMCAR_CORES`, or the cores that this process may use.

    Raises:
        BadInput: `VLMCAR_CORES` is no such number.
    """
    chosen = os.environ.get(CORES_VARIABLE)
    if not chosen:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not chosen.isdecimal() or not 1 <= int(chosen) <= CORES_MAX:
        raise BadInput(f"{CORES_VARIABLE} is a whole number from 1 to {CORES_MAX}, not {chosen!r}")
    return int(chosen)


def new_entry(folder: Path, command: tuple[str, ...], launcher: str, address: str, here: bool, asked: float) -> Entry:
    """An entry as it is asked for now, by this process, with its interpreter and its environment."""
    environment = {name: value for name, value in os.environ.items() if CARRIED.fullmatch(name)}
    return Entry(
        id=uuid.uuid4().hex,
        folder=str(folder.resolve()),
        command=command,
        launcher=launcher,
        address=address,
        here=here,
        cores=cores(),
        working_folder=str(Path.cwd()),
        environment=environment,
        asked=asked,
    )


# Looking


_seen: dict[Path, tuple[tuple[int, int, int], tuple[Entry, ...]]] = {}
"""Of this process: the line as it was read last, by its file's inode, time and size. Pages ask often."""


def entries() -> tuple[Entry, ...]:
    """The line, in order; those at work, too.

    Raises:
        DamagedFile: it cannot be read.
    """
    path = root() / LINE
    try:
        found = path.lstat()
    except FileNotFoundError:
        return ()
    key = (found.st_ino, found.st_mtime_ns, found.st_size)
    known = _seen.get(path)
    if known is None or known[0] != key:
        known = _seen[path] = (key, _read(path))
    return known[1]


def _read(path: Path) -> tuple[Entry, ...]:
    try:
        return files.read_as(_Line, path).entries
    except FileNotFoundError:
        return ()


def find(id: str, folder: Path) -> Entry | None:
    """The entry with this id, if it is really about this folder."""
    for entry in entries() if id else ():
        if entry.id == id and entry.folder == str(folder.resolve()):
            return entry
    return None


def place(entry: Entry) -> int:
    """Its place among those that wait for the same launcher, from 1; 0 where it does not wait."""
    waiting = [other.id for other in entries() if other.started is None and other.launcher == entry.launcher]
    return waiting.index(entry.id) + 1 if entry.id in waiting else 0


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, …"""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


# Changing


@contextmanager
def changing() -> Iterator[list[Entry]]:
    """The line, to be changed in place; nobody else changes it meanwhile, and how the block leaves it is kept, except
    where it raises."""
    folder = root()
    with files.appending(folder / LOCK) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = _read(folder / LINE)
        line = list(before)
        yield line
        if tuple(line) != before:
            files.write_json(folder / LINE, asdict(_Line(tuple(line))))


def add(entry: Entry, announce: Callable[[], None]) -> None:
    """Put it at the end.

    Args:
        entry: what.
        announce: called just before it is there, once it is sure that it may be.

    Raises:
        BadInput: the run is in the line already, or the line is too long.
    """
    with changing() as line:
        line[:] = [other for other in line if other.folder != entry.folder or not _is_gone(other)]
        if any(other.folder == entry.folder for other in line):
            raise BadInput(f"run {one_line(Path(entry.folder).name)} is in the queue already")
        if len(line) >= LINE_MAX:
            raise BadInput(f"{LINE_MAX:,} runs are in the queue already; wait until some have ended")
        announce()
        line.append(entry)


def _is_gone(entry: Entry) -> bool:
    """Its process has ended, and nobody has taken it out yet."""
    return entry.here and entry.started is not None and not occupied(entry.id)


def drop_waiting(id: str) -> bool:
    """Take an entry out of the line, if it still waits; tells whether it did."""
    with changing() as line:
        for entry in line:
            if entry.id == id and entry.started is None and not occupied(id):
                line.remove(entry)
                return True
    return False


def change(id: str, **changes: Any) -> None:
    """Change fields of an entry, if it is still there."""
    with changing() as line:
        for number, entry in enumerate(line):
            if entry.id == id:
                line[number] = replace(entry, **changes)


def remove(id: str) -> None:
    """Take an entry out, if it is still there."""
    with changing() as line:
        line[:] = [entry for entry in line if entry.id != id]


def move_up(id: str, to_front: bool = False) -> None:
    """Let a waiting run pass the one that waits before it for the same launcher, or all of them."""
    with changing() as line:
        for entry in line:
            if entry.id == id and entry.started is None:
                before = [other for other in line[: line.index(entry)] if _passable(other, entry)]
                if before:
                    target = line.index(before[0] if to_front else before[-1])
                    line.remove(entry)
                    line.insert(target, entry)
                return


def _passable(other: Entry, entry: Entry) -> bool:
    return other.started is None and other.launcher == entry.launcher


# Locks


@contextmanager
def occupying(id: str) -> Iterator[int]:
    """Hold the lock of a run's place; gives the descriptor, for the run's process to inherit.

    The process that inherits it holds it on when this block is left, and for as long as it lives.
    """
    with files.appending(_place(id)) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def occupied(id: str) -> bool:
    """Whether the run lives."""
    return _held(_place(id))


def leave(id: str) -> None:
    """Forget the place of a run that has ended."""
    files.remove(_place(id))


def _place(id: str) -> Path:
    folder = root() / PLACES
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{id}.lock"


@contextmanager
def serving(launcher: str) -> Iterator[bool]:
    """Be the one process that serves a launcher; gives False where there is one."""
    with files.appending(root() / f"{launcher}.serving") as file:
        for _ in range(TAKING_TRIES):
            if _taken(file, fcntl.LOCK_EX):
                yield True
                return
            time.sleep(TAKING_SECONDS)  # somebody may only have looked, which holds it for a moment
        yield False


def served(launcher: str) -> bool:
    """Whether there is a process that serves it."""
    return _held(root() / f"{launcher}.serving")


@contextmanager
def alone(what: str) -> Iterator[None]:
    """Wait until nobody else of this person does this, and do it alone."""
    with files.appending(root() / f"{what}.alone") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _held(path: Path) -> bool:
    if not files.there(path):
        return False
    with files.appending(path) as file:
        return not _taken(file, fcntl.LOCK_SH)


def _taken(file: BinaryIO, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
