"""What happens to a badly assembled reward: the same checkers, paid once, at every rising edge, or at every frame."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vlmcar_core import alarm, plugins, runs
from vlmcar_core.payments import FARMED
from vlmcar_core.runs import Run
from vlmcar_core.store import Session
from vlmcar_core.types import Count

WAYS = ("once", *FARMED)


class Paid(NamedTuple):
    """What the runs of one way came to."""

    pay: str
    runs: int
    solved: Count
    """Episodes of the runs' last evaluations, by the environment."""

    learned_return: float | None
    """Mean of what the checkers paid an episode at the end of training; None where no run tells it yet."""

    alarms: int
    """Runs that raise the hack alarm (alarm.py)."""

    actions: dict[str, float]
    """Of the recorded episodes of their policies: action to its share, most frequent first; empty where none are
    recorded or actions are no whole numbers."""

    @property
    def habit(self) -> str:
        """The three most frequent actions, in words."""
        return ", ".join(f"{action} {share:.0%}" for action, share in list(self.actions.items())[:3]) or "-"


def compared(session: Session, found: Sequence[Run]) -> list[Paid]:
    """A row for each way that has runs.

    Args:
        session: where recorded episodes of policies are.
        found: dense runs; others are left out.
    """
    rows = []
    for pay in WAYS:
        of_it = [run for run in found if run.config.reward == "dense" and run.config.pay == pay]
        if of_it:
            rows.append(_row(session, pay, of_it))
    return rows


def _row(session: Session, pay: str, found: Sequence[Run]) -> Paid:
    last = [rows[-1] for run in found if (rows := runs.read_evaluations(run.folder))]
    solved = Count(sum(row["successes"] for row in last), sum(row["episodes"] for row in last))
    ends = [rows[-1]["learned_return"] for run in found if (rows := runs.read_progress(run.folder))]
    returns = [value for value in ends if value is not None]
    names = {run.folder.name for run in found}
    actions = Counter[str]()
    for info in session.trajectories().items:
        if info.source == "policy" and info.versions.get("run") in names:
            taken = session.trajectory(info.id).actions
            if taken.ndim == 1 and taken.dtype.kind in "iu":
                actions.update(name(session, int(action)) for action in taken)
    shares = {action: count / actions.total() for action, count in actions.most_common()}
    looked = [alarm.look(run.config, runs.read_evaluations(run.folder)) for run in found]
    alarms = sum(seen is not None and seen.level == "alarm" for seen in looked)
    return Paid(pay, len(found), solved, float(np.mean(returns)) if returns else None, alarms, shares)


def name(session: Session, action: int) -> str:
    """What the session's environment calls an action."""
    names = getattr(plugins.load("envs", session.task.family or ""), "ACTION_NAMES", ())
    return names[action] if 0 <= action < len(names) else f"action {action}"
