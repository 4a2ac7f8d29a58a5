"""Episodes beside a wrong object: the task done in spite of it, and the wrong thing done instead.

The labels are the simulator's facts, which are about the task's own objects.
"""

import dataclasses

from vlmcar_core import plugins, rollouts
from vlmcar_core.envs import Scene
from vlmcar_core.errors import BadInput, NoExpert
from vlmcar_core.lab.near_misses import TRIES, WANDERING
from vlmcar_core.types import Task, Trajectory


def hard_scenes(task: Task, seed: int) -> list[Trajectory]:
    """Two for each scene of a layout: an expert's, and one that does the wrong thing and wanders without solving it.

    What was changed stands in `versions["scene"]`.

    Raises:
        BadInput: nothing can be put into this family's layouts.
    """
    family = plugins.load("envs", task.family or "")
    if not hasattr(family, "scenes"):
        raise BadInput(f"nothing can be put into the layouts of {family.TITLE}; its tasks are not ours to change")
    found = []
    for scene in family.scenes(task, seed):
        for episode in (_solved(scene, seed), _wrong(scene, seed)):
            if episode is not None:
                versions = {**episode.versions, "scene": scene.name}
                found.append(dataclasses.replace(episode, versions=versions))
    return found


def _solved(scene: Scene, seed: int) -> Trajectory | None:
    try:
        return rollouts.record_expert(scene.task, seed)
    except NoExpert:
        return None


def _wrong(scene: Scene, seed: int) -> Trajectory | None:
    for chance in range(TRIES):
        random = rollouts.random_actions(scene.task, seed + 1000 * chance, WANDERING)
        episode = rollouts.record_actions(scene.task, seed, [*scene.wrong, *random], "near-miss")
        if episode.success is False:
            return episode
    return None
