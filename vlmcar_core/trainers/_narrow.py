"""PPO whose update leaves out what is zero in every observation that it learns from.

A grid world seen in one-hot numbers has 984 of them, of which DoorKey sets about 440 at some time. The others add
nothing to the first layers' sums, and their weights get no gradient, only what the optimizer has left of earlier ones.
So the update is the same without them, up to how its sums are rounded, and these layers, which are most of its
work, take half the time.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.torch_layers import FlattenExtractor

WORTH = 0.75
"""Of the numbers of an observation so many may be left for it to be worth the trouble."""


class NarrowPPO(PPO):
    """Stable-Baselines3's, where observations are rows of numbers."""

    def train(self) -> None:
        buffer = self.rollout_buffer
        layers = self._first_layers()
        columns = np.flatnonzero(buffer.observations.any(axis=(0, 1))) if layers else np.zeros(0, np.intp)
        if not layers or len(columns) > WORTH * buffer.observations.shape[-1]:
            super().train()
            return
        buffer.observations = buffer.observations[..., columns]  # the next rollout begins with a buffer made anew
        with ExitStack() as stack:
            for layer in layers:
                stack.enter_context(_narrowed(layer, torch.from_numpy(columns)))
            super().train()

    def _first_layers(self) -> list[torch.nn.Sequential]:
        """What the first of its layers look at observations with; none where something else comes before."""
        policy = self.policy
        if len(self.rollout_buffer.observations.shape) != 3 or type(policy.features_extractor) is not FlattenExtractor:
            return []
        found = [policy.mlp_extractor.policy_net, policy.mlp_extractor.value_net]
        return found if all(len(one) and isinstance(one[0], torch.nn.Linear) for one in found) else []


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
