"""What is wrong with a checker's source, found without running it, for the editor's gutter.

Even parsing happens in a sealed worker: source that is made to crash a parser must not take the app with it.
"""

import atexit
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from vlmcar_core.errors import SandboxError
from vlmcar_core.sandbox.worker import Gone, Limits, Worker
from vlmcar_core.types import Diagnostic

T = TypeVar("T")

_lock = threading.Lock()
_shared: Worker | None = None


def diagnose(source: str) -> list[Diagnostic]:
    """Errors and warnings by line. One worker is kept for all callers; they take turns.

    Raises:
        SandboxError: it cannot be started.
    """
    try:
        return _asked(lambda worker: worker.diagnose(source))
    except Gone as gone:
        return [unread(gone)]


def parsed(operation: int, source: str) -> dict[str, Any]:
    """What a source is, as the worker says it; operations and answers as in `inside/wire.py`.

    Raises:
        Gone: the source could not even be read.
        SandboxError: the worker cannot be started.
    """
    return _asked(lambda worker: worker.parsed(operation, source))


def unread(gone: Gone) -> Diagnostic:
    """What is said where a parser did not come to an end."""
    return Diagnostic("syntax", "error", 1, 0, f"the source could not even be read: {gone.outcome.message}")


def _asked(question: Callable[[Worker], T]) -> T:
    with _lock:
        try:
            return question(_worker())
        except Gone:
            close()
            raise
        except SandboxError:
            close()  # the zygote went, and took the worker along
            return question(_worker())


def _worker() -> Worker:
    global _shared
    if _shared is None:
        _shared = Worker(Limits())
        atexit.register(close)
    return _shared


def close() -> None:
    """End the worker; the next caller gets another."""
    global _shared
    if _shared is not None:
        _shared.end()
        _shared = None
        atexit.unregister(close)
