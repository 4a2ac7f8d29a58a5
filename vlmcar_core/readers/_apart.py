"""Readers that leave parsing to a process of its own: HDF5 and video are parsed by large libraries in C."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vlmcar_core import archives, strict
from vlmcar_core.errors import BadInput
from vlmcar_core.readers import FRAMES_LIMIT_BYTES, Episode, Material
from vlmcar_core.readers.npz import checked
from vlmcar_core.sandbox.apart import Apart

FRAMES = "frames"
ARRAYS_MAX = 1000


@dataclass(frozen=True)
class Told:
    """What the process says of a file."""

    title: str
    name: str
    count: int
    lossy: str
    notes: tuple[str, ...]
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Held:
    """What it says of an episode; the arrays follow each other in a file."""

    name: str
    seed: int | None
    env_id: str | None
    source: str | None
    arrays: tuple[str, ...]
    ends: tuple[int, ...]
    """Where each of them ends, in bytes."""

    frames: int | None
    """Which of the arrays are the frames; the last may have no name of its own, and is called `FRAMES` then."""


def opened(reader: str, path: Path) -> Material:
    """What a file holds, as `inside` of a reader says, which runs in a process of its own.

    Raises:
        BadInput: it cannot be read, and why.
    """
    out = tempfile.TemporaryFile(prefix="vlmcar-reading-")  # noqa: SIM115 (open as long as the process)
    process = Apart(
        "vlmcar_core.readers._inside", [reader, str(path.resolve()), str(out.fileno())], inherited=[out.fileno()]
    )
    told = _as(Told, process.ask({}))
    return Material(
        told.title,
        told.name,
        told.count,
        lambda number: _episode(process, out, number),
        told.lossy,
        told.notes,
        told.settings,
    )


def _episode(process: Apart, out: IO[bytes], number: int) -> Episode:
    held = _as(Held, process.ask({"number": number}))
    if len(held.arrays) > ARRAYS_MAX:
        raise BadInput(f"{held.name} holds {len(held.arrays)} arrays; at most {ARRAYS_MAX} are read")
    found = [_array(out, begin, end) for begin, end in pairwise((0, *held.ends))]
    if len(found) != len(held.arrays) or (held.frames is not None and not 0 <= held.frames < len(found)):
        raise BadInput(f"{held.name}: its frames are none of its arrays, or some of these are missing")
    named = {name: array for name, array in zip(held.arrays, found, strict=True) if name != FRAMES}
    frames = None if held.frames is None else checked(held.name, found[held.frames])
    return Episode(held.name, frames, named, held.seed, held.env_id, held.source)


def _array(out: IO[bytes], begin: int, end: int) -> NDArray[np.generic]:
    if not 0 <= begin <= end <= begin + FRAMES_LIMIT_BYTES + 4096:
        raise BadInput(f"an array of {end - begin:,} bytes is not read")
    try:
        out.seek(begin)
        found: NDArray[np.generic] = archives.array(out.read(end - begin))
        return found
    except (OSError, ValueError) as error:
        raise BadInput(f"an array cannot be read ({error})") from error


def _as(kind: type[Any], value: dict[str, Any]) -> Any:
    try:
        return strict.build(kind, value)
    except ValueError as error:
        raise BadInput(f"what reads this file answered nonsense ({error}); write the file anew") from error
