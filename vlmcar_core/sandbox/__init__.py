"""The contained processes in which checkers run, one for each; nothing else here parses or executes a checker.

    with CheckerProcess(checkers, Limits(seconds=1.0)) as process:
        outcomes = process.run("pick-up-the-key", initial, frames)

A checker's fault is an `Outcome`; only our own machinery's fault is raised, as `SandboxError`.

What contains it: a process of its own with a minimal environment (no keys, no home) and an empty working folder;
no new file, socket or pipe can be opened once it is loaded (NOFILE), no file can grow (FSIZE), no core dump;
bounded memory (AS) and time; a static gate that refuses what a checker never needs. It ends when we end.

What does not yet: system calls are not filtered, so code that gets past the gate and the limits runs with the
rights of the person who started it, and a list or dictionary at module level can keep state. It contains
accidents, not malice.
"""

from vlmcar_core.sandbox.diagnosis import diagnose
from vlmcar_core.sandbox.process import CheckerProcess, Limits

__all__ = ["CheckerProcess", "Limits", "diagnose"]
