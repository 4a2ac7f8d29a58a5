"""The trainers' settings, apart from the trainers so that a page can show them without importing torch.

`DEFAULTS` are a trainer's own; `TUNINGS` is what a family of environments makes different, each with its source. What
is not said to be published is ours. What each setting does and may be stands in `_parameters.py`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vlmcar_core.envs import Setting
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.trainers._parameters import PARAMETERS

NETWORK: dict[str, Any] = {"net_width": 64, "net_depth": 2, "activation": "tanh"}
WIDE: dict[str, Any] = {"net_width": 256, "net_depth": 2, "activation": "relu"}

PPO: dict[str, Any] = {
    "n_envs": 16,
    "n_steps": 128,
    "batch_size": 256,
    "n_epochs": 4,
    "learning_rate": 1e-3,
    "learning_rate_schedule": "constant",
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "ent_coef": 0.01,
    "vf_coef": 0.5,
    "max_grad_norm": 0.5,
    "clip_range": 0.2,
    "clip_range_schedule": "constant",
    "target_kl": 0.0,
    "normalize_advantage": True,
    **NETWORK,
}
"""The values that minigrid's own starter examples train with (16 copies, 128 steps each, learning rate 1e-3), with
SB3's names; checked here on DoorKey-6x6 (docs/results.md). Network, `vf_coef`, `max_grad_norm`: SB3's."""

MASKABLE_PPO = PPO
RECURRENT_PPO: dict[str, Any] = {**PPO, "learning_rate": 3e-4, "lstm_hidden_size": 64, "n_lstm_layers": 1}
"""PPO's, with SB3-contrib's learning rate, since a memory is spoilt more easily; a small memory (ours)."""

A2C: dict[str, Any] = {
    "n_envs": 16,
    "n_steps": 5,
    "learning_rate": 7e-4,
    "learning_rate_schedule": "constant",
    "gamma": 0.99,
    "gae_lambda": 1.0,
    "ent_coef": 0.01,
    "vf_coef": 0.5,
    "max_grad_norm": 0.5,
    "use_rms_prop": True,
    "normalize_advantage": False,
    **NETWORK,
}
"""SB3's, which are those of Mnih et al. 2016, with their 16 copies and entropy coefficient."""

DQN: dict[str, Any] = {
    "n_envs": 1,
    "buffer_size": 100_000,
    "learning_starts": 1000,
    "batch_size": 64,
    "learning_rate": 5e-4,
    "learning_rate_schedule": "constant",
    "gamma": 0.99,
    "tau": 1.0,
    "train_freq": 4,
    "gradient_steps": 1,
    "target_update_interval": 1000,
    "exploration_fraction": 0.3,
    "exploration_initial_eps": 1.0,
    "exploration_final_eps": 0.05,
    "max_grad_norm": 10.0,
    **NETWORK,
    "activation": "relu",
}
"""Near to what RL Baselines3 Zoo trains LunarLander with; ours, since no tuning for grid worlds is published there."""

OFF_POLICY: dict[str, Any] = {
    "hindsight_goals": 4,
    "learning_starts": 500,
    "batch_size": 256,
    "learning_rate": 1e-3,
    "learning_rate_schedule": "constant",
    "gamma": 0.95,
    "tau": 0.05,
    "buffer_size": 200_000,
    "train_freq": 1,
    "gradient_steps": 1,
    "n_critics": 2,
    **WIDE,
}
"""Near to what RL Baselines3 Zoo trains panda-gym with (tqc.yml: learning rate 1e-3, gamma 0.95, tau 0.05, 2 critics, 4
goals in hindsight), but smaller batches and networks (256 and 2 × 256 where the Zoo has 2048 and 3 × 512) and a smaller
buffer, which two cores can carry: these are ours."""

SAC: dict[str, Any] = {**OFF_POLICY, "ent_coef": 0.0}
TQC: dict[str, Any] = {**SAC, "top_quantiles_to_drop_per_net": 2}
DDPG: dict[str, Any] = {
    **{name: value for name, value in OFF_POLICY.items() if name != "n_critics"},
    "action_noise": 0.1,
}
TD3: dict[str, Any] = {
    **OFF_POLICY,
    "action_noise": 0.1,
    "policy_delay": 2,
    "target_policy_noise": 0.2,
    "target_noise_clip": 0.5,
}
"""The last four: Fujimoto et al. 2018."""

DEFAULTS = {
    "ppo": PPO,
    "a2c": A2C,
    "dqn": DQN,
    "maskable_ppo": MASKABLE_PPO,
    "recurrent_ppo": RECURRENT_PPO,
    "sac": SAC,
    "tqc": TQC,
    "td3": TD3,
    "ddpg": DDPG,
}
"""By the trainer's name; where several can be taken, the first is the one to begin with."""

TITLES = {
    "ppo": "PPO",
    "a2c": "A2C",
    "dqn": "DQN",
    "maskable_ppo": "MaskablePPO",
    "recurrent_ppo": "RecurrentPPO (LSTM)",
    "sac": "SAC",
    "tqc": "TQC",
    "td3": "TD3",
    "ddpg": "DDPG",
}
"""For people."""

ANY_ACTIONS = ("ppo", "a2c", "recurrent_ppo")
DISCRETE_ONLY = ("dqn", "maskable_ppo")
"""The others take continuous actions only."""

MASKED = ("maskable_ppo",)
"""They need a family that says which actions do nothing."""

FLAT_ONLY = ("maskable_ppo",)
"""They take no pictures."""

SLOW: dict[str, Any] = {"gamma": 0.99, "tau": 0.005, "learning_rate": 3e-4, "learning_starts": 1000}
"""SB3's own for SAC, TQC and TD3 (Haarnoja et al. 2018, Fujimoto et al. 2018), where no tuning is published."""

MANY: dict[str, Any] = {"n_envs": 64, "n_steps": 32, "batch_size": 512}
"""Where all copies are stepped together in arrays: as many steps an update as PPO's own values, from more copies, which
makes training about twice as fast and learns DoorKey-6x6 as soon (ours; docs/training_cost.md)."""

OFF_POLICY_NAMES = ("sac", "tqc", "td3", "ddpg")
TUNINGS: dict[str, dict[str, dict[str, Any]]] = {
    "minigrid": {"ppo": MANY, "maskable_ppo": MANY},
    "panda": {},
    **{family: dict.fromkeys(OFF_POLICY_NAMES, SLOW) for family in ("metaworld", "tabletop", "cliport")},
}
"""By family and trainer; what is not named is as above."""

PICTURES: dict[str, Any] = {"buffer_size": 20_000}
"""Where pictures are seen: a buffer of 64 × 64 pixels that fits 500 MB of memory (ours)."""


def merged(defaults: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults with some settings changed.

    Raises:
        UnknownName: there is no setting by a name.
        BadInput: a value is not of the default's kind and range.
    """
    known = parameters(defaults)
    for name, value in settings.items():
        if name not in known:
            raise UnknownName.among("setting", name, known)
        if wanted := known[name].problem(value):
            raise BadInput(f"the setting {name!r} is {wanted}, not {value!r}")
    chosen = {**defaults, **settings}
    if "n_steps" in chosen and chosen["n_envs"] * chosen["n_steps"] < 2:
        raise BadInput("the setting 'n_steps' times the setting 'n_envs' is at least 2 steps per update, not 1")
    return chosen


def parameters(defaults: Mapping[str, Any]) -> dict[str, Setting]:
    """What each of a trainer's settings does and may be, with these defaults."""
    return {name: replace(PARAMETERS[name], default=value) for name, value in defaults.items()}


def fitting(
    continuous: bool, goals: bool, masks: bool = False, family: str = "", pictures: bool = False
) -> dict[str, dict[str, Any]]:
    """The trainers that can take an environment, the one to begin with first, and their defaults there.

    Args:
        continuous: its actions are.
        goals: it has goals that can be changed in hindsight; else there is no hindsight.
        masks: its family says which actions do nothing.
        family: its family's name, for what is tuned to it.
        pictures: pictures are to be seen: no hindsight, and a small buffer.
    """
    refused = not_fitting(continuous, masks, pictures)
    found = {}
    for name, defaults in DEFAULTS.items():
        if name not in refused:
            changed = {**TUNINGS.get(family, {}).get(name, {}), **(PICTURES if pictures else {})}
            if not goals or pictures:
                changed["hindsight_goals"] = 0
            found[name] = {word: changed.get(word, value) for word, value in defaults.items()}
    order = sorted(found, key=lambda name: continuous and name in ANY_ACTIONS)
    return {name: found[name] for name in order}


def not_fitting(continuous: bool, masks: bool, pictures: bool = False) -> dict[str, str]:
    """The trainers that cannot take an environment, and why."""
    why = {}
    for name in DEFAULTS:
        if continuous and name in DISCRETE_ONLY:
            why[name] = "takes discrete actions only, and here they are continuous"
        elif not continuous and name not in (*ANY_ACTIONS, *DISCRETE_ONLY):
            why[name] = "takes continuous actions only, and here they are discrete"
        elif name in MASKED and not masks:
            why[name] = "needs to be told which actions do nothing, and these environments do not tell"
        elif pictures and name in FLAT_ONLY:
            why[name] = "takes no pictures; choose another observation"
    return why
