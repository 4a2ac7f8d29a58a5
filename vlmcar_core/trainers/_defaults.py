"""The trainers' settings, apart from the trainers so that a page can show them without importing torch.

PPO: the values that minigrid's own starter examples train with (16 copies, 128 steps each, learning rate 1e-3),
with SB3's names; checked here on DoorKey-6x6 (docs/dense_vs_sparse_6x6.md).
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

DEFAULTS = {"ppo": PPO}
"""By the trainer's name."""

HIGHEST: dict[str, float] = {"n_envs": 512, "n_steps": 100_000, "n_epochs": 1000, "gamma": 1.0, "gae_lambda": 1.0}
"""What a setting may be at most; others 1,000,000."""

POSITIVE = ("learning_rate", "clip_range")


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
    if chosen["n_envs"] * chosen["n_steps"] < 2:
        raise BadInput("the setting 'n_steps' times the setting 'n_envs' is at least 2 steps per update, not 1")
    return chosen


def _check(name: str, value: Any, whole: bool) -> None:
    kinds = (int,) if whole else (int, float)
    high = HIGHEST.get(name, 1_000_000)
    number = isinstance(value, kinds) and not isinstance(value, bool)
    if not number or not (1 if whole else 0) <= value <= high or (name in POSITIVE and value == 0):
        kind = "a whole number from 1" if whole else "a number above 0" if name in POSITIVE else "a number from 0"
        raise BadInput(f"the setting {name!r} is {kind} to {high:,}, not {value!r}")
