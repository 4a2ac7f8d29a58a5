"""A person's edits: each makes a new proposal; comparing and restoring the earlier ones."""

from pathlib import Path

import click

from vlmcar_core import history, pipeline
from vlmcar_core.cli.base import F, author_option, echo, read_given, session_argument
from vlmcar_core.cli.inspect import read_source
from vlmcar_core.cli.propose import show_proposal
from vlmcar_core.errors import BadInput
from vlmcar_core.store import Session
from vlmcar_core.types import Checker, SubTask, slug

CODE = click.Path(exists=True, dir_okay=False, path_type=Path)


def reason_option(function: F) -> F:
    return click.option("--reason", default="", help="Why, for the history.")(function)


@click.group()
def edit() -> None:
    """Change the newest proposal; each change is a new proposal with its author."""


@edit.command(name="set")
@session_argument
@click.argument("key")
@click.option("--title", help="The new title; for the key `goal`, the goal sentence.")
@click.option("--code", type=CODE, help="File with the new source of its checker.")
@author_option
@reason_option
def set_step(session: Session, key: str, title: str | None, code: Path | None, author: str, reason: str) -> None:
    """Change the title or the checker of the sub-task KEY, or of the goal."""
    proposal = session.proposal()
    old = next((step for step in proposal.steps if step.key == key), None)
    step = SubTask(
        title=title if title is not None else (old.title if old else ""),
        checker=Checker(key, read_source(code) if code else (old.checker.source if old else "")),
        doubt=old.doubt if old else "",
    )
    show_proposal(pipeline.save_edit(session, pipeline.with_step(proposal, step), author, reason, proposal.number))


@edit.command()
@session_argument
@click.argument("goal")
@click.option("--code", type=CODE, help="File with the source of the goal's checker; one to be written if not given.")
@author_option
def begin(session: Session, goal: str, code: Path | None, author: str) -> None:
    """Begin by hand, where nothing is proposed: with the GOAL, in a sentence. Then `vlmcar edit add` for sub-tasks."""
    source = read_source(code) if code else pipeline.BY_HAND
    show_proposal(pipeline.begin_by_hand(session, goal, author, source))


@edit.command()
@session_argument
@click.argument("title")
@click.option("--code", type=CODE, required=True, help="File with the source of its checker.")
@click.option("--position", type=int, help="Where, from 1; last if not given.")
@author_option
@reason_option
def add(session: Session, title: str, code: Path, position: int | None, author: str, reason: str) -> None:
    """Add a sub-task."""
    proposal = session.proposal()
    step = SubTask(title, Checker(slug(title, [item.key for item in proposal.steps]), read_source(code)))
    edited = pipeline.added_step(proposal, step, len(proposal.subtasks) if position is None else position - 1)
    show_proposal(pipeline.save_edit(session, edited, author, reason, proposal.number))


@edit.command()
@session_argument
@click.argument("key")
@author_option
@reason_option
def remove(session: Session, key: str, author: str, reason: str) -> None:
    """Remove the sub-task KEY."""
    proposal = session.proposal()
    show_proposal(pipeline.save_edit(session, pipeline.without_step(proposal, key), author, reason, proposal.number))


@edit.command()
@session_argument
@click.argument("key")
@click.argument("position", type=int)
@author_option
@reason_option
def move(session: Session, key: str, position: int, author: str, reason: str) -> None:
    """Move the sub-task KEY to a POSITION, from 1."""
    proposal = session.proposal()
    edited = pipeline.moved_step(proposal, key, position - 1)
    show_proposal(pipeline.save_edit(session, edited, author, reason, proposal.number))


@click.command()
@session_argument
@click.argument("number", type=int)
@author_option
def restore(session: Session, number: int, author: str) -> None:
    """Make proposal NUMBER the newest again, as a new one."""
    show_proposal(pipeline.restore(session, number, author))


@click.command()
@session_argument
@click.argument("before", type=int)
@click.argument("after", type=int)
def diff(session: Session, before: int, after: int) -> None:
    """Compare two proposals: titles, order and code."""
    text = history.diff(session.proposal(before), session.proposal(after))
    echo(text or "the two proposals are the same")


@click.command(name="import-program")
@session_argument
@click.argument("file", type=CODE)
@click.option("--title", help="Of the sub-task; the class's name if not given.")
@click.option("--goal", "as_goal", is_flag=True, help="It checks the goal, not a sub-task.")
@click.option("--class", "class_name", help="Which class; the first with a fitting method if not given.")
@click.option("--method", help="Which method; check_and_progress or reward if not given.")
@click.option("--item", type=click.IntRange(0, 9), help="Which item of a tuple that it returns, from 0.")
@click.option("--done-at", type=float, help="It returns a number, and this one or more means done.")
@click.option("--bool", "as_bool", is_flag=True, help="It returns True or False.")
@click.option("--yes", is_flag=True, help="Do not ask whether it was understood rightly.")
@author_option
@reason_option
def import_program(
    session: Session,
    file: Path,
    title: str | None,
    as_goal: bool,
    class_name: str | None,
    method: str | None,
    item: int | None,
    done_at: float | None,
    as_bool: bool,
    yes: bool,
    author: str,
    reason: str,
) -> None:
    """Import a program in the released VLM-CaR style from FILE: a class with check_and_progress(path) or reward(path).

    What was understood is shown, with a trial on a recorded episode, and has to be confirmed. It becomes the last
    sub-task of a new proposal, or its goal.
    """
    from vlmcar_core import importing

    if as_bool and done_at is not None:
        raise BadInput("--bool and --done-at contradict each other; give one of them")
    text = importing.read(read_given(file, 2 * importing.SIZE_LIMIT_BYTES))
    found = importing.understand(text)
    for line in importing.table(found):
        echo(line)
    for problem in found.problems:
        echo(f"{file.name}:{problem.line}: {problem.severity}: {problem.message} ({problem.hint})")
    reading = importing.chosen(found, class_name, method, item, done_at, as_bool)
    source = importing.as_source(text, reading)
    importing.check(source)
    echo(f"Read as: {reading.told}")
    tried = importing.trial_of(session, source)
    if tried:
        echo(f"Tried: {tried}")
    if not yes and not click.confirm("Is that right?"):
        echo("nothing was imported")
        return
    edited, latest = importing.imported(session, source, title or reading.class_name, as_goal)
    show_proposal(pipeline.save_edit(session, edited, author, reason or f"imported {file.name}", latest))


COMMANDS = (edit, import_program, restore, diff)
