"""SAC (Haarnoja et al. 2018), Stable-Baselines3's, with goals changed in hindsight where there are goals."""

from pathlib import Path

from stable_baselines3 import SAC

from vlmcar_core.policies import Act
from vlmcar_core.trainers import _defaults, _off_policy
from vlmcar_core.training import Training

TITLE = "SAC"
DEFAULTS = _defaults.SAC


def learn(training: Training) -> None:
    """Train for so many environment steps in all.

    Raises:
        BadInput: a setting is unknown or makes no sense, or the environment's actions are discrete.
    """
    _off_policy.learn(SAC, training)


def load(path: Path) -> Act:
    """The policy in a file.

    Raises:
        DamagedFile: it cannot be read.
    """
    return _off_policy.load(path)
