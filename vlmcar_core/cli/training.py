"""Training runs: each a process of its own, which goes on when this one ends."""

import time
from pathlib import Path
from typing import Any

import click

from vlmcar_core import jobs, payments, pipeline, runs
from vlmcar_core.cli.alarms import show_alarms
from vlmcar_core.cli.base import Bar, as_job, echo, job_option, session_argument
from vlmcar_core.cli.hyperparameters import algorithm_options, with_file
from vlmcar_core.cli.monitoring import show_groups
from vlmcar_core.cli.queue import where_options
from vlmcar_core.cli.task import settings_option
from vlmcar_core.cli.view import describe_job
from vlmcar_core.launchers import _relay
from vlmcar_core.store import Session


@click.command()
@session_argument
@click.option("--reward", "rewards", type=click.Choice(["dense", "sparse"]), multiple=True, help="Both if not given.")
@click.option(
    "--seeds", default=pipeline.DEFAULT_SEEDS, show_default=True, help="Runs per reward, with seeds 0, 1, ..."
)
@click.option("--steps", default=runs.RunConfig.steps, show_default=True, help="Environment steps per run.")
@click.option("--proposal", type=int, help="Whose checkers pay; the newest if not given.")
@click.option("--env-reward/--no-env-reward", default=True, show_default=True, help="Keep the environment's own too.")
@click.option("--scale", default=runs.RunConfig.scale, show_default=True, help="What checkers pay an episode, in all.")
@click.option(
    "--pay",
    type=click.Choice(list(payments.WAYS)),
    help="How completions are paid; if not given: once, or remaining where every step costs 1. edge and level can be "
    "farmed, and are for study.",
)
@click.option("--weight", "weights", multiple=True, metavar="KEY=NUMBER", help="Of a sub-task; 1 if not given.")
@click.option("--undo", default=0.0, show_default=True, help="The share of its pay that undoing a sub-task costs.")
@click.option(
    "--when-disabled",
    type=click.Choice(runs.WHEN_DISABLED),
    default=runs.RunConfig.when_disabled,
    show_default=True,
    help="What to do when a checker's process had to be ended three times.",
)
@click.option(
    "--trainer",
    help="ppo, a2c, dqn, maskable_ppo or recurrent_ppo; sac, tqc, td3 or ddpg where actions are continuous. The one to "
    "begin with if not given.",
)
@algorithm_options
@settings_option("Settings of the trainer")
@where_options
@click.option("--detach", is_flag=True, help="Return at once; `vlmcar jobs` shows the runs.")
def train(
    session: Session, rewards: tuple[str, ...], detach: bool, seeds: int, weights: tuple[str, ...], **options: Any
) -> None:
    """Train an agent on the checkers' reward (dense) and on the environment's own (sparse).

    Every run is a process of its own: Ctrl-C, or closing the terminal, only ends the looking on. No more runs are at
    work than this machine has cores (VLMCAR_CORES); the others wait in line, which `vlmcar queue` shows. With
    --launcher ray they are jobs of a cluster instead.
    """
    options = with_file(session, options) | {"weights": _weights(weights)}
    started = pipeline.start_training(session, rewards or ("dense", "sparse"), range(seeds), **options)
    for job in started:
        echo(f"started {job.folder.parent.name}/{job.folder.name}")
    if detach:
        return
    try:
        _watch_until_done([job.folder for job in started])
    except KeyboardInterrupt:
        echo(f"the runs go on; see: vlmcar jobs {session.name}   stop them: vlmcar cancel {session.name}")
    show_runs(session)


def _weights(texts: tuple[str, ...]) -> dict[str, float]:
    """From KEY=NUMBER each."""
    found = {}
    for text in texts:
        key, _, number = text.rpartition("=")
        try:
            found[key] = float(number)
        except ValueError as error:
            raise click.BadParameter(f"{text!r} is not KEY=NUMBER", param_hint="--weight") from error
        if not key:
            raise click.BadParameter(f"{text!r} is not KEY=NUMBER", param_hint="--weight")
    return found


def _watch_until_done(folders: list[Path]) -> None:
    """A line whenever a run's state changes or another tenth of it is done; beneath, on a terminal, a bar over all."""
    said: dict[Path, str] = {}
    bar = Bar("train")
    while True:
        found = [jobs.read(folder) for folder in folders]
        for job in found:
            line = f"{job.state} {job.done * 10 // max(job.total, 1)} {job.total}"
            if said.get(job.folder) != line:
                said[job.folder] = line
                bar.clear()
                echo(describe_job(job.folder, job))
        left = sum(job.running for job in found)
        if not left:
            bar.clear()
            return
        bar(sum(job.done for job in found), sum(job.total for job in found), f"{left} of {len(found)} runs go on")
        time.sleep(1.0)


@click.command(name="train-run", hidden=True)
@session_argument
@job_option
def train_run(session: Session, job: Path) -> None:
    """Be one training run: the folder says what is to be trained."""
    _train(session, job)


def _train(session: Session, job: Path) -> None:
    with as_job(session, "train", job) as (progress, reporter):
        config = runs.read_config(job)
        runs.begin(job)
        result = pipeline.train(session, job, config, progress)
        reporter.finish("success", f"{config.steps} steps", result)


@click.command(name="train-elsewhere", hidden=True)
@session_argument
@click.argument("run", type=int)
def train_elsewhere(session: Session, run: int) -> None:
    """Be one training run on a worker of a cluster: tell its folder on standard output."""
    folder = session.run_folder(run)
    with _relay.relaying(folder):
        _train(session, folder)


@click.command(name="runs")
@session_argument
def list_runs(session: Session) -> None:
    """List the training runs with what they learned, and seeds of one experiment together."""
    show_runs(session)


def show_runs(session: Session) -> None:
    """A line per run: number, reward, seed, state, steps to 80 % success, final success; then a line per experiment."""
    echo(f"{'run':>4} {'reward':8} {'seed':>4} {'state':10} {'steps to 80 %':>14} {'final success':>14}")
    listing = runs.runs(session)
    for run in listing.items:
        found = runs.summary(runs.read_evaluations(run.folder))
        reached = f"{found.steps_to_learned:,}" if found.steps_to_learned is not None else "-"
        final = f"{found.final_success:.0%}" if found.final_success is not None else "-"
        config = run.config
        echo(f"{run.number:>4} {config.reward:8} {config.seed:>4} {run.job.state:10} {reached:>14} {final:>14}")
    show_groups(listing.items)
    show_alarms(session, listing.items)
    for problem in listing.problems:
        echo(f"damaged: {problem}", err=True)


@click.command()
@session_argument
@click.argument("run", type=int)
@click.option("--episodes", default=3, show_default=True)
@job_option
def watch(session: Session, run: int, episodes: int, job: Path | None) -> None:
    """Record episodes of RUN's trained policy as trajectories, to look at and to verify on."""
    with as_job(session, "watch", job) as (progress, reporter):
        ids = pipeline.watch(session, run, episodes, progress)
        reporter.finish("success", f"{len(ids)} episodes of run {run} recorded", {"trajectories": ids})
    echo(" ".join(ids))


COMMANDS = (train, train_run, train_elsewhere, list_runs, watch)
