"""What the commands say about runs that are paid and do not solve the task."""

from collections.abc import Sequence

from vlmcar_core import alarm, remedies, runs
from vlmcar_core.cli.base import echo
from vlmcar_core.store import Session


def show_alarms(session: Session, found: Sequence[runs.Run]) -> None:
    """A line for each run whose learned return rises while success does not, and what to do about it."""
    for run in found:
        seen = alarm.look(run.config, runs.read_evaluations(run.folder))
        if seen is not None and seen.level != "quiet":
            label = "hack alarm" if seen.level == "alarm" else "look at"
            echo(f"{label}, run {run.number}: {seen.words}")
            if seen.level == "alarm":
                show_remedy(session, run)


def show_remedies(session: Session) -> None:
    """What to do next about each run that raises the alarm."""
    for run, _ in remedies.alarmed(runs.runs(session).items):
        echo(f"hack alarm, run {run.number}:")
        show_remedy(session, run)


def show_remedy(session: Session, run: runs.Run, otherwise: str = "") -> None:
    """The next step for a run, and the command that takes it.

    Args:
        session: of the run.
        run: which.
        otherwise: the command to name where the run raises no alarm.
    """
    found = remedies.remedy(session, run) if remedies.alarmed([run]) else None
    if found is not None:
        echo(f"  {found.words}")
    if command := found.command if found is not None else otherwise:
        echo(f"  next: {command}")
