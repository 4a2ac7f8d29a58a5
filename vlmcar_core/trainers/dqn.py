"""DQN (Mnih et al. 2015), Stable-Baselines3's: a target network, and no dueling or double estimates."""

from stable_baselines3 import DQN

from vlmcar_core.trainers import _defaults, _learning
from vlmcar_core.training import Training

TITLE = _defaults.TITLES["dqn"]
DEFAULTS = _defaults.DQN


def learn(training: Training) -> None:
    """Train for so many environment steps in all; see `_learning.learn`."""
    _learning.learn("dqn", DQN, training)


load = _learning.load
