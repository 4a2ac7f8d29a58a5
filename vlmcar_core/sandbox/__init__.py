"""Sealed processes in which checkers run, one for each; nothing else here parses or executes a checker.

    with CheckerProcess(checkers, Limits(seconds=1.0)) as process:
        outcomes = process.run("pick-up-the-key", initial, frames)

A checker's fault is an `Outcome`; only our own machinery's fault is raised, as `SandboxError`.

    app ──► zygote: the libraries, no secret, no checker ──fork──► worker: sealed, then one checker's source
      └──────────────── a socket, frames in memory that it can only read ───────────┘

What contains it is the operating system (`inside/seal.py`): system calls denied by default, no descriptor but the
channel, bounded memory and time, another user where we are root. The static gate (`inside/gate.py`) explains and
keeps honest mistakes out; it is not a boundary. The zygote and the workers end when the app does.
"""

from vlmcar_core.sandbox.diagnosis import diagnose
from vlmcar_core.sandbox.process import Chances, CheckerProcess
from vlmcar_core.sandbox.worker import Limits

__all__ = ["Chances", "CheckerProcess", "Limits", "diagnose"]
