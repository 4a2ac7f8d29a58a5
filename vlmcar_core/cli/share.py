"""What leaves the studio: a bundle of a proposal, the session's figures."""

from pathlib import Path

import click

from vlmcar_core import pipeline
from vlmcar_core.cli.base import Bar, echo, session_argument
from vlmcar_core.store import Session

WHERE = click.Path(path_type=Path)


@click.command()
@session_argument
@click.option("--proposal", "number", type=int, help="Which; the newest if not given.")
@click.option("--to", type=WHERE, required=True, help="A new folder, or a new zip file where it ends in .zip.")
@click.option(
    "--frames-mib", default=pipeline.BUNDLE_MEBIBYTES, show_default=True, help="Room for recorded frames, in MiB."
)
def export(session: Session, number: int | None, to: Path, frames_mib: float) -> None:
    """Write a verified proposal as a bundle that runs without the studio.

    A reward of its checkers (reward.py), wrappers for Gymnasium and for Stable-Baselines3's vectorised environments, a
    card, a manifest, and tests of the decisive recorded frames. Nothing contains the checkers in it: they run in the
    process that imports them, with everything that its user may do.

    In the bundle's folder: `python -m pip install -r requirements.txt`, then `python -m unittest discover tests` and
    `python demo.py`.
    """
    from vlmcar_core.export import WARNING, write

    with Bar("export") as bar:
        made = pipeline.export(session, number, frames_mib, bar)
        write(made, to)
    size = sum(map(len, made.files.values())) / 2**20
    echo(f"{to}: {len(made.files)} files, {size:.1f} MiB, {made.cases} decisive frames, {made.episodes} episodes")
    echo(f"verification: {pipeline.judged(session, number)}")
    for note in made.notes:
        echo(f"note: {note}", err=True)
    echo(WARNING, err=True)


@click.command()
@session_argument
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), required=True, help="A folder; made if needed.")
@click.option(
    "--format", "formats", type=click.Choice(["svg", "png"]), multiple=True, help="Both if not given; PNG is doubled."
)
def figures(session: Session, to: Path, formats: tuple[str, ...]) -> None:
    """Write the session's figures for a paper: learning curves, when checkers fire, their rates with intervals.

    Needs an installed Chromium or Chrome, and pip install "vlmcar-studio[figures]". Nothing is fetched.
    """
    with Bar("figures") as bar:
        written = pipeline.figures(session, to, formats or ("svg", "png"), bar)
    for path in written:
        echo(path)


COMMANDS = (export, figures)
