"""The app's side of the zygote: one for the whole process, started at the first need and again if it is gone."""

import atexit
import contextlib
import fcntl
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vlmcar_core.errors import SandboxError
from vlmcar_core.sandbox.inside import wire
from vlmcar_core.sandbox.inside.worker import Order

ROOT = Path(__file__).parents[2]
CODE = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from vlmcar_core.sandbox.inside.zygote import main; main()"
START_SECONDS = 120.0
FORK_SECONDS = 60.0
"""Includes loading scikit-image, the first time that a checker needs it."""

SEALS = 0x0002 | 0x0004 | 0x0010 | 0x0001
"""F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_FUTURE_WRITE (Linux 5.1; Python names it from 3.12), F_SEAL_SEAL."""

ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "EAGER_IMPORT": "1",
    "GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=268435456",
}
"""All that it gets: no key, no home. EAGER_IMPORT makes scikit-image load its functions with its modules; the tunables
keep freed memory, which a fresh process would give back and fetch again for every frame."""


@dataclass(frozen=True)
class Fork:
    """A worker that was forked: its process, and the app's ends of what it shares with it."""

    pid: int
    handle: int
    """A descriptor of the process, which no other process can take over."""
    channel: socket.socket
    frames: mmap.mmap
    values: mmap.mmap

    def kill(self) -> None:
        """End it at once, if it has not ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.handle, signal.SIGKILL)

    def close(self) -> None:
        """Let go of everything but the arrays that still look into shared memory."""
        self.channel.close()
        os.close(self.handle)
        for shared in (self.frames, self.values):
            with contextlib.suppress(BufferError):
                shared.close()


class Zygote:
    """A clean process that forks workers; for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._owner = os.getpid()

    def fork(self, order: Order, frames_bytes: int) -> Fork:
        """A new worker, which is sealing itself.

        Args:
            order: what it may do.
            frames_bytes: size of the shared memory for frames; the bell is behind them.

        Raises:
            SandboxError: it cannot be started.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                frames_file, frames = _shared("vlmcar-frames", -(-frames_bytes // 8) * 8 + wire.BELL_BYTES, sealed=True)
                values_file, values = _shared("vlmcar-values", 8 * wire.BATCH, sealed=False)
            except OSError as error:
                ours.close()
                raise SandboxError(f"there is no memory to share frames in ({error})") from error
            try:
                answer, files = self._ask({"op": "fork", **asdict(order)}, [theirs.fileno(), frames_file, values_file])
            except SandboxError:
                ours.close()
                raise
            finally:
                os.close(frames_file)
                os.close(values_file)
        return Fork(int(answer["pid"] or 0), files[0], ours, frames, values)

    def reap(self, pid: int) -> int | None:
        """How a worker that has ended did: its exit code, or minus the signal; None where nobody knows."""
        return self._ask({"op": "reap", "pid": pid})[0]["status"]

    def close(self) -> None:
        """End it and its workers."""
        with self._lock:
            self._end()

    def _ask(self, request: dict[str, object], files: Sequence[int] = ()) -> tuple[dict[str, int | None], list[int]]:
        with self._lock:
            self._be_there()
            assert self._socket is not None
            try:
                socket.send_fds(self._socket, [json.dumps(request).encode()], files)
                data, given, _, _ = socket.recv_fds(self._socket, 1024, 1)
            except OSError as error:
                self._end()
                raise SandboxError(f"the process that starts checkers does not answer ({error})") from error
            if not data:
                self._end()
                raise SandboxError("the process that starts checkers has ended; try again")
            return json.loads(data), given

    def _be_there(self) -> None:
        if self._process is not None and self._owner == os.getpid() and self._process.poll() is None:
            return
        self._end()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-c", CODE],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    env=ENVIRONMENT,
                    start_new_session=True,
                )
            self._owner, self._socket = os.getpid(), ours
            ours.settimeout(START_SECONDS)
            if not ours.recv(1024):
                raise OSError("it ended while it loaded its libraries")
            ours.settimeout(FORK_SECONDS)
        except OSError as error:
            ours.close()
            self._end()
            raise SandboxError(f"the process that starts checkers could not be started: {error}") from error

    def _end(self) -> None:
        """Its workers end with it."""
        process, self._process = self._process, None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if process is not None and self._owner == os.getpid():
            process.kill()
            process.wait()


def _shared(name: str, size: int, sealed: bool) -> tuple[int, mmap.mmap]:
    """Shared memory that we may write; where sealed, nobody who is given the descriptor from now on may."""
    file = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(file, size)
        memory = mmap.mmap(file, size)
        if sealed:
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, SEALS)
    except OSError:
        os.close(file)
        raise
    return file, memory


ZYGOTE = Zygote()
atexit.register(ZYGOTE.close)
