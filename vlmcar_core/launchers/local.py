"""This machine: a process for each run, no more of them at once than there are cores, first come, first served."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from vlmcar_core import jobs, queue
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.queue import Entry

TITLE = "This machine"
ABOUT = "A process for each run, at most one per core at a time (VLMCAR_CORES); the others wait in line."
HERE = True
TRIES_MAX = 3
"""A process that ends before it says a word is started again so often, in all."""


def lacking() -> str:
    """Nothing: there is always this machine."""
    return ""


def check(address: str) -> None:
    """Raises `BadInput` for an address: there is nowhere to go."""
    if address:
        raise BadInput(f"the launcher 'local' takes no address; leave {address!r} out")


@contextmanager
def opened() -> Iterator[Callable[[Sequence[Entry]], None]]:
    yield advance


def advance(entries: Sequence[Entry]) -> None:
    """Take out the runs whose process has ended, and start those that may start.

    All of it under the lock of the line: a run that a person takes out of it just now is not started, and none is
    started twice. A run's process inherits the lock of its place from this one before anybody else can look; so where
    this process is killed in between, the run either lives and holds its place, or has said that it has ended, or is
    started by the next one.
    """
    mine = {entry.id for entry in entries}
    with queue.changing() as line:
        at_work = sum([_lives(line, entry) for entry in list(line) if entry.id in mine])
        for entry in [entry for entry in line if entry.id in mine and entry.started is None]:
            if at_work >= entry.cores:
                return
            at_work += _start(line, entry)


def _lives(line: list[Entry], entry: Entry) -> bool:
    """Whether a run is at work; the line is put right about it."""
    lives = queue.occupied(entry.id)
    if lives and entry.started is None:  # whoever started it was killed before it could say so
        line[line.index(entry)] = replace(entry, started=time.time(), tries=entry.tries + 1)
    elif not lives and entry.started is not None:
        _settle(line, entry)
    return lives


def _settle(line: list[Entry], entry: Entry) -> None:
    """A run whose process is gone leaves the line; one that never said a word goes back to its place in it."""
    folder = Path(entry.folder)
    if not folder.is_dir() or _spoke(folder):
        _take_out(line, entry)
    elif entry.tries < TRIES_MAX:
        line[line.index(entry)] = replace(entry, started=None, note="its process ended before it began; once more")
    else:
        jobs.tell(folder, "lost", f"its process ended {entry.tries} times before it began; log.txt may say why")
        _take_out(line, entry)


def _spoke(folder: Path) -> bool:
    try:
        return jobs.began(folder)
    except DamagedFile:
        return True


def _has_run(folder: Path) -> bool:
    """Whether one that is said to wait has come to its end: who started it was killed before that was written down."""
    try:
        return jobs.began(folder)
    except DamagedFile:
        return False  # told where it is started


def _start(line: list[Entry], entry: Entry) -> bool:
    """Whether there is a process now."""
    folder = Path(entry.folder)
    if not folder.is_dir() or _has_run(folder):
        _take_out(line, entry)
        return False
    with queue.occupying(entry.id) as descriptor:
        started = replace(entry, started=time.time(), tries=entry.tries + 1, note="")
        line[line.index(entry)] = started
        try:
            jobs.start(folder, "train", entry.command, entry=started, inherited=descriptor)
        except (OSError, DamagedFile) as error:
            jobs.tell(folder, "error", f"it could not be started ({error}); start it again")
            _take_out(line, started)
            return False
    return True


def _take_out(line: list[Entry], entry: Entry) -> None:
    line.remove(entry)
    queue.leave(entry.id)
