"""From what was found to a proposal: titles, keys, the goal sentence."""

from collections.abc import Sequence
from dataclasses import dataclass

from vlmcar_core.errors import NothingToPropose
from vlmcar_core.types import BUILT_IN, GOAL, Checker, Proposal, SubTask, slug


@dataclass(frozen=True)
class Step:
    """One thing that was done between the two frames."""

    title: str
    source: str
    doubt: str = ""


def assemble(steps: Sequence[Step], doubts: Sequence[str]) -> Proposal:
    """The steps in order as sub-tasks; the goal is reached when the last of them is done."""
    if not steps:
        raise NothingToPropose("nothing was found that could be a sub-task")
    taken: list[str] = []
    subtasks = []
    for step in steps:
        key = slug(step.title.partition(" (")[0], taken)
        taken.append(key)
        subtasks.append(SubTask(step.title, Checker(key, step.source), step.doubt))
    last = steps[-1]
    goal = SubTask(_sentence(steps), Checker(GOAL, last.source), last.doubt)
    return Proposal(goal, tuple(subtasks), BUILT_IN, "compared the two frames", doubts=tuple(doubts))


def _sentence(steps: Sequence[Step]) -> str:
    titles = [step.title[0].lower() + step.title[1:] for step in steps]
    text = titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])}, then {titles[-1]}"
    return f"{text[0].upper()}{text[1:]}."
