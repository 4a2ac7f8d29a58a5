"""A session to one file, and back."""

from pathlib import Path

import click

from vlmcar_core.cli.base import Bar, echo, session_argument
from vlmcar_core.store import Session


@click.command()
@session_argument
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where; <session>.zip if not given.")
def pack(session: Session, out: Path | None) -> None:
    """Write a session as one zip, to be read on another machine.

    Background jobs and remembered answers are left out; answers are made again by `vlmcar verify`.
    """
    from vlmcar_core import packing

    path = out or Path(f"{session.name}.zip")
    with Bar("pack") as bar:
        count = packing.pack_to(session, path, bar)
    echo(f"{path}: {count} files, {path.stat().st_size / 2**20:.2f} MiB; elsewhere: vlmcar unpack {path.name}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="What to call the session; as it was called, if not given.")
@click.pass_obj
def unpack(root: Path, file: Path, name: str | None) -> None:
    """Make a session of a zip that `vlmcar pack` wrote, here or elsewhere.

    The file may be a stranger's: nothing in it is run or imported, and what no session holds is refused.
    """
    from vlmcar_core import packing

    with Bar("unpack") as bar:
        session = packing.unpack(root, file, name, bar)
    echo(f"session {session.name} in {session.folder}; next: vlmcar show {session.name}")


COMMANDS = (pack, unpack)
