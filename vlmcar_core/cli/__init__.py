"""The command line. `contents.py` lists the commands in the order in which a session uses them.

Exit codes: 0 done; 1 the request, the session or this machine is at fault (the message says what to do); 2 the command
line is wrong; 3 a fault of the program; 4 it was done, and the checkers do not pass; 130 stopped.
"""

import sys
import traceback

import click

from vlmcar_core.cli.group import cli
from vlmcar_core.errors import Cancelled, VlmcarError
from vlmcar_core.escaping import harmless, without_keys

__all__ = ["cli", "main"]

EXIT_FAULT_OF_REQUEST = 1
EXIT_FAULT_OF_PROGRAM = 3
EXIT_STOPPED = 130
"""As shells count it: 128 and the number of SIGINT."""


def main() -> None:
    """Run the command line; what goes wrong is one message on standard error and an exit code."""
    try:
        sys.exit(cli(prog_name="vlmcar", standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        _say("stopped")
        sys.exit(EXIT_STOPPED)
    except Cancelled as error:
        _say(str(error))
        sys.exit(EXIT_STOPPED)
    except VlmcarError as error:
        _say(str(error))
        sys.exit(EXIT_FAULT_OF_REQUEST)
    except Exception:  # noqa: BLE001 (the outermost boundary)
        click.echo(harmless(without_keys(traceback.format_exc())), err=True)
        _say("this is a fault of the program, not yours; nothing that was saved is lost")
        sys.exit(EXIT_FAULT_OF_PROGRAM)


def _say(text: str) -> None:
    click.echo(harmless(f"vlmcar: {text}"), err=True)
