"""For tests of what a stranger's session may do: a clock, and whether anything was touched."""

import contextlib
import hashlib
import signal
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fails what hangs."""

    def late(_signal: int, _frame: object) -> None:
        raise AssertionError(f"took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder with a digest of what it holds, and when it was last written."""
    found = {}
    for path in sorted(folder.rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = f"{path.lstat().st_mtime_ns} {hashlib.sha256(data).hexdigest()}"
    return found
