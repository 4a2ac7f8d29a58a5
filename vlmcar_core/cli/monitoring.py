"""Runs looked at together, gone on with, and made from each other."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from vlmcar_core import continuing, runs, seeds
from vlmcar_core.cli.alarms import show_alarms, show_remedy
from vlmcar_core.cli.base import echo, session_argument
from vlmcar_core.cli.queue import where_options
from vlmcar_core.contrast import contrast
from vlmcar_core.store import Session


@click.command()
@session_argument
@click.argument("run", type=int)
@where_options
def resume(session: Session, run: int, launcher: str, address: str) -> None:
    """Go on with RUN, which was stopped, lost or failed, from its last checkpoint.

    It appends to its own files, and its rows say from where. A checkpoint is written with each evaluation; what was
    trained after it is trained again. It goes on wherever you say, on this machine or on a cluster.
    """
    job = continuing.resume(session, run, launcher, address)
    there = runs.checkpoint(job.folder)
    echo(f"run {run} goes on" + (f" from step {there[1]:,}" if there else "") + f"; see: vlmcar jobs {session.name}")
    show_alarms(session, [continuing.run(session, run)])


@click.command(name="clone-run")
@session_argument
@click.argument("run", type=int)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="What is to be different: steps, seed, pay, scale, proposal, … or a setting of the trainer.",
)
@click.option("--go-on", is_flag=True, help="Begin with RUN's checkpoint, and not from nothing.")
@where_options
def clone_run(session: Session, run: int, changes: tuple[str, ...], go_on: bool, launcher: str, address: str) -> None:
    """Start a run with the settings of RUN, some of them changed.

    With another proposal and --go-on it trains with mended checkers what is learned already. What was learned from
    farmed pay is better left behind: without --go-on it begins anew.
    """
    job = continuing.clone(session, run, dict(map(_change, changes)), go_on, launcher, address)
    echo(f"started {job.folder.parent.name}/{job.folder.name}")


def _change(text: str) -> tuple[str, Any]:
    """From NAME=VALUE; a value is JSON, or else a word."""
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--set")
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value


@click.command(name="compare-runs")
@session_argument
@click.argument("numbers", metavar="RUN...", type=int, nargs=-1, required=True)
@click.option("--baseline", type=int, help="The run that the others are held against; the first if not given.")
def compare_runs(session: Session, numbers: tuple[int, ...], baseline: int | None) -> None:
    """Put runs beside each other: what they were asked differently, and what they came to."""
    chosen = list(dict.fromkeys([*([] if baseline is None else [baseline]), *numbers]))
    found = contrast([continuing.run(session, number) for number in chosen])
    rows = [("", *(f"run {run.number}" for run in found.runs))]
    rows += [(name, *values) for name, values in found.settings.items()]
    rows += [(outcome.name, *(outcome.words(place) for place in range(len(chosen)))) for outcome in found.outcomes]
    show_table(rows)
    echo(f"in brackets: against run {chosen[0]}")


@click.command(name="keep-hacks")
@session_argument
@click.argument("run", type=int)
def keep_hacks(session: Session, run: int) -> None:
    """Make the episodes that RUN was paid for in full and did not solve standing negatives of the session.

    Every later verification and examination meets them, as adversarial trajectories: a proposal that completes one is
    rejected. Where the checkers are right all the same, it is the way they are paid that is farmed. Each command, and
    `vlmcar runs`, says what comes next: verify, mend, verify again, and train a clone of RUN.
    """
    ids = continuing.keep_hacks(session, run)
    if not ids:
        echo(f"run {run} has kept none: no evaluation episode was paid in full and not solved")
        return
    echo(" ".join(ids))
    show_remedy(session, continuing.run(session, run), f"vlmcar verify {session.name}")


@click.command(name="export-run")
@session_argument
@click.argument("run", type=int)
@click.option("--to", type=click.Path(path_type=Path), required=True, help="A folder; made where it is not there.")
def export_run(session: Session, run: int, to: Path) -> None:
    """Write RUN's progress and evaluations as CSV, and for TensorBoard where that is installed."""
    echo(" ".join(continuing.export(session, run, to)))


# What `vlmcar runs` shows below its list


def show_groups(found: Sequence[runs.Run]) -> None:
    """A line per experiment: its seeds together."""
    rows = seeds.table(seeds.groups(found))
    if rows:
        echo("")
        show_table([list(rows[0]), *(list(row.values()) for row in rows)])
        echo(seeds.TABLE_NOTE)


def show_table(rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as what they hold."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


COMMANDS = (resume, clone_run, compare_runs, keep_hacks, export_run)
