"""What a policy sees: MiniGrid's usual partial view, one-hot.

minigrid's own one-hot wrapper loops over cells in Python; this one indexes a table.
"""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from minigrid.core.constants import COLOR_TO_IDX, OBJECT_TO_IDX
from numpy.typing import NDArray

STATES = 3
"""A door is open, closed or locked; everything else has state 0."""

DIRECTIONS = 4
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
