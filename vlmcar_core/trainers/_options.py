"""From a trainer's settings to what Stable-Baselines3's algorithms are built with."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import NatureCNN
from stable_baselines3.common.vec_env import VecEnv

from vlmcar_core.trainers._networks import ACTIVATIONS, BeforeMask

FEATURES = 256
"""Of a picture; half of what the original has for Atari, which is larger."""

ADAM: dict[str, Any] = {"fused": True}
"""One call for all parameters, which costs a small network a fifth of what the others do. A2C's RMSProp has its own."""
ON_POLICY: dict[str, Any] = {"eps": 1e-5}
"""As Stable-Baselines3 has it where nothing is said."""

POLICY = ("n_critics", "lstm_hidden_size", "n_lstm_layers")
SCHEDULED = ("learning_rate", "clip_range")


def policy_name(algorithm: type[BaseAlgorithm], space: spaces.Space[Any]) -> str:
    """Of SB3's policies the one that takes what is seen: numbers, a picture, or parts with goals."""
    if isinstance(space, spaces.Dict):
        return "MultiInputPolicy"
    kind = "Cnn" if is_image_space(space) else "Mlp"
    return f"{kind}LstmPolicy" if issubclass(algorithm, RecurrentPPO) else f"{kind}Policy"


def options(algorithm: type[BaseAlgorithm], chosen: Mapping[str, Any], envs: VecEnv) -> dict[str, Any]:
    """Keyword arguments, from settings by our names."""
    found = dict(chosen)
    network = {name: found.pop(name) for name in POLICY if name in found}
    network["net_arch"] = [found.pop("net_width")] * found.pop("net_depth")
    network["activation_fn"] = ACTIVATIONS[found.pop("activation")]
    network["optimizer_kwargs"] = ADAM | (ON_POLICY if issubclass(algorithm, OnPolicyAlgorithm) else {})
    network |= _extractor(algorithm, envs)
    for name in SCHEDULED:
        if found.pop(f"{name}_schedule", "constant") == "linear":
            found[name] = _falling(found[name])
    if "target_kl" in found:
        found["target_kl"] = found["target_kl"] or None
    if issubclass(algorithm, SAC) or "top_quantiles_to_drop_per_net" in found:
        found["ent_coef"] = found["ent_coef"] or "auto"
    if "action_noise" in found:
        found["action_noise"] = _noise(found["action_noise"], envs)
    return {**found, "policy_kwargs": network}


def _extractor(algorithm: type[BaseAlgorithm], envs: VecEnv) -> dict[str, Any]:
    if is_image_space(envs.observation_space):
        return {"features_extractor_class": NatureCNN, "features_extractor_kwargs": {"features_dim": FEATURES}}
    if issubclass(algorithm, MaskablePPO):
        assert isinstance(envs.action_space, spaces.Discrete)
        actions = {"actions": int(envs.action_space.n)}
        return {"features_extractor_class": BeforeMask, "features_extractor_kwargs": actions}
    return {}


def _falling(value: float) -> Callable[[float], float]:
    return lambda left: value * left


def _noise(deviation: float, envs: VecEnv) -> NormalActionNoise | None:
    """On actions as the networks give them, from −1 to 1."""
    shape = envs.action_space.shape or ()
    return NormalActionNoise(np.zeros(shape), np.full(shape, deviation)) if deviation else None
