"""Looking closely at one checker: what is wrong with its source, and what it sees on a frame."""

import sys
from pathlib import Path

import click

from vlmcar_core import recordings
from vlmcar_core.cli.base import echo, read_given, session_argument
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.records import SOURCE_LIMIT_BYTES
from vlmcar_core.sandbox import CheckerProcess, diagnose
from vlmcar_core.store import Session
from vlmcar_core.types import Frame, Seen


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def lint(file: Path) -> None:
    """Check the source of a checker in FILE without running it; exit code 1 where there is an error."""
    found = diagnose(read_source(file))
    for item in found:
        hint = f" ({item.hint})" if item.hint else ""
        echo(f"{file}:{item.line}:{item.column + 1}: {item.severity}: {item.message}{hint} [{item.rule}]")
    if any(item.severity == "error" for item in found):
        sys.exit(1)


@click.command()
@session_argument
@click.argument("key")
@click.option("--proposal", "number", type=int, help="Which; the newest if not given.")
@click.option("--trajectory", help="A recorded one; the session's own two frames if not given.")
@click.option("--frame", default=-1, show_default="the last", help="Which of its frames, from 0.")
def look(session: Session, key: str, number: int | None, trajectory: str | None, frame: int) -> None:
    """Run the checker KEY on one frame: its answer, what it printed, what it identified."""
    proposal = session.proposal(number)
    checker = next((step.checker for step in proposal.steps if step.key == key), None)
    if checker is None:
        raise UnknownName.among("sub-task", key, [step.key for step in proposal.steps])
    initial, current = _frames(session, trajectory, frame)
    with CheckerProcess([checker]) as process:
        found = process.inspect(key, initial, current)
    outcome = found.outcome
    where = f" (line {outcome.line})" if outcome.line else ""
    answer = f"progress {outcome.value:g}" if outcome.value is not None else outcome.message
    echo(f"{'done' if outcome.done else 'not done' if outcome.kind == 'ok' else outcome.kind}: {answer}{where}")
    for label, seen in (("initial", found.initial), ("current", found.current)):
        for item in seen:
            echo(f"{label} {item.name}: {describe(item)}")
    if found.printed:
        echo(f"printed:\n{found.printed}")


def describe(seen: Seen) -> str:
    """What an `identify_*` function found, in a few words."""
    if seen.kind == "mask" and seen.mask is not None:
        return f"mask of {int(seen.mask.sum())} pixels"
    if seen.kind == "box" and seen.box is not None:
        return "box x={:g} y={:g} width={:g} height={:g}".format(*seen.box)
    if seen.kind == "point" and seen.point is not None:
        return "point x={:g} y={:g}".format(*seen.point)
    return f"fault: {seen.message}" if seen.kind == "fault" else "nothing"


def _frames(session: Session, trajectory: str | None, frame: int) -> tuple[Frame, Frame]:
    if trajectory is not None:
        path = session.trajectory_path(trajectory)
        index = recordings.read_info(path).steps if frame == -1 else frame
        return recordings.read_frame(path, 0), recordings.read_frame(path, index)
    initial, goal = session.initial, session.goal
    if initial is None or goal is None:
        raise BadInput(f"session {session.name!r} has no goal frame yet; name a --trajectory")
    return initial, initial if frame == 0 else goal


def read_source(path: Path) -> str:
    """A checker's source from a file.

    Raises:
        BadInput: it is no UTF-8 text, or far larger than any checker or prompt.
    """
    try:
        return read_given(path, SOURCE_LIMIT_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path.name} is not UTF-8 text ({error.reason} at byte {error.start})") from error


COMMANDS = (lint, look)
