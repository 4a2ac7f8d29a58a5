"""What a policy acts by, taken out of Stable-Baselines3's networks."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.policies import ActorCriticPolicy

from vlmcar_core.policies import Policy


def of_actor_critic(policy: ActorCriticPolicy) -> Policy:
    """PPO's, without what it judges states by."""
    layers = _layers((*policy.mlp_extractor.policy_net, policy.action_net))
    space = policy.action_space
    if not isinstance(space, spaces.Box):
        return Policy(layers, "tanh", "categorical")
    low, high = space.low.astype(np.float32), space.high.astype(np.float32)
    return Policy(layers, "tanh", "gaussian", low, high, _array(policy.log_std))


def of_actor(actor: Any, space: spaces.Box) -> Policy:
    """SAC's and TQC's: the mean action."""
    layers = _layers((*actor.latent_pi, actor.mu))
    return Policy(layers, "relu", "squashed", space.low.astype(np.float32), space.high.astype(np.float32))


def _layers(modules: Iterable[torch.nn.Module]) -> tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]:
    return tuple((_array(one.weight), _array(one.bias)) for one in modules if isinstance(one, torch.nn.Linear))


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    return tensor.detach().cpu().numpy().astype(np.float32)
