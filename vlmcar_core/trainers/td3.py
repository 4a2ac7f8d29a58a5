"""TD3 (Fujimoto et al. 2018), Stable-Baselines3's, with goals changed in hindsight where there are goals."""

from stable_baselines3 import TD3

from vlmcar_core.trainers import _defaults, _learning
from vlmcar_core.training import Training

TITLE = _defaults.TITLES["td3"]
DEFAULTS = _defaults.TD3


def learn(training: Training) -> None:
    """Train for so many environment steps in all; see `_learning.learn`."""
    _learning.learn("td3", TD3, training)


load = _learning.load
