"""A process of its own for a library that parses what anybody may have made (HDF5, FFmpeg).

It has no key and no home, bounded memory and bounded time; a crash ends it and not the app. It opens what it is to
read, and then seals itself as a checker does, but that it may read what is open (`inside.seal.seal_parser`): what a
file makes of the library can open nothing, connect to nothing and start nothing. What it answers is read as a
stranger's all the same.
"""

import contextlib
import json
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vlmcar_core import strict
from vlmcar_core.errors import BadInput
from vlmcar_core.sandbox.forking import ENVIRONMENT

ROOT = Path(__file__).parents[2]
ANSWER_LIMIT_BYTES = 16 * 1024 * 1024
SECONDS = 300.0
"""For one answer. Decoding a gigabyte of video takes a busy machine a minute or two."""


class Apart:
    """A process that answers one line of JSON to each; ended with whoever holds this, or when it is too slow."""

    def __init__(
        self, module: str, arguments: Sequence[str], seconds: float = SECONDS, inherited: Sequence[int] = ()
    ) -> None:
        """Start it: `module`'s `main(arguments)`, which is one of ours, with these descriptors open."""
        self._seconds = seconds
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from {module} import main; main(sys.argv[1:])"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=inherited,
            cwd="/",
            env=ENVIRONMENT,
        )
        weakref.finalize(self, _end, self._process)

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Its answer to a request.

        Raises:
            BadInput: it says why it cannot, or ended, or took too long.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        late = threading.Timer(self._seconds, self._process.kill)
        late.start()
        try:
            stdin.write(json.dumps(request).encode() + b"\n")
            stdin.flush()
            line = stdout.readline(ANSWER_LIMIT_BYTES)
        except OSError:
            line = b""
        finally:
            late.cancel()
        return _answer(line, self._seconds)


def _answer(line: bytes, seconds: float) -> dict[str, Any]:
    if not line.endswith(b"\n"):
        raise BadInput(
            f"what reads this file ended, or took longer than {seconds:g} seconds or more memory than it gets: the "
            "file is damaged, or too large; cut it, or write it anew"
        )
    try:
        value = strict.loads(line)
    except ValueError as error:
        raise BadInput(
            f"what reads this file answered nonsense ({error}); the file is damaged: write it anew"
        ) from error
    if not isinstance(value, dict):
        raise BadInput("what reads this file answered nonsense; the file is damaged: write it anew")
    if isinstance(value.get("error"), str):
        raise BadInput(value["error"])
    return value


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
