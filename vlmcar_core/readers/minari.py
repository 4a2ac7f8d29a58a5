"""Minari datasets (HDF5), by folder or by a local one's id; Minari itself is not imported and nothing is fetched.

Minari's own loader makes the environment that a dataset names, which imports whatever module stands there. Here only
the numbers are read, with h5py in a sealed process of its own, and of these only plain datasets within bounds: no link
to another file, no storage outside, no virtual dataset, no filter but the usual ones.

Arrays are called by their path in an episode: `actions`, `rewards`, `terminations`, `truncations`, `observations` or
`observations/image`, `infos/success`, and so on.
"""

import io
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vlmcar_core import decoding, files, strict
from vlmcar_core.errors import BadInput
from vlmcar_core.readers import (
    FRAMES_LIMIT_BYTES,
    PICTURE_BOUNDS,
    SIDE_MIN,
    Episode,
    Material,
    _apart,
    check_size,
    stacked,
)
from vlmcar_core.types import Frame, Frames

TITLE = "Minari dataset"
ENDINGS: tuple[str, ...] = ()

ROOT_VARIABLE = "MINARI_DATASETS_PATH"
METADATA, DATA = "metadata.json", "main_data.hdf5"
METADATA_LIMIT_BYTES = 64 * 1024 * 1024
ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*){0,8}")
EPISODE = re.compile(r"episode_([0-9]{1,9})")
SPACES = re.compile(rb'"(observation_space|action_space)"\s*:\s*"(?:[^"\\]|\\.)*"')
"""Spaces as text in a text, every bound of every pixel; what is needed of them the data say themselves."""

LEAVES_MAX, DEPTH_MAX = 1000, 8
CHUNK_LIMIT_BYTES = 256 * 1024 * 1024
FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}
"""By HDF5's registered number; any other would have the library look for a plugin to load."""

PICTURE_NAMES = ("frames", "frame", "pixels", "rgb", "render")
"""Observations that are pictures for people; others, as MiniGrid's `image`, may be codes in the shape of a picture."""

PICTURE_SIDE = 32
"""From here on Minari takes an observation of uint8 for a picture."""

JPEG = b"\xff\xd8\xff"
LOSSY = (
    "this dataset keeps pictures as JPEG, which changes pixels; checkers judge pixels (jpeg_encoding=False keeps them)"
)
MISSING = 'a Minari dataset needs h5py: pip install "vlmcar-studio[minari]"'
FAULTS = (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError, AttributeError, MemoryError)
"""What h5py raises on damaged files."""


def fits(path: Path) -> bool:
    return _folder(path) is not None


def _folder(path: Path) -> Path | None:
    """Where `metadata.json` is: in the folder, in its `data`, or in that of a local dataset of this id."""
    places = [path, path / "data"]
    if not path.exists() and ID.fullmatch(str(path)):
        places.append(datasets_root() / path / "data")
    return next((place for place in places if (place / METADATA).is_file()), None)


def datasets_root() -> Path:
    """Where Minari keeps its datasets on this machine."""
    chosen = os.environ.get(ROOT_VARIABLE)
    return Path(chosen) if chosen else Path.home() / ".minari" / "datasets"


def opened(path: Path) -> Material:
    """See the module. Raises `BadInput` where h5py is not installed, or the dataset cannot be read."""
    folder = _folder(path)
    assert folder is not None, "it fits"
    if find_spec("h5py") is None:
        raise BadInput(MISSING)
    return _apart.opened("minari", folder)


def wanted(folder: Path) -> list[Path]:
    """The files that the process that parses is to open."""
    return [folder / METADATA, folder / DATA]


def warm_up() -> None:
    """Load all that reading needs: every filter of HDF5, and what decodes JPEG."""
    h5py = import_module("h5py")
    with h5py.File(io.BytesIO(), "w") as file:
        for name in ("gzip", "lzf"):
            leaf = file.create_dataset(name, data=np.arange(8), compression=name, shuffle=True, fletcher32=True)
            _array("warm-up", leaf, [leaf.nbytes])
    Image.init()
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((SIDE_MIN, SIDE_MIN, 3), np.uint8)).save(buffer, "JPEG")
    decoding.decode(buffer.getvalue(), PICTURE_BOUNDS)


def inside(folder: Path, opened: Mapping[Path, BinaryIO]) -> Material:
    """The same in the process that parses, for the folder in which `metadata.json` is, with its files open."""
    path = folder.parent if folder.name == "data" else folder
    about, data = _about(folder, opened[folder / METADATA]), opened[folder / DATA]
    if about.get("data_format", "hdf5") != "hdf5":
        raise BadInput(
            f"{files.label(path.name)} is kept as {strict.short(about['data_format'])}; only Minari's HDF5 is read: "
            "write it anew with data_format='hdf5'"
        )
    spec = _spec(about)
    env_id = spec.get("id") if isinstance(spec.get("id"), str) else None
    with _hdf5(folder, data) as file:
        numbers = sorted(int(found[1]) for found in map(EPISODE.fullmatch, file) if found)
        jpeg = bool(numbers) and _has_jpeg(file[f"episode_{numbers[0]}"])
    keywords = spec.get("kwargs") or {}
    beside = f" with {files.label(str(keywords), 300)}" if keywords else ""
    told = (f"recorded in {files.label(env_id)}{beside}",) if env_id else ()
    return Material(
        TITLE,
        files.label(str(about.get("dataset_id") or path.name)),
        len(numbers),
        lambda number: _read(folder, data, numbers[number], env_id),
        LOSSY if jpeg else "",
        told,
        {"env_id": env_id, "kwargs": spec.get("kwargs", {})} if env_id else {},
    )


def _about(folder: Path, file: BinaryIO) -> dict[str, Any]:
    data = file.read(METADATA_LIMIT_BYTES + 1)
    try:
        if len(data) > METADATA_LIMIT_BYTES:
            raise ValueError(f"it is larger than {METADATA_LIMIT_BYTES // 2**20} MiB")
        value = strict.loads(SPACES.sub(rb'"\1": ""', data))
    except ValueError as error:
        raise BadInput(f"{METADATA} of {files.label(folder.parent.name)} cannot be read ({error})") from error
    if not isinstance(value, dict):
        raise BadInput(f"{METADATA} of {files.label(folder.parent.name)} is no object")
    return value


def _spec(about: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of the environment; empty where it cannot be read."""
    try:
        found = strict.loads(str(about.get("env_spec") or "{}").encode())
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def _hdf5(folder: Path, data: BinaryIO) -> Iterator[Any]:
    name = files.label(folder.parent.name if folder.name == "data" else folder.name)
    h5py = import_module("h5py")
    try:
        with h5py.File(data, "r") as file:
            yield file
    except BadInput:
        raise
    except FAULTS as error:
        raise BadInput(f"{name}: its {DATA} cannot be read ({files.label(str(error), 200)})") from error


def _read(folder: Path, data: BinaryIO, number: int, env_id: str | None) -> Episode:
    name = f"episode {number}"
    with _hdf5(folder, data) as file:
        group = _plain(file, f"episode_{number}")
        told = group.attrs
        seed, said, source = (told.get(key) for key in ("seed", "env_id", "source"))
        room = [FRAMES_LIMIT_BYTES]
        arrays = {where: _array(name, leaf, room) for where, leaf in _leaves(group, "", 0)}
    found = {where: array for where, array in arrays.items() if array is not None}
    return Episode(
        name,
        _frames(name, found, SIDE_MIN if isinstance(source, str) else PICTURE_SIDE),
        found,
        int(seed) if isinstance(seed, (int, np.integer)) else None,
        files.label(said, 200) if isinstance(said, str) else env_id,
        source if isinstance(source, str) else None,
    )


def _plain(group: Any, name: str) -> Any:
    """A member that is in this file."""
    h5py = import_module("h5py")
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise BadInput(f"{files.label(name)} is a link to another place; only what is in the file itself is read")
    return group[name]


def _leaves(group: Any, where: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Every dataset below a group, by its path."""
    h5py = import_module("h5py")
    if depth > DEPTH_MAX or len(group) > LEAVES_MAX:
        raise BadInput(f"{files.label(where or 'the episode')} nests too deep, or holds more than {LEAVES_MAX} parts")
    for name in group:
        found, path = _plain(group, name), f"{where}/{name}" if where else str(name)
        if isinstance(found, h5py.Group):
            yield from _leaves(found, path, depth + 1)
        elif isinstance(found, h5py.Dataset):
            yield path, found


def _array(name: str, leaf: Any, room: list[int]) -> NDArray[Any] | None:
    """What a dataset holds, pictures decoded; None where it is no array of numbers.

    Args:
        room: how many bytes may still be read, in a list to be counted down.
    """
    _check(leaf)
    if _is_jpeg(leaf):
        frames = stacked(name, (_jpeg(name, leaf[row]) for row in range(len(leaf))), len(leaf))
        room[0] -= frames.nbytes
        return frames
    if leaf.dtype.kind not in "biuf" or not leaf.ndim:
        return None
    room[0] -= prod(leaf.shape) * leaf.dtype.itemsize
    if room[0] < 0:
        raise BadInput(f"{name} holds more than {FRAMES_LIMIT_BYTES // 2**20:,} MiB; it was not read")
    found: NDArray[Any] = np.asarray(leaf[()])
    return found


def _check(leaf: Any) -> None:
    """Raises `BadInput` where its bytes are not plainly in this file."""
    plan = leaf.id.get_create_plist()
    filters = {int(plan.get_filter(number)[0]) for number in range(plan.get_nfilters())}
    if leaf.is_virtual or leaf.external:
        raise BadInput(f"{files.label(leaf.name)} keeps its numbers in another file; that is not opened")
    if filters - set(FILTERS):
        raise BadInput(
            f"{files.label(leaf.name)} is packed by a filter that is not read; only {[*FILTERS.values()]} are"
        )
    if leaf.chunks and prod(leaf.chunks) * leaf.dtype.itemsize > CHUNK_LIMIT_BYTES:
        raise BadInput(f"{files.label(leaf.name)} is packed in pieces larger than {CHUNK_LIMIT_BYTES // 2**20} MiB")


def _has_jpeg(episode: Any) -> bool:
    return any(_is_jpeg(leaf) for _, leaf in _leaves(episode, "", 0))


def _is_jpeg(leaf: Any) -> bool:
    """A row of bytes a frame, each a JPEG."""
    h5py = import_module("h5py")
    inner = h5py.check_vlen_dtype(leaf.dtype)
    rows = (leaf.ndim == 2 and leaf.dtype == np.uint8) or (leaf.ndim == 1 and inner is not None and inner == np.uint8)
    if not rows or not len(leaf):
        return False
    _check(leaf)
    return bytes(np.asarray(leaf[0], np.uint8)[:3]) == JPEG


def _jpeg(name: str, row: Any) -> Frame:
    try:
        return decoding.decode(np.asarray(row, np.uint8).tobytes(), PICTURE_BOUNDS)
    except ValueError as error:
        raise BadInput(f"{name}: a picture {error}") from error


def _frames(name: str, arrays: Mapping[str, NDArray[Any]], side: int) -> Frames | None:
    """The observation that is a picture for people, where one plainly is: of at least `side` pixels. An episode that
    was written by `vlmcar export-trajectories` says who acted, and is known to hold frames of any size."""
    for where, array in arrays.items():
        first, _, last = where.partition("/")
        called = not last or last.rpartition("/")[2] in PICTURE_NAMES
        if first == "observations" and called and is_picture(array, side):
            check_size(name, *array.shape[:3])
            return array
    return None


def is_picture(array: NDArray[Any], side: int) -> bool:
    """RGB uint8 (N, H, W, 3), of at least so many pixels a side."""
    shaped = array.ndim == 4 and array.shape[3:] == (3,) and array.dtype == np.uint8
    return shaped and min(array.shape[1:3]) >= side
