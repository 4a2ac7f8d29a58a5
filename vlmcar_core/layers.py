"""What a policy's network has beside fully connected layers: convolutions over a picture, and a memory. NumPy alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float32]

CONVOLUTIONS_MAX = 8
CELLS_MAX = 4
OUTPUT_MAX = 2**22
"""Numbers that one convolution may give for one picture; more is no policy's, but a way to fill memory."""


@dataclass(frozen=True, eq=False)
class Convolution:
    """Square kernels slid over a picture, without padding; ReLU follows."""

    weight: Floats
    """(out, in, k, k)."""

    bias: Floats
    """(out,)."""

    stride: int

    def size(self, before: tuple[int, int, int]) -> tuple[int, int, int]:
        """Of what it makes of a picture (channels, height, width).

        Raises:
            ValueError: it does not fit, or makes more than any policy needs.
        """
        channels, height, width = before
        if self.weight.ndim != 4 or self.bias.shape != self.weight.shape[:1] or not self.weight.size:
            raise ValueError(f"a convolution of {self.weight.shape} and {self.bias.shape} is none")
        out, taken, kernel, across = self.weight.shape
        if kernel != across or taken != channels or not 1 <= self.stride <= kernel or kernel > min(height, width):
            raise ValueError(f"a convolution of {self.weight.shape}, stride {self.stride}, does not fit {before}")
        after = (out, (height - kernel) // self.stride + 1, (width - kernel) // self.stride + 1)
        if prod(after) > OUTPUT_MAX:
            raise ValueError(f"a convolution gives {after}, more than {OUTPUT_MAX:,} numbers")
        return after

    def __call__(self, pictures: Floats) -> Floats:
        """(N, in, H, W) -> (N, out, H', W')."""
        kernel = self.weight.shape[2]
        windows = sliding_window_view(pictures, (kernel, kernel), axis=(2, 3))[:, :, :: self.stride, :: self.stride]
        found = np.tensordot(windows, self.weight, axes=([1, 4, 5], [1, 2, 3])) + self.bias
        return np.asarray(np.maximum(found, 0).transpose(0, 3, 1, 2), np.float32)


@dataclass(frozen=True, eq=False)
class Eye:
    """From a picture to features: convolutions, then one fully connected layer, each with ReLU (Mnih et al. 2015)."""

    shape: tuple[int, int, int]
    """Of a picture as the environment gives it: (H, W, 3), uint8."""

    convolutions: tuple[Convolution, ...]
    features: tuple[Floats, Floats]
    """Weights (out, in) and biases (out,) of the last layer."""

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or not 1 <= len(self.convolutions) <= CONVOLUTIONS_MAX:
            raise ValueError(f"an eye has 1 to {CONVOLUTIONS_MAX} convolutions over a picture, not {self.shape}")
        height, width, channels = self.shape
        size = (channels, height, width)
        for convolution in self.convolutions:
            size = convolution.size(size)
        weight, bias = self.features
        if weight.shape != (*bias.shape, prod(size)) or not weight.size:
            raise ValueError(f"features of {weight.shape} and {bias.shape} do not fit {size}")

    @property
    def width(self) -> int:
        """How many features it gives."""
        return len(self.features[1])

    def __call__(self, pictures: NDArray[np.uint8]) -> Floats:
        """uint8 (N, H, W, 3) -> float32 (N, features)."""
        found = pictures.astype(np.float32).transpose(0, 3, 1, 2) / np.float32(255)
        for convolution in self.convolutions:
            found = convolution(found)
        weight, bias = self.features
        return np.maximum(found.reshape(len(found), -1) @ weight.T + bias, 0)


State = list[tuple[Floats, Floats]]
"""What cells remember of N episodes: hidden and cell state (N, width) of each; `Cell.step` changes it in place."""


@dataclass(frozen=True, eq=False)
class Cell:
    """One layer of a long short-term memory (Hochreiter and Schmidhuber 1997), gates in the order i, f, g, o."""

    taken: Floats
    """Weights of what comes in: (4 width, in)."""

    kept: Floats
    """Weights of what was remembered: (4 width, width)."""

    bias: Floats
    """(4 width,)."""

    def __post_init__(self) -> None:
        four = self.bias.shape[0] if self.bias.ndim == 1 else 0
        fits = self.taken.ndim == 2 and self.taken.shape[0] == four and self.kept.shape == (four, four // 4)
        if not four or four % 4 or not fits or not self.taken.size:
            raise ValueError(f"a memory of {self.taken.shape}, {self.kept.shape} and {self.bias.shape} is none")

    @property
    def width(self) -> int:
        return len(self.bias) // 4

    def step(self, seen: Floats, hidden: Floats, cell: Floats) -> Floats:
        """One step of N episodes: what it remembers is changed in place and, what it shows of it, returned."""
        i, f, g, o = np.split(seen @ self.taken.T + hidden @ self.kept.T + self.bias, 4, axis=1)
        cell[:] = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(g)
        hidden[:] = _sigmoid(o) * np.tanh(cell)
        return hidden


def blank(cells: Sequence[Cell], episodes: int) -> State:
    """What there is to remember at the beginning of episodes: nothing."""
    return [tuple(np.zeros((episodes, cell.width), np.float32) for _ in range(2)) for cell in cells]  # type: ignore[misc]


def _sigmoid(value: Floats) -> Floats:
    return np.asarray((1 + np.tanh(value / 2)) / 2, np.float32)  # never overflows
