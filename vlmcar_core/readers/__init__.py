"""Files that hold recorded episodes, one format a file. Adding one is adding a file; nothing else changes.

A reader is a module with

    TITLE: str                          the format's name for people
    ENDINGS: tuple[str, ...]            of the files that a browser may choose; none for a folder
    fits(path) -> bool                  whether it reads this; looks at names and first bytes alone
    opened(path) -> Material            what there is; raises BadInput or BadImage, and says what is wrong

What is read may be a stranger's: everything is decoded within the bounds below, nothing is unpickled, no link inside a
folder is followed, and nothing is imported because a file names it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlmcar_core import decoding, files, plugins
from vlmcar_core.errors import BadInput
from vlmcar_core.types import Frame, Frames

FILE_LIMIT_BYTES = 2 * 1024**3
FRAMES_LIMIT_BYTES = 1024**3
"""Of all frames of one episode, decoded: they are held in memory together."""

FRAMES_MAX = 100_000
EPISODES_MAX = 10_000
SIDE_MIN, SIDE_MAX = 8, 4096
BEGINNING_BYTES = 64
PATH_CHARS_MAX = 400
"""Of a path in a message: its end, the name, is what a person looks for."""


@dataclass(frozen=True, eq=False)
class Episode:
    """One episode as its file holds it, before anybody has said what its parts mean."""

    name: str
    """For messages: a stranger's words."""

    frames: Frames | None
    """RGB uint8 (N, H, W, 3), N at least 1; None where the file holds none."""

    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """What else there is, by name, such as `actions`, `rewards`, `infos/success`; mostly a row per step or frame."""

    seed: int | None = None
    env_id: str | None = None
    source: str | None = None
    """Who acted, as the file says: any word."""


@dataclass(frozen=True, eq=False)
class Material:
    """What a path holds: so many episodes, read one at a time."""

    title: str
    """The format, for people."""

    name: str
    """The file's or folder's name; a stranger's words."""

    count: int
    read: Callable[[int], Episode]
    """From a number, 0 to count - 1. Raises `BadInput` or `BadImage` where that one cannot be read."""

    lossy: str = ""
    """Why its pixels are not what the camera saw; empty where they are."""

    notes: tuple[str, ...] = ()
    """What else there is to know."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """What the file says of the environment that it was recorded in; shown, never acted upon."""


def opened(path: Path) -> Material:
    """What a file or a folder holds, by the reader that fits.

    Raises:
        BadInput: there is nothing by this name, no reader fits, or what is there cannot be read.
    """
    for name in plugins.names("readers"):
        reader: ModuleType = plugins.load("readers", name)
        if reader.fits(path):
            material: Material = reader.opened(path)
            if not material.count:
                raise BadInput(f"{files.label(path.name)} holds no episode")
            if material.count > EPISODES_MAX:
                raise BadInput(f"{files.label(path.name)} holds {material.count:,} episodes; at most {EPISODES_MAX:,}")
            return material
    if not path.exists():
        raise BadInput(f"there is no file, folder or Minari dataset {files.label(str(path), PATH_CHARS_MAX)!r}")
    raise BadInput(f"{files.label(path.name)!r} is none of: {', '.join(titles())}; name one of these")


def titles() -> list[str]:
    """The formats, for people."""
    return [str(plugins.load("readers", name).TITLE) for name in plugins.names("readers")]


def endings() -> list[str]:
    """Of the files that a browser may choose, without the dot."""
    return sorted({ending for name in plugins.names("readers") for ending in plugins.load("readers", name).ENDINGS})


# For the readers


def beginning(path: Path) -> bytes:
    """A plain file's first bytes; none of what is no plain file that can be read."""
    if not path.is_file():
        return b""
    try:
        with path.open("rb") as file:
            return file.read(BEGINNING_BYTES)
    except OSError:
        return b""


def natural(path: Path) -> tuple[tuple[int, int, str], ...]:
    """A key to sort names by as people count: `frame 9` before `frame 10`."""
    parts = re.findall(r"[0-9]+|[^0-9]+", path.name.lower())
    return tuple((0, int(part), "") if part.isdigit() and len(part) < 19 else (1, 0, part) for part in parts)


def check_size(name: str, count: int, height: int, width: int) -> None:
    """Raises `BadInput` before anything is decoded, where all the frames would be more than is held in memory."""
    size = count * height * width * 3
    if count > FRAMES_MAX or size > FRAMES_LIMIT_BYTES:
        raise BadInput(
            f"{name} has {count:,} frames of {width} × {height} pixels, {size / 2**20:,.0f} MiB decoded; at most "
            f"{FRAMES_MAX:,} frames and {FRAMES_LIMIT_BYTES // 2**20:,} MiB are read: cut it, or make it smaller"
        )
    if not (min(height, width) >= SIDE_MIN and max(height, width) <= SIDE_MAX):
        raise BadInput(f"{name} is {width} × {height} pixels; each side must be {SIDE_MIN} to {SIDE_MAX}")


def stacked(name: str, frames: Iterable[Frame], told: int | None = None) -> Frames:
    """Frames of one size in one array, counted and measured while they come.

    Args:
        name: the episode's, for messages.
        frames: as they are decoded.
        told: how many there are said to be; None where nobody knows beforehand.

    Raises:
        BadInput: there is none, they are too many, or one has another size than the first.
    """
    kept: list[Frame] = []
    for number, frame in enumerate(frames):
        if kept and frame.shape != kept[0].shape:
            raise BadInput(
                f"{name}: frame {number} is {frame.shape[1]} × {frame.shape[0]} pixels, the first "
                f"{kept[0].shape[1]} × {kept[0].shape[0]}; all frames of an episode must have one size"
            )
        check_size(name, max(told or 0, number + 1), frame.shape[0], frame.shape[1])
        kept.append(frame)
    if not kept:
        raise BadInput(f"{name} holds no frame")
    return np.stack(kept)


PICTURE_BOUNDS = decoding.Bounds(("PNG", "JPEG", "WEBP"), SIDE_MIN, SIDE_MAX, SIDE_MAX * SIDE_MAX)
GIF_BOUNDS = decoding.Bounds(("GIF",), SIDE_MIN, SIDE_MAX, SIDE_MAX * SIDE_MAX)
