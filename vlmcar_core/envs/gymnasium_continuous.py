"""Any registered Gymnasium environment with continuous actions; see `_gymnasium.py`."""

from typing import Any

import gymnasium as gym

from vlmcar_core.envs import EnvTask, _gymnasium, _views, known_view
from vlmcar_core.envs._gymnasium import (
    SETTINGS,
    expert,
    make,
    scene,
    steps_limit,
    succeeded,
    success_in,
    versions,
)
from vlmcar_core.envs._gymnasium_alone import standalone
from vlmcar_core.envs._gymnasium_shown import FlatView
from vlmcar_core.types import Task

__all__ = ["SETTINGS", "expert", "make", "scene", "standalone", "steps_limit", "succeeded", "success_in", "versions"]

TITLE = "Gymnasium, continuous actions"
CONTINUOUS = True


def tasks() -> list[EnvTask]:
    """Those that come with Gymnasium, and those of packages that the person has named."""
    return _gymnasium.tasks(CONTINUOUS)


def placed(task: Task) -> Task:
    """The task in this family, or in that for the other kind of action."""
    return _gymnasium.placed(task, "gymnasium_discrete", "gymnasium_continuous")


def facts(env: gym.Env[Any, Any]) -> dict[str, bool]:
    """None: nothing is known of a simulator that anybody may have written."""
    return {}


VIEWS = {
    "state": "The environment's own observation, flat: numbers as they are, choices one-hot, pictures in [0, 1].",
    "image": "The scene, 64 pixels high, for a small convolutional network; drawn at every step, and much slower.",
}


def policy_view(env: gym.Env[Any, Any], view: str = "state") -> gym.Env[Any, Any]:
    """The environment's own observation as a flat float32 Box, or the scene, small."""
    if known_view(view, VIEWS) != "image":
        return FlatView(env)
    env.reset()  # nothing can be drawn before
    return _views.SceneView(env, scene)
