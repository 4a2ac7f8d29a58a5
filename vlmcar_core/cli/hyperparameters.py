"""Settings of training algorithms from and to files in the form of RL Baselines3 Zoo."""

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from vlmcar_core import pipeline, runs
from vlmcar_core.cli.base import F, echo, read_given
from vlmcar_core.errors import BadInput
from vlmcar_core.store import Session

LIMIT_BYTES = 1024 * 1024


def algorithm_options(function: F) -> F:
    """`--observation` and `--hyperparams`; what they say is put together by `with_file`."""
    for option in (
        click.option(
            "--hyperparams",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="A file in the form of RL Baselines3 Zoo's, keyed by environment id; --settings go before it, and "
            "--steps do. What it says that cannot be taken over is listed.",
        ),
        click.option(
            "--observation",
            help="What the policy sees, such as symbolic or image; the usual if not given. A name that there is not "
            "lists those that there are.",
        ),
    ):
        function = option(function)
    return function


def with_file(session: Session, options: dict[str, Any]) -> dict[str, Any]:
    """The options of a training, with what its file of hyper-parameters says taken over."""
    options = dict(options)
    path = options.pop("hyperparams")
    if path is None:
        return options
    text = read_given(path, LIMIT_BYTES).decode("utf-8", "replace")
    taken = pipeline.read_hyperparameters(session, text, options.get("trainer"), options.get("observation"))
    for line in taken.left:
        echo(line, err=True)
    given = click.get_current_context().get_parameter_source("steps") is not ParameterSource.DEFAULT
    if taken.steps is not None and not given:
        options["steps"] = taken.steps
    return {**options, "settings": {**taken.settings, **options["settings"]}}


@click.command(name="hyperparams")
@click.argument("target", metavar="ENV|SESSION")
@click.option("--trainer", help="ppo, a2c, dqn, sac, …; the one to begin with if not given.")
@click.option("--run", type=int, help="The settings of this run of a session, instead of the defaults.")
@click.option("--observation", help="What the policy sees, where that changes a default.")
@click.pass_obj
def hyperparams(root: Path, target: str, trainer: str | None, run: int | None, observation: str | None) -> None:
    """Print a trainer's settings as RL Baselines3 Zoo writes them, for an environment or for a run.

    The defaults of an environment are to be changed and given to `vlmcar train --hyperparams`.
    """
    if run is not None:
        session = Session.open(root, target)
        config = runs.read_config(session.run_folder(run))
        text = pipeline.written_hyperparameters(session.task, config.trainer, config.settings, config.steps)
    else:
        known = dict.fromkeys(task.env_id for _, task in pipeline.env_tasks())
        task = pipeline.find_task(target) if target in known else Session.open(root, target).task
        if task.env_id is None:
            raise BadInput(f"session {target!r} has two frames and no environment; there is nothing to train in")
        text = pipeline.default_hyperparameters(task, trainer, observation)
    click.echo(text, nl=False)


COMMANDS = (hyperparams,)
