"""The same attacks where nothing contains them: each must work there, or to see it fail elsewhere proves nothing.

Started by path, this file is a server that forks a process for each program; it has the libraries of a sandbox, its
environment is the runner's own, and there is no limit but on time. Attacks do no harm where they succeed.
"""

import json
import os
import signal
import subprocess
import sys
from types import TracebackType
from typing import Any

SECONDS = 20


class Bare:
    """The app's side of the server."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-I", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert self._server.stdout is not None
        self._server.stdout.readline()

    def __enter__(self) -> "Bare":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.kill()
        self._server.wait()

    def run(self, source: str, frames: int) -> dict[str, Any]:
        """What came of a program that is called so often.

        Returns:
            {"worked": whether a call returned True, "threads": how many there were at its end, "message"}
        """
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(json.dumps({"source": source, "frames": frames}) + "\n")
        self._server.stdin.flush()
        found: dict[str, Any] = json.loads(self._server.stdout.readline())
        return found


def serve() -> None:
    """Answer line by line until the input ends."""
    import cv2
    import skimage.measure  # noqa: F401 (for the attacks)

    cv2.setNumThreads(1)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(_forked(request["source"], request["frames"])), file=answers, flush=True)


def _forked(source: str, frames: int) -> dict[str, Any]:
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        signal.alarm(SECONDS)
        found = _called(source, frames)
        # One write, so that what else the program may have left running holds nothing up.
        os.write(writes, json.dumps(found).encode())
        os._exit(0)
    os.close(writes)
    said = os.read(reads, 4096)
    os.close(reads)
    _, status = os.waitpid(child, 0)
    ended = f"ended by {os.waitstatus_to_exitcode(status)}"
    return dict(json.loads(said)) if said else {"worked": False, "threads": 1, "message": ended}


def _called(source: str, frames: int) -> dict[str, Any]:
    import numpy as np

    worked, message = False, ""
    try:
        names: dict[str, Any] = {"__name__": "checker"}
        exec(compile(source, "<attack>", "exec", dont_inherit=True), names)
        initial = np.full((16, 16, 3), 7, np.uint8)
        for _ in range(frames):
            value = names["check"](initial, np.zeros((16, 16, 3), np.uint8))
            worked = worked or value is True or value == 1.0
    except BaseException as error:  # noqa: BLE001 (an attack that fails here, too)
        message = f"{type(error).__name__}: {error}"[:300]
    return {"worked": bool(worked), "threads": _threads(), "message": message}


def _threads() -> int:
    try:
        return len(os.listdir("/proc/self/task"))  # noqa: PTH208 (an attack may have changed what a path is)
    except OSError:
        return 1


if __name__ == "__main__":
    serve()
