"""The trainers' settings, apart from the trainers so that a page can show them without importing torch.

PPO: the values that minigrid's own starter examples train with (16 copies, 128 steps each, learning rate 1e-3),
with SB3's names; checked here on DoorKey-6x6 (docs/dense_vs_sparse.md).
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


def merged(defaults: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults with some settings changed.

    Raises:
        UnknownName: there is no setting by a name.
        BadInput: a value is not a positive number of the default's kind.
    """
    for name, value in settings.items():
        if name not in defaults:
            raise UnknownName.among("setting", name, defaults)
        whole = isinstance(defaults[name], int)
        kinds = (int,) if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not 0 <= value < 1e9 or (whole and value < 1):
            kind = "a whole number from 1" if whole else "a number from 0"
            raise BadInput(f"the setting {name!r} is {kind}, not {value!r}")
    return {**defaults, **settings}
