"""The trainers' settings, apart from the trainers so that a page can show them without importing torch.

PPO: the values that minigrid's own starter examples train with (16 copies, 128 steps each, learning rate 1e-3),
with SB3's names; checked here on DoorKey-6x6 (docs/results.md).

SAC and TQC: near to what RL Baselines3 Zoo trains panda-gym with (learning rate 1e-3, gamma 0.95, tau 0.05, 4 goals
in hindsight), but smaller batches and networks, which two cores can carry.
"""

from collections.abc import Mapping
from typing import Any

from vlmcar_core.errors import BadInput, UnknownName

PPO: dict[str, Any] = {
    "n_envs": 16,
    "n_steps": 128,
    "batch_size": 256,
    "n_epochs": 4,
    "learning_rate": 1e-3,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "ent_coef": 0.01,
    "clip_range": 0.2,
}

SAC: dict[str, Any] = {
    "hindsight_goals": 4,
    "learning_starts": 500,
    "batch_size": 256,
    "learning_rate": 1e-3,
    "gamma": 0.95,
    "tau": 0.05,
    "buffer_size": 200_000,
    "gradient_steps": 1,
    "net_width": 256,
}
"""`hindsight_goals`: how many goals are put in place of each real one (Andrychowicz et al. 2017); 0 for none."""

DEFAULTS = {"ppo": PPO, "sac": SAC, "tqc": SAC}
"""By the trainer's name."""

ANY_ACTIONS = ("ppo",)
"""Trainers that take discrete actions, too; the others only continuous ones."""

HIGHEST: dict[str, float] = {
    "n_envs": 512,
    "n_steps": 100_000,
    "n_epochs": 1000,
    "gamma": 1.0,
    "gae_lambda": 1.0,
    "tau": 1.0,
    "hindsight_goals": 100,
    "gradient_steps": 100,
    "net_width": 4096,
    "buffer_size": 10_000_000,
}
"""What a setting may be at most; others 1,000,000."""

FROM_ZERO = ("hindsight_goals", "learning_starts")
"""Whole numbers that may be 0."""

POSITIVE = ("learning_rate", "clip_range", "tau")


def merged(defaults: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults with some settings changed.

    Raises:
        UnknownName: there is no setting by a name.
        BadInput: a value is not a number of the default's kind and range.
    """
    for name, value in settings.items():
        if name not in defaults:
            raise UnknownName.among("setting", name, defaults)
        _check(name, value, whole=isinstance(defaults[name], int))
    chosen = {**defaults, **settings}
    if "n_steps" in chosen and chosen["n_envs"] * chosen["n_steps"] < 2:
        raise BadInput("the setting 'n_steps' times the setting 'n_envs' is at least 2 steps per update, not 1")
    return chosen


def fitting(continuous: bool, goals: bool) -> dict[str, dict[str, Any]]:
    """The trainers that can take an environment's actions, the one to begin with first, and their defaults there.

    Args:
        continuous: its actions are.
        goals: it has goals that can be changed in hindsight; else there is no hindsight.
    """
    names = sorted(DEFAULTS, key=lambda name: name in ANY_ACTIONS) if continuous else ANY_ACTIONS
    return {name: DEFAULTS[name] if goals else _without_hindsight(DEFAULTS[name]) for name in names}


def _without_hindsight(defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {name: 0 if name == "hindsight_goals" else value for name, value in defaults.items()}


def _check(name: str, value: Any, whole: bool) -> None:
    kinds = (int,) if whole else (int, float)
    high = HIGHEST.get(name, 1_000_000)
    low = 1 if whole and name not in FROM_ZERO else 0
    number = isinstance(value, kinds) and not isinstance(value, bool)
    if not number or not low <= value <= high or (name in POSITIVE and value == 0):
        kind = f"a whole number from {low}" if whole else "a number above 0" if name in POSITIVE else "a number from 0"
        raise BadInput(f"the setting {name!r} is {kind} to {high:,}, not {value!r}")
