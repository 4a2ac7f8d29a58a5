"""What a Gymnasium environment lacks to be used here, and what there is to know about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import error as gym_error

from vlmcar_core.envs._gymnasium_shown import Shown
from vlmcar_core.escaping import one_line
from vlmcar_core.types import Frame

NO_EXPERT = "no expert: nobody has written one"
INSTEAD = "record random episodes, drive it yourself, or take trajectories from files"

FAULTS = (
    *(gym_error.Error, ImportError, OSError, TypeError, ValueError, KeyError, AttributeError, AssertionError),
    *(IndexError, RuntimeError, NotImplementedError, ZeroDivisionError, NameError),
)
"""What other people's environments raise when they cannot be made, reset or drawn."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    ok: bool | None
    """None: to know, and no fault."""

    told: str


def looked_at(env: Shown) -> Iterator[Finding]:
    """Without resetting it."""
    modes = list(env.metadata.get("render_modes") or [])
    drawn = "rgb_array" in modes
    yield Finding(
        drawn, "draws rgb_array" if drawn else f"it does not draw rgb_array; its render modes: {modes or 'none'}"
    )
    actions, observations = env.action_space, env.observation_space
    problem = _action_problem(actions)
    yield Finding(not problem, problem or f"actions: {one_line(str(actions), 120)}")
    flat = observations.is_np_flattenable
    told = f"observations: {one_line(str(observations), 120)}"
    yield Finding(flat, told if flat else f"{told}: such a space has no flat form that a policy could see")


def _action_problem(space: gym.Space[Any]) -> str:
    if isinstance(space, gym.spaces.Discrete):
        return "" if space.start == 0 else f"its actions begin at {space.start}; trainers need them to begin at 0"
    if isinstance(space, gym.spaces.Box):
        return "" if len(space.shape) == 1 else f"its actions have the shape {space.shape}; trainers need one axis"
    return f"its actions are a {type(space).__name__}; trainers take Discrete or Box: wrap it"


def tried(env: Shown) -> Iterator[Finding]:
    """Reset, drawn and stepped."""
    try:
        frames = [_first(env), _first(env)]
        env.action_space.seed(0)
        env.step(env.action_space.sample())
        env.render()
    except FAULTS as error:
        yield Finding(False, one_line(f"it cannot be reset, stepped and drawn ({error})", 400))
        return
    height, width = frames[0].shape[:2]
    yield Finding(True, f"frames: uint8, {width} × {height} pixels")
    same = np.array_equal(frames[0], frames[1])
    yield Finding(
        True if same else None,
        "the same seed gives the same first frame"
        if same
        else "the same seed gives another first frame: nothing can be replayed, and seeds of trajectories mean little",
    )


def _first(env: Shown) -> Frame:
    env.reset(seed=0)
    return np.asarray(env.render())


def to_know(env: Shown) -> Iterator[Finding]:
    unknown = env.rule.by == "unknown"
    advice = "; set success_by to info (with success_key) or return (with success_return)" if unknown else ""
    yield Finding(None, f"success: {env.rule.words}{advice}")
    yield Finding(None, f"an episode ends after {env.steps:,} steps at the latest")
    yield Finding(None, f"{NO_EXPERT}; {INSTEAD}")
