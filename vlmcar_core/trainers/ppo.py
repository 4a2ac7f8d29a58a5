"""PPO (Schulman et al. 2017), Stable-Baselines3's, with a small MLP; one torch thread."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import DummyVecEnv

from vlmcar_core import policies
from vlmcar_core.policies import Act
from vlmcar_core.trainers import _defaults, _networks

TITLE = "PPO"
DEFAULTS = _defaults.PPO

Watch = Callable[[int, list[dict[str, Any]], Act, Callable[[], None]], None]
Tick = Callable[[int], None]


def learn(
    make_env: Callable[[], gym.Env[Any, Any]],
    steps: int,
    seed: int,
    settings: Mapping[str, Any],
    watch: Watch,
    save_to: Path,
    tick: Tick = lambda steps: None,
) -> None:
    """Train for so many environment steps in all; see `trainers` for the arguments.

    Raises:
        BadInput: a setting is unknown or makes no sense.
    """
    chosen = _defaults.merged(DEFAULTS, settings)
    torch.set_num_threads(1)
    envs = DummyVecEnv([make_env] * chosen.pop("n_envs"))
    envs.seed(seed)
    model = PPO("MlpPolicy", envs, seed=seed, device="cpu", verbose=0, **chosen)
    model.set_logger(Logger(None, []))  # its own would leave an empty folder behind for every run
    try:
        model.learn(steps, callback=_Watcher(watch, tick, save_to))
    finally:
        _save(model, save_to)
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

    def __init__(self, watch: Watch, tick: Tick, save_to: Path) -> None:
        super().__init__()
        self._watch, self._tick, self._save_to = watch, tick, save_to
        self._records: list[dict[str, Any]] = []

    def _on_step(self) -> bool:
        self._records += [info["episode_record"] for info in self.locals["infos"] if "episode_record" in info]
        self._tick(self.num_timesteps)
        return True

    def _on_rollout_end(self) -> None:
        records, self._records = self._records, []
        assert isinstance(self.model, PPO)
        model = self.model
        self._watch(self.num_timesteps, records, _act(model), lambda: _save(model, self._save_to))
