"""A process of the runner's own user that nothing may happen to, and the runner itself as another."""

import os
import select
import signal
import subprocess
import sys

HARMLESS = (signal.SIGURG, signal.SIGWINCH, signal.SIGCONT, signal.SIGIO, signal.SIGUSR1)
"""Signals with which attacks show that they could send others."""

PROGRAM = f"""
import os, signal, sys
for number in {tuple(int(number) for number in HARMLESS)}:
    signal.signal(number, lambda received, frame: os.write(1, bytes([received])))
os.write(1, b"\\0")
sys.stdin.buffer.read()
"""


class Victim:
    """The process; it ends when its input does, so with the runner at the latest."""

    def __init__(self) -> None:
        self._start()
        self._received: list[int] = []
        self._before = {number: signal.signal(number, self._hear) for number in HARMLESS}

    def facts(self) -> dict[str, str | int]:
        return {"VICTIM": self.pid, "RUNNER": os.getpid()}

    @property
    def pid(self) -> int:
        return self._process.pid

    def traces(self) -> list[str]:
        """What happened to the two since the last look; a dead victim is replaced."""
        found = [f"the runner received {signal.Signals(number).name}" for number in self._received]
        self._received.clear()
        if self._process.poll() is not None:
            found.append("the victim is dead")
            self._start()
        return found + [f"the victim received {signal.Signals(number).name}" for number in self._told()]

    def close(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._process.kill()
        self._process.wait()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout.fileno()
        os.read(self._output, 1)

    def _told(self) -> bytes:
        ready, _, _ = select.select([self._output], [], [], 0.0)
        return os.read(self._output, 64) if ready else b""

    def _hear(self, number: int, _frame: object) -> None:
        self._received.append(number)
