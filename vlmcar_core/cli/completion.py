"""What makes a shell complete commands, options and sessions."""

import click
from click.shell_completion import get_completion_class

from vlmcar_core.cli.contents import ENTRIES
from vlmcar_core.errors import UnknownName

INSTALL = {line.split()[1]: f"vlmcar {line}" for line in ENTRIES["completion"].examples}
"""How to keep it, by shell: in the folder in which that shell looks for completions."""

NOW = {
    "bash": 'eval "$(vlmcar completion bash)"',
    "zsh": 'eval "$(vlmcar completion zsh)"',
    "fish": "vlmcar completion fish | source",
}
"""How to have it in this shell alone."""


@click.command()
@click.argument("shell", type=click.Choice(list(INSTALL)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete commands, options and the names of sessions.

    How to keep it is told in its last lines, too. A new shell has it.
    """
    found = get_completion_class(shell)
    if found is None:
        raise UnknownName.among("shell", shell, INSTALL)
    root = context.find_root()
    click.echo(found(root.command, {}, "vlmcar", "_VLMCAR_COMPLETE").source())
    click.echo(f"# To keep it:     {INSTALL[shell]}\n# This shell only: {NOW[shell]}")


COMMANDS = (completion,)
