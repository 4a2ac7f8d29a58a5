"""A Gymnasium environment as the studio uses it: its frames are looked at, and what `info` tells is remembered."""

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces.utils import flatten, flatten_space
from numpy.typing import NDArray

from vlmcar_core.errors import BadInput
from vlmcar_core.types import Frame

SIDE_MIN, SIDE_MAX = 8, 4096


@dataclass(frozen=True)
class Rule:
    """What counts as success."""

    by: str
    """"return", "info" or "unknown"."""

    least: float = 0.0
    key: str = ""

    @property
    def words(self) -> str:
        told = {"return": f"a return of at least {self.least:g}", "info": f"info[{self.key!r}] being true at any step"}
        return told.get(self.by, "unknown")


class Shown(gym.Wrapper[Any, Any, Any, Any]):
    """An environment whose frames are looked at before they are passed on, and which remembers what info told."""

    def __init__(self, env: gym.Env[Any, Any], rule: Rule, steps: int, height: int) -> None:
        super().__init__(env)
        self.rule, self.steps = rule, steps
        self.told = False
        """Whether info has told success in this episode."""
        self._height = height

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        self.told = False
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        if self.rule.by == "info":
            self.told = self.told or _true(info.get(self.rule.key))
        return observation, reward, terminated, truncated, info

    def render(self) -> Any:
        """RGB uint8 (H, W, 3). Raises `BadInput` where it is something else."""
        frame = self.env.render()
        if problem := frame_problem(frame):
            raise BadInput(f"{self.spec.id if self.spec else 'the environment'}: {problem}")
        return shrunk(np.asarray(frame), self._height)


def _true(value: Any) -> bool:
    found = np.asarray(value) if value is not None else np.zeros(1)
    return found.dtype.kind in "biuf" and found.size > 0 and bool((found.astype(np.float64) >= 0.5).any())


def frame_problem(frame: Any) -> str:
    """Why something is no frame; empty where it is one."""
    if not isinstance(frame, np.ndarray):
        return f"render() gives {type(frame).__name__} instead of an array; it must draw with render_mode='rgb_array'"
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        return f"render() gives {frame.dtype} {frame.shape}; checkers need RGB as uint8 (H, W, 3)"
    if not (min(frame.shape[:2]) >= SIDE_MIN and max(frame.shape[:2]) <= SIDE_MAX):
        return f"a frame has {frame.shape[1]} × {frame.shape[0]} pixels; each side must be {SIDE_MIN} to {SIDE_MAX}"
    return ""


def shrunk(frame: Frame, height: int) -> Frame:
    """A frame in a smaller height, its width in proportion; as it is where that is 0, or no smaller."""
    if not height or height >= frame.shape[0]:
        return frame
    import cv2

    width = max(SIDE_MIN, round(frame.shape[1] * height / frame.shape[0]))
    return np.asarray(cv2.resize(frame, (width, max(SIDE_MIN, height)), interpolation=cv2.INTER_AREA), np.uint8)


class FlatView(gym.ObservationWrapper[NDArray[np.float32], Any, Any]):
    """The observation as a flat float32 Box: numbers as they are, choices one-hot, pictures in [0, 1]."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        flat = flatten_space(env.observation_space)
        assert isinstance(flat, gym.spaces.Box), "looked at by make()"
        self._scale = 255.0 if env.observation_space.dtype == np.uint8 else 1.0
        low, high = (np.asarray(bound / self._scale, np.float32) for bound in (flat.low, flat.high))
        self.observation_space = gym.spaces.Box(low, high, dtype=np.float32)

    def observation(self, observation: Any) -> NDArray[np.float32]:
        return np.asarray(np.asarray(flatten(self.env.observation_space, observation)) / self._scale, np.float32)


def shown(env: gym.Env[Any, Any]) -> Shown:
    while not isinstance(env, Shown):
        if not isinstance(env, gym.Wrapper):
            raise TypeError(f"expected an environment that a Gymnasium family made, not {type(env).__name__}")
        env = env.env
    return env
