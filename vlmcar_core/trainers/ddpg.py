"""DDPG (Lillicrap et al. 2016), Stable-Baselines3's, with goals changed in hindsight where there are goals."""

from stable_baselines3 import DDPG

from vlmcar_core.trainers import _defaults, _learning
from vlmcar_core.training import Training

TITLE = _defaults.TITLES["ddpg"]
DEFAULTS = _defaults.DDPG


def learn(training: Training) -> None:
    """Train for so many environment steps in all; see `_learning.learn`."""
    _learning.learn("ddpg", DDPG, training)


load = _learning.load
