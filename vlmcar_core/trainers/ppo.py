"""PPO (Schulman et al. 2017), Stable-Baselines3's, with a small MLP; one torch thread."""

from pathlib import Path
from typing import Any

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.policies import ActorCriticPolicy

from vlmcar_core import policies
from vlmcar_core.policies import Act
from vlmcar_core.trainers import _copies, _defaults, _networks
from vlmcar_core.training import Stretch, Training

TITLE = "PPO"
DEFAULTS = _defaults.PPO


def learn(training: Training) -> None:
    """Train for so many environment steps in all.

    Raises:
        BadInput: a setting is unknown or makes no sense.
    """
    chosen = _defaults.merged(DEFAULTS, training.settings)
    torch.set_num_threads(1)
    envs = _copies.copies(training, chosen.pop("n_envs"))
    envs.seed(training.seed)
    model = PPO("MlpPolicy", envs, seed=training.seed, device="cpu", verbose=0, **chosen)
    model.set_logger(Logger(None, []))  # its own would leave an empty folder behind for every run
    try:
        model.learn(training.steps, callback=_Watcher(training))
    finally:
        _save(model, training.save_to)
        envs.close()


def load(path: Path) -> Act:
    """The policy in a file.

    Raises:
        DamagedFile: it cannot be read.
    """
    return policies.load(path)


def _act(model: PPO) -> Act:
    """Actions are sampled: under a partial view the greedy policy gets stuck where two states look the same."""
    return lambda observations: model.predict(observations, deterministic=False)[0]


def _save(model: PPO, path: Path) -> None:
    """Whole or not at all."""
    assert isinstance(model.policy, ActorCriticPolicy)
    policies.save(_networks.of_actor_critic(model.policy), path)


class _Watcher(BaseCallback):
    """Collects ended episodes and hands them over after each rollout."""

    def __init__(self, training: Training) -> None:
        super().__init__()
        self._training = training
        self._records: list[dict[str, Any]] = []

    def _on_step(self) -> bool:
        self._records += [info["episode_record"] for info in self.locals["infos"] if "episode_record" in info]
        self._training.tick(self.num_timesteps)
        return True

    def _on_rollout_end(self) -> None:
        records, self._records = self._records, []
        assert isinstance(self.model, PPO)
        model = self.model
        path = self._training.save_to
        self._training.watch(Stretch(self.num_timesteps, records, _act(model), lambda: _save(model, path)))
