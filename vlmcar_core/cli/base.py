"""What every command shares: the sessions folder, opening a session, and being a job with a progress bar."""

import os
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
from vlmcar_core.store import Session
from vlmcar_core.types import Progress

F = TypeVar("F", bound=Callable[..., Any])

HELP = """Author, verify and train on reward code: from two frames to a trained agent.

A whole session, with no API key:

\b
  vlmcar new demo --env MiniGrid-DoorKey-8x8-v0
  vlmcar record demo          2 experts, 100 random episodes
  vlmcar propose demo         sub-tasks and checkers (built-in, no VLM)
  vlmcar verify demo          accepted, rejected or undecided
  vlmcar train demo           PPO on dense and on sparse reward
  vlmcar report demo          one HTML file
  vlmcar export demo --to DIR a reward that runs without the studio
  vlmcar app                  the same in a browser
"""


def echo(text: object = "", err: bool = False) -> None:
    """Print a line. What came from a session or a checker cannot steer the terminal: control characters are shown as
    a sign."""
    click.echo(harmless(str(text)), err=err)


class InOrder(click.Group):
    """Lists its commands in the order in which they were added, not by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=InOrder, help=HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    default=pipeline.default_root,
    envvar="VLMCAR_SESSIONS",
    show_default="sessions/",
    help="Folder of the sessions; also VLMCAR_SESSIONS.",
)
@click.option(
    "--cliport-root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A checkout of CLIPort to use its tasks; also VLMCAR_CLIPORT_ROOT.",
)
@click.option(
    "--gym-module",
    "gym_modules",
    multiple=True,
    help="A package that you trust, to use its Gymnasium environments and wrappers; also VLMCAR_GYM_MODULES (a,b).",
)
@click.version_option(package_name="vlmcar-studio", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context, root: Path, cliport_root: Path | None, gym_modules: tuple[str, ...]) -> None:
    context.obj = root
    if gym_modules:
        os.environ["VLMCAR_GYM_MODULES"] = ",".join(gym_modules)  # for processes that are started, too
    if cliport_root is not None:
        os.environ["VLMCAR_CLIPORT_ROOT"] = str(cliport_root.resolve())  # for processes that are started, too


def session_argument(function: F) -> F:
    """The command's first argument is a session's name; the function gets the session."""
    return click.argument("session", callback=_open)(function)


def job_option(function: F) -> F:
    """Used by `jobs.start`: be the job of this folder, and print no bar."""
    return click.option("--job", type=click.Path(path_type=Path), hidden=True)(function)


def author_option(function: F) -> F:
    return click.option("--author", default=pipeline.default_author, show_default="you", help="Who made the edit.")(
        function
    )


def _open(context: click.Context, _parameter: click.Parameter, name: str) -> Session:
    return Session.open(context.obj, name)


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

    def close(self) -> None:
        if self._shown:
            print(file=sys.stderr)
