"""What is wrong with a checker's source, found without running it, for the editor's gutter.

Even parsing happens in a child process: source that is made to crash a parser must not take the app with it.
"""

import atexit
import threading

from vlmcar_core.sandbox.process import Limits, Worker, _Gone
from vlmcar_core.types import Diagnostic

_lock = threading.Lock()
_shared: Worker | None = None


def diagnose(source: str) -> list[Diagnostic]:
    """Errors and warnings by line. One process is kept for all callers; they take turns.

    Raises:
        SandboxError: it cannot be started.
    """
    global _shared
    with _lock:
        if _shared is None:
            _shared = Worker(Limits())
            atexit.register(_close)
        try:
            found = _shared.diagnose(source)
        except _Gone as gone:
            _close()
            message = f"the source could not even be read: {gone.outcome.message}"
            return [Diagnostic("syntax", "error", 1, 0, message)]
    return [Diagnostic(**finding) for finding in found]


def _close() -> None:
    global _shared
    if _shared is not None:
        _shared.end()
        _shared = None
        atexit.unregister(_close)
