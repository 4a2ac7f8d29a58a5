"""A Gymnasium wrapper that pays what checkers say. Needs gymnasium and numpy alone.

    from reward import Reward
    from wrapper import CheckerReward

    env = CheckerReward(gym.make(ENV_ID, render_mode="rgb_array"), Reward())

For Stable-Baselines3's vectorised environments see sb3_wrapper.py.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
Scene = Callable[[gym.Env[Any, Any]], Frame]
Succeeded = Callable[[NDArray[np.float64], bool], bool]


class Reward(Protocol):
    """What reward.py makes."""

    @property
    def looks(self) -> bool: ...
    @property
    def asks_success(self) -> bool: ...
    def begin(self, frame: Frame) -> None: ...
    def __call__(self, frame: Frame | None, solved: bool | None = None) -> tuple[float, dict[str, float]]: ...
    def told(self, env_reward: float, components: Mapping[str, float]) -> dict[str, Any]: ...


def rendered(env: gym.Env[Any, Any]) -> Frame:
    """The environment's own picture.

    Raises:
        TypeError: it draws none.
    """
    frame = env.render()
    if not isinstance(frame, np.ndarray):
        raise TypeError(
            f"checkers need a picture: make the environment with render_mode='rgb_array', not {env.render_mode!r}"
        )
    return frame


class CheckerReward(gym.Wrapper[Any, Any, Any, Any]):
    """Pays for sub-tasks that are done, beside the environment's own reward.

    `info["vlmcar"]` holds: reward, what the checkers paid for this step; env_reward; components, key to what was paid
    for it; now, the keys that this step completed; completed, how many of `total` are done; faults.

    Args:
        env: made with render_mode "rgb_array", or with a `scene` of its own.
        reward: this environment's own; copies of the environment do not share one.
        env_reward: keep the environment's own reward beside the checkers'.
        scene: from the environment to the frame that the checkers look at, RGB uint8 (H, W, 3): drawn as the frames
            were on which they were verified. `env.render()` if None.
        succeeded: from an episode's environment rewards, float64 (T,), and whether it terminated, to whether it is
            solved; only "potential" needs it.

    Raises:
        ValueError: the payment needs `succeeded`, and there is none.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        reward: Reward,
        env_reward: bool = True,
        scene: Scene | None = None,
        succeeded: Succeeded | None = None,
    ) -> None:
        super().__init__(env)
        if reward.asks_success and succeeded is None:
            raise ValueError("a potential has to be told whether an episode that terminates is solved: pass succeeded")
        self.reward = reward
        self._env_reward, self._scene, self._succeeded = env_reward, scene or rendered, succeeded
        self._env_rewards: list[float] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        self._env_rewards = []
        self.reward.begin(self._scene(self.env))
        return observation, {**info, "vlmcar": self.reward.told(0.0, {})}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        env_reward = float(reward)
        self._env_rewards.append(env_reward)
        frame = self._scene(self.env) if self.reward.looks else None
        _, components = self.reward(frame, self._solved() if terminated else None)
        told = self.reward.told(env_reward, components)
        total = told["reward"] + (env_reward if self._env_reward else 0.0)
        return observation, total, terminated, truncated, {**info, "vlmcar": told}

    def _solved(self) -> bool | None:
        if not self.reward.asks_success or self._succeeded is None:
            return None
        return bool(self._succeeded(np.array(self._env_rewards), True))


class ShowsFrame(gym.Wrapper[Any, Any, Any, Any]):
    """Tells the frame that checkers look at as `info["frame"]`; for `sb3_wrapper.VecCheckerReward`, which has no other
    way to an episode's last frame.

    Args:
        env: as for `CheckerReward`.
        scene: as for `CheckerReward`.
    """

    def __init__(self, env: gym.Env[Any, Any], scene: Scene | None = None) -> None:
        super().__init__(env)
        self._scene = scene or rendered

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, {**info, "frame": self._scene(self.env)}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, {**info, "frame": self._scene(self.env)}
