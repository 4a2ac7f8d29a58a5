"""PPO that never takes an action that does nothing in this state (Huang and Ontañón 2022), sb3-contrib's."""

from sb3_contrib import MaskablePPO

from vlmcar_core.trainers import _defaults, _learning
from vlmcar_core.training import Training

TITLE = _defaults.TITLES["maskable_ppo"]
DEFAULTS = _defaults.MASKABLE_PPO


def learn(training: Training) -> None:
    """Train for so many environment steps in all; see `_learning.learn`."""
    _learning.learn("maskable_ppo", MaskablePPO, training)


load = _learning.load
