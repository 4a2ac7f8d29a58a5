"""SAC (Haarnoja et al. 2018), Stable-Baselines3's, with goals changed in hindsight where there are goals."""

from stable_baselines3 import SAC

from vlmcar_core.trainers import _defaults, _learning
from vlmcar_core.training import Training

TITLE = _defaults.TITLES["sac"]
DEFAULTS = _defaults.SAC


def learn(training: Training) -> None:
    """Train for so many environment steps in all; see `_learning.learn`."""
    _learning.learn("sac", SAC, training)


load = _learning.load
