"""What a person changes in a proposal; each change is the next proposal."""

import dataclasses

from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.store import Session
from vlmcar_core.types import GOAL, Checker, Proposal, SubTask

BY_HAND = '''"""The goal, seen from the episode's first frame and the frame now."""

import numpy as np


def check(initial, current):
    """RGB uint8 (H, W, 3) both; True, or a progress of 1, where the goal is reached."""
    return False  # not written yet
'''


def begin_by_hand(session: Session, goal: str, author: str, source: str = BY_HAND) -> Proposal:
    """A first proposal that nobody proposed: the goal and its checker, without sub-tasks yet.

    Args:
        session: one without a proposal.
        goal: the goal sentence.
        author: who writes it.
        source: of the goal's checker; one that never fires, to be written, if not given.

    Raises:
        BadInput: there is a proposal already, or no goal or author is given.
    """
    if items := session.proposals().items:
        raise BadInput(f"there is proposal {items[-1].number} already; change that, or add sub-tasks to it")
    return save_edit(session, Proposal(SubTask(goal.strip(), Checker(GOAL, source)), (), author=""), author, "by hand")


def save_edit(
    session: Session, edited: Proposal, author: str, reason: str = "", expected_latest: int | None = None
) -> Proposal:
    """Store a person's edit as the next proposal.

    Args:
        edited: the proposal as it should be; its `number` is the one it was made from.
        expected_latest: the newest proposal that the person has seen.

    Raises:
        BadInput: there is no author, or a title is empty.
        ChangedElsewhere: there is a newer proposal than the person has seen.
    """
    if not author.strip():
        raise BadInput("an edit needs its author's name; enter yours")
    for step in edited.steps:
        if not step.title.strip():
            raise BadInput(f"the sub-task {step.key!r} has no title; say in a few words what must be done")
    signed = dataclasses.replace(edited, author=author.strip(), reason=reason.strip(), parent=edited.number)
    return session.add_proposal(signed, expected_latest)


def restore(session: Session, number: int, author: str) -> Proposal:
    """Make an earlier proposal the newest again, as a new one."""
    return save_edit(session, session.proposal(number), author, f"restored from proposal {number}")


def with_step(proposal: Proposal, step: SubTask) -> Proposal:
    """The proposal with one sub-task, or the goal, replaced by another of the same key."""
    if step.key == proposal.goal.key:
        return dataclasses.replace(proposal, goal=step)
    if step.key not in {item.key for item in proposal.subtasks}:
        raise UnknownName.among("sub-task", step.key, [item.key for item in proposal.steps])
    subtasks = tuple(step if item.key == step.key else item for item in proposal.subtasks)
    return dataclasses.replace(proposal, subtasks=subtasks)


def without_step(proposal: Proposal, key: str) -> Proposal:
    """The proposal without one sub-task; the goal stays."""
    if key not in {item.key for item in proposal.subtasks}:
        raise UnknownName.among("sub-task", key, [item.key for item in proposal.subtasks])
    return dataclasses.replace(proposal, subtasks=tuple(item for item in proposal.subtasks if item.key != key))


def added_step(proposal: Proposal, step: SubTask, position: int) -> Proposal:
    """The proposal with one more sub-task, at a position from 0."""
    position = max(0, min(position, len(proposal.subtasks)))
    subtasks = (*proposal.subtasks[:position], step, *proposal.subtasks[position:])
    return dataclasses.replace(proposal, subtasks=subtasks)


def moved_step(proposal: Proposal, key: str, position: int) -> Proposal:
    """The proposal with one sub-task moved to a position, from 0."""
    moved = next((item for item in proposal.subtasks if item.key == key), None)
    rest = without_step(proposal, key)
    return rest if moved is None else added_step(rest, moved, position)
