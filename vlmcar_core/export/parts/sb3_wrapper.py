"""The same pay for Stable-Baselines3's vectorised environments; the one module here that needs stable-baselines3.

from reward import Reward
from sb3_wrapper import VecCheckerReward
from stable_baselines3.common.vec_env import DummyVecEnv
from wrapper import ShowsFrame

copies = DummyVecEnv([lambda: ShowsFrame(gym.make(ENV_ID, render_mode="rgb_array")) for _ in range(8)])
envs = VecCheckerReward(copies, Reward)
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper


class VecCheckerReward(VecEnvWrapper):
    """Pays for sub-tasks that are done, in every copy beside its environment's own reward.

    A vectorised environment begins the next episode by itself, so its pictures never show an episode's last frame:
    the frames come from the copies' infos. `infos[i]["vlmcar"]` is as `wrapper.CheckerReward` tells it.

    Args:
        venv: its copies are wrapped in `wrapper.ShowsFrame`.
        make_reward: called once for each copy; `reward.Reward`, for instance.
        env_reward: keep the environment's own reward beside the checkers'.
        succeeded: as for `wrapper.CheckerReward`.
    """

    def __init__(
        self,
        venv: VecEnv,
        make_reward: Callable[[], Any],
        env_reward: bool = True,
        succeeded: Callable[[Any, bool], bool] | None = None,
    ) -> None:
        super().__init__(venv)
        self.rewards = [make_reward() for _ in range(venv.num_envs)]
        if self.rewards[0].asks_success and succeeded is None:
            raise ValueError("a potential has to be told whether an episode that terminates is solved: pass succeeded")
        self._env_reward, self._succeeded = env_reward, succeeded
        self._env_rewards: list[list[float]] = [[] for _ in self.rewards]

    def reset(self) -> Any:
        observations = self.venv.reset()
        for index in range(self.num_envs):
            self._begin(index)
        return observations

    def step_wait(self) -> Any:
        observations, env_rewards, dones, infos = self.venv.step_wait()
        totals = np.zeros(self.num_envs, np.float32)
        for index, info in enumerate(infos):
            totals[index] = self._pay(index, float(env_rewards[index]), bool(dones[index]), info)
            if dones[index]:
                self._begin(index)
        return observations, totals, dones, infos

    def _begin(self, index: int) -> None:
        # Wrappers between here and the copies have empty infos of their own.
        self._env_rewards[index] = []
        self.rewards[index].begin(_frame(self.unwrapped.reset_infos[index]))

    def _pay(self, index: int, env_reward: float, done: bool, info: dict[str, Any]) -> float:
        reward = self.rewards[index]
        self._env_rewards[index].append(env_reward)
        solved = None
        if done and not info.get("TimeLimit.truncated") and reward.asks_success and self._succeeded is not None:
            solved = bool(self._succeeded(np.array(self._env_rewards[index]), True))
        _, components = reward(_frame(info), solved)
        info["vlmcar"] = reward.told(env_reward, components)
        return float(info["vlmcar"]["reward"] + (env_reward if self._env_reward else 0.0))


def _frame(info: dict[str, Any]) -> Any:
    if "frame" not in info:
        raise KeyError("a copy tells no frame; wrap each in wrapper.ShowsFrame")
    return info.pop("frame")
