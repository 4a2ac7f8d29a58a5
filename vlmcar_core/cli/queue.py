"""The queue, and sweeps, which fill it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from vlmcar_core import pipeline, plugins, queue, runs, sweeps, work
from vlmcar_core.cli.base import Bar, echo, session_argument
from vlmcar_core.cli.view import describe_job
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.store import Session
from vlmcar_core.types import Recording

F = TypeVar("F", bound=Callable[..., Any])


def where_options(function: F) -> F:
    """`--launcher` and `--address`: where runs go."""
    launcher = click.option(
        "--launcher",
        type=click.Choice(plugins.names("launchers")),
        default="local",
        show_default=True,
        help="local: this machine, one run per core (VLMCAR_CORES). ray: a cluster, by its address.",
    )
    address = click.option(
        "--address",
        default="",
        metavar="URL",
        help="Of a Ray cluster: its dashboard (http://HEAD:8265), ray://HEAD:10001, or auto.",
    )
    return launcher(address(function))


@click.command(name="queue")
@click.pass_obj
def show_queue(root: Path) -> None:
    """Show all that runs or waits, over all sessions, with what it uses of this machine."""
    listing = work.under_way(root)
    for one in listing.items:
        used = work.usage(one.job.folder)
        words = f"  {used.cores:.1f} cores, {used.memory_bytes / 2**20:.0f} MiB" if used is not None else ""
        name = one.session + (" (elsewhere)" if one.elsewhere else "")
        echo(f"{name or 'comparison':20} {describe_job(one.job.folder, one.job)}{words}")
    if not listing.items:
        echo("nothing runs and nothing waits; start something with: vlmcar train SESSION, or vlmcar sweep SESSION")
    for problem in listing.problems:
        echo(f"damaged: {problem}", err=True)


@click.command()
@session_argument
@click.argument("run", type=int)
@click.option("--to-front", is_flag=True, help="Past all that wait, not past one.")
def move_up(session: Session, run: int, to_front: bool) -> None:
    """Let RUN, which waits, pass the run that waits before it."""
    folder = str(session.run_folder(run).resolve())
    entry = next((one for one in queue.entries() if one.folder == folder and one.started is None), None)
    if entry is None:
        raise BadInput(f"run {run} of {session.name!r} does not wait; `vlmcar queue` shows what does")
    queue.move_up(entry.id, to_front)
    echo(f"run {run} is {queue.ordinal(queue.place(entry))} in line")


@click.command()
@session_argument
@click.argument("others", nargs=-1)
@click.option(
    "--grid",
    "grid",
    multiple=True,
    metavar="NAME=V,V",
    help="A setting and its values: reward, pay, scale, undo, env_reward, trainer, steps …, or one of the trainer's.",
)
@click.option("--seeds", default=3, show_default=True, help="Runs per cell, with seeds 0, 1, ...")
@click.option("--steps", default=runs.RunConfig.steps, show_default=True, help="Environment steps per run.")
@click.option("--env", "envs", multiple=True, metavar="ID", help="Over an environment, too; makes a session for it.")
@click.option("--again", type=int, metavar="NUMBER", help="Go on with a sweep that was started: start what is missing.")
@where_options
def sweep(
    session: Session,
    others: tuple[str, ...],
    grid: tuple[str, ...],
    seeds: int,
    steps: int,
    envs: tuple[str, ...],
    again: int | None,
    launcher: str,
    address: str,
) -> None:
    """Train over a grid of settings, in SESSION and in OTHERS, with several seeds in each cell.

    What was asked is written down, with which run is which. Asked for again, in the same words or with --again, only
    what is missing is started: what failed, was stopped or was lost. Runs are those of `vlmcar runs` and `vlmcar jobs`.
    """
    if again is not None:
        if others or grid or envs:
            raise BadInput("--again goes on with what was asked before; leave the grid and other sessions out")
        kept, started = sweeps.go_on(session, again, launcher, address)
    else:
        root = session.folder.parent
        places = [session, *(Session.open(root, name) for name in others), *(_made(session, env) for env in envs)]
        asked = sweeps.plan(places, sweeps.parse(grid), seeds, steps)
        kept, started = sweeps.start(session, asked, launcher, address)
    total = len(sweeps.cells(kept.plan)) * kept.plan.seeds
    echo(f"sweep {kept.number}: {len(started)} of {total} runs started; see: vlmcar sweep-status {session.name}")


def _made(session: Session, env: str) -> Session:
    """The session for another environment of a sweep: recorded and proposed for, by what is built in."""
    name = f"{session.name[:30]}-{re.sub('[^a-z0-9]+', '-', env.lower())[:33]}"
    try:
        return Session.open(session.folder.parent, name)
    except UnknownName:
        made = pipeline.create_from_env(session.folder.parent, name, env, recording=Recording(randoms=0))
    echo(f"session {name}: recording experts, proposing (built-in, no VLM); verify it before you trust what it trains")
    bar = Bar(name)
    pipeline.record(made, progress=bar)
    pipeline.propose(made, progress=bar)
    bar.close()
    return made


@click.command(name="sweep-status")
@session_argument
@click.argument("number", type=int, required=False)
def sweep_status(session: Session, number: int | None) -> None:
    """Show what the cells of a sweep came to: the newest, or NUMBER."""
    kept = sweeps.sweep(session, number)
    found = sweeps.outcomes(session, kept)
    echo(f"sweep {kept.number} of {session.name}, {kept.created}: {kept.plan.seeds} a cell")
    width = max(len(sweeps.label(kept.plan, one.cell)) for one in found)
    echo(f"{'cell':{width}} {'IQM':>6} {'median':>7} {'median steps to 80 %':>21}  runs")
    for one in found:
        iqm, middle = ("-" if value is None else f"{value:.0%}" for value in (one.iqm, one.median))
        steps = "-" if one.median_steps is None else f"{one.median_steps:,.0f}"
        counts = ", ".join(f"{count} {state}" for state, count in sorted(one.states.items()))
        echo(f"{sweeps.label(kept.plan, one.cell):{width}} {iqm:>6} {middle:>7} {steps:>21}  {counts}")
    if left := sweeps.missing(found):
        echo(f"{left} runs are missing; start them with: vlmcar sweep {session.name} --again {kept.number}")
    for problem in sweeps.sweeps(session).problems:
        echo(f"damaged: {problem}", err=True)


COMMANDS = (show_queue, move_up, sweep, sweep_status)
