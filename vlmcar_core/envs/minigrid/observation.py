"""What a policy sees: MiniGrid's usual partial view, one-hot, as numbers, or drawn.

minigrid's own one-hot wrapper loops over cells in Python; this one indexes a table.
"""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from minigrid.core.constants import COLOR_TO_IDX, OBJECT_TO_IDX
from minigrid.minigrid_env import MiniGridEnv
from numpy.typing import NDArray

STATES = 3
"""A door is open, closed or locked; everything else has state 0."""

DIRECTIONS = 4
PIXELS = 8
SIZES = (len(OBJECT_TO_IDX), len(COLOR_TO_IDX), STATES)


class OneHotView(gym.ObservationWrapper[NDArray[np.float32], Any, Any]):
    """Type, colour and state of every visible cell and the agent's heading, one-hot, float32 in {0, 1}.

    Shape (view * view * 20 + 4,): 984 for the usual 7 × 7 view.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        height, width, _ = env.observation_space["image"].shape  # type: ignore[index]
        self._cells = height * width
        self._per_cell = sum(SIZES)
        starts = np.array([0, SIZES[0], SIZES[0] + SIZES[1]])
        self._highest = np.array(SIZES) - 1
        self._base = (np.arange(self._cells) * self._per_cell)[:, None] + starts
        self._length = self._cells * self._per_cell
        self.observation_space = spaces.Box(0.0, 1.0, (self._length + DIRECTIONS,), np.float32)

    def observation(self, observation: dict[str, Any]) -> NDArray[np.float32]:
        view = np.zeros(self._length + DIRECTIONS, np.float32)
        image = observation["image"].reshape(self._cells, 3).astype(np.int64)
        view[(self._base + np.minimum(image, self._highest)).ravel()] = 1.0
        view[self._length + int(observation["direction"])] = 1.0
        return view


class SymbolicView(gym.ObservationWrapper[NDArray[np.float32], Any, Any]):
    """Type, colour and state of every visible cell as one number each, divided by its highest, and the heading one-hot:
    float32 in [0, 1].

    Shape (view * view * 3 + 4,): 151 for the usual 7 × 7 view. Small, but the order of the numbers means nothing.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        height, width, _ = env.observation_space["image"].shape  # type: ignore[index]
        self._highest = np.array(SIZES, np.float32) - 1
        self._length = height * width * 3
        self.observation_space = spaces.Box(0.0, 1.0, (self._length + DIRECTIONS,), np.float32)

    def observation(self, observation: dict[str, Any]) -> NDArray[np.float32]:
        view = np.zeros(self._length + DIRECTIONS, np.float32)
        view[: self._length] = np.minimum(observation["image"] / self._highest, 1.0).ravel()
        view[self._length + int(observation["direction"])] = 1.0
        return view


class PictureView(gym.ObservationWrapper[NDArray[np.uint8], Any, Any]):
    """What the agent sees, drawn with 8 pixels a cell: RGB uint8, (56, 56, 3) for the usual 7 × 7 view."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        size = env.observation_space["image"].shape[0] * PIXELS  # type: ignore[index]
        self.observation_space = spaces.Box(0, 255, (size, size, 3), np.uint8)

    def observation(self, observation: dict[str, Any]) -> NDArray[np.uint8]:
        grid = self.env.unwrapped
        assert isinstance(grid, MiniGridEnv)
        return np.asarray(grid.get_frame(tile_size=PIXELS, agent_pov=True), np.uint8)
