"""NPZ files, as `numpy.savez` writes them: one file an episode, or a folder of such files. No pickle.

Keys, all but the first optional:

    frames          uint8 (T + 1, H, W, 3): RGB; or leave it out and let the actions be replayed from `seed`
    actions         numbers (T,) or (T, A)
    rewards         numbers (T,): what the environment paid
    terminated      bool (T,), or one for the episode
    truncated       likewise
    success         bool: one for the episode, or (T,), or (T + 1,)
    seed            one whole number
    env_id          one text
    source          one text: expert, random, human, policy, adversarial or near-miss
    fact:NAME       bool (T + 1,): the simulator's truth about each frame

Whatever else has a row per step or per frame may be named in the mapping. `vlmcar export-trajectories --to npz` writes
these keys.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlmcar_core import archives, files
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.readers import (
    FILE_LIMIT_BYTES,
    FRAMES_LIMIT_BYTES,
    Episode,
    Material,
    beginning,
    check_size,
    natural,
)
from vlmcar_core.types import Frames

TITLE = "NPZ"
ENDINGS = ("npz",)

NAME = re.compile(r"[^.].*\.npz", re.IGNORECASE | re.DOTALL)
BESIDE_LIMIT_BYTES = 256 * 1024 * 1024
"""Of all that is no frame."""


def fits(path: Path) -> bool:
    if path.is_dir():
        return bool(files.listed(path, NAME))
    return path.suffix.lower() == ".npz" and beginning(path).startswith(b"PK")


def opened(path: Path) -> Material:
    """See the module."""
    paths = sorted(files.listed(path, NAME), key=natural) if path.is_dir() else [path.resolve()]
    return Material(TITLE, files.label(path.name), len(paths), lambda number: _read(paths[number]))


def _read(path: Path) -> Episode:
    name = files.label(path.name)
    try:
        with archives.opened(path, FILE_LIMIT_BYTES) as archive:
            arrays = archive.arrays(FRAMES_LIMIT_BYTES + BESIDE_LIMIT_BYTES)
    except DamagedFile as error:
        raise BadInput(f"{error} (of NPZ, numbers and texts are read, never pickled objects)") from error
    frames, seed, env_id, source = (arrays.pop(key, None) for key in ("frames", "seed", "env_id", "source"))
    return Episode(
        name,
        None if frames is None else checked(name, frames),
        arrays,
        None if seed is None else _whole(name, seed),
        None if env_id is None else _word(name, env_id),
        None if source is None else _word(name, source),
    )


def checked(name: str, frames: NDArray[Any]) -> Frames:
    """Frames that an array holds, if it does. Raises `BadInput`."""
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or not len(frames):
        raise BadInput(
            f"{name}: frames are {frames.dtype} {frames.shape}; expected RGB as uint8 (T + 1, H, W, 3), T at least 0"
        )
    check_size(name, *frames.shape[:3])
    return frames


def _whole(name: str, value: NDArray[Any]) -> int:
    if value.size != 1 or value.dtype.kind not in "iu":
        raise BadInput(f"{name}: the seed is {value.dtype} {value.shape}; expected one whole number")
    return int(value.reshape(()))


def _word(name: str, value: NDArray[Any]) -> str:
    if value.size != 1 or value.dtype.kind != "U":
        raise BadInput(f"{name}: env_id or source is {value.dtype} {value.shape}; expected one text")
    return files.label(str(value.reshape(())), 200)
