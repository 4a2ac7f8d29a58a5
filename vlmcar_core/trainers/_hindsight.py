"""Goals changed in hindsight (HER), for SAC, TQC, TD3 and DDPG.

**How checkers and hindsight go together.** A transition is kept with what the environment paid, −1 or 0 for its own
goal, and with what the checkers paid for what their pictures showed. In hindsight only the first is known anew: the
environment says what it would have paid had the goal been another (Andrychowicz et al. 2017). What the checkers paid
stays with the transition as it was: it was paid for a change in the picture, and drawing the picture again with
another goal would cost more than the step did. So a replayed transition pays

    compute_reward(achieved, goal in hindsight) + what the checkers paid when it happened.

A checker that looks at the goal's mark ("the cube is on the yellow disc") is therefore paid under other goals, too,
for a moment that did happen; it is paid once an episode at most, so no policy can live on it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.type_aliases import DictReplayBufferSamples
from stable_baselines3.common.vec_env import VecEnv


class PaidHindsight(HerReplayBuffer):
    """Keeps what the checkers paid with each transition, and pays it again under goals in hindsight."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.learned = np.zeros((self.buffer_size, self.n_envs), np.float32)

    def add(self, obs: Any, next_obs: Any, action: Any, reward: Any, done: Any, infos: list[dict[str, Any]]) -> None:
        self.learned[self.pos] = [info.get("vlmcar", {}).get("reward", 0.0) for info in infos]
        super().add(obs, next_obs, action, reward, done, infos)

    def _get_virtual_samples(
        self, batch_indices: NDArray[Any], env_indices: NDArray[Any], env: Any = None
    ) -> DictReplayBufferSamples:
        samples = super()._get_virtual_samples(batch_indices, env_indices, env)
        learned = self.to_torch(self.learned[batch_indices, env_indices]).reshape(-1, 1)
        return samples._replace(rewards=samples.rewards + learned)


def options(goals: int, envs: VecEnv, learning_starts: int) -> dict[str, Any]:
    """What an algorithm is built with. Goals are taken from ended episodes, so learning starts after the first."""
    spec = envs.get_attr("spec")[0]
    longest = (spec.max_episode_steps if spec else None) or 0
    return {
        "replay_buffer_class": PaidHindsight,
        "replay_buffer_kwargs": {"n_sampled_goal": goals, "goal_selection_strategy": "future"},
        "learning_starts": max(learning_starts, longest + 1),
    }
