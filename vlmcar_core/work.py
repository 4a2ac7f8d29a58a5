"""All that is under way: what is at work and what waits, over all sessions, and what it uses of this machine."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from vlmcar_core import files, jobs, queue
from vlmcar_core.errors import DamagedFile
from vlmcar_core.jobs import Job
from vlmcar_core.queue import Entry
from vlmcar_core.store import COMPARISONS, Listing, Session, sessions


@dataclass(frozen=True)
class Usage:
    """What a job's processes use, its own and those that it started."""

    memory_bytes: int
    """Resident; what processes share counts for each of them."""

    cores: float
    """Since it was looked at last by this process; before that since it began."""


@dataclass(frozen=True)
class Work:
    """A job that has not ended."""

    session: str
    """The name of its session; empty for a comparison of models."""

    label: str
    """Such as runs/003."""

    job: Job
    entry: Entry | None = None
    """In the line, if it came through the line."""

    elsewhere: bool = False
    """In another folder of sessions than the one that was looked at."""

    @property
    def place(self) -> int:
        """In line, from 1; 0 where it does not wait."""
        return queue.place(self.entry) if self.entry is not None else 0


def under_way(root: Path) -> Listing[Work]:
    """What is at work, then what waits, in the order of the line.

    Args:
        root: the folder of the sessions; what the line has of other folders is listed, too.
    """
    problems: list[str] = []
    entries = {entry.folder: entry for entry in queue.entries()}
    found = list(_of_sessions(root, entries, problems))
    seen = {str(work.job.folder.resolve()) for work in found}
    found += _of_elsewhere([entry for entry in entries.values() if entry.folder not in seen], root, problems)
    order = list(entries)

    def rank(work: Work) -> tuple[bool, int, float]:
        waits = work.job.state == "waiting"
        place = order.index(work.entry.folder) if work.entry is not None else -1
        return waits, place, work.job.started

    return Listing(tuple(sorted(found, key=rank)), tuple(problems))


def _of_sessions(root: Path, entries: dict[str, Entry], problems: list[str]) -> Iterator[Work]:
    for name, folder in _folders(root, problems):
        try:
            job = jobs.read(folder)
        except (DamagedFile, FileNotFoundError):
            continue  # its own session's pages name it
        if job.running:
            label = f"{folder.parent.name}/{folder.name}"
            yield Work(name, label, job, entries.get(str(folder.resolve())))


def _folders(root: Path, problems: list[str]) -> Iterator[tuple[str, Path]]:
    """(session, folder) of every job there ever was."""
    for name in sessions(root).items:
        session = Session(root / name)
        try:
            yield from ((name, folder) for folder in (*session.run_folders(), *session.job_folders()))
        except DamagedFile as error:
            problems.append(f"session {name}: {error}")
    try:
        comparisons = files.folder(root, COMPARISONS)
        yield from (("", folder) for folder in files.listed(comparisons, files.NUMBER) if not folder.is_symlink())
    except DamagedFile as error:
        problems.append(str(error))


def _of_elsewhere(entries: list[Entry], root: Path, problems: list[str]) -> Iterator[Work]:
    for entry in entries:
        folder = Path(entry.folder)
        inside = folder.parent.parent.parent == root.resolve()
        try:
            job = jobs.read(folder)
        except (DamagedFile, FileNotFoundError) as error:
            problems.append(f"in the line: {error}")
            continue
        if job.running and not inside:
            yield Work(folder.parent.parent.name, f"{folder.parent.name}/{folder.name}", job, entry, elsewhere=True)


_looked: dict[tuple[int, float], tuple[float, float]] = {}
"""Of this process: a process by pid and creation, to when it was looked at last and its CPU seconds then."""


def usage(folder: Path) -> Usage | None:
    """What a job at work on this machine uses; None for any other."""
    try:
        process = jobs.process(folder)
        if process is None:
            return None
        memory, seconds = 0, 0.0
        for one in (process, *process.children(recursive=True)):
            memory += one.memory_info().rss
            times = one.cpu_times()
            seconds += times.user + times.system
        created = process.create_time()
    except (psutil.Error, DamagedFile):
        return None
    now = time.time()
    before, spent = _looked.get((process.pid, created), (created, 0.0))
    _looked[process.pid, created] = (now, seconds)
    return Usage(memory, max(0.0, seconds - spent) / max(now - before, 0.01))
