"""Creating and listing sessions, choosing environments, setting the goal frame."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from vlmcar_core import images, pipeline
from vlmcar_core.cli.base import F, echo, read_given, session_argument
from vlmcar_core.errors import BadInput
from vlmcar_core.store import Session, sessions
from vlmcar_core.types import Recording, Thresholds


def settings_option(help: str) -> Callable[[F], F]:
    """`--settings` as a JSON object; the function gets a dict."""

    def parse(_context: click.Context, _parameter: click.Parameter, text: str) -> dict[str, Any]:
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise BadInput(f"--settings is not JSON ({error}): {text!r}") from error
        if not isinstance(value, dict):
            raise BadInput(f'--settings is a JSON object such as {{"tile_size": 16}}, not {text!r}')
        return value

    return click.option("--settings", default="{}", callback=parse, help=f"{help}, as a JSON object.")


def read_picture(path: Path) -> bytes:
    return read_given(path, images.SIZE_LIMIT_BYTES)


@click.command(name="list")
@click.pass_obj
def list_sessions(root: Path) -> None:
    """List the sessions, the latest first."""
    listing = sessions(root)
    for name in listing.items:
        task = Session.open(root, name).task
        echo(f"{name:32} {task.env_id or 'two frames'}")
    for problem in listing.problems:
        echo(f"damaged: {problem}", err=True)
    if not listing.items and not listing.problems:
        echo(f"no sessions in {root}; make one with: vlmcar new NAME --env MiniGrid-DoorKey-6x6-v0")


@click.command()
@click.argument("text", default="")
@click.option("--expert", is_flag=True, help="Only those that the planner solves.")
def envs(text: str, expert: bool) -> None:
    """List the environments whose id contains TEXT; the paper's first."""
    shown = [
        task for _, task in pipeline.env_tasks() if text.lower() in task.env_id.lower() and (task.expert or not expert)
    ]
    for task in shown:
        marks = ", ".join(filter(None, ["paper" if task.paper else "", "expert" if task.expert else "", task.note]))
        echo(f"{task.env_id:48} {marks}")
    if not shown:
        raise BadInput(f"no environment's id contains {text!r}; `vlmcar envs` lists them all")


@click.command(name="check-env")
@click.argument("env_id")
@settings_option("Settings of the Gymnasium families, such as kwargs, success_by, success_key, success_return")
def check_env(env_id: str, settings: dict[str, Any]) -> None:
    """Say whether a registered Gymnasium id can be used, and what is missing; exit code 1 if something is.

    It is made, reset, drawn and stepped. Of other packages than Gymnasium itself the module is named first, with
    `vlmcar --gym-module`.
    """
    from vlmcar_core.envs import _gymnasium

    found = _gymnasium.check(env_id, settings)
    signs = {True: "ok      ", False: "missing ", None: "note    "}
    for finding in found:
        echo(f"{signs[finding.ok]} {finding.told}")
    if any(finding.ok is False for finding in found):
        raise BadInput(f"{env_id} cannot be used yet")
    echo(f"next: vlmcar new NAME --env {env_id}")


@click.command()
@click.argument("name")
@click.option("--env", "env_id", help="A registered environment id; see `vlmcar envs`.")
@click.option("--seed", default=0, show_default=True, help="Its first frame is the task's initial frame.")
@settings_option("Keyword arguments of the environment")
@click.option("--initial", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Picture: initial frame.")
@click.option("--goal", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Picture: goal frame.")
@click.option("--no-env", is_flag=True, help="Neither: an empty session, for `vlmcar import-trajectories`.")
@click.option("--experts", default=Recording.experts, show_default=True, help="Expert episodes to record.")
@click.option("--random", "randoms", default=Recording.randoms, show_default=True, help="Random episodes to record.")
@click.option(
    "--random-steps", default=Recording.random_steps, show_default=True, help="Their length at most, in steps."
)
@click.option("--random-limit", default=Thresholds.random_limit, show_default=True, help="Share that may complete.")
@click.pass_obj
def new(root: Path, /, name: str, env_id: str | None, initial: Path | None, goal: Path | None, **options: Any) -> None:
    """Create a session NAME: on an environment (--env), from two pictures (--initial, --goal), or empty (--no-env)."""
    if options["no_env"]:
        if env_id is not None or initial is not None or goal is not None:
            raise click.UsageError("--no-env stands alone; the frames come with the first imported trajectory")
        session = pipeline.create_empty(root, name)
    elif env_id is None:
        if initial is None or goal is None:
            raise click.UsageError("give --env, both --initial and --goal, or --no-env")
        pictures = (read_picture(initial), read_picture(goal))
        session = pipeline.create_from_frames(root, name, *pictures, names=(initial.name, goal.name))
    else:
        if initial is not None:
            raise click.UsageError("--initial is for sessions without an environment; --env renders its own")
        recording = Recording(options["experts"], options["randoms"], options["random_steps"])
        thresholds = Thresholds(random_limit=options["random_limit"])
        session = pipeline.create_from_env(
            root, name, env_id, options["seed"], options["settings"], recording, thresholds
        )
        if goal is not None:
            pipeline.set_goal_from_upload(session, read_picture(goal), goal.name)
    echo(f"session {session.name} in {session.folder}")


@click.command()
@session_argument
@click.option("--image", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A picture file.")
@click.option("--trajectory", help="Id of a recorded trajectory.")
@click.option("--frame", default=-1, show_default="the last", help="Which of its frames, from 0.")
def goal(session: Session, image: Path | None, trajectory: str | None, frame: int) -> None:
    """Set the goal frame from a picture or from a frame of a recorded trajectory."""
    if (image is None) == (trajectory is None):
        raise click.UsageError("give either --image or --trajectory")
    if image is not None:
        pipeline.set_goal_from_upload(session, read_picture(image), image.name)
    elif trajectory is not None:
        pipeline.set_goal_from_trajectory(session, trajectory, frame)
    origin = session.goal_origin()
    if origin is not None:
        came = f"frame {origin.frame} of {origin.trajectory}" if origin.trajectory else origin.name
        echo(f"goal frame: {came}")


COMMANDS = (new, list_sessions, envs, check_env, goal)
