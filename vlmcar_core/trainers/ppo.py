"""PPO (Schulman et al. 2017), Stable-Baselines3's."""

from vlmcar_core.trainers import _defaults, _learning
from vlmcar_core.trainers._late import LatePPO
from vlmcar_core.training import Training

TITLE = _defaults.TITLES["ppo"]
DEFAULTS = _defaults.PPO


def learn(training: Training) -> None:
    """Train for so many environment steps in all; see `_learning.learn`."""
    _learning.learn("ppo", LatePPO, training)


load = _learning.load
