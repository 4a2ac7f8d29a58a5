"""PPO that is told what checkers pay once a rollout is whole, so that they are asked seldom and about much."""

from typing import Any

import torch
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv

from vlmcar_core.trainers._copies import Together
from vlmcar_core.trainers._distinct import DistinctPPO


class LatePPO(DistinctPPO):
    """The same as Stable-Baselines3's: it does not look at rewards before it computes advantages."""

    def __init__(self, policy: Any, env: VecEnv, **options: Any) -> None:
        super().__init__(policy, env, **options)
        self._late = env if isinstance(env, Together) and env.pay_later() else None

    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int
    ) -> bool:
        going_on = super().collect_rollouts(env, callback, rollout_buffer, n_rollout_steps)
        if self._late is not None:
            late = self._late.settle()
            if going_on:
                rollout_buffer.rewards += late
                self._advantages(rollout_buffer)
        return going_on

    def _advantages(self, buffer: RolloutBuffer) -> None:
        """Once more, as `collect_rollouts` computed them."""
        with torch.no_grad():
            values = self.policy.predict_values(obs_as_tensor(self._last_obs, self.device))  # type: ignore[arg-type]
        buffer.compute_returns_and_advantage(last_values=values, dones=self._last_episode_starts)  # type: ignore[arg-type]
