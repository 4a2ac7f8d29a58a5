"""`vlmcar` itself: its options, its help by stage, and finding a command."""

import difflib
import importlib
import os
from pathlib import Path

import click

from vlmcar_core.cli.contents import ENTRIES, MODULES, STAGES

HELP = """Author, verify and train on reward code: from two frames to a trained agent.

A whole session, with no API key:

\b
  vlmcar new demo --env MiniGrid-DoorKey-8x8-v0
  vlmcar record demo          2 experts, 100 random episodes
  vlmcar propose demo         sub-tasks and checkers (built-in, no VLM)
  vlmcar verify demo          accepted, rejected or undecided
  vlmcar train demo           PPO on dense and on sparse reward
  vlmcar report demo          one HTML file
  vlmcar export demo --to DIR a reward that runs without the studio
  vlmcar app                  the same in a browser
"""

AFTER = """\b
Exit codes:
  0    done
  1    the request, the session or this machine is at fault; the message says what to do
  2    the command line is wrong
  3    a fault of the program
  4    it was done, and the checkers do not pass (verify, examine, attack, repair)
  130  stopped

\b
Every command has examples: vlmcar verify --help
"""


class Stages(click.Group):
    """Lists its commands by stage, from the table; imports the module of one only when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(ENTRIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in MODULES:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(f"vlmcar_core.cli.{MODULES[cmd_name]}")
        command: click.Command = next(one for one in module.COMMANDS if one.name == cmd_name)
        if cmd_name in ENTRIES:
            command.short_help = ENTRIES[cmd_name].told
            command.epilog = _examples(ENTRIES[cmd_name].examples)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        known = name in MODULES or name in self.commands
        if not known and not name.startswith("-") and not ctx.resilient_parsing:
            near = difflib.get_close_matches(name, ENTRIES, n=3)
            ctx.fail(f"there is no command {name!r}" + (f"; did you mean {' or '.join(near)}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, ENTRIES))
        for stage in STAGES:
            with formatter.section(stage.title):
                formatter.write_dl([(entry.name.ljust(width), entry.told) for entry in stage.entries])


def _examples(lines: tuple[str, ...]) -> str:
    """The end of a command's help; the mark keeps click from running the lines together."""
    return "\n".join(["\b", "Examples:", *(f"  vlmcar {line}" for line in lines)])


def default_root() -> Path:
    """Where sessions are kept. Asked for only when a command runs, since the session's code is not loaded for help."""
    from vlmcar_core import pipeline

    return pipeline.default_root()


@click.group(
    cls=Stages,
    help=HELP,
    epilog=AFTER,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    default=default_root,
    envvar="VLMCAR_SESSIONS",
    show_default="sessions/",
    help="Folder of the sessions; also VLMCAR_SESSIONS.",
)
@click.option(
    "--cliport-root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A checkout of CLIPort to use its tasks; also VLMCAR_CLIPORT_ROOT.",
)
@click.option(
    "--gym-module",
    "gym_modules",
    multiple=True,
    help="A package that you trust, to use its Gymnasium environments and wrappers; also VLMCAR_GYM_MODULES (a,b).",
)
@click.version_option(package_name="vlmcar-studio", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context, root: Path, cliport_root: Path | None, gym_modules: tuple[str, ...]) -> None:
    context.obj = root
    if gym_modules:
        os.environ["VLMCAR_GYM_MODULES"] = ",".join(gym_modules)  # for processes that are started, too
    if cliport_root is not None:
        os.environ["VLMCAR_CLIPORT_ROOT"] = str(cliport_root.resolve())  # for processes that are started, too
