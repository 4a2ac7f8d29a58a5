"""What the page Drive starts: an environment in a process of its own."""

import os

import click

from vlmcar_core.cli.base import session_argument
from vlmcar_core.store import Session


@click.command(name="drive-host", hidden=True)
@session_argument
def drive_host(session: Session) -> None:
    """Hold the environment that somebody drives in the app; standard input and output are its pipes."""
    from vlmcar_core import drive_host as host

    told = os.dup(1)
    os.dup2(2, 1)  # what a simulator prints must not come among the answers
    with os.fdopen(0, "rb", buffering=0, closefd=False) as source, os.fdopen(told, "wb") as sink:
        host.serve(session, source, sink)


COMMANDS = (drive_host,)
