"""What an episode of training came to, told at its end."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray


class EpisodeRecord(gym.Wrapper[Any, Any, Any, Any]):
    """Adds `info["episode_record"]` at an episode's end: success, env_return, learned_return, length, completed."""

    def __init__(self, env: gym.Env[Any, Any], succeeded: Callable[[NDArray[np.float64], bool], bool]) -> None:
        super().__init__(env)
        self._succeeded = succeeded
        self._rewards: list[float] = []
        self._learned = 0.0
        self._paid: list[str] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self._rewards, self._learned, self._paid = [], 0.0, []
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        ours = info.get("vlmcar", {"reward": 0.0, "env_reward": float(reward), "now": []})
        self._rewards.append(ours["env_reward"])
        self._learned += ours["reward"]
        self._paid += ours["now"]
        if terminated or truncated:
            record = {
                "success": self._succeeded(np.array(self._rewards), terminated),
                "env_return": float(sum(self._rewards)),
                "learned_return": self._learned,
                "length": len(self._rewards),
                "paid": list(self._paid),
            }
            info = {**info, "episode_record": record}
        return observation, reward, terminated, truncated, info
