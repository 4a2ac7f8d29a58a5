"""One trajectory, one zip file: `meta.json`, `steps.npz` and every distinct frame once, as PNG.

Frames that repeat (an agent bumping into a wall) are stored once; `order` says which is shown when. A zip
of PNGs can be read one frame at a time, and by any other program.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlmcar_core import files
from vlmcar_core.errors import DamagedFile
from vlmcar_core.types import Frame, Frames, Source, Trajectory

VERSION = 1
MEMBER_LIMIT_BYTES = 256 * 1024 * 1024
META = "meta.json"
STEPS = "steps.npz"


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


def write(path: Path, trajectory: Trajectory) -> None:
    """Store a trajectory as a new file, whole or not at all.

    Raises:
        FileExistsError: there is a file by that name; it was left alone.
    """
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
    steps = io.BytesIO()
    facts = {f"fact:{name}": truth for name, truth in trajectory.facts.items()}
    np.savez_compressed(steps, order=order, actions=trajectory.actions, rewards=trajectory.rewards, **facts)  # type: ignore[arg-type]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(META, json.dumps(meta, indent=1))
        archive.writestr(STEPS, steps.getvalue())
        for number, frame in enumerate(distinct):
            archive.writestr(_frame_name(number), files.png(frame))
    files.add_bytes(path, buffer.getvalue())


def distinct_frames(frames: Frames) -> tuple[Frames, NDArray[np.int32]]:
    """Every different frame once, in order of appearance, and for each frame its number among them."""
    seen: dict[bytes, int] = {}
    order = np.array([seen.setdefault(frame.tobytes(), len(seen)) for frame in frames], dtype=np.int32)
    first = [int(np.argmax(order == number)) for number in range(len(seen))]
    return frames[first], order


def read_info(path: Path) -> TrajectoryInfo:
    """Raises `DamagedFile` where it is no trajectory."""
    with _open(path) as archive:
        meta = _meta(path, archive)
    return files.parse(path, lambda: _info(path.stem, meta))


def read(path: Path) -> Trajectory:
    """Raises `DamagedFile` where it is no trajectory."""
    with _open(path) as archive:
        meta = _meta(path, archive)
        steps = _steps(path, archive)
        order = steps.pop("order", np.zeros(0, np.int32))
        count = int(order.max()) + 1 if len(order) else 0
        distinct = [
            files.from_png(_member(path, archive, _frame_name(number)), f"{path.name}, frame {number}")
            for number in range(count)
        ]
    info = files.parse(path, lambda: _info(path.stem, meta))
    return files.parse(
        path,
        lambda: Trajectory(
            frames=np.stack(distinct)[order],
            actions=steps["actions"],
            rewards=steps["rewards"].astype(np.float64),
            terminated=info.terminated,
            truncated=info.truncated,
            success=info.success,
            source=info.source,
            seed=info.seed,
            env_id=info.env_id,
            versions=info.versions,
            facts={name.removeprefix("fact:"): truth for name, truth in steps.items() if name.startswith("fact:")},
        ),
    )


def read_order(path: Path) -> NDArray[np.int32]:
    """For each of the T + 1 frames, its number among the stored, distinct ones."""
    with _open(path) as archive:
        order = _steps(path, archive).get("order")
    if order is None:
        raise DamagedFile(f"{path.name} has no frame order; record it again")
    return order.astype(np.int32)


def read_png(path: Path, number: int) -> bytes:
    """One distinct frame, as the PNG bytes that were stored."""
    with _open(path) as archive:
        return _member(path, archive, _frame_name(number))


def read_frame(path: Path, index: int) -> Frame:
    """The frame after `index` steps; 0 is the first."""
    order = read_order(path)
    if not 0 <= index < len(order):
        raise DamagedFile(f"{path.name} has frames 0 to {len(order) - 1}, not {index}")
    return files.from_png(read_png(path, int(order[index])), f"{path.name}, frame {index}")


def _frame_name(number: int) -> str:
    return f"frames/{number:06d}.png"


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, EOFError) as error:
        raise DamagedFile(f"{path.name} is not a trajectory file ({error}); record it again or move it away") from error


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        if archive.getinfo(name).file_size > MEMBER_LIMIT_BYTES:
            raise DamagedFile(f"{path.name}: {name} is larger than {MEMBER_LIMIT_BYTES // 2**20} MiB; it was not read")
        return archive.read(name)
    except (KeyError, zipfile.BadZipFile, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        raise DamagedFile(f"{path.name}: {name} cannot be read ({error}); record it again or move it away") from error


def _meta(path: Path, archive: zipfile.ZipFile) -> dict[str, Any]:
    try:
        meta = json.loads(_member(path, archive, META))
    except (ValueError, RecursionError) as error:
        raise DamagedFile(f"{path.name}: {META} is not JSON ({error}); record it again or move it away") from error
    if not isinstance(meta, dict) or not isinstance(meta.get("version"), int) or meta["version"] > VERSION:
        raise DamagedFile(f"{path.name}: {META} is of no version that this program reads (up to {VERSION})")
    return meta


def _info(stem: str, meta: dict[str, Any]) -> TrajectoryInfo:
    height, width = meta["shape"]
    return TrajectoryInfo(
        id=stem,
        source=meta["source"],
        steps=int(meta["steps"]),
        success=meta["success"],
        terminated=bool(meta["terminated"]),
        truncated=bool(meta["truncated"]),
        seed=meta["seed"],
        env_id=meta["env_id"],
        ret=float(meta["return"]),
        shape=(int(height), int(width)),
        versions=dict(meta["versions"]),
    )


def _steps(path: Path, archive: zipfile.ZipFile) -> dict[str, NDArray[Any]]:
    data = _member(path, archive, STEPS)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedFile(f"{path.name}: {STEPS} cannot be read ({error}); record it again or move it away") from error
