"""A person's edits: each makes a new proposal; comparing and restoring the earlier ones."""

from pathlib import Path

import click

from vlmcar_core import history, pipeline
from vlmcar_core.cli.base import F, author_option, echo, session_argument
from vlmcar_core.cli.inspect import read_source
from vlmcar_core.cli.propose import show_proposal
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


COMMANDS = (edit, restore, diff)
