"""PPO with a memory, an LSTM of its own for the policy and for the value estimate, sb3-contrib's."""

from sb3_contrib import RecurrentPPO

from vlmcar_core.trainers import _defaults, _learning
from vlmcar_core.training import Training

TITLE = _defaults.TITLES["recurrent_ppo"]
DEFAULTS = _defaults.RECURRENT_PPO


def learn(training: Training) -> None:
    """Train for so many environment steps in all; see `_learning.learn`."""
    _learning.learn("recurrent_ppo", RecurrentPPO, training)


load = _learning.load
