"""What SAC and TQC share: one copy of the environment, a replay buffer, goals changed in hindsight.

**How checkers and hindsight go together.** A transition is kept with what the environment paid, −1 or 0 for its own
goal, and with what the checkers paid for what their pictures showed. In hindsight only the first is known anew: the
environment says what it would have paid had the goal been another (Andrychowicz et al. 2017). What the checkers paid
stays with the transition as it was: it was paid for a change in the picture, and drawing the picture again with
another goal would cost more than the step did. So a replayed transition pays

    compute_reward(achieved, goal in hindsight) + what the checkers paid when it happened.

A checker that looks at the goal's mark ("the cube is on the yellow disc") is therefore paid under other goals, too,
for a moment that did happen; it is paid once an episode at most, so no policy can live on it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import DictReplayBufferSamples
from stable_baselines3.common.vec_env import DummyVecEnv

from vlmcar_core import policies
from vlmcar_core.errors import BadInput
from vlmcar_core.policies import Act
from vlmcar_core.trainers import _defaults, _networks
from vlmcar_core.training import Stretch, Training

STRETCHES = 200
STRETCH_STEPS = 100
"""A run is told about in so many stretches, none shorter than this."""


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


def learn(algorithm: Callable[..., OffPolicyAlgorithm], training: Training) -> None:
    """Train with SAC, or what shares its settings."""
    chosen = _defaults.merged(_defaults.SAC, training.settings)
    torch.set_num_threads(1)
    goals = chosen.pop("hindsight_goals")
    width = chosen.pop("net_width")
    envs = DummyVecEnv([lambda: training.make_env("goal" if goals else "policy")])
    if not isinstance(envs.action_space, spaces.Box):
        envs.close()
        found = envs.action_space
        raise BadInput(f"this trainer takes continuous actions only, and here they are {found}; try ppo")
    if goals:
        chosen |= _hindsight(goals, envs, chosen["learning_starts"])
    policy = "MultiInputPolicy" if goals else "MlpPolicy"
    model = algorithm(
        policy, envs, seed=training.seed, device="cpu", verbose=0, policy_kwargs={"net_arch": [width, width]}, **chosen
    )
    model.set_logger(Logger(None, []))  # its own would leave an empty folder behind for every run
    watcher = _Watcher(training)
    try:
        model.learn(training.steps, callback=watcher)
        watcher.tell()
    finally:
        _save(model, training.save_to)
        envs.close()


def _hindsight(goals: int, envs: DummyVecEnv, learning_starts: int) -> dict[str, Any]:
    """Goals are taken from ended episodes, so learning starts after the first."""
    spec = envs.envs[0].spec
    longest = (spec.max_episode_steps if spec else None) or 0
    return {
        "replay_buffer_class": PaidHindsight,
        "replay_buffer_kwargs": {"n_sampled_goal": goals, "goal_selection_strategy": "future"},
        "learning_starts": max(learning_starts, longest + 1),
    }


def load(path: Path) -> Act:
    """The policy in a file, without what it learned with. Raises `DamagedFile`."""
    return policies.load(path)


def _act(model: OffPolicyAlgorithm) -> Act:
    """The mean action. A policy with goals is given a flat observation in parts, in the order of their names, as
    Gymnasium flattens them."""
    space = model.observation_space
    if not isinstance(space, spaces.Dict):
        return lambda observations: model.predict(observations, deterministic=True)[0]
    names = list(space.spaces)
    ends = np.cumsum([spaces.flatdim(space[name]) for name in names])[:-1]

    def act(observations: NDArray[np.float32]) -> NDArray[Any]:
        parts = dict(zip(names, np.split(observations, ends, axis=1), strict=True))
        return model.predict(parts, deterministic=True)[0]

    return act


def _save(model: OffPolicyAlgorithm, path: Path) -> None:
    """Whole or not at all."""
    assert isinstance(model.action_space, spaces.Box)
    policies.save(_networks.of_actor(model.policy.actor, model.action_space), path)


class _Watcher(BaseCallback):
    """Collects ended episodes and hands them over after each stretch."""

    def __init__(self, training: Training) -> None:
        super().__init__()
        self._training = training
        self._stretch = max(STRETCH_STEPS, training.steps // STRETCHES)
        self._records: list[dict[str, Any]] = []
        self._told = 0

    def _on_step(self) -> bool:
        self._records += [info["episode_record"] for info in self.locals["infos"] if "episode_record" in info]
        self._training.tick(self.num_timesteps)
        if self.num_timesteps - self._told >= self._stretch:
            self.tell()
        return True

    def tell(self) -> None:
        if self.num_timesteps == self._told:
            return
        self._told = self.num_timesteps
        records, self._records = self._records, []
        assert isinstance(self.model, OffPolicyAlgorithm)
        model, path = self.model, self._training.save_to
        self._training.watch(Stretch(self.num_timesteps, records, _act(model), lambda: _save(model, path)))
