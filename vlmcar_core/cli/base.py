"""What every command shares: the sessions folder, opening a session, and being a job with a progress bar."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from vlmcar_core import jobs, pipeline
from vlmcar_core.errors import BadInput
from vlmcar_core.escaping import harmless, one_line
from vlmcar_core.jobs import Reporter
from vlmcar_core.store import Session, sessions
from vlmcar_core.types import Progress

F = TypeVar("F", bound=Callable[..., Any])


def echo(text: object = "", err: bool = False) -> None:
    """Print a line. What came from a session or a checker cannot steer the terminal: control characters are shown as
    a sign."""
    click.echo(harmless(str(text)), err=err)


def session_argument(function: F) -> F:
    """The command's first argument is a session's name; the function gets the session."""
    return click.argument("session", callback=_open, shell_complete=_names)(function)


def job_option(function: F) -> F:
    """Used by `jobs.start`: be the job of this folder, and print no bar."""
    return click.option("--job", type=click.Path(path_type=Path), hidden=True)(function)


def author_option(function: F) -> F:
    return click.option("--author", default=pipeline.default_author, show_default="you", help="Who made the edit.")(
        function
    )


def _open(context: click.Context, _parameter: click.Parameter, name: str) -> Session:
    return Session.open(context.obj, name)


def _names(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """For a shell's completion: the sessions whose names begin so."""
    root = context.find_root().params.get("root") or pipeline.default_root()
    return [name for name in sessions(Path(root)).items if name.startswith(begun)]


def read_given(path: Path, limit: int) -> bytes:
    """A file that the person names; unlike a session's it may be a link or a pipe.

    Raises:
        BadInput: it is larger than `limit` bytes, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise BadInput(f"{str(path)!r} cannot be read ({error.strerror})") from error
    if len(data) > limit:
        raise BadInput(f"{str(path)!r} is larger than {limit / 2**20:g} MiB; it was not read")
    return data


@contextmanager
def as_job(session: Session, stage: str, folder: Path | None) -> Iterator[tuple[Progress, Reporter]]:
    """Be a job of the session for the length of the block; draws a progress bar where a person looks on."""
    with jobs.running(folder or session.new_job_folder(stage), stage) as reporter:
        bar = Bar(stage) if folder is None else None

        def progress(done: int, total: int, message: str) -> None:
            if bar is not None:
                bar(done, total, message)
            reporter(done, total, message)

        try:
            yield progress, reporter
        finally:
            if bar is not None:
                bar.close()


class Bar:
    """One line on standard error, rewritten in place; silent where standard error is no terminal."""

    WIDTH = 24

    def __init__(self, label: str) -> None:
        self._label = label
        self._shown = sys.stderr.isatty()
        self._drawn = 0.0

    def __call__(self, done: int, total: int, message: str) -> None:
        if not self._shown or (done < total and time.monotonic() - self._drawn < 0.1):
            return
        self._drawn = time.monotonic()
        filled = self.WIDTH * done // total if total else 0
        line = f"{self._label} [{'█' * filled}{'·' * (self.WIDTH - filled)}] {done}/{total}  {one_line(message)}"
        print(f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def clear(self) -> None:
        """Take the line away, so that another can be printed in its place."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._drawn = 0.0

    def close(self) -> None:
        if self._shown:
            print(file=sys.stderr)
