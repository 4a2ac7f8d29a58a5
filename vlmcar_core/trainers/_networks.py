"""What a policy acts by, taken out of Stable-Baselines3's networks, and the little that we add to them."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3 import DQN
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, NatureCNN

from vlmcar_core.layers import Cell, Convolution, Eye
from vlmcar_core.policies import Policy

ACTIVATIONS: dict[str, type[torch.nn.Module]] = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}


class BeforeMask(BaseFeaturesExtractor):
    """Of an observation that ends with which actions may be taken, what comes before that."""

    def __init__(self, observation_space: spaces.Box, actions: int) -> None:
        self._length = observation_space.shape[0] - actions
        super().__init__(observation_space, self._length)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return observations[:, : self._length]


def policy_of(model: BaseAlgorithm) -> Policy:
    """A copy of what it acts by now: of what judges states nothing."""
    if isinstance(model, DQN):
        return of_q_network(model.policy.q_net)
    if isinstance(model.policy, (ActorCriticPolicy, MaskableActorCriticPolicy)):
        return of_actor_critic(model.policy)
    assert isinstance(model.action_space, spaces.Box)
    return of_actor(model.policy.actor, model.action_space)


def of_actor_critic(policy: ActorCriticPolicy | MaskableActorCriticPolicy) -> Policy:
    """PPO's, A2C's, MaskablePPO's and RecurrentPPO's."""
    layers = _layers((*policy.mlp_extractor.policy_net, policy.action_net))
    activation = _activation(policy.activation_fn)
    eye = _eye(policy.pi_features_extractor if hasattr(policy, "pi_features_extractor") else policy.features_extractor)
    memory = _memory(getattr(policy, "lstm_actor", None))
    space = policy.action_space
    if not isinstance(space, spaces.Box):
        masked = isinstance(policy.features_extractor, BeforeMask)
        return Policy(layers, activation, "masked" if masked else "categorical", eye=eye, memory=memory)
    return Policy(layers, activation, "gaussian", *_bounds(space), _array(torch.as_tensor(policy.log_std)), eye, memory)


def of_actor(actor: Any, space: spaces.Box) -> Policy:
    """SAC's and TQC's mean action; TD3's and DDPG's only one."""
    modules = (*actor.latent_pi, actor.mu) if hasattr(actor, "latent_pi") else tuple(actor.mu)
    activation = _activation(actor.activation_fn)
    return Policy(_layers(modules), activation, "squashed", *_bounds(space), eye=_eye(actor.features_extractor))


def of_q_network(network: Any) -> Policy:
    """DQN's: the action of the highest value."""
    modules = tuple(network.q_net)
    return Policy(_layers(modules), _activation(network.activation_fn), "greedy", eye=_eye(network.features_extractor))


def _bounds(space: spaces.Box) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return space.low.astype(np.float32), space.high.astype(np.float32)


def _layers(modules: Iterable[torch.nn.Module]) -> tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]:
    return tuple((_array(one.weight), _array(one.bias)) for one in modules if isinstance(one, torch.nn.Linear))


def _activation(chosen: Any) -> Any:
    return next(name for name, kind in ACTIVATIONS.items() if chosen is kind)


def _eye(extractor: torch.nn.Module) -> Eye | None:
    if not isinstance(extractor, NatureCNN):
        return None
    convolutions = tuple(
        Convolution(_array(one.weight), _array(one.bias), one.stride[0])
        for one in extractor.cnn
        if isinstance(one, torch.nn.Conv2d) and one.bias is not None
    )
    assert isinstance(extractor._observation_space, spaces.Box)
    channels, height, width = extractor._observation_space.shape
    return Eye((height, width, channels), convolutions, *_layers(extractor.linear))


def _memory(lstm: torch.nn.LSTM | None) -> tuple[Cell, ...]:
    if lstm is None:
        return ()
    parts = dict(lstm.named_parameters())
    return tuple(
        Cell(
            _array(parts[f"weight_ih_l{layer}"]),
            _array(parts[f"weight_hh_l{layer}"]),
            _array(parts[f"bias_ih_l{layer}"] + parts[f"bias_hh_l{layer}"]),
        )
        for layer in range(lstm.num_layers)
    )


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    return tensor.detach().cpu().numpy().astype(np.float32)
