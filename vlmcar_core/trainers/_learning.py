"""What all trainers share: the copies, the model, what is told after each stretch, a policy saved however it ends."""

import contextlib
import gc
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces
from sb3_contrib import MaskablePPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnv
from torch.distributions import Distribution

from vlmcar_core import policies
from vlmcar_core.errors import BadInput
from vlmcar_core.policies import Act
from vlmcar_core.trainers import _checkpoints, _copies, _defaults, _hindsight, _networks, _options
from vlmcar_core.training import Stretch, Training

STRETCHES = 200
STRETCH_STEPS = 100
"""A run is told about in so many stretches, none shorter than this; they end with an update."""

NOT_MEASURED = ("n_updates", "learning_rate", "clip_range")
"""What the learner records of an update and was told itself."""

SEEDS = 2**31


def learn(trainer: str, algorithm: type[BaseAlgorithm], training: Training) -> None:
    """Train until there are so many environment steps in all.

    Raises:
        BadInput: a setting is unknown or makes no sense, or the environment's actions are of the other kind.
        DamagedFile: the checkpoint to go on from is none of this trainer and these settings.
    """
    chosen = _defaults.merged(_defaults.DEFAULTS[trainer], training.settings)
    torch.set_num_threads(1)
    goals = chosen.pop("hindsight_goals", 0)
    view = "goal" if goals else "masked" if issubclass(algorithm, MaskablePPO) else "policy"
    envs = _copies.copies(training, chosen.pop("n_envs", 1), view)
    try:
        _check_actions(trainer, envs)
        if goals:
            chosen |= _hindsight.options(goals, envs, chosen["learning_starts"])
        policy = _options.policy_name(algorithm, envs.observation_space)
        options = _options.options(algorithm, chosen, envs)
        model = algorithm(policy, envs, seed=training.seed, device="cpu", verbose=0, **options)
        model.set_logger(Logger(None, []))  # its own would leave an empty folder behind for every run
        if training.resume is not None:
            _checkpoints.restore(model, trainer, training.resume)
            model.set_random_seed((training.seed + model.num_timesteps) % SEEDS)  # not the first episodes once more
        _run(model, trainer, training)
    finally:
        envs.close()


def load(path: Path) -> Act:
    """The policy in a file, without what it learned with.

    Raises:
        DamagedFile: it cannot be read.
    """
    return policies.load(path)


def _check_actions(trainer: str, envs: VecEnv) -> None:
    continuous = isinstance(envs.action_space, spaces.Box)
    wanted = "discrete" if trainer in _defaults.DISCRETE_ONLY else "continuous"
    if trainer not in _defaults.ANY_ACTIONS and continuous != (wanted == "continuous"):
        raise BadInput(f"this trainer takes {wanted} actions only, and here they are {envs.action_space}; try ppo")


def _run(model: BaseAlgorithm, trainer: str, training: Training) -> None:
    watcher = _Watcher(trainer, training)
    left = training.steps - model.num_timesteps
    try:
        if left > 0:
            with _unvalidated(model.action_space), _frozen():
                model.learn(left, watcher, log_interval=None, reset_num_timesteps=training.resume is None)  # type: ignore[arg-type]
            watcher.tell()
    finally:
        _save(model, training.save_to)


@contextlib.contextmanager
def _unvalidated(actions: spaces.Space[Any]) -> Iterator[None]:
    """Let PyTorch not look through each distribution over discrete actions for what is no number: to draw from such a
    one is an error anyway, which it is not of continuous ones."""
    if isinstance(actions, spaces.Discrete):
        Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(__debug__)


def _save(model: BaseAlgorithm, path: Path) -> None:
    """Whole or not at all."""
    policies.save(_networks.policy_of(model), path)


@contextlib.contextmanager
def _frozen() -> Iterator[None]:
    """Let the garbage collector leave alone what was there before: libraries, hundreds of thousands of objects, which
    it would look through again and again. What is garbage by now stays until the end, too; to collect it takes longer
    than some thousand steps."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class _Watcher(BaseCallback):
    """Collects ended episodes and hands them over after each stretch."""

    def __init__(self, trainer: str, training: Training) -> None:
        super().__init__()
        self._trainer, self._training = trainer, training
        self._stretch = max(STRETCH_STEPS, training.steps // STRETCHES)
        self._records: list[dict[str, Any]] = []
        self._told = 0

    def _on_training_start(self) -> None:
        self._told = self.num_timesteps

    def _on_step(self) -> bool:
        self._records += [info["episode_record"] for info in self.locals["infos"] if "episode_record" in info]
        self._training.tick(self.num_timesteps)
        return True

    def _on_rollout_start(self) -> None:
        """Now the policy has learned from all that was seen."""
        if self.num_timesteps - self._told >= self._stretch:
            self.tell()

    def tell(self) -> None:
        envs = self.training_env
        if isinstance(envs, _copies.Together):
            self._records += envs.records()
        if self.num_timesteps == self._told:
            return
        self._told = self.num_timesteps
        records, self._records = self._records, []
        model, trainer, path = self.model, self._trainer, self._training.save_to
        self._training.watch(
            Stretch(
                self.num_timesteps,
                records,
                policies.acting(_networks.policy_of(model), (self._training.seed + self._told) % SEEDS),
                lambda: _save(model, path),
                _losses(model),
                lambda path: _checkpoints.write(model, trainer, path),
            )
        )


def _losses(model: BaseAlgorithm) -> dict[str, float]:
    measured = {
        name.removeprefix("train/"): float(value)
        for name, value in model.logger.name_to_value.items()
        if name.startswith("train/")
    }
    return {name: value for name, value in measured.items() if name not in NOT_MEASURED and math.isfinite(value)}
