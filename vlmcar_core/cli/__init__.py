"""The commands, in the order in which a session uses them.

Exit codes: 0 done; 1 the request or the session is at fault (the message says what to do); 2 the command line
was wrong; 3 a fault of the program; 4 verification rejected or left undecided; 130 stopped.
"""

import sys
import traceback

from vlmcar_core.cli import (
    doctor,
    drive,
    edit,
    hyperparameters,
    inspect,
    lab,
    models,
    monitoring,
    packing,
    propose,
    queue,
    record,
    share,
    task,
    training,
    trajectories,
    view,
    vlm,
)
from vlmcar_core.cli.base import cli, echo
from vlmcar_core.errors import Cancelled, VlmcarError
from vlmcar_core.escaping import without_keys

__all__ = ["cli", "main"]

for commands in (
    task.COMMANDS,
    record.COMMANDS,
    drive.COMMANDS,
    trajectories.COMMANDS,
    propose.COMMANDS,
    edit.COMMANDS,
    inspect.COMMANDS,
    record.VERIFY,
    lab.COMMANDS,
    models.COMMANDS,
    training.COMMANDS,
    hyperparameters.COMMANDS,
    monitoring.COMMANDS,
    queue.COMMANDS,
    view.COMMANDS,
    packing.COMMANDS,
    share.COMMANDS,
    vlm.COMMANDS,
    doctor.COMMANDS,
):
    for command in commands:
        cli.add_command(command)


def main() -> None:
    """Run the command line; what goes wrong is one message on standard error and an exit code."""
    try:
        cli(prog_name="vlmcar")
    except Cancelled as error:
        echo(f"vlmcar: {error}", err=True)
        sys.exit(130)
    except VlmcarError as error:
        echo(f"vlmcar: {error}", err=True)
        sys.exit(1)
    except Exception:  # noqa: BLE001 (the outermost boundary)
        echo(without_keys(traceback.format_exc()), err=True)
        echo("vlmcar: this is a fault of the program, not yours; nothing that was saved is lost", err=True)
        sys.exit(3)
