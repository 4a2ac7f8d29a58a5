"""One trajectory, one zip file: `meta.json`, `steps.npz` and every distinct frame once, as PNG.

Frames that repeat (an agent bumping into a wall) are stored once; `order` says which is shown when. A zip
of PNGs can be read one frame at a time, and by any other program.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vlmcar_core import archives, files, strict
from vlmcar_core.archives import Archive
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.types import Frame, Frames, Source, Trajectory

VERSION = 1
META = "meta.json"
STEPS = "steps.npz"

FILE_LIMIT_BYTES = 2 * 1024**3
META_LIMIT_BYTES = 1024 * 1024
STEPS_LIMIT_BYTES = 256 * 1024 * 1024
FRAMES_LIMIT_BYTES = 2 * 1024**3
"""Of all frames of a trajectory, decoded: it is held in memory whole."""

STEPS_MAX = 1_000_000

DRIVER = "driver"
"""In a trajectory's `versions`: the name of the person who acted in it."""


@dataclass(frozen=True)
class TrajectoryInfo:
    """What is known of a stored trajectory without reading its frames."""

    id: str
    """Its file's stem, such as `expert-000`."""

    source: Source
    steps: int
    success: bool | None
    terminated: bool
    truncated: bool
    seed: int | None
    env_id: str | None
    ret: float
    """The environment's own return: the sum of its rewards, undiscounted."""

    shape: tuple[int, int]
    """Height and width of the frames, in pixels."""

    versions: Mapping[str, str]

    def __post_init__(self) -> None:
        height, width = self.shape
        if not 0 <= self.steps <= STEPS_MAX or min(height, width) < 1:
            raise ValueError(f"{self.steps} steps of {width} × {height} pixels are no trajectory")

    @property
    def of_the_task(self) -> bool:
        """Whether it is in one of the task's own layouts. Beside a wrong object, which the task never shows, a right
        checker may be mistaken: that is for an examination to tell, and verification does not count it."""
        return "scene" not in self.versions

    @property
    def is_expert(self) -> bool:
        """Whether it is an expert's in one of the task's own layouts."""
        return self.source == "expert" and self.of_the_task

    @property
    def origin(self) -> str:
        """What there is to say of how it came about, beside its source; a stranger's words. Empty where nothing is."""
        told = {
            "search": "found by {}",
            "scene": "beside {}",
            "order": "{}",
            "run": "run {}",
            DRIVER: "driven by {}",
            "file": "from {}",
            "lossy": "pixels changed by its format",
            "resized": "resized",
            "replayed": "replayed and held against its {}",
        }
        return ", ".join(words.format(self.versions[name]) for name, words in told.items() if name in self.versions)


class Distinct(NamedTuple):
    """The frames of an episode, each different one once."""

    frames: Frames
    """uint8 (N, H, W, 3)."""

    order: NDArray[np.int32]
    """For each of the T + 1 frames, its number among them."""

    @property
    def initial(self) -> Frame:
        """The episode's first frame, uint8 (H, W, 3)."""
        first: Frame = self.frames[self.order[0]]
        return first


def write(path: Path, trajectory: Trajectory) -> None:
    """Store a trajectory as a new file, whole or not at all.

    Raises:
        FileExistsError: there is a file by that name; it was left alone.
        BadInput: it is larger than what is read again.
    """
    if trajectory.frames.nbytes > FRAMES_LIMIT_BYTES or trajectory.steps > STEPS_MAX:
        raise BadInput(f"{trajectory.steps} steps of {_gib(trajectory.frames.nbytes)} {_TOO_LARGE}")
    distinct, order = distinct_frames(trajectory.frames)
    meta = {
        "version": VERSION,
        "source": trajectory.source,
        "steps": trajectory.steps,
        "success": trajectory.success,
        "terminated": trajectory.terminated,
        "truncated": trajectory.truncated,
        "seed": trajectory.seed,
        "env_id": trajectory.env_id,
        "return": float(trajectory.rewards.sum()),
        "shape": list(trajectory.frames.shape[1:3]),
        "versions": dict(trajectory.versions),
    }
    facts = {f"fact:{name}": truth for name, truth in trajectory.facts.items()}
    steps = {"order": order, "actions": trajectory.actions, "rewards": trajectory.rewards, **facts}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(META, json.dumps(meta, indent=1))
        archive.writestr(STEPS, archives.packed(steps))
        for number, frame in enumerate(distinct):
            archive.writestr(_frame_name(number), files.png(frame))
    files.add_bytes(path, buffer.getvalue())


def distinct_frames(frames: Frames) -> Distinct:
    """Every different frame once, in order of appearance."""
    seen: dict[bytes, int] = {}
    order = np.array([seen.setdefault(frame.tobytes(), len(seen)) for frame in frames], dtype=np.int32)
    first = [int(np.argmax(order == number)) for number in range(len(seen))]
    return Distinct(frames[first], order)


def read_info(path: Path) -> TrajectoryInfo:
    """Raises `DamagedFile` where it is no trajectory."""
    with _opened(path) as archive:
        return _info(path, archive)


def read(path: Path) -> Trajectory:
    """Raises `DamagedFile` where it is no trajectory."""
    with _opened(path) as archive:
        info = _info(path, archive)
        _check_size(path, info)
        steps = archive.arrays_in(STEPS, STEPS_LIMIT_BYTES)
        distinct = _distinct(path, archive, _order(path, steps.pop("order", None), info), info)
    return files.parse(
        path,
        lambda: Trajectory(
            frames=distinct.frames[distinct.order],
            actions=steps["actions"],
            rewards=steps["rewards"].astype(np.float64),
            terminated=info.terminated,
            truncated=info.truncated,
            success=info.success,
            source=info.source,
            seed=info.seed,
            env_id=info.env_id,
            versions=info.versions,
            facts=_facts(steps),
        ),
    )


def read_distinct(path: Path) -> Distinct:
    """The frames alone, each stored one once. Raises `DamagedFile` where it is no trajectory."""
    with _opened(path) as archive:
        info = _info(path, archive)
        _check_size(path, info)
        return _distinct(path, archive, _order_in(path, archive, info), info)


def _distinct(path: Path, archive: Archive, order: NDArray[np.int32], info: TrajectoryInfo) -> Distinct:
    frames = np.empty((int(order.max()) + 1, *info.shape, 3), np.uint8)
    for number in range(len(frames)):
        frames[number] = _frame(path, archive, number, info)
    return Distinct(frames, order)


def read_facts(path: Path) -> dict[str, NDArray[np.bool_]]:
    """What the simulator told of each of the T + 1 frames, by name, without reading the frames.

    Raises:
        DamagedFile: it is no trajectory.
    """
    with _opened(path) as archive:
        info = _info(path, archive)
        found = _facts(archive.arrays_in(STEPS, STEPS_LIMIT_BYTES))
    if any(truth.dtype != np.bool_ or truth.shape != (info.steps + 1,) for truth in found.values()):
        raise DamagedFile(f"{files.label(path.name)}: its facts are not told of {info.steps + 1} frames each")
    return found


def _facts(steps: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name.removeprefix("fact:"): truth for name, truth in steps.items() if name.startswith("fact:")}


def digest(path: Path) -> str:
    """SHA-256 of a trajectory's file, hexadecimal. Raises `DamagedFile` where it may not be read."""
    found = hashlib.sha256()
    with files.opened(path, FILE_LIMIT_BYTES) as file:
        while piece := file.read(archives.PIECE_BYTES):
            found.update(piece)
    return found.hexdigest()


def read_order(path: Path) -> NDArray[np.int32]:
    """For each of the T + 1 frames, its number among the stored, distinct ones."""
    with _opened(path) as archive:
        return _order_in(path, archive, _info(path, archive))


def read_png(path: Path, number: int) -> bytes:
    """One distinct frame, as the PNG bytes that were stored; they are a picture of the size that the others have."""
    with _opened(path) as archive:
        data = archive.read(_frame_name(number), files.PNG_LIMIT_BYTES)
        _check_shape(path, number, files.from_png(data, _called(path, number)), _info(path, archive))
    return data


def read_frame(path: Path, index: int) -> Frame:
    """The frame after `index` steps; 0 is the first."""
    with _opened(path) as archive:
        info = _info(path, archive)
        order = _order_in(path, archive, info)
        if not 0 <= index < len(order):
            raise DamagedFile(f"{path.name} has frames 0 to {len(order) - 1}, not {index}")
        return _frame(path, archive, int(order[index]), info)


def _opened(path: Path) -> AbstractContextManager[Archive]:
    return archives.opened(path, FILE_LIMIT_BYTES)


def _frame_name(number: int) -> str:
    return f"frames/{number:06d}.png"


def _called(path: Path, number: int) -> str:
    return f"{files.label(path.name)}, picture {number}"


def _info(path: Path, archive: Archive) -> TrajectoryInfo:
    data = archive.read(META, META_LIMIT_BYTES)
    return files.parse(path, lambda: _parsed(path.stem, strict.loads(data)))


def _parsed(stem: str, meta: Any) -> TrajectoryInfo:
    if not isinstance(meta, dict) or type(meta.get("version")) is not int or meta["version"] > VERSION:
        raise ValueError(f"{META} is of no version that this program reads (up to {VERSION})")
    renamed = {"id": stem, "ret": meta["return"]}
    kept = {name: value for name, value in meta.items() if name not in ("version", "return")}
    return strict.build(TrajectoryInfo, {**kept, **renamed})


def _check_size(path: Path, info: TrajectoryInfo) -> None:
    size = (info.steps + 1) * info.shape[0] * info.shape[1] * 3
    if size > FRAMES_LIMIT_BYTES:
        raise DamagedFile(f"{files.label(path.name)}: its frames of {_gib(size)} {_TOO_LARGE}; it was not read")


def _order_in(path: Path, archive: Archive, info: TrajectoryInfo) -> NDArray[np.int32]:
    return _order(path, archive.arrays_in(STEPS, STEPS_LIMIT_BYTES).get("order"), info)


def _order(path: Path, order: NDArray[Any] | None, info: TrajectoryInfo) -> NDArray[np.int32]:
    """Checked: each of the T + 1 frames is a stored one, and no stored one is left out."""
    if order is None or order.dtype.kind != "i" or order.shape != (info.steps + 1,):
        told = "none" if order is None else f"{order.dtype} {order.shape}"
        raise DamagedFile(
            f"{files.label(path.name)}: the order of its frames is {told} instead of int32 ({info.steps + 1},); "
            "record it again or move it away"
        )
    if order.min() != 0 or len(np.unique(order)) != int(order.max()) + 1:
        raise DamagedFile(f"{files.label(path.name)}: its frames are in no order that can be; record it again")
    return order.astype(np.int32)


def _frame(path: Path, archive: Archive, number: int, info: TrajectoryInfo) -> Frame:
    frame = files.from_png(archive.read(_frame_name(number), files.PNG_LIMIT_BYTES), _called(path, number))
    _check_shape(path, number, frame, info)
    return frame


def _check_shape(path: Path, number: int, frame: Frame, info: TrajectoryInfo) -> None:
    if frame.shape[:2] != info.shape:
        shapes = f"{frame.shape[1]} × {frame.shape[0]} pixels, the trajectory's are {info.shape[1]} × {info.shape[0]}"
        raise DamagedFile(f"{_called(path, number)} is {shapes}; record it again or move it away")


def _gib(size: int) -> str:
    return f"{size / 1024**3:.1f} GiB"


_TOO_LARGE = f"are more than is held in memory (at most {STEPS_MAX:,} steps and {_gib(FRAMES_LIMIT_BYTES)})"
