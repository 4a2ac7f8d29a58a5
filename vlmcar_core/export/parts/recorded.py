"""The episodes that were recorded with this bundle, and an environment that plays one again."""

import json
from pathlib import Path
from typing import Any

import cv2
import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

TESTS = Path(__file__).resolve().parent / "tests"


def told() -> dict[str, Any]:
    """What tests/recorded.json holds: cases and episodes."""
    found: dict[str, Any] = json.loads((TESTS / "recorded.json").read_text(encoding="utf-8"))
    return found


def frame(name: str) -> NDArray[np.uint8]:
    """A recorded frame, RGB uint8 (H, W, 3)."""
    picture = cv2.imread(str(TESTS / "frames" / name))
    if picture is None:
        raise FileNotFoundError(f"tests/frames/{name} is missing or no picture; export the bundle again")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


class Recorded(gym.Env[Any, Any]):
    """Plays a recorded episode again, whatever the actions are. The observation is the number of the frame.

    Args:
        episode: one of `told()["episodes"]`.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 8}  # noqa: RUF012 (as Gymnasium declares it)
    action_space = gym.spaces.Discrete(1)

    def __init__(self, episode: dict[str, Any]) -> None:
        self.render_mode = "rgb_array"
        self._frames = [frame(name) for name in episode["frames"]]
        self._order, self._rewards = episode["order"], episode["env_rewards"]
        self._ended, self._at = bool(episode["terminated"]), 0
        self.observation_space = gym.spaces.Box(0, len(self._order), (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._at = 0
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._at += 1
        last = self._at == len(self._order) - 1
        return self._seen(), float(self._rewards[self._at - 1]), last and self._ended, last and not self._ended, {}

    def render(self) -> Any:
        return self._frames[self._order[self._at]]

    def _seen(self) -> NDArray[np.float32]:
        return np.array([self._at], np.float32)
