"""Trajectories of a session → files for other programs: NPZ, or a Minari dataset. Written whole or not at all."""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike

from vlmcar_core import archives, files, rollouts
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.progress import silent
from vlmcar_core.store import Session
from vlmcar_core.types import Progress, Task, Trajectory

Form = Literal["minari", "npz"]
FORMS = ("minari", "npz")
MISSING = 'writing a Minari dataset needs minari and h5py: pip install "vlmcar-studio[minari]"; NPZ needs neither'


def export(
    session: Session,
    out: Path,
    form: Form,
    sources: Sequence[str] = (),
    progress: Progress = silent,
) -> int:
    """Write trajectories into a new folder: an .npz each (the keys are those of `readers/npz.py`), or one dataset.

    Args:
        session: whose.
        out: the folder, which must not be there yet.
        form: of files.
        sources: which kinds of trajectories; all if empty.
        progress: told of each.

    Returns:
        How many were written.

    Raises:
        BadInput: there is no such trajectory, the folder is there already, or they do not fit into one dataset.
    """
    listing = session.trajectories()
    ids = [info.id for info in listing.items if not sources or info.source in sources]
    if unknown := set(sources) - {info.source for info in listing.items}:
        raise UnknownName.among("source", sorted(unknown)[0], sorted({info.source for info in listing.items}))
    if not ids:
        raise BadInput(f"session {session.name!r} has no trajectory to write; record some, or take some in")
    if form not in FORMS:
        raise UnknownName.among("form", form, FORMS)

    def each() -> Iterator[tuple[str, Trajectory]]:
        for done, id in enumerate(ids):
            progress(done, len(ids), id)
            yield id, session.trajectory(id)

    with _whole(out) as folder:
        writer: Callable[[Session, Path, Iterator[tuple[str, Trajectory]]], None] = _npz if form == "npz" else _minari
        writer(session, folder, each())
    progress(len(ids), len(ids), f"{len(ids)} trajectories written")
    return len(ids)


@contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """A folder that gets its name when all is in it."""
    if files.there(out):
        raise BadInput(f"{str(out)!r} is there already; name a new folder")
    if not out.parent.is_dir():
        raise BadInput(f"there is no folder {str(out.parent)!r} to write to")
    draft = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    draft.chmod(0o755)
    try:
        yield draft
        draft.rename(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _npz(_session: Session, folder: Path, trajectories: Iterator[tuple[str, Trajectory]]) -> None:
    for id, trajectory in trajectories:
        files.write_bytes(folder / f"{id}.npz", archives.packed(arrays(trajectory)))


def arrays(trajectory: Trajectory) -> dict[str, ArrayLike]:
    """A trajectory as the arrays that `readers/npz.py` lists."""
    ends = np.zeros(trajectory.steps, np.bool_)
    last = np.arange(trajectory.steps) == trajectory.steps - 1
    found: dict[str, ArrayLike] = {
        "frames": trajectory.frames,
        "actions": trajectory.actions,
        "rewards": trajectory.rewards,
        "terminated": last if trajectory.terminated else ends,
        "truncated": last if trajectory.truncated else ends,
        "source": np.array(trajectory.source),
        **{f"fact:{name}": truth for name, truth in trajectory.facts.items()},
    }
    if trajectory.success is not None:
        found["success"] = np.array(trajectory.success)
    if trajectory.seed is not None:
        found["seed"] = np.array(trajectory.seed, np.int64)
    if trajectory.env_id is not None:
        found["env_id"] = np.array(trajectory.env_id)
    return found


# Minari


def _minari(session: Session, folder: Path, trajectories: Iterator[tuple[str, Trajectory]]) -> None:
    """The frames are the observations, kept without loss. The environment's own observations and its spaces are left
    out: MiniGrid's mission, for one, has no form in Minari."""
    if find_spec("minari") is None or find_spec("h5py") is None:
        raise BadInput(MISSING)
    minari = import_module("minari")
    storage_kind = import_module("minari.dataset.minari_storage").MinariStorage
    storage: Any = None
    spaces: tuple[gym.Space[Any], gym.Space[Any]] | None = None
    for number, (id, trajectory) in enumerate(trajectories):
        if not trajectory.steps:
            raise BadInput(f"{id} has no step, and Minari keeps none without; write NPZ instead")
        if spaces is None:
            spaces = _frame_space(trajectory), _action_space(session.task, trajectory)
            (folder / "data").mkdir()
            storage = storage_kind.new(folder / "data", *spaces, data_format="hdf5", jpeg_encoding=False)
        _check_fits(id, trajectory, *spaces)
        storage.update_episodes([_buffer(minari, number, trajectory)])
        about = {"source": trajectory.source, **({"env_id": trajectory.env_id} if trajectory.env_id else {})}
        storage.update_episode_metadata([about], [number])
    storage.update_metadata(
        {
            "dataset_id": f"vlmcar/{re.sub(r'[^A-Za-z0-9]+', '-', session.name).strip('-')}-v0",
            "minari_version": minari.__version__,
            "description": "Frames as observations, lossless; written by VLM-CaR Studio",
        }
    )


def _buffer(minari: Any, number: int, trajectory: Trajectory) -> Any:
    told = arrays(trajectory)
    infos: dict[str, Any] = {name: truth for name, truth in told.items() if name.startswith("fact:")}
    if trajectory.success is not None:
        infos["success"] = np.arange(trajectory.steps + 1) == (trajectory.steps if trajectory.success else -1)
    return minari.data_collector.EpisodeBuffer(
        id=number,
        seed=trajectory.seed,
        observations=trajectory.frames,
        actions=trajectory.actions,
        rewards=trajectory.rewards,
        terminations=told["terminated"],
        truncations=told["truncated"],
        infos=infos,
    )


def _frame_space(trajectory: Trajectory) -> gym.Space[Any]:
    return gym.spaces.Box(0, 255, trajectory.frames.shape[1:], np.uint8)


def _action_space(task: Task, trajectory: Trajectory) -> gym.Space[Any]:
    """The environment's own, where it can be made and has a form in Minari; else one that holds what was done."""
    try:
        space = rollouts.action_space(task) if task.family is not None else None
    except BadInput:
        space = None
    if isinstance(space, (gym.spaces.Box, gym.spaces.Discrete)):
        return space
    actions = trajectory.actions
    if actions.ndim == 1 and actions.dtype.kind in "biu":
        return gym.spaces.Discrete(int(actions.max()) + 1)
    return gym.spaces.Box(-np.inf, np.inf, actions.shape[1:], np.float64)


def _check_fits(id: str, trajectory: Trajectory, frames: gym.Space[Any], actions: gym.Space[Any]) -> None:
    if trajectory.frames.shape[1:] != frames.shape:
        raise BadInput(
            f"{id} has frames of {trajectory.frames.shape[1:]}, the first trajectory {frames.shape}; a Minari dataset "
            "has one size: write the sources apart, or NPZ"
        )
    if trajectory.actions.shape[1:] != actions.shape:
        raise BadInput(
            f"{id} has actions of shape {trajectory.actions.shape[1:]}, the first trajectory {actions.shape}; a Minari "
            "dataset has one kind: write the sources apart, or NPZ"
        )
