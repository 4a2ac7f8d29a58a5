"""Putting runs into the line, and serving it: `python -m vlmcar_core.launching <launcher>` is the process that does."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from vlmcar_core import jobs, plugins, queue
from vlmcar_core.errors import BadInput
from vlmcar_core.jobs import Job
from vlmcar_core.queue import Entry

STEP_SECONDS = 0.5
LEAVING_SECONDS = 10.0


def start(folder: Path, command: Sequence[str], launcher: str = "local", address: str = "") -> Job:
    """Put a run into the line; it starts by itself when its turn comes, whoever has ended by then.

    Args:
        folder: the run's; it holds what is to be trained.
        command: what follows `vlmcar` to be that run.
        launcher: where, one of `launchers/`.
        address: of the cluster, where the launcher wants one.

    Raises:
        UnknownName: there is no such launcher.
        BadInput: it cannot be used here, or not with this address; or the run is in the line already.
    """
    place = plugins.load("launchers", launcher)
    place.check(address)
    entry = queue.new_entry(folder, tuple(command), launcher, address, place.HERE, time.time())
    _add(folder, entry)
    jobs.awake(launcher, sure=True)
    return jobs.read(folder)


def _add(folder: Path, entry: Entry) -> None:
    """A run that says it has ended may still be leaving the line; that is waited for."""
    until = time.monotonic() + LEAVING_SECONDS
    while True:
        try:
            queue.add(entry, lambda: jobs.announce(folder, "train", entry))
            return
        except BadInput:
            if jobs.ended(folder) is None or time.monotonic() > until:
                raise
        time.sleep(STEP_SECONDS / 5)


def serve(launcher: str) -> None:
    """Serve a launcher until it has no entry left; return at once where another process does.

    Whoever adds an entry just when the last has ended either finds this process still serving, and then it looks once
    more, or finds nobody, and starts another.
    """
    while _left(launcher):
        with queue.serving(launcher) as alone:
            if not alone:
                return
            with plugins.load("launchers", launcher).opened() as advance:
                while entries := _left(launcher):
                    advance(entries)
                    time.sleep(STEP_SECONDS)


def _left(launcher: str) -> list[Entry]:
    return [entry for entry in queue.entries() if entry.launcher == launcher]


if __name__ == "__main__":
    serve(sys.argv[1])
