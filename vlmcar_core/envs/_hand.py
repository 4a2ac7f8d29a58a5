"""Driving a hand by keys: six directions, and something that it does with its fingers."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vlmcar_core.envs import Control, Pressed

WAIT = Control("wait", " ")

DIRECTIONS: Mapping[str, tuple[int, int, int]] = {
    "x −": (-1, 0, 0),
    "x +": (1, 0, 0),
    "y −": (0, -1, 0),
    "y +": (0, 1, 0),
    "z −, down": (0, 0, -1),
    "z +, up": (0, 0, 1),
}

FROM_BEHIND = ("ArrowLeft", "ArrowRight", "ArrowDown", "ArrowUp", "s", "w")
"""Keys of the directions where x runs to the right in the picture, and y away from who looks at it."""

FACING = ("ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "s", "w")
"""Keys where x comes towards who looks, and y runs to the right."""


def moves(keys: tuple[str, ...]) -> tuple[Control, ...]:
    """A control for each direction, in their order."""
    return tuple(Control(name, key) for name, key in zip(DIRECTIONS, keys, strict=True))


def way(pressed: Pressed) -> NDArray[np.float64]:
    """Where the directions that are pressed lead, as shares of the farthest step, (3,) in [-1, 1]."""
    wanted = [DIRECTIONS[name] for name in pressed.held if name in DIRECTIONS]
    whole: NDArray[np.float64] = pressed.share * np.sum([(0, 0, 0), *wanted], axis=0)
    return np.clip(whole, -1.0, 1.0)


def fingers(pressed: Pressed, meaning: Mapping[str, float]) -> float:
    """What the fingers are to do: the meaning of the last of these names that is pressed, 0 where none is."""
    return next((meaning[name] for name in reversed(pressed.held) if name in meaning), 0.0)
