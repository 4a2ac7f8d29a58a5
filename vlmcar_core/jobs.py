"""Work in the background: a detached process and a folder, and nothing in between.

The folder of a job (or of a training run, which is one) holds
    launch.json   what was started, when, with which pid; written by the one who starts it
    status.json   state, progress, heartbeat; written by the job itself and nobody else
    log.txt       everything it printed
    cancel        a mark: somebody wants it to stop
A job ends as `success`, `cancelled` or `error`; one whose process is gone without having said so is `lost`.
"""

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import psutil

from vlmcar_core import files
from vlmcar_core.errors import Cancelled, DamagedFile, VlmcarError
from vlmcar_core.escaping import without_keys

State = Literal["started", "success", "cancelled", "error", "lost"]

LAUNCH, STATUS, LOG, CANCEL = "launch.json", "status.json", "log.txt", "cancel"
HEARTBEAT_SECONDS = 2.0
CANCEL_GRACE_SECONDS = 10.0
SPAWN_GRACE_SECONDS = 20.0
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

    @property
    def running(self) -> bool:
        return self.state == "started"

    @property
    def seconds_left(self) -> float | None:
        """By the pace so far; None where nothing is known yet."""
        if not self.running or self.done <= 0 or self.total <= 0:
            return None
        return (self.updated - self.started) * (self.total - self.done) / self.done


def start(folder: Path, kind: str, arguments: Sequence[str], secrets: Mapping[str, str] | None = None) -> Job:
    """Run `vlmcar <arguments> --job <folder>` in a process of its own that outlives this one.

    Args:
        folder: the job's.
        kind: its stage.
        arguments: of the command.
        secrets: environment variables for that process alone; they are written nowhere.
    """
    argv = [sys.executable, "-m", "vlmcar_core", *arguments, "--job", str(folder)]
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
            env={**os.environ, **(secrets or {})},
        )
    threading.Thread(target=process.wait, daemon=True).start()
    _write_launch(folder, kind, process.pid, began)
    return read(folder)


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
    said = status or launch or Told()
    if said.state == "started" and not _alive(said, launch or said):
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
    )


def _lost(folder: Path, said: Told) -> Told:
    last = log(folder, lines=1)[:300]
    message = f"its process ended without a word while: {said.message}; what it had written is kept"
    return replace(said, state="lost", message=message + (f"; the last line it printed: {last}" if last else ""))


def cancel(folder: Path, grace_seconds: float = CANCEL_GRACE_SECONDS) -> None:
    """Ask a job to stop, and end its whole process group if it has not after the grace.

    Returns at once; a job that has ended already stays as it ended.
    """
    job = read(folder)
    if not job.running:
        return
    files.write_bytes(folder / CANCEL, b"")
    identity = _read(folder / STATUS) or _read(folder / LAUNCH) or Told()
    threading.Thread(target=_end, args=(folder, identity, grace_seconds), daemon=True).start()


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
        if done >= total or time.monotonic() - self._written > 0.25:
            self._write()
            if self.cancelled:
                raise Cancelled("stopped by a person; what was done so far is kept")

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
    previous = _on_terminate()
    try:
        yield reporter
        if reporter._status["state"] == "started":
            reporter.finish("success", "done")
    except (Cancelled, KeyboardInterrupt) as error:
        reporter.finish("cancelled", str(error) or "stopped by a person; what was done so far is kept")
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
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)


@contextmanager
def free_core(reporter: Reporter) -> Iterator[int]:
    """Wait until fewer trainings run on this machine than it has cores; gives the slot's number.

    A slot is a locked file, which the operating system unlocks when its process ends, however it ends.

    Raises:
        Cancelled: somebody wants the job to stop while it waits.
    """
    folder = Path(tempfile.gettempdir()) / f"vlmcar-cores-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    while True:
        for number in range(os.cpu_count() or 1):
            with (folder / f"{number}.lock").open("w") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield number
                return
        reporter(0, 0, "waiting for a free core")
        if reporter.cancelled:
            raise Cancelled("stopped by a person while it waited for a free core")
        time.sleep(0.5)


def _beat(reporter: Reporter, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_SECONDS):
        reporter._write()


def _on_terminate() -> Any:
    def terminate(_signal: int, _frame: object) -> None:
        raise Cancelled("ended by a signal; what was done so far is kept")

    if threading.current_thread() is not threading.main_thread():
        return None
    return signal.signal(signal.SIGTERM, terminate)


def _write_launch(folder: Path, kind: str, pid: int, began: float) -> None:
    try:
        created: float | None = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        created = None
    value = {"kind": kind, "pid": pid, "process_created": created, "began": began}
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
