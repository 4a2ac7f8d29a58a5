"""All that a training needs to go on, as numbers: no pickle is written, and none read.

    checkpoint.json   version, trainer, and how far it was: steps, updates, episodes, calls
    weights.npz       every network's weights, every optimizer's moments, the entropy coefficient where it is learned
    buffer.npz        of off-policy algorithms the newest transitions, oldest first, up to BUFFER_LIMIT_BYTES

Left out are the environments in mid-episode and the random numbers: a resumed training begins new episodes, and draws
from its seed plus the steps that it had. Settings are not in it either: a checkpoint is resumed by a training with the
same ones, and one whose networks have another shape is refused.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from vlmcar_core import archives, files, strict
from vlmcar_core.errors import DamagedFile

META, WEIGHTS, BUFFER = "checkpoint.json", "weights.npz", "buffer.npz"
VERSION = 1
META_LIMIT_BYTES = 64 * 1024
WEIGHTS_LIMIT_BYTES = 512 * 1024 * 1024
BUFFER_LIMIT_BYTES = 128 * 1024 * 1024
"""Of the replay buffer's newest transitions; what is older is not kept."""
LIMIT_BYTES = WEIGHTS_LIMIT_BYTES + 2 * BUFFER_LIMIT_BYTES

MOMENTS = ("exp_avg", "exp_avg_sq", "square_avg")
"""What Adam and RMSProp remember of each parameter, beside the number of steps."""

FIELDS = (
    *("observations", "next_observations", "actions", "rewards", "dones", "timeouts"),
    *("learned", "ep_start", "ep_length"),
)
"""Of a replay buffer, the last three where goals are changed in hindsight."""

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Meta:
    """What checkpoint.json holds."""

    version: int
    trainer: str
    steps: int
    updates: int = 0
    episodes: int = 0
    calls: int = 0
    """DQN's, by which it knows when its target is due."""

    def __post_init__(self) -> None:
        if self.version > VERSION:
            raise ValueError(f"it has version {self.version}, this program reads up to {VERSION}")
        if min(self.steps, self.updates, self.episodes, self.calls) < 0:
            raise ValueError("a checkpoint counts from 0")


def write(model: BaseAlgorithm, trainer: str, path: Path, limit: int = BUFFER_LIMIT_BYTES) -> None:
    """Whole or not at all; of the replay buffer's newest transitions at most `limit` bytes."""
    counted = (model.num_timesteps, model._n_updates, model._episode_num, getattr(model, "_n_calls", 0))
    meta = Meta(VERSION, trainer, *counted)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(META, json.dumps(asdict(meta), indent=1))
        archive.writestr(WEIGHTS, archives.packed(_weights(model), quick=True))
        replay = _replay_buffer(model)
        if replay is not None:
            archive.writestr(BUFFER, archives.packed(_newest(replay, limit), quick=True))
    files.write_bytes(path, buffer.getvalue())


def restore(model: BaseAlgorithm, trainer: str, path: Path) -> None:
    """Put a model that was just built with the same settings where the checkpoint was.

    Raises:
        DamagedFile: it cannot be read, is another trainer's, or its networks have another shape.
    """
    try:
        with archives.opened(path, LIMIT_BYTES) as archive:
            meta = files.parse(path, lambda: strict.build(Meta, strict.loads(archive.read(META, META_LIMIT_BYTES))))
            if meta.trainer != trainer:
                raise DamagedFile(
                    f"{files.label(path.name)} is a checkpoint of {meta.trainer[:80]!r}, not of {trainer!r}"
                )
            weights = archive.arrays_in(WEIGHTS, WEIGHTS_LIMIT_BYTES)
            kept = archive.arrays_in(BUFFER, 2 * BUFFER_LIMIT_BYTES) if BUFFER in archive.names else {}
    except FileNotFoundError as error:
        raise DamagedFile(f"there is no {files.label(path.name)} to go on from") from error
    files.parse(path, lambda: _put_weights(model, weights))
    model.num_timesteps, model._n_updates, model._episode_num = meta.steps, meta.updates, meta.episodes
    if hasattr(model, "_n_calls"):
        model._n_calls = meta.calls
    replay = _replay_buffer(model)
    if replay is not None:
        assert isinstance(model, OffPolicyAlgorithm)
        if not files.parse(path, lambda: _refill(replay, kept)):
            model.learning_starts += meta.steps  # there is nothing to learn from yet


# Weights


def _weights(model: BaseAlgorithm) -> Arrays:
    arrays: Arrays = {}
    for name, held in model.get_parameters().items():
        if "param_groups" not in held:
            arrays |= {f"{name}/{key}": _array(value) for key, value in held.items()}
            continue
        for index, moments in held["state"].items():
            arrays |= {f"{name}/{index}/{key}": _array(value) for key, value in moments.items()}
    if isinstance(entropy := getattr(model, "log_ent_coef", None), torch.Tensor):
        arrays["log_ent_coef"] = _array(entropy)
    return arrays


def _array(value: Any) -> NDArray[Any]:
    """Tensors as they are; a count as int64."""
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value, np.int64)


def _put_weights(model: BaseAlgorithm, arrays: Arrays) -> None:
    """Raises `ValueError` where they are not this model's."""
    left = dict(arrays)
    parameters = model.get_parameters()
    for name, held in parameters.items():
        mine = {key.removeprefix(f"{name}/"): left.pop(key) for key in list(left) if key.startswith(f"{name}/")}
        if "param_groups" in held:
            sizes = {index: tuple(shape) for index, shape in enumerate(_shapes(model, name))}
            held["state"] = _moments(mine, sizes)
        else:
            if set(mine) != set(held):
                raise ValueError(f"{name} has other parts: {sorted(set(mine) ^ set(held))[:3]}")
            parameters[name] = {key: _tensor(key, mine[key], tuple(value.shape)) for key, value in held.items()}
    entropy = getattr(model, "log_ent_coef", None)
    if isinstance(entropy, torch.Tensor):
        entropy.data.copy_(_tensor("log_ent_coef", left.pop("log_ent_coef"), tuple(entropy.shape)))
    if left:
        raise ValueError(f"it holds {sorted(left)[0][:80]!r}, which this trainer has not")
    model.set_parameters(parameters, exact_match=True, device="cpu")  # type: ignore[arg-type]  # its own get_parameters


def _shapes(model: BaseAlgorithm, name: str) -> Iterator[torch.Size]:
    """Of the parameters that an optimizer changes, in its order."""
    optimizer: Any = model
    for part in name.split("."):
        optimizer = getattr(optimizer, part)
    return (parameter.shape for group in optimizer.param_groups for parameter in group["params"])


def _moments(arrays: Arrays, sizes: dict[int, tuple[int, ...]]) -> dict[int, dict[str, Any]]:
    state: dict[int, dict[str, Any]] = {}
    for name, found in arrays.items():
        index, _, key = name.partition("/")
        if not index.isdigit() or int(index) not in sizes or key not in (*MOMENTS, "step"):
            raise ValueError(f"an optimizer remembers no {name[:80]!r}")
        held = state.setdefault(int(index), {})
        if key in MOMENTS:
            held[key] = _tensor(name, found, sizes[int(index)])
        else:
            held[key] = _count(name, found)
    if any("step" not in held or len(held) < 2 for held in state.values()):
        raise ValueError("an optimizer's moments are not whole")
    return state


def _count(name: str, found: NDArray[Any]) -> Any:
    """Adam counts in a tensor, RMSProp in a whole number."""
    if found.shape != () or found.dtype not in (np.float32, np.int64) or not 0 <= found <= strict.WHOLE_MAX:
        raise ValueError(f"{name} is no count")
    return int(found) if found.dtype == np.int64 else torch.from_numpy(found)


def _tensor(name: str, found: NDArray[Any], shape: tuple[int, ...]) -> torch.Tensor:
    if found.dtype != np.float32 or found.shape != shape or not np.isfinite(found).all():
        raise ValueError(f"{name} is not {shape} finite float32 numbers, but {found.shape} of {found.dtype}")
    return torch.from_numpy(found)


# The replay buffer


def _replay_buffer(model: BaseAlgorithm) -> ReplayBuffer | None:
    return model.replay_buffer if isinstance(model, OffPolicyAlgorithm) else None


def _parts(buffer: ReplayBuffer) -> Arrays:
    """Its arrays by name, (size, copies, …) each, to be read and written."""
    found: Arrays = {}
    for name in FIELDS:
        held = getattr(buffer, name, None)
        if isinstance(held, dict):
            found |= {f"{name}/{key}": value for key, value in held.items()}
        elif held is not None:
            found[name] = held
    return found


def _newest(buffer: ReplayBuffer, limit: int) -> Arrays:
    """The newest transitions that fit, oldest first; the episode that is under way is no episode yet."""
    parts = _parts(buffer)
    each = sum(part[0].nbytes for part in parts.values())
    size = buffer.buffer_size
    count = min(size if buffer.full else buffer.pos, limit // each)
    rows = (np.arange(count) + buffer.pos - count) % size
    arrays = {name: part[rows].reshape(count, part.shape[1], -1) for name, part in parts.items()}
    if "ep_start" in arrays and count:
        first = (arrays["ep_start"] - rows[0]) % size  # past the end where the beginning was left out
        whole = (arrays["ep_length"] > 0) & (first <= np.arange(count)[:, None, None])
        arrays["ep_start"] = np.where(whole, first, 0)
        arrays["ep_length"] = np.where(whole, arrays["ep_length"], 0)
    return arrays


def _refill(buffer: ReplayBuffer, arrays: Arrays) -> bool:
    """Whether there is something to learn from; raises `ValueError` where they are not this buffer's."""
    if not arrays:
        return False
    parts = _parts(buffer)
    if set(arrays) != set(parts):
        raise ValueError(f"its transitions have other parts: {sorted(set(arrays) ^ set(parts))[:3]}")
    count = len(arrays["rewards"])
    if count > buffer.buffer_size:
        raise ValueError(f"it holds {count:,} transitions, and the buffer has room for {buffer.buffer_size:,}")
    for name, part in parts.items():
        found = arrays[name]
        wanted = (count, part.shape[1], part[0, 0].size)
        if found.dtype != part.dtype or found.shape != wanted:
            raise ValueError(f"{name} is not {wanted} of {part.dtype}, but {found.shape} of {found.dtype}")
        if found.dtype.kind == "f" and not np.isfinite(found).all():
            raise ValueError(f"{name} holds what is no number")
    usable = _check_episodes(arrays["ep_start"], arrays["ep_length"]) if "ep_start" in arrays else count > 0
    for name, part in parts.items():
        part[:count] = arrays[name].reshape(count, *part.shape[1:])
    buffer.pos, buffer.full = count % buffer.buffer_size, count == buffer.buffer_size
    if isinstance(buffer, HerReplayBuffer):
        buffer._current_ep_start[:] = buffer.pos
    return usable


def _check_episodes(starts: NDArray[Any], lengths: NDArray[Any]) -> bool:
    """Whether there is a whole one; raises `ValueError` where they do not fit the transitions."""
    count = len(starts)
    known = lengths > 0
    within = np.arange(count).reshape(-1, 1, 1) - starts
    fits = (starts >= 0) & (within >= 0) & (within < lengths) & (starts + lengths <= count)
    if (lengths < 0).any() or (known & ~fits).any():
        raise ValueError("its episodes do not fit its transitions")
    return bool(known.any())
