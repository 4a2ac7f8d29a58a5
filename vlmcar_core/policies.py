"""A trained policy on disk: numbers and what they mean, and nothing that could run.

Stable-Baselines3 saves its models as pickles, and a pickle runs whatever it likes in the process that reads it; a run's
folder may be a stranger's. What a policy needs to act is a fully connected network and what its outputs stand for:

    policy.json    version, activation, head
    weights.npz    weight-0, bias-0, weight-1, …; low, high, log_std where the head has them

Acting needs NumPy alone, and is the same as Stable-Baselines3's own `predict` (tests/test_policies.py). A trainer makes
a `Policy` of its networks (trainers/_networks.py).
"""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vlmcar_core import archives, files, strict
from vlmcar_core.errors import DamagedFile

META, WEIGHTS = "policy.json", "weights.npz"
VERSION = 1
LIMIT_BYTES = 256 * 1024 * 1024
META_LIMIT_BYTES = 64 * 1024
LAYERS_MAX = 16
BOUNDS = ("low", "high")
"""Of actions; these may be infinite."""

Floats = NDArray[np.float32]
Act = Callable[[NDArray[np.float32]], NDArray[Any]]


def _none() -> Floats:
    return np.zeros(0, np.float32)


@dataclass(frozen=True, eq=False)
class Policy:
    """A fully connected network, and how its outputs become actions."""

    layers: tuple[tuple[Floats, Floats], ...]
    """Weights (out, in) and biases (out,), first to last; the activation stands between them."""

    activation: Literal["tanh", "relu"]
    head: Literal["categorical", "gaussian", "squashed"]
    """categorical: logits of discrete actions, sampled; gaussian: means of a normal distribution of the deviation
    exp(log_std), sampled and cut to [low, high]; squashed: the mean action as the arctanh of where it lies between low
    and high."""

    low: Floats = field(default_factory=_none)
    high: Floats = field(default_factory=_none)
    log_std: Floats = field(default_factory=_none)
    """Each (A,) where the head has it."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.layers) <= LAYERS_MAX:
            raise ValueError(f"a policy has 1 to {LAYERS_MAX} layers, not {len(self.layers)}")
        for number, (weight, bias) in enumerate(self.layers):
            before = self.layers[number - 1][0].shape[:1] if number else weight.shape[1:]
            if weight.ndim != 2 or weight.shape != (*bias.shape, *before) or not weight.size:
                raise ValueError(f"layer {number} of {weight.shape} and {bias.shape} does not fit the one before")
        outputs = self.layers[-1][1].shape
        bounded, sampled = self.head != "categorical", self.head == "gaussian"
        for name, found, needed in (
            ("low", self.low, bounded),
            ("high", self.high, bounded),
            ("log_std", self.log_std, sampled),
        ):
            if found.shape != (outputs if needed else (0,)):
                raise ValueError(f"{name} of a {self.head} policy is not {found.shape}")

    @property
    def inputs(self) -> int:
        """Numbers in one observation."""
        return int(self.layers[0][0].shape[1])

    def outputs(self, observations: NDArray[Any]) -> Floats:
        """What the last layer says: observations (N, D) -> (N, A).

        Raises:
            ValueError: it takes observations of another length.
        """
        if observations.ndim != 2 or observations.shape[1] != self.inputs:
            raise ValueError(f"it takes observations of {self.inputs} numbers, not {observations.shape[1:]}")
        found = observations.astype(np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # what leaves float32 becomes an action that nobody takes
            for number, (weight, bias) in enumerate(self.layers):
                if number:
                    found = np.tanh(found) if self.activation == "tanh" else np.maximum(found, 0)
                found = found @ weight.T + bias
        return found

    def act(self, observations: NDArray[Any], chance: np.random.Generator) -> NDArray[Any]:
        """Observations (N, D) -> actions int64 (N,) or float32 (N, A)."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self._acted(self.outputs(observations), chance)

    def _acted(self, found: Floats, chance: np.random.Generator) -> NDArray[Any]:
        if self.head == "categorical":
            # The largest of the logits with Gumbel noise is a sample of their softmax (Gumbel 1954).
            return np.asarray(np.argmax(found + chance.gumbel(size=found.shape), axis=1))
        if self.head == "gaussian":
            noise = chance.standard_normal(found.shape, np.float32)
            return np.clip(found + np.exp(self.log_std) * noise, self.low, self.high)
        share = (np.tanh(found) + 1) / 2
        return np.clip(self.low + share * (self.high - self.low), self.low, self.high)


# On disk


def save(policy: Policy, path: Path) -> None:
    """Whole or not at all."""
    arrays = {"low": policy.low, "high": policy.high, "log_std": policy.log_std}
    for number, (weight, bias) in enumerate(policy.layers):
        arrays |= {f"weight-{number}": weight, f"bias-{number}": bias}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        meta = {"version": VERSION, "activation": policy.activation, "head": policy.head}
        archive.writestr(META, json.dumps(meta, indent=1))
        archive.writestr(WEIGHTS, archives.packed(arrays))
    files.write_bytes(path, buffer.getvalue())


def load(path: Path, seed: int = 0) -> Act:
    """A policy that acts; it draws its samples from random numbers of its own.

    Raises:
        DamagedFile: it cannot be read. The `Act` raises it, too, for observations of another length.
    """
    policy, chance = read(path), np.random.default_rng(seed)
    return lambda observations: files.parse(path, lambda: policy.act(observations, chance))


def read(path: Path) -> Policy:
    """Raises `DamagedFile`."""
    try:
        with archives.opened(path, LIMIT_BYTES) as archive:
            if META not in archive.names and any(name.endswith((".pth", ".pkl")) for name in archive.names):
                raise DamagedFile(
                    f"{path.name} is a pickle, as earlier versions saved policies; reading one may run a stranger's "
                    "code, so it is not read: train again"
                )
            meta = archive.read(META, META_LIMIT_BYTES)
            arrays = archive.arrays_in(WEIGHTS, LIMIT_BYTES)
    except FileNotFoundError as error:
        raise DamagedFile(f"there is no {path.name}; train again") from error
    return files.parse(path, lambda: _built(strict.loads(meta), arrays))


@dataclass(frozen=True)
class Meta:
    """What policy.json holds."""

    version: int
    activation: Literal["tanh", "relu"]
    head: Literal["categorical", "gaussian", "squashed"]

    def __post_init__(self) -> None:
        if self.version > VERSION:
            raise ValueError(f"it has version {self.version}, this program reads up to {VERSION}")


def _built(value: Any, arrays: dict[str, NDArray[Any]]) -> Policy:
    meta = strict.build(Meta, value)
    for name, found in arrays.items():
        if found.dtype != np.float32 or np.isnan(found).any() or (name not in BOUNDS and np.isinf(found).any()):
            raise ValueError(f"{name} holds other than float32 numbers")
    count = sum(name.startswith("weight-") for name in arrays)
    layers = tuple((arrays[f"weight-{number}"], arrays[f"bias-{number}"]) for number in range(count))
    return Policy(layers, meta.activation, meta.head, arrays["low"], arrays["high"], arrays["log_std"])
