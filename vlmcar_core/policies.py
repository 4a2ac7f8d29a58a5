"""A trained policy on disk: numbers and what they mean, and nothing that could run.

Stable-Baselines3 saves its models as pickles, and a pickle runs whatever it likes in the process that reads it; a run's
folder may be a stranger's. What a policy needs to act is a network and what its outputs stand for:

    policy.json    version, activation, head; for pictures their shape and the convolutions' strides
    weights.npz    weight-0, bias-0, weight-1, …; low, high, log_std where the head has them; convolution-0, …,
                   features; taken-0, kept-0, … of a memory

Acting needs NumPy alone, and is the same as Stable-Baselines3's own `predict` (tests/test_policies.py). A trainer makes
a `Policy` of its networks (trainers/_networks.py).
"""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vlmcar_core import archives, files, strict
from vlmcar_core.errors import DamagedFile
from vlmcar_core.layers import CELLS_MAX, CONVOLUTIONS_MAX, Cell, Convolution, Eye, Floats, State, blank

META, WEIGHTS = "policy.json", "weights.npz"
VERSION = 2
LIMIT_BYTES = 256 * 1024 * 1024
META_LIMIT_BYTES = 64 * 1024
LAYERS_MAX = 16
BOUNDS = ("low", "high")
"""Of actions; these may be infinite."""

Head = Literal["categorical", "masked", "greedy", "gaussian", "squashed"]
BOUNDED = ("gaussian", "squashed")


class Act(Protocol):
    """A policy in use: observations (N, D), or pictures uint8 (N, H, W, 3), -> actions int64 (N,) or float32 (N, A).

    Row i is the i-th of N episodes side by side. `starts`, bool (N,), says which of them begin with this observation;
    where it is not given all do. Only a policy with a memory looks at it: it remembers each row from call to call.
    """

    def __call__(self, observations: NDArray[Any], starts: NDArray[np.bool_] | None = None, /) -> NDArray[Any]: ...


def alone(act: Act) -> Callable[[Any], Any]:
    """One episode from its beginning: from an observation to an action."""
    starts = np.array([True])

    def one(observation: Any) -> Any:
        action = act(np.asarray(observation)[None], starts.copy())[0]
        starts[0] = False
        return action

    return one


def _none() -> Floats:
    return np.zeros(0, np.float32)


@dataclass(frozen=True, eq=False)
class Policy:
    """A network, and how its outputs become actions: an eye where it sees pictures, a memory where it has one, fully
    connected layers."""

    layers: tuple[tuple[Floats, Floats], ...]
    """Weights (out, in) and biases (out,), first to last; the activation stands between them."""

    activation: Literal["tanh", "relu"]
    head: Head
    """categorical: logits of discrete actions, sampled; masked: the same, of those actions that the last numbers of the
    observation allow; greedy: values of discrete actions, the first highest is taken; gaussian: means of a normal
    distribution of the deviation exp(log_std), sampled and cut to [low, high]; squashed: the action as the arctanh of
    where it lies between low and high."""

    low: Floats = field(default_factory=_none)
    high: Floats = field(default_factory=_none)
    log_std: Floats = field(default_factory=_none)
    """Each (A,) where the head has it."""

    eye: Eye | None = None
    memory: tuple[Cell, ...] = ()
    """Cells one on the other, before the layers."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.layers) <= LAYERS_MAX or len(self.memory) > CELLS_MAX:
            raise ValueError(f"a policy has 1 to {LAYERS_MAX} layers, not {len(self.layers)}")
        width = self.eye.width if self.eye else 0
        for cell in self.memory:
            if width and cell.taken.shape[1] != width:
                raise ValueError(f"a memory of {cell.taken.shape} does not fit {width} numbers before it")
            width = cell.width
        for number, (weight, bias) in enumerate(self.layers):
            before = (width,) if width else weight.shape[1:]
            if weight.ndim != 2 or weight.shape != (*bias.shape, *before) or not weight.size:
                raise ValueError(f"layer {number} of {weight.shape} and {bias.shape} does not fit the one before")
            width = len(bias)
        self._check_head()

    def _check_head(self) -> None:
        outputs = self.layers[-1][1].shape
        bounded, sampled = self.head in BOUNDED, self.head == "gaussian"
        for name, found, needed in (
            ("low", self.low, bounded),
            ("high", self.high, bounded),
            ("log_std", self.log_std, sampled),
        ):
            if found.shape != (outputs if needed else (0,)):
                raise ValueError(f"{name} of a {self.head} policy is not {found.shape}")
        if self.head == "masked" and self.eye:
            raise ValueError("a masked policy sees no pictures")

    @property
    def inputs(self) -> tuple[int, ...]:
        """The shape of one observation."""
        if self.eye:
            return self.eye.shape
        seen = self.memory[0].taken if self.memory else self.layers[0][0]
        masks = len(self.layers[-1][1]) if self.head == "masked" else 0
        return (int(seen.shape[1]) + masks,)

    def outputs(self, observations: NDArray[Any], remembered: State | None = None) -> Floats:
        """What the last layer says: observations (N, …) -> (N, A).

        Args:
            observations: one a row.
            remembered: of the episodes in the rows, changed in place; None where each begins.

        Raises:
            ValueError: it takes observations of another shape.
        """
        if observations.shape[1:] != self.inputs or not observations.ndim:
            raise ValueError(f"it takes observations of {_numbers(self.inputs)}, not {observations.shape[1:]}")
        with np.errstate(over="ignore", invalid="ignore"):  # what leaves float32 becomes an action that nobody takes
            found = self._features(observations)
            state = blank(self.memory, len(found)) if remembered is None else remembered
            for cell, (hidden, kept) in zip(self.memory, state, strict=True):
                found = cell.step(found, hidden, kept)
            for number, (weight, bias) in enumerate(self.layers):
                if number:
                    found = np.tanh(found) if self.activation == "tanh" else np.maximum(found, 0)
                found = found @ weight.T + bias
        return found

    def _features(self, observations: NDArray[Any]) -> Floats:
        if self.eye:
            return self.eye(observations)
        seen = observations[:, : -len(self.layers[-1][1])] if self.head == "masked" else observations
        return seen.astype(np.float32)

    def act(
        self, observations: NDArray[Any], chance: np.random.Generator, remembered: State | None = None
    ) -> NDArray[Any]:
        """Observations (N, …) -> actions int64 (N,) or float32 (N, A); see `outputs`."""
        with np.errstate(over="ignore", invalid="ignore"):
            found = self.outputs(observations, remembered)
            if self.head == "masked":
                allowed = observations[:, -found.shape[1] :] > 0
                found = np.where(allowed | ~allowed.any(axis=1, keepdims=True), found, -np.inf)
            return self._acted(found, chance)

    def _acted(self, found: Floats, chance: np.random.Generator) -> NDArray[Any]:
        if self.head == "greedy":
            return np.asarray(np.argmax(found, axis=1))
        if self.head in ("categorical", "masked"):
            # The largest of the logits with Gumbel noise is a sample of their softmax (Gumbel 1954).
            return np.asarray(np.argmax(found + chance.gumbel(size=found.shape), axis=1))
        if self.head == "gaussian":
            noise = chance.standard_normal(found.shape, np.float32)
            return np.clip(found + np.exp(self.log_std) * noise, self.low, self.high)
        share = (np.tanh(found) + 1) / 2
        return np.clip(self.low + share * (self.high - self.low), self.low, self.high)


def acting(policy: Policy, seed: int = 0) -> Act:
    """A policy in use, which draws its samples from random numbers of its own."""
    chance = np.random.default_rng(seed)
    state: State = blank(policy.memory, 0)

    def act(observations: NDArray[Any], starts: NDArray[np.bool_] | None = None, /) -> NDArray[Any]:
        nonlocal state
        if policy.memory:
            rows = len(state[0][0])
            if starts is None or starts.all():
                state = blank(policy.memory, len(observations))
            elif rows != len(observations):
                raise ValueError(f"it remembers {rows} episodes, and {len(observations)} go on")
            else:
                for hidden, kept in state:
                    hidden[starts] = kept[starts] = 0
        return policy.act(observations, chance, state)

    return act


def _numbers(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} numbers" if len(shape) == 1 else f"shape {shape}"


# On disk


def save(policy: Policy, path: Path) -> None:
    """Whole or not at all."""
    arrays = {"low": policy.low, "high": policy.high, "log_std": policy.log_std}
    for number, (weight, bias) in enumerate(policy.layers):
        arrays |= {f"weight-{number}": weight, f"bias-{number}": bias}
    for number, cell in enumerate(policy.memory):
        arrays |= {f"taken-{number}": cell.taken, f"kept-{number}": cell.kept, f"remembered-bias-{number}": cell.bias}
    meta: dict[str, Any] = {"version": VERSION, "activation": policy.activation, "head": policy.head}
    if policy.eye:
        meta |= {"shape": policy.eye.shape, "strides": [one.stride for one in policy.eye.convolutions]}
        arrays |= {"features": policy.eye.features[0], "features-bias": policy.eye.features[1]}
        for number, one in enumerate(policy.eye.convolutions):
            arrays |= {f"convolution-{number}": one.weight, f"convolution-bias-{number}": one.bias}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(META, json.dumps(meta, indent=1))
        archive.writestr(WEIGHTS, archives.packed(arrays))
    files.write_bytes(path, buffer.getvalue())


def load(path: Path, seed: int = 0) -> Act:
    """A policy that acts; it draws its samples from random numbers of its own.

    Raises:
        DamagedFile: it cannot be read. The `Act` raises it, too, for observations of another shape.
    """
    act = acting(read(path), seed)
    return lambda observations, starts=None, /: files.parse(path, lambda: act(observations, starts))


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
    head: Head
    shape: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.version > VERSION:
            raise ValueError(f"it has version {self.version}, this program reads up to {VERSION}")
        if len(self.strides) > CONVOLUTIONS_MAX or bool(self.strides) != bool(self.shape):
            raise ValueError(f"strides {self.strides} do not fit pictures of {self.shape}")


def _built(value: Any, arrays: dict[str, NDArray[Any]]) -> Policy:
    meta = strict.build(Meta, value)
    for name, found in arrays.items():
        if found.dtype != np.float32 or np.isnan(found).any() or (name not in BOUNDS and np.isinf(found).any()):
            raise ValueError(f"{name} holds other than float32 numbers")
    count = sum(name.startswith("weight-") for name in arrays)
    layers = tuple((arrays[f"weight-{number}"], arrays[f"bias-{number}"]) for number in range(count))
    bounds = arrays["low"], arrays["high"], arrays["log_std"]
    return Policy(layers, meta.activation, meta.head, *bounds, _eye(meta, arrays), _memory(arrays))


def _eye(meta: Meta, arrays: dict[str, NDArray[Any]]) -> Eye | None:
    if not meta.shape:
        return None
    convolutions = tuple(
        Convolution(arrays[f"convolution-{number}"], arrays[f"convolution-bias-{number}"], stride)
        for number, stride in enumerate(meta.strides)
    )
    height, width, channels = meta.shape
    return Eye((height, width, channels), convolutions, (arrays["features"], arrays["features-bias"]))


def _memory(arrays: dict[str, NDArray[Any]]) -> tuple[Cell, ...]:
    count = sum(name.startswith("taken-") for name in arrays)
    return tuple(
        Cell(arrays[f"taken-{number}"], arrays[f"kept-{number}"], arrays[f"remembered-bias-{number}"])
        for number in range(count)
    )
