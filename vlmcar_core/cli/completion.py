"""What makes a shell complete commands, options and sessions."""

import click
from click.shell_completion import get_completion_class

from vlmcar_core.cli.contents import ENTRIES
from vlmcar_core.errors import UnknownName

EXAMPLES = {line.split()[1]: line for line in ENTRIES["completion"].examples}
"""By shell, where it looks for completions."""

MORE = {
    "bash": "with the package bash-completion; without it, in ~/.bashrc:  {now}",
    "zsh": "in ~/.zshrc, before compinit is called:  fpath=(~/.zfunc $fpath)",
    "fish": "",
}
NOW = {
    "bash": 'eval "$(vlmcar completion bash)"',
    "zsh": 'eval "$(vlmcar completion zsh)"',
    "fish": "vlmcar completion fish | source",
}
"""How to have it in this shell alone."""

ZSH = (
    ("[[ $zsh_eval_context[-1] == loadautofunc ]]", '[[ "${funcstack[1]}" == _vlmcar ]]'),
    (
        "    compdef _vlmcar_completion vlmcar",
        "    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }\n"
        "    compdef _vlmcar_completion vlmcar",
    ),
)
"""What click's script for zsh has, and what is printed instead. Kept as a file, it is in the state `loadautofunc` only
when it is loaded: asked a second time, it completed nothing. And a zsh that has no `compdef` yet did not know it."""


@click.command()
@click.argument("shell", type=click.Choice(list(NOW)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete commands, options and the names of sessions.

    How to keep it is told in its last lines, too. A new shell has it.
    """
    found = get_completion_class(shell)
    if found is None:
        raise UnknownName.among("shell", shell, NOW)
    script = found(context.find_root().command, {}, "vlmcar", "_VLMCAR_COMPLETE").source()
    for theirs, ours in ZSH if shell == "zsh" else ():
        script = script.replace(theirs, ours)
    click.echo(f"{script}\n{_kept(shell)}# This shell only: {NOW[shell]}")


def _kept(shell: str) -> str:
    """How to keep it, as comments."""
    folder = EXAMPLES[shell].rpartition(" ")[2].rpartition("/")[0]
    lines = [f"# To keep it:     mkdir -p {folder} && vlmcar {EXAMPLES[shell]}\n"]
    if MORE[shell]:
        lines.append(f"#                 {MORE[shell].format(now=NOW[shell])}\n")
    return "".join(lines)


COMMANDS = (completion,)
