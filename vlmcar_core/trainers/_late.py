"""PPO that is told what checkers pay once a rollout is whole, so that they are asked seldom and about much."""

from typing import Any

import torch
from numpy.typing import NDArray
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
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
        late = self._late
        if late is None:
            return super().collect_rollouts(env, callback, rollout_buffer, n_rollout_steps)
        compute = rollout_buffer.compute_returns_and_advantage

        def paid(last_values: torch.Tensor, dones: NDArray[Any]) -> None:
            rollout_buffer.rewards += late.settle()
            compute(last_values, dones)

        rollout_buffer.compute_returns_and_advantage = paid  # type: ignore[method-assign]
        try:
            going_on = super().collect_rollouts(env, callback, rollout_buffer, n_rollout_steps)
        finally:
            del rollout_buffer.compute_returns_and_advantage
        if not going_on:
            late.settle()
        return going_on
