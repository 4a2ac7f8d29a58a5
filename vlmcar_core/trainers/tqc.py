"""TQC (Kuznetsov et al. 2020), sb3-contrib's, with goals changed in hindsight where there are goals."""

from sb3_contrib import TQC

from vlmcar_core.trainers import _defaults, _learning
from vlmcar_core.training import Training

TITLE = _defaults.TITLES["tqc"]
DEFAULTS = _defaults.TQC


def learn(training: Training) -> None:
    """Train for so many environment steps in all; see `_learning.learn`."""
    _learning.learn("tqc", TQC, training)


load = _learning.load
