"""A2C, the synchronous form of A3C (Mnih et al. 2016), Stable-Baselines3's."""

from stable_baselines3 import A2C

from vlmcar_core.trainers import _defaults, _learning
from vlmcar_core.training import Training

TITLE = _defaults.TITLES["a2c"]
DEFAULTS = _defaults.A2C


def learn(training: Training) -> None:
    """Train for so many environment steps in all; see `_learning.learn`."""
    _learning.learn("a2c", A2C, training)


load = _learning.load
