"""PPO whose update looks once at each distinct observation, and leaves out what is zero in all of them.

A grid world is seen in few ways: of the 512 observations in a batch of DoorKey's 55 to 270 are distinct. What a network
makes of equal observations is equal, and its gradient is the sum of theirs. Seen in one-hot numbers each is 984 of
them, of which a rollout sets 240 to 450 at some time. The others add nothing to the first layers' sums, and their
weights get no gradient, only what the optimizer has left of earlier ones. So the update is the same, up to how its sums
are rounded, for a fraction of the work.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import FlattenExtractor

WORTH = 0.75
"""Of a rollout's numbers so many may be left for it to be worth the trouble."""


class DistinctPPO(PPO):
    """Stable-Baselines3's, where observations are rows of numbers and actions are discrete."""

    def train(self) -> None:
        buffer = self.rollout_buffer
        if not self._can():
            super().train()
            return
        columns = np.flatnonzero(buffer.observations.any(axis=(0, 1)))
        few = buffer.observations[..., columns] if len(columns) <= WORTH * buffer.observations.shape[-1] else None
        numbers, rows = distinct(buffer.observations if few is None else few)
        if rows.size > WORTH * buffer.observations.size:
            super().train()
            return
        buffer.observations = numbers[..., np.newaxis]  # the next rollout begins with a buffer made anew
        with ExitStack() as stack:
            if few is not None:
                for layers in (self.policy.mlp_extractor.policy_net, self.policy.mlp_extractor.value_net):
                    stack.enter_context(_narrowed(layers, torch.from_numpy(columns)))
            stack.enter_context(_looking_up(self.policy, torch.from_numpy(rows)))
            super().train()

    def _can(self) -> bool:
        """Whether observations go straight into layers that are the policy's and the value's own."""
        policy = self.policy
        seen = self.observation_space
        if (
            not isinstance(self.action_space, spaces.Discrete)
            or not isinstance(seen, spaces.Box)
            or len(seen.shape) != 1
        ):
            return False
        if type(policy) is not ActorCriticPolicy or type(policy.features_extractor) is not FlattenExtractor:
            return False
        first = [policy.mlp_extractor.policy_net, policy.mlp_extractor.value_net]
        return policy.share_features_extractor and all(
            len(one) and isinstance(one[0], torch.nn.Linear) for one in first
        )


def distinct(observations: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Which of the distinct rows each observation is.

    Args:
        observations: (steps, copies, numbers).

    Returns:
        (steps, copies) int64, and the rows, (distinct, numbers), in the order they come in.
    """
    steps, copies, width = observations.shape
    flat = observations.reshape(steps * copies, width)
    found: dict[bytes, int] = {}
    numbers = np.array([found.setdefault(row.tobytes(), len(found)) for row in flat], np.int64)
    _, first = np.unique(numbers, return_index=True)
    return numbers.reshape(steps, copies), flat[first]


@contextmanager
def _looking_up(policy: ActorCriticPolicy, rows: torch.Tensor) -> Iterator[None]:
    """Where the policy evaluates actions, an observation is the number of one of these rows."""
    rows = rows.float()

    def evaluate(numbers: torch.Tensor, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """As `ActorCriticPolicy.evaluate_actions`."""
        needed, which = torch.unique(numbers, return_inverse=True)
        which = which.flatten()
        of_policy, of_value = policy.mlp_extractor(rows.index_select(0, needed))
        logs = policy.action_net(of_policy).log_softmax(-1)
        entropy = -(logs.exp() * logs).sum(-1)
        taken = logs.index_select(0, which).gather(1, actions[:, None])[:, 0]
        return policy.value_net(of_value).index_select(0, which), taken, entropy.index_select(0, which)

    policy.evaluate_actions = evaluate  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        del policy.evaluate_actions


@contextmanager
def _narrowed(network: torch.nn.Sequential, columns: torch.Tensor) -> Iterator[None]:
    """Its first layer takes these columns of what it took."""
    layer = network[0]
    assert isinstance(layer, torch.nn.Linear)
    network[0] = _OfColumns(layer, columns)
    try:
        yield
    finally:
        network[0] = layer


class _OfColumns(torch.nn.Module):
    """A linear layer of which only some inputs are given; its parameters are those of the whole one."""

    def __init__(self, layer: torch.nn.Linear, columns: torch.Tensor) -> None:
        super().__init__()
        self._layer, self._columns = layer, columns

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        weight: torch.Tensor = _Columns.apply(self._layer.weight, self._columns)  # type: ignore[no-untyped-call]
        return torch.nn.functional.linear(given, weight, self._layer.bias)


class _Columns(torch.autograd.Function):
    """Different columns of a matrix. `index_select` does the same, but its gradient is gathered column by column."""

    @staticmethod
    def forward(ctx: Any, matrix: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(columns)
        ctx.shape = matrix.shape
        return matrix.index_select(1, columns)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (columns,) = ctx.saved_tensors
        whole = gradients[0].new_zeros(ctx.shape)
        return whole.scatter_(1, columns.expand(len(whole), -1), gradients[0]), None
