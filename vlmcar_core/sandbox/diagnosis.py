"""What is wrong with a checker's source, found without running it, for the editor's gutter.

Even parsing happens in a sealed worker: source that is made to crash a parser must not take the app with it.
"""

import atexit
import threading

from vlmcar_core.errors import SandboxError
from vlmcar_core.sandbox.worker import Gone, Limits, Worker
from vlmcar_core.types import Diagnostic

_lock = threading.Lock()
_shared: Worker | None = None


def diagnose(source: str) -> list[Diagnostic]:
    """Errors and warnings by line. One worker is kept for all callers; they take turns.

    Raises:
        SandboxError: it cannot be started.
    """
    with _lock:
        try:
            return _asked(source)
        except SandboxError:
            close()  # the zygote went, and took the worker along
            return _asked(source)


def _asked(source: str) -> list[Diagnostic]:
    global _shared
    if _shared is None:
        _shared = Worker(Limits())
        atexit.register(close)
    try:
        return [Diagnostic(**finding) for finding in _shared.diagnose(source)]
    except Gone as gone:
        close()
        return [Diagnostic("syntax", "error", 1, 0, f"the source could not even be read: {gone.outcome.message}")]


def close() -> None:
    """End the worker; the next caller gets another."""
    global _shared
    if _shared is not None:
        _shared.end()
        _shared = None
        atexit.unregister(close)
