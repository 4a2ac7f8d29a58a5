"""SAC (Haarnoja et al. 2018), Stable-Baselines3's, with goals changed in hindsight where there are goals."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stable_baselines3 import SAC

from vlmcar_core.policies import Act
from vlmcar_core.trainers import _defaults, _off_policy
from vlmcar_core.trainers._off_policy import Tick, Watch

TITLE = "SAC"
DEFAULTS = _defaults.SAC


def learn(
    make_env: Callable[..., Any],
    steps: int,
    seed: int,
    settings: Mapping[str, Any],
    watch: Watch,
    save_to: Path,
    tick: Tick = lambda steps: None,
) -> None:
    """Train for so many environment steps in all; see `trainers` for the arguments.

    Raises:
        BadInput: a setting is unknown or makes no sense, or the environment's actions are discrete.
    """
    _off_policy.learn(SAC, make_env, steps, seed, settings, watch, save_to, tick)


def load(path: Path) -> Act:
    """The policy in a file.

    Raises:
        DamagedFile: it cannot be read.
    """
    return _off_policy.load(path)
