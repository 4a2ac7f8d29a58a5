"""Somebody's own environments, registered with Gymnasium when this module is imported: a square that is moved about."""

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

SIDE, CELL = 5, 16
MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))


class Square(gym.Env[NDArray[np.float32], int]):
    """A red square is to be moved onto the green one; info says whether it is there. It pays nothing."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012 (Gymnasium's own way)

    def __init__(self, render_mode: str | None = None, goal: int = SIDE - 1) -> None:
        self.render_mode = render_mode
        self.goal = (goal, goal)
        self.at = (0, 0)
        self.action_space = gym.spaces.Discrete(len(MOVES))
        self.observation_space = gym.spaces.Box(0, SIDE - 1, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.at = (0, int(self.np_random.integers(3)))
        return np.array(self.at, np.float32), {"is_success": False}

    def step(self, action: int) -> Any:
        x, y = (min(max(place + by, 0), SIDE - 1) for place, by in zip(self.at, MOVES[action], strict=True))
        self.at = (x, y)
        return np.array(self.at, np.float32), 0.0, self.at == self.goal, False, {"is_success": self.at == self.goal}

    def render(self) -> Any:
        frame = np.full((SIDE * CELL, SIDE * CELL, 3), 40, np.uint8)
        for (x, y), colour in ((self.goal, (40, 200, 60)), (self.at, (220, 40, 40))):
            size = 2 if colour[0] > 200 else 0
            frame[y * CELL + size : (y + 1) * CELL - size, x * CELL + size : (x + 1) * CELL - size] = colour
        return frame


class Grey(Square):
    """Draws what no checker takes."""

    def render(self) -> Any:
        return super().render()[..., 0].astype(np.float32)


class Silent(Square):
    """Draws nothing."""

    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012


class Several(Square):
    """Takes two actions at once."""

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.action_space = gym.spaces.MultiDiscrete([4, 4])  # type: ignore[assignment]


class Endless(Square):
    """Observes a list of any length."""

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.observation_space = gym.spaces.Sequence(gym.spaces.Discrete(2))  # type: ignore[assignment]


class Slower(gym.Wrapper[Any, Any, Any, Any]):
    """Every second action does nothing."""

    def reset(self, **given: Any) -> Any:
        self.count = 0
        return self.env.reset(**given)

    def step(self, action: Any) -> Any:
        self.count += 1
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, {**info, "count": self.count}


for kind in (Square, Grey, Silent, Several, Endless):
    gym.register(f"{kind.__name__}-v0", kind, max_episode_steps=40)
