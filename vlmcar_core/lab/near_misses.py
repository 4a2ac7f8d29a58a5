"""Near misses: an expert that does a part of the task, and then wanders without ever solving it.

Random walks hardly ever get as far as the late stages; these begin there.
"""

import numpy as np

from vlmcar_core import rollouts
from vlmcar_core.types import Task, Trajectory

WANDERING = 20
"""Random actions after the expert's own."""

TRIES = 20


def near_misses(task: Task, seed: int) -> list[Trajectory]:
    """One for each stage of an expert's episode: up to where a fact comes true, and up to just before success.

    Raises:
        NoExpert: there is none for this environment or this layout.
    """
    expert = rollouts.record_expert(task, seed)
    onsets = {int(np.argmax(truth)) for truth in expert.facts.values() if truth.any() and not truth[0]}
    stops = {onset for onset in onsets if onset < expert.steps} | {expert.steps - 1}
    found = (_wandering(task, seed, expert, stop) for stop in sorted(stops - {0}))
    return [episode for episode in found if episode is not None]


def _wandering(task: Task, seed: int, expert: Trajectory, stop: int) -> Trajectory | None:
    """The expert's first actions, then random ones; None where chance solves it every time."""
    for chance in range(TRIES):
        actions = [*expert.actions[:stop], *rollouts.random_actions(task, seed + 1000 * chance + stop, WANDERING)]
        episode = rollouts.record_actions(task, seed, actions, "near-miss")
        if episode.success is False:
            return episode
    return None
