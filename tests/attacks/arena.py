"""Where attacks are tried: what they must not reach, and how one sees from outside whether they did."""

import ctypes
import os
import secrets
import shutil
import tempfile
import time
from pathlib import Path
from types import TracebackType

import numpy as np
import psutil

from tests.attacks.canaries import Canaries
from tests.attacks.listeners import Listeners
from tests.attacks.victim import Victim
from vlmcar_core.types import Frame

PREFIX = "vlmcar-canary-"
SIDE = 16
ENVIRONMENT = "VLMCAR_API_KEY"
"""Where the secret is, under a name that real keys have."""
UNTOUCHED = bytes(range(32))
END_SECONDS = 3.0
PR_SET_CHILD_SUBREAPER = 36


def with_secret() -> dict[str, str]:
    """The environment with a secret in it, for a process that is about to become the runner."""
    return {**os.environ, ENVIRONMENT: _secret()}


class Arena:
    """Canary files, listeners, a victim, and secrets in the runner's environment, memory and pictures."""

    def __init__(self) -> None:
        self.secrets = {name: _secret() for name in ("a file", "the environment", "the memory", "a picture")}
        self._scratch = ctypes.create_string_buffer(UNTOUCHED, len(UNTOUCHED))
        self._kept = ctypes.create_string_buffer(self.secrets["the memory"].encode())
        # What an attack leaves behind becomes our child, and so can be seen, when its parent has gone.
        _adopt(True)
        self.secrets["the environment"] = os.environ.setdefault(ENVIRONMENT, self.secrets["the environment"])
        self._root = Path(tempfile.mkdtemp(prefix="arena-"))
        self._root.chmod(0o777)
        self._wires = self._root / "wires"
        self._wires.mkdir(mode=0o777)
        self._canaries = Canaries(self._root / "canaries", self.secrets["a file"])
        self._listeners = Listeners(self._wires)
        self._victim = Victim()
        self._processes: set[int] = set()

    def __enter__(self) -> "Arena":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._victim.close()
        self._listeners.close()
        _adopt(False)
        shutil.rmtree(self._root, ignore_errors=True)

    def facts(self) -> str:
        """One line of assignments: what an attack is told, so that it need not search."""
        known = {
            **self._canaries.facts(),
            **self._listeners.facts(),
            **self._victim.facts(),
            "SECRET_AT": ctypes.addressof(self._kept),
            "SECRET_BYTES": len(self.secrets["the memory"]),
            "SCRATCH_AT": ctypes.addressof(self._scratch),
        }
        return "; ".join(f"{name} = {value!r}" for name, value in known.items())

    def picture(self) -> Frame:
        """An initial frame for honest checkers only, with a secret in its last row; uint8 (16, 16, 3)."""
        frame = np.zeros((SIDE, SIDE, 3), np.uint8)
        secret = np.frombuffer(self.secrets["a picture"].encode(), np.uint8)
        frame[-1].reshape(-1)[: len(secret)] = secret
        return frame

    def reset(self) -> None:
        """Make everything as it was, and count from here."""
        self._canaries.reset()
        self.traces()
        self._processes = set(_descendants())

    def traces(self) -> list[str]:
        """What was seen from outside since the last look or reset."""
        found = self._canaries.traces() + self._listeners.traces() + self._victim.traces()
        if self._scratch.raw[: len(UNTOUCHED)] != UNTOUCHED:
            ctypes.memmove(self._scratch, UNTOUCHED, len(UNTOUCHED))
            found.append("the runner's memory was changed")
        return found

    def left(self) -> list[str]:
        """Processes that are still there a while after all that an attack was given was closed; they are ended."""
        deadline = time.monotonic() + END_SECONDS
        while (found := self._new()) and time.monotonic() < deadline:
            time.sleep(0.02)
        for process in found:
            process.kill()
        psutil.wait_procs(found, END_SECONDS)
        return [f"process {process.pid} was left behind" for process in found]

    def threads(self) -> int:
        """The most threads that any process has which was started since the reset."""
        counts = [0]
        for process in self._new():
            try:
                counts.append(process.num_threads())
            except psutil.Error:
                continue
        return max(counts)

    def leaked(self, text: str) -> list[str]:
        """Which secrets are in a text."""
        return [f"a secret from {where} came out" for where, secret in self.secrets.items() if secret in text]

    def _new(self) -> list[psutil.Process]:
        return [process for pid, process in _descendants().items() if pid not in self._processes]


def _adopt(orphans: bool) -> None:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(orphans), 0, 0, 0)


def _descendants() -> dict[int, psutil.Process]:
    """Living processes that we started, directly or not, but for the dead that nobody has fetched yet."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                found[process.pid] = process
        except psutil.NoSuchProcess:
            continue
    return found


def _secret() -> str:
    return PREFIX + secrets.token_hex(14)
