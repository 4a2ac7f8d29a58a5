"""A Ray cluster that is there already: each run is a Ray job, on whichever worker has a core for it.

The job takes along what the run needs of its session, and tells its folder through its output (see _relay.py), so no
storage is shared; each worker needs `vlmcar-studio` installed, where `python` finds it. A job whose worker is lost is
submitted again, with what was collected of it: where there is a checkpoint it goes on from there.

    --launcher ray --address http://HEAD:8265     the cluster's dashboard, where its job server listens
    --launcher ray --address ray://HEAD:10001     or any other address that Ray takes, such as auto
"""

import asyncio
import importlib.util
import os
import re
import shlex
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vlmcar_core import files, jobs, queue, runs
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.launchers._relay import Collector
from vlmcar_core.queue import Entry

if TYPE_CHECKING:
    from ray.job_submission import JobDetails, JobSubmissionClient

TITLE = "Ray cluster"
ABOUT = "Ray jobs on a cluster that is there already, by its address; its workers need vlmcar-studio installed."
HERE = False
ADDRESS = re.compile(r"https?://[^@\s/]+/?|ray://[^@\s/]+|auto|[\w.-]+:\d+")
TRIES_MAX = 3
PENDING_MAX = 4
"""Jobs that wait in the cluster for a core; the others wait here, where their order can still be changed."""

ANSWER_SECONDS = 3.0
AGAIN_SECONDS = 5.0
"""A cluster that does not answer is asked again so often."""

JOIN_SECONDS = 5.0
FILE_LIMIT_BYTES = 64 * 1024 * 1024
"""Of a file that a job takes along; Ray takes 100 MiB in all."""

NOT_TAKEN = re.compile(rf"(?:{re.escape(jobs.LAUNCH)}|{re.escape(jobs.CANCEL)}|{re.escape(runs.MODEL)}|status\.json)")
ANY = re.compile(r"[^.].*", re.DOTALL)


def lacking() -> str:
    """That Ray is not installed, where it is not."""
    missing = importlib.util.find_spec("ray") is None or importlib.util.find_spec("aiohttp") is None
    return "the launcher 'ray' needs Ray: pip install \"vlmcar-studio[ray]\"" if missing else ""


def check(address: str) -> None:
    """Raises `BadInput` where Ray is not installed, or the address is none, or nobody listens there."""
    if words := lacking():
        raise BadInput(words)
    if not ADDRESS.fullmatch(address):
        raise BadInput(
            f"{address!r} is no address of a Ray cluster; give its dashboard's (http://HEAD:8265), ray://HEAD:10001, "
            "or auto"
        )
    parts = urlsplit(address)
    if parts.scheme in ("http", "https"):
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
            socket.create_connection((parts.hostname or "", port), ANSWER_SECONDS).close()
        except (OSError, ValueError) as error:
            raise BadInput(f"no Ray cluster answers at {address} ({error}); is its dashboard running?") from error


@contextmanager
def opened() -> Iterator[Callable[[Sequence[Entry]], None]]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    yield Clusters().advance


@dataclass
class _Followed:
    """A job's output as it is collected."""

    collector: Collector
    thread: threading.Thread


class Clusters:
    """The clusters that entries name, and the jobs whose output is followed just now."""

    def __init__(self) -> None:
        self._clients: dict[str, JobSubmissionClient] = {}
        self._followed: dict[str, _Followed] = {}
        self._silent_until: dict[str, float] = {}

    def advance(self, entries: Sequence[Entry]) -> None:
        """See `launchers`."""
        pending: dict[str, int] = {}
        for entry in entries:
            if time.monotonic() < self._silent_until.get(entry.address, 0.0):
                continue
            try:
                waits = self._step(entry, pending.get(entry.address, 0) < PENDING_MAX)
                pending[entry.address] = pending.get(entry.address, 0) + waits
            except DamagedFile as error:
                jobs.tell(Path(entry.folder), "error", str(error))
                queue.remove(entry.id)
            except (RuntimeError, OSError) as error:  # what Ray's client raises, and requests'
                self._not_answering(entry, error)

    def _not_answering(self, entry: Entry, error: Exception) -> None:
        print(f"{entry.address}: {error}", flush=True)
        self._clients.pop(entry.address, None)
        self._silent_until[entry.address] = time.monotonic() + AGAIN_SECONDS
        folder = Path(entry.folder)
        if not folder.is_dir():
            queue.remove(entry.id)
        elif files.there(folder / jobs.CANCEL):
            _end(entry, "cancelled", "stopped by a person; its cluster does not answer, and may still be at it")
        elif not entry.note:
            queue.change(
                entry.id, note=f"the cluster at {entry.address} does not answer; asked again every few seconds"
            )

    def _step(self, entry: Entry, may_start: bool) -> bool:
        """Move one run on; tells whether its job waits for a core of the cluster."""
        folder, client = Path(entry.folder), self._client(entry.address)
        if not folder.is_dir():
            _stop(client, entry)
            queue.remove(entry.id)
            return False
        if entry.started is None:
            return may_start and self._submit(client, entry)
        found = _job(client, entry)
        if found is None:
            _submitted(client, entry)
            return True
        if found.status.is_terminal():
            self._conclude(client, entry, found)
            return False
        if files.there(folder / jobs.CANCEL):
            _stop(client, entry)
        self._follow(client, entry)
        return str(found.status) == "PENDING"

    def _client(self, address: str) -> "JobSubmissionClient":
        if address not in self._clients:
            from ray.job_submission import JobSubmissionClient

            self._clients[address] = JobSubmissionClient(address)
        return self._clients[address]

    def _submit(self, client: "JobSubmissionClient", entry: Entry) -> bool:
        """The line says so first: where this process is killed in between, the next one misses the job, and submits
        it."""
        with queue.changing() as line:
            for number, other in enumerate(line):
                if other.id == entry.id and other.started is None:
                    entry = _started(other)
                    line[number] = entry
                    break
            else:
                return False  # a person took it out just now
        _submitted(client, entry)
        return True

    def _follow(self, client: "JobSubmissionClient", entry: Entry) -> None:
        known = self._followed.get(_name(entry))
        if known is None or not known.thread.is_alive():
            collector = Collector(Path(entry.folder))
            thread = threading.Thread(target=_collect, args=(client, _name(entry), collector), daemon=True)
            self._followed[_name(entry)] = _Followed(collector, thread)
            thread.start()

    def _conclude(self, client: "JobSubmissionClient", entry: Entry, found: "JobDetails") -> None:
        """A job has ended: as its run says, or, where that says nothing, once more if its worker was lost."""
        folder = Path(entry.folder)
        followed = self._followed.pop(_name(entry), None)
        if followed is not None:
            followed.thread.join(JOIN_SECONDS)
        last = ""
        if jobs.ended(folder) is None:
            last = _all_of_it(client, entry)
        if jobs.ended(folder) is not None:
            queue.remove(entry.id)
        elif files.there(folder / jobs.CANCEL) or str(found.status) == "STOPPED":
            _end(entry, "cancelled", "stopped by a person; what was collected is kept")
        elif "failed to start within" in (found.message or ""):
            note = "the cluster had no core for it in time; once more"
            queue.change(entry.id, started=None, tries=entry.tries - 1, note=note)
        elif _worker_was_lost(found) and entry.tries < TRIES_MAX:
            queue.change(entry.id, started=None, note=f"its worker was lost; try {entry.tries + 1} of {TRIES_MAX}")
        elif _worker_was_lost(found):
            _end(entry, "lost", f"its worker was lost {entry.tries} times; what was collected is kept")
        else:
            words = f"its job failed on the cluster: {found.message or found.status}"
            _end(entry, "error", f"{words}; the last line it printed: {last}" if last else words)


def _started(entry: Entry) -> Entry:
    return replace(entry, started=time.time(), tries=entry.tries + 1, note="")


def _name(entry: Entry) -> str:
    """Of the job: another for each try, and the same for whoever serves the line."""
    return f"vlmcar-{entry.id}-{entry.tries}"


def _job(client: "JobSubmissionClient", entry: Entry) -> "JobDetails | None":
    """None where the cluster has no such job."""
    try:
        found: JobDetails = client.get_job_info(_name(entry))
        return found
    except RuntimeError as error:
        if "does not exist" in str(error) or "status code 404" in str(error):
            return None
        raise


def _submitted(client: "JobSubmissionClient", entry: Entry) -> None:
    folder = Path(entry.folder)
    session = folder.parent.parent
    with tempfile.TemporaryDirectory(prefix="vlmcar-job-") as made:
        _take_along(session, folder, Path(made) / session.name)
        command = ["python", "-m", "vlmcar_core", "--root", ".", "train-elsewhere", session.name, str(int(folder.name))]
        try:
            client.submit_job(
                entrypoint=f"exec {shlex.join(command)}",  # no shell between Ray and the run
                submission_id=_name(entry),
                runtime_env={"working_dir": made},
                entrypoint_num_cpus=1,
                metadata={"session": session.name, "run": folder.name},
            )
        except RuntimeError as error:
            if "already exists" not in str(error):
                raise


def _take_along(session: Path, run: Path, target: Path) -> None:
    """What a run needs of its session: its task, its proposal, its settings, and what it wrote, if it can go on."""
    config = runs.read_config(run)
    _copy(session, target, ["session.json"])
    _copy(files.folder(session, "frames"), target / "frames")
    if config.proposal is not None:
        number = f"{config.proposal:03d}"
        _copy(files.folder(session, "proposals", number), target / "proposals" / number)
    goes_on = bool(files.listed(run, runs.CHECKPOINT))
    wanted = [path.name for path in files.listed(run, ANY) if path.is_file() and not NOT_TAKEN.fullmatch(path.name)]
    _copy(run, target / "runs" / run.name, wanted if goes_on else [runs.CONFIG])


def _copy(source: Path, target: Path, names: Sequence[str] | None = None) -> None:
    """Plain files of one folder, by their names; all where none are given."""
    found = [path.name for path in files.listed(source, ANY)] if names is None else names
    for name in found:
        files.write_bytes(target / name, files.read_bytes(source / name, FILE_LIMIT_BYTES))


def _collect(client: "JobSubmissionClient", name: str, collector: Collector) -> None:
    """Follow a job's output to its end; where the connection breaks, the next step follows it anew."""

    async def tail() -> None:
        async for text in client.tail_job_logs(name):
            collector.take(text)

    import aiohttp

    try:
        asyncio.run(tail())
    except (RuntimeError, OSError, aiohttp.ClientError, DamagedFile) as error:
        print(f"{name}: {error}", flush=True)


def _all_of_it(client: "JobSubmissionClient", entry: Entry) -> str:
    """Collect a job's output from its beginning; gives the last line that told nothing of the folder."""
    collector = Collector(Path(entry.folder))
    try:
        collector.take(client.get_job_logs(_name(entry)) + "\n")
    except RuntimeError as error:  # its worker is gone, and its output with it
        print(f"{_name(entry)}: {error}", flush=True)
    return collector.last


def _worker_was_lost(found: Any) -> bool:
    """Not a failure of its own: it was killed, or its machine is gone. A shell tells a signal as 128 and its number."""
    code = found.driver_exit_code
    return str(found.status) == "FAILED" and (code is None or code < 0 or code > 128)


def _stop(client: "JobSubmissionClient", entry: Entry) -> None:
    try:
        client.stop_job(_name(entry))
    except RuntimeError as error:
        print(f"{_name(entry)}: {error}", flush=True)


def _end(entry: Entry, state: jobs.State, message: str) -> None:
    jobs.tell(Path(entry.folder), state, message)
    queue.remove(entry.id)
