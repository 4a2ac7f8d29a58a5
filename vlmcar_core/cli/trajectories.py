"""Trajectories from files, and to files."""

from pathlib import Path
from typing import Any, cast, get_args

import click

from vlmcar_core.cli.base import as_job, echo, job_option, session_argument
from vlmcar_core.store import Session
from vlmcar_core.types import Source


@click.command(name="import-trajectories")
@session_argument
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--source", type=click.Choice(get_args(Source)), help="Who acted; as the file says, else human.")
@click.option(
    "--success",
    default="auto",
    show_default=True,
    help="yes, no, unknown, key:NAME (an array that is true at any step), return:NUMBER (at least so much), or auto: "
    "the file's own word.",
)
@click.option("--frames", default="", help="The array that holds the frames, where it has an unusual name.")
@click.option("--actions", default="", help="Likewise; none takes none.")
@click.option("--rewards", default="", help="Likewise; none takes none.")
@click.option("--episodes", default="", help="Which of each file, such as 0-9,20; all if not given.")
@click.option("--resize", is_flag=True, help="Make frames as large as the session's; this changes pixels.")
@click.option("--look", is_flag=True, help="Only say what the files hold.")
@job_option
def import_trajectories(session: Session, paths: tuple[Path, ...], look: bool, job: Path | None, **given: Any) -> None:
    """Take trajectories from files: all that PATHS hold, or nothing.

    A PATH is an NPZ file (keys: frames, actions, rewards, terminated, truncated, success, seed, env_id), a folder of
    pictures or of such folders, a GIF, a video, or a Minari dataset by its folder or its local id. Look
    first, with --look.

    A file that holds actions and no frames is replayed in the session's environment from the recorded seed.
    """
    from vlmcar_core import intake
    from vlmcar_core.meaning import Meaning, numbers

    meaning = Meaning(**{**given, "episodes": numbers(given["episodes"])})
    for path in paths:
        show(path, intake.preview(path, meaning))
    if look:
        return
    with as_job(session, "import-trajectories", job) as (progress, reporter):
        ids = intake.take(session, paths, meaning, progress)
        summary = f"{len(ids)} trajectories taken in: {ids[0]}" + (f" to {ids[-1]}" if len(ids) > 1 else "")
        reporter.finish("success", summary, {"trajectories": len(ids)})
    echo(summary)


def show(path: Path, preview: Any) -> None:
    """What a file holds, a line each."""
    size = "no frames" if preview.first is None else f"{preview.count} frames, {_pixels(preview.first)}"
    count = f"{preview.episodes} episode{'s' if preview.episodes != 1 else ''}"
    echo(f"{path}: {preview.title}, {count}; the first has {size}")
    for name, kind in preview.arrays.items():
        echo(f"  {name:32} {kind}")
    for note in preview.notes:
        echo(f"  note: {note}")


def _pixels(frame: Any) -> str:
    return f"{frame.shape[1]} × {frame.shape[0]} pixels"


@click.command(name="export-trajectories")
@session_argument
@click.option("--to", "form", type=click.Choice(["minari", "npz"]), default="npz", show_default=True, help="Of files.")
@click.option("--out", type=click.Path(path_type=Path), help="A new folder; <session>-<form> if not given.")
@click.option("--source", "sources", multiple=True, help="Only these; may be given several times.")
@job_option
def export_trajectories(
    session: Session, form: str, out: Path | None, sources: tuple[str, ...], job: Path | None
) -> None:
    """Write trajectories for other programs: an .npz each, or a Minari dataset.

    In both, frames are kept to the bit. In a Minari dataset they are the observations.
    """
    from vlmcar_core import outlet

    folder = out or Path(f"{session.name}-{form}")
    with as_job(session, "export-trajectories", job) as (progress, reporter):
        count = outlet.export(session, folder, cast("outlet.Form", form), sources, progress)
        reporter.finish("success", f"{count} trajectories in {folder}", {"trajectories": count})
    echo(f"{count} trajectories in {folder}")


COMMANDS = (import_trajectories, export_trajectories)
