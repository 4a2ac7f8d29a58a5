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
from dataclasses import dataclass
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
    with (folder / LOG).open("ab") as log:
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
    launch = _read(folder / LAUNCH) or {}
    status = _read(folder / STATUS) or {}
    if not launch and not status:
        if time.time() - folder.stat().st_mtime > SPAWN_GRACE_SECONDS:
            raise DamagedFile(f"{folder.name} holds no job; its start was interrupted: start it again")
        launch = {"kind": "", "began": folder.stat().st_mtime, "pid": None}
    state: State = status.get("state", "started")
    message = str(status.get("message", "starting"))
    if state == "started" and not _alive(status or launch, launch):
        again = _read(folder / STATUS) or {}
        state, message = again.get("state", "started"), str(again.get("message", message))
        status = again or status
        if state == "started":
            state = "lost"
            last = log(folder, lines=1)[:300]
            message = f"its process ended without a word while: {message}; what it had written is kept"
            message += f"; the last line it printed: {last}" if last else ""
    return Job(
        folder=folder,
        kind=str(status.get("kind") or launch.get("kind") or folder.name.partition("-")[2]),
        state=state,
        done=int(status.get("done", 0)),
        total=int(status.get("total", 0)),
        message=message,
        started=float(status.get("began", launch.get("began", 0.0))),
        updated=float(status.get("updated", launch.get("began", 0.0))),
        result=dict(status.get("result", {})),
    )


def cancel(folder: Path, grace_seconds: float = CANCEL_GRACE_SECONDS) -> None:
    """Ask a job to stop, and end its whole process group if it has not after the grace.

    Returns at once; a job that has ended already stays as it ended.
    """
    job = read(folder)
    if not job.running:
        return
    (folder / CANCEL).touch()
    identity = _read(folder / STATUS) or _read(folder / LAUNCH) or {}
    threading.Thread(target=_end, args=(folder, identity, grace_seconds), daemon=True).start()


def log(folder: Path, lines: int = 200) -> str:
    """The end of what a job printed."""
    path = folder / LOG
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64 * 1024))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


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
        return (self.folder / CANCEL).exists()

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
    except (Cancelled, KeyboardInterrupt):
        reporter.finish("cancelled", "stopped by a person; what was done so far is kept")
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


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return files.read_json(path)
    except FileNotFoundError:
        return None


def _process(identity: dict[str, Any]) -> psutil.Process | None:
    """The process with this pid, if it is still the one that was meant and is no zombie."""
    try:
        process = psutil.Process(int(identity["pid"]))
        created = identity.get("process_created")
        if created is not None and abs(process.create_time() - created) > 1.0:
            return None
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except (psutil.Error, KeyError, TypeError, ValueError):
        return None


def _alive(identity: dict[str, Any], launch: dict[str, Any]) -> bool:
    if identity.get("pid") is None:
        return time.time() - float(launch.get("began", 0.0)) < SPAWN_GRACE_SECONDS
    return _process(identity) is not None


def _end(folder: Path, identity: dict[str, Any], grace_seconds: float) -> None:
    process = _process(identity)
    if process is None:
        return
    try:
        process.wait(grace_seconds)
    except psutil.TimeoutExpired:
        try:
            if os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        except ProcessLookupError:
            return
        status = _read(folder / STATUS) or {**(_read(folder / LAUNCH) or {}), "done": 0, "total": 0, "result": {}}
        status.pop("version", None)
        status.update(
            state="cancelled", message="stopped by a person; it had to be ended by force", updated=time.time()
        )
        files.write_json(folder / STATUS, status)
    except psutil.Error:
        return
