"""Work in the background: a detached process and a folder, and nothing in between.

The folder of a job (or of a training run, which is one) holds
    launch.json   what was started, when, with which pid; written by the one who starts it
    status.json   state, progress, heartbeat; written by the job itself and nobody else
    log.txt       everything it printed
    cancel        a mark: somebody wants it to stop
A job ends as `success`, `cancelled` or `error`; one whose process is gone without having said so is `lost`. A training
waits in the line first (see queue.py): then launch.json holds the id of its entry there.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import psutil

from vlmcar_core import files, queue
from vlmcar_core.errors import Cancelled, DamagedFile, VlmcarError
from vlmcar_core.escaping import without_keys
from vlmcar_core.queue import Entry

State = Literal["waiting", "started", "success", "cancelled", "error", "lost"]

LAUNCH, STATUS, LOG, CANCEL = "launch.json", "status.json", "log.txt", "cancel"
HEARTBEAT_SECONDS = 2.0
CANCEL_GRACE_SECONDS = 10.0
STOPPED = "stopped by a person; what was done so far is kept"
TERMINATED = "ended by a signal; what was done so far is kept"
SPAWN_GRACE_SECONDS = 20.0
AWAKE_SECONDS = 5.0
"""A process that serves the line is started at most so often by one process."""

LOG_END_BYTES = 64 * 1024
LOG_LIMIT_BYTES = 64 * 1024**3
"""Only its end is read."""

PID_MAX = 2**31 - 1
TIME_MAX = 1e11
"""Seconds since 1970; the year 5138."""

OURS = "vlmcar"
"""Stands in the command line of every job; a process without it is not ended, whatever a folder says."""


@dataclass(frozen=True)
class Told:
    """What launch.json or status.json says; of the first only the beginning."""

    kind: str = ""
    pid: int | None = None
    process_created: float | None = None
    """Unix time, seconds; without it nobody knows which process with this pid was meant."""

    began: float = 0.0
    state: State = "started"
    done: int = 0
    total: int = 0
    message: str = "starting"
    result: Mapping[str, Any] = field(default_factory=dict)
    updated: float | None = None
    entry: str = ""
    """Its id in the line, where it came through the line."""

    def __post_init__(self) -> None:
        if self.pid is not None and not 1 <= self.pid <= PID_MAX:
            raise ValueError(f"{self.pid} is no process")
        if not all(0.0 <= time <= TIME_MAX for time in (self.began, self.updated or 0.0, self.process_created or 0.0)):
            raise ValueError("its times are none")
        if self.done < 0 or self.total < 0:
            raise ValueError(f"{self.done} of {self.total} steps are none")


@dataclass(frozen=True)
class Job:
    """A job as its folder shows it."""

    folder: Path
    kind: str
    """The stage it runs: record, propose, verify, train."""

    state: State
    done: int
    total: int
    """Steps done and in all; 0 of 0 until the job knows."""

    message: str
    """What it is doing, or what went wrong."""

    started: float
    """Unix time, seconds."""

    updated: float
    """Unix time of its last sign of life, seconds."""

    result: dict[str, Any]
    """What it found, for the one who shows it; empty until it ended well."""

    launcher: str = ""
    """Where it runs or will run, one of `launchers/`; empty where it ended, or never was in the line."""

    @property
    def running(self) -> bool:
        """It has not ended: it is at work, or waits in the line."""
        return self.state in ("waiting", "started")

    @property
    def seconds_left(self) -> float | None:
        """By the pace so far; None where nothing is known yet."""
        if self.state != "started" or self.done <= 0 or self.total <= 0:
            return None
        return (self.updated - self.started) * (self.total - self.done) / self.done


def start(
    folder: Path,
    kind: str,
    arguments: Sequence[str],
    secrets: Mapping[str, str] | None = None,
    entry: Entry | None = None,
    inherited: int | None = None,
) -> Job:
    """Run `vlmcar <arguments> --job <folder>` in a process of its own that outlives this one.

    Args:
        folder: the job's.
        kind: its stage.
        arguments: of the command.
        secrets: environment variables for that process alone; they are written nowhere.
        entry: its place in the line, if it comes from there: with the interpreter and environment to run it in.
        inherited: a descriptor that the process keeps open for as long as it lives.
    """
    argv = [entry.python if entry else sys.executable, "-m", "vlmcar_core", *arguments, "--job", str(folder)]
    folder.mkdir(parents=True, exist_ok=True)
    began = time.time()
    with files.appending(folder / LOG) as log:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            close_fds=True,
            pass_fds=() if inherited is None else (inherited,),
            cwd=entry.working_folder if entry and Path(entry.working_folder).is_dir() else None,
            env={**(_environment(entry) if entry else os.environ), **(secrets or {})},
        )
    threading.Thread(target=process.wait, daemon=True).start()
    _write_launch(folder, kind, process.pid, began, entry)
    return read(folder)


def _environment(entry: Entry) -> dict[str, str]:
    """Of a run from the line: what it took along, and what else this process has."""
    mine = {name: value for name, value in os.environ.items() if not queue.CARRIED.fullmatch(name)}
    return {**mine, **entry.environment, queue.FOLDER_VARIABLE: str(queue.root())}


def announce(folder: Path, kind: str, entry: Entry) -> None:
    """Write down that a run is about to be put into the line. What an earlier try said of itself no longer counts."""
    files.remove(folder / CANCEL)
    files.write_json(folder / LAUNCH, {"kind": kind, "began": entry.asked, "entry": entry.id})


def awake(launcher: str, sure: bool = False) -> None:
    """See to it that somebody serves a launcher: what waits for it is started, what runs there is followed.

    A process that was killed is replaced by the next one who looks at a run that waits, or by a run at work.

    Args:
        launcher: which.
        sure: start one where there is none, even if this process did so just now.
    """
    now = time.monotonic()
    lately = not sure and now - _awakened.get(launcher, -AWAKE_SECONDS) < AWAKE_SECONDS
    if lately or queue.served(launcher):
        return
    _awakened[launcher] = now
    with files.appending(queue.root() / f"{launcher}.log") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "vlmcar_core.launching", launcher],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, queue.FOLDER_VARIABLE: str(queue.root())},
        )
    threading.Thread(target=process.wait, daemon=True).start()


_awakened: dict[str, float] = {}
"""Of this process: launcher to when it last started a process that serves it."""


def read(folder: Path) -> Job:
    """A job's state now; one whose process is gone is `lost`.

    Raises:
        DamagedFile: the folder holds no job.
    """
    launch, status = _read(folder / LAUNCH), _read(folder / STATUS)
    if launch is None and status is None:
        changed = min(max(folder.stat().st_mtime, 0.0), TIME_MAX)
        if time.time() - changed > SPAWN_GRACE_SECONDS:
            raise DamagedFile(f"{folder.name} holds no job; its start was interrupted: start it again")
        launch = Told(began=changed)
    entry = queue.find(launch.entry, folder) if launch is not None else None
    if launch is not None and entry is not None and entry.started is None:
        return _waiting(folder, launch, entry)
    if status and launch and status.updated is not None and status.updated < launch.began:
        status = None  # of an earlier try
    said = status or launch or Told()
    if entry is not None and (status is None or not entry.here):
        awake(entry.launcher)  # who takes it out of the line, or starts it once more, when its process is gone
    elif said.state == "started" and not _alive(said, launch or said):
        said = _read(folder / STATUS) or said
        if said.state == "started":
            said = _lost(folder, said)
    first = launch or said
    return Job(
        folder=folder,
        kind=said.kind or first.kind or folder.name.partition("-")[2],
        state=said.state,
        done=said.done,
        total=said.total,
        message=said.message,
        started=said.began or first.began,
        updated=first.began if said.updated is None else said.updated,
        result=dict(said.result),
        launcher=entry.launcher if entry is not None and said.state == "started" else "",
    )


def _waiting(folder: Path, launch: Told, entry: Entry) -> Job:
    awake(entry.launcher)
    place = queue.place(entry)
    words = f"waiting, {queue.ordinal(place)} in line" if place else "waiting"
    return Job(
        folder=folder,
        kind=launch.kind,
        state="waiting",
        done=0,
        total=0,
        message=f"{words}; {entry.note}" if entry.note else words,
        started=launch.began,
        updated=launch.began,
        result={},
        launcher=entry.launcher,
    )


def _lost(folder: Path, said: Told) -> Told:
    last = log(folder, lines=1)[:300]
    message = f"its process ended without a word while: {said.message}; what it had written is kept"
    return replace(said, state="lost", message=message + (f"; the last line it printed: {last}" if last else ""))


def process(folder: Path) -> psutil.Process | None:
    """The process of a job that is at work on this machine; None where there is none, or one that is not of ours.

    Raises:
        DamagedFile: the folder's files cannot be read.
    """
    found = _process(_told_since(folder) or _read(folder / LAUNCH) or Told())
    try:
        return found if found is not None and any(OURS in word for word in found.cmdline()) else None
    except psutil.Error:
        return None


def cancel(folder: Path, grace_seconds: float = CANCEL_GRACE_SECONDS) -> None:
    """Ask a job to stop, and end its whole process group if it has not after the grace.

    Returns at once; a job that has ended already stays as it ended.
    """
    job = read(folder)
    if not job.running:
        return
    launch = _read(folder / LAUNCH) or Told()
    entry = queue.find(launch.entry, folder)
    if entry is not None and queue.drop_waiting(entry.id):
        tell(folder, "cancelled", "stopped by a person before it began")
        return
    files.write_bytes(folder / CANCEL, b"")
    if entry is not None and not entry.here:
        awake(entry.launcher)  # it sees the mark, and passes it on
        return
    identity = _read(folder / STATUS) or launch
    threading.Thread(target=_end, args=(folder, identity, grace_seconds), daemon=True).start()


def tell(folder: Path, state: State, message: str) -> None:
    """Write a run's state in its stead, where it has no process here that could: it waits, or runs elsewhere, or is
    gone."""
    last = _told_since(folder) or Told(began=time.time())
    kind = last.kind or (_read(folder / LAUNCH) or Told()).kind
    files.write_json(
        folder / STATUS, asdict(replace(last, kind=kind, state=state, message=message, updated=time.time()))
    )


def ended(folder: Path) -> State | None:
    """How a job says that it has ended, since it was started last; None where it does not say so.

    Raises:
        DamagedFile: its files cannot be read.
    """
    status = _told_since(folder)
    return status.state if status is not None and status.state != "started" else None


def began(folder: Path) -> bool:
    """Whether a job has said anything since it was started last. Raises `DamagedFile`."""
    return _told_since(folder) is not None


def _told_since(folder: Path) -> Told | None:
    status, launch = _read(folder / STATUS), _read(folder / LAUNCH)
    if status and launch and (status.updated or 0.0) < launch.began:
        return None
    return status


def log(folder: Path, lines: int = 200) -> str:
    """The end of what a job printed."""
    try:
        with files.opened(folder / LOG, LOG_LIMIT_BYTES) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_END_BYTES))
            return "\n".join(file.read(LOG_END_BYTES).decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


class Reporter:
    """A job's own side: it says how far it is, and learns whether it should stop."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._written = 0.0
        self._told_to_stop = ""
        self._status: dict[str, Any] = {
            "kind": kind,
            "state": "started",
            "pid": os.getpid(),
            "process_created": psutil.Process().create_time(),
            "began": time.time(),
            "done": 0,
            "total": 0,
            "message": "starting",
            "result": {},
        }
        folder.mkdir(parents=True, exist_ok=True)
        self._write()

    def __call__(self, done: int, total: int, message: str) -> None:
        """A `Progress`.

        Raises:
            Cancelled: somebody wants the job to stop.
        """
        with self._lock:
            self._status.update(done=int(done), total=int(total), message=message)
        if self._told_to_stop:
            raise Cancelled(self._told_to_stop)
        if done >= total or time.monotonic() - self._written > 0.25:
            self._write()
            if self.cancelled:
                raise Cancelled(STOPPED)

    def told_to_stop(self, why: str) -> None:
        """Raise `Cancelled` at every later call."""
        self._told_to_stop = why

    @property
    def cancelled(self) -> bool:
        return files.there(self.folder / CANCEL)

    def finish(self, state: State, message: str, result: dict[str, Any] | None = None) -> None:
        with self._lock:
            self._status.update(state=state, message=message, result=result or {})
        self._write()

    def _write(self) -> None:
        with self._lock:
            self._status["updated"] = time.time()
            self._written = time.monotonic()
            files.write_json(self.folder / STATUS, self._status)


@contextmanager
def running(folder: Path, kind: str) -> Iterator[Reporter]:
    """Be the job of this folder for the length of the block; how the block ends is how the job ends.

    The block may call `finish` with a result itself. A SIGTERM counts as a wish to stop. What is raised is
    written down and raised again.
    """
    reporter = Reporter(folder, kind)
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(reporter, stop), daemon=True)
    beat.start()
    previous = _on_signals(reporter)
    try:
        yield reporter
        if reporter._status["state"] == "started":
            reporter.finish("success", "done")
    except (Cancelled, KeyboardInterrupt) as error:
        reporter.finish("cancelled", str(error) or STOPPED)
        raise
    except VlmcarError as error:
        reporter.finish("error", str(error))
        raise
    except BaseException as error:
        print(without_keys(traceback.format_exc()), file=sys.stderr)
        message = without_keys(f"{type(error).__name__}: {error}")
        reporter.finish("error", f"{message} (a fault of the program; see log.txt)")
        raise
    finally:
        stop.set()
        beat.join()
        for number, handler in previous.items():
            signal.signal(number, handler)


def _beat(reporter: Reporter, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_SECONDS):
        reporter._write()
        with suppress(VlmcarError):  # a line that cannot be used is no reason for a run at work to end
            keep_served()


def keep_served() -> None:
    """See to it that every launcher for which there is something to do is served."""
    for launcher in sorted({entry.launcher for entry in queue.entries()}):
        awake(launcher)


def _on_signals(reporter: Reporter) -> dict[signal.Signals, Any]:
    """SIGTERM and Ctrl-C stop the job; gives what they did before.

    What a handler raises can be lost: CPython 3.11 drops it where it comes while an attribute is looked up by a
    metaclass's `__getattr__` (seen in one of 15 Ctrl-C while MiniGrid stepped). So the job's next word raises it again.
    """

    def terminate(_signal: int, _frame: object) -> None:
        reporter.told_to_stop(TERMINATED)
        raise Cancelled(TERMINATED)

    def interrupt(_signal: int, _frame: object) -> None:
        reporter.told_to_stop(STOPPED)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        return {}
    previous = {signal.SIGTERM: signal.signal(signal.SIGTERM, terminate)}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell may have it ignored
        previous[signal.SIGINT] = signal.signal(signal.SIGINT, interrupt)
    return previous


def _write_launch(folder: Path, kind: str, pid: int, began: float, entry: Entry | None) -> None:
    try:
        created: float | None = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        created = None
    value = {"kind": kind, "pid": pid, "process_created": created, "began": began, "entry": entry.id if entry else ""}
    files.write_json(folder / LAUNCH, value)


def _read(path: Path) -> Told | None:
    try:
        return files.read_as(Told, path)
    except FileNotFoundError:
        return None


def _process(said: Told) -> psutil.Process | None:
    """The process with this pid, if it is still the one that was meant and is no zombie."""
    if said.pid is None or said.process_created is None:
        return None
    try:
        process = psutil.Process(said.pid)
        if abs(process.create_time() - said.process_created) > 1.0:
            return None
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.Error:
        return None


def _alive(said: Told, launch: Told) -> bool:
    if said.pid is None:
        return time.time() - launch.began < SPAWN_GRACE_SECONDS
    return _process(said) is not None


def _end(folder: Path, said: Told, grace_seconds: float) -> None:
    process = _process(said)
    if process is None:
        return
    try:
        process.wait(grace_seconds)
    except psutil.TimeoutExpired:
        if not _kill(process):
            return
        last = _read(folder / STATUS) or said
        stopped = replace(
            last, state="cancelled", message="stopped by a person; it had to be ended by force", updated=time.time()
        )
        files.write_json(folder / STATUS, asdict(stopped))
    except psutil.Error:
        return


def _kill(process: psutil.Process) -> bool:
    """End a process of ours, with its group where it leads one."""
    try:
        if not any(OURS in word for word in process.cmdline()):
            return False
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        return True
    except (ProcessLookupError, psutil.Error):
        return False
