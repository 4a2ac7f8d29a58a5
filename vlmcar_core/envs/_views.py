"""What a policy may see beside its environment's usual observation: the scene, small, and which actions do nothing."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from PIL import Image

from vlmcar_core.types import Frame

HEIGHT = 64
"""Of a small scene, in pixels; its width follows. The three convolutions of Mnih et al. 2015 need 36 or more."""

Env = gym.Env[Any, Any]


class SceneView(gym.ObservationWrapper[Frame, Any, Any]):
    """The full render, 64 pixels high: RGB uint8 (64, W, 3). It is drawn at every step, which costs its time."""

    def __init__(self, env: Env, scene: Callable[[Env], Frame]) -> None:
        super().__init__(env)
        self._scene = scene
        self._width: int | None = None
        self.observation_space: spaces.Space[Any] = spaces.Box(0, 255, self._small().shape, np.uint8)

    def observation(self, observation: Any) -> Frame:
        return self._small()

    def _small(self) -> Frame:
        whole = self._scene(self.env)
        width = round(whole.shape[1] * HEIGHT / whole.shape[0])
        return np.asarray(Image.fromarray(whole).resize((width, HEIGHT), Image.Resampling.BOX), np.uint8)


class MaskedView(gym.ObservationWrapper[NDArray[np.float32], Any, Any]):
    """A flat observation, and after it 1 for each action that does something in this state and 0 for the others."""

    def __init__(self, env: Env, mask: Callable[[Env], NDArray[np.bool_]]) -> None:
        super().__init__(env)
        assert isinstance(env.observation_space, spaces.Box) and isinstance(env.action_space, spaces.Discrete)
        ends = np.zeros(int(env.action_space.n), np.float32)
        low, high = (
            np.concatenate([bound, ends + end]).astype(np.float32)
            for end, bound in enumerate((env.observation_space.low, env.observation_space.high))
        )
        self.observation_space: spaces.Space[Any] = spaces.Box(low, high, dtype=np.float32)
        self._mask = mask

    def observation(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.concatenate([observation, self.action_masks().astype(np.float32)])

    def action_masks(self) -> NDArray[np.bool_]:
        """Which actions do something, bool (A,)."""
        return self._mask(self.env)
