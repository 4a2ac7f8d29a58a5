"""Recorded episodes from files → trajectories of a session: looked at, given a meaning, checked, then kept.

Either every chosen episode is kept or none. Where a file holds actions and no frames, the actions are done again in the
session's environment from the recorded seed, and what it pays and shows is held against what was recorded.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vlmcar_core import files, pipeline, readers
from vlmcar_core.errors import BadInput, VlmcarError
from vlmcar_core.meaning import Meaning, frames_of, told
from vlmcar_core.progress import silent
from vlmcar_core.readers import Episode, Material
from vlmcar_core.reenacting import replayed
from vlmcar_core.store import Session
from vlmcar_core.types import Frame, Frames, Progress, Trajectory


@dataclass(frozen=True, eq=False)
class Preview:
    """One file before it is taken in: what it holds, and its first episode."""

    title: str
    """The format, for people."""

    name: str
    """The file's or folder's; a stranger's words."""

    episodes: int
    lossy: str
    """Why its pixels are not what the camera saw; empty where they are."""

    first: Frame | None
    last: Frame | None
    """RGB uint8 (H, W, 3) of the first episode; None where it holds no frames."""

    count: int
    """Frames of the first episode."""

    arrays: Mapping[str, str]
    """Of the first episode: name to type and shape."""

    notes: tuple[str, ...] = field(default_factory=tuple)
    """What to know before it is taken in."""


def preview(path: Path, meaning: Meaning = Meaning()) -> Preview:
    """Look at a file or folder. Raises `BadInput` or `BadImage`, and says what is wrong with it."""
    material = readers.opened(path)
    episode = material.read(0)
    frames = frames_of(episode, meaning.frames)
    notes = [*([f"Lossy: {material.lossy}."] if material.lossy else []), *material.notes]
    if frames is None:
        notes.append("It holds no frames: they are made by doing its actions again from the recorded seed.")
    return Preview(
        material.title,
        material.name,
        material.count,
        material.lossy,
        None if frames is None else frames[0],
        None if frames is None else frames[-1],
        0 if frames is None else len(frames),
        {files.label(name): f"{array.dtype} {array.shape}" for name, array in episode.arrays.items()},
        tuple(notes),
    )


def take(
    session: Session, paths: Sequence[Path], meaning: Meaning = Meaning(), progress: Progress = silent
) -> list[str]:
    """Keep the chosen episodes of files as trajectories of the session: all of them, or none.

    In a session without frames the first becomes the initial frame; where there is no goal frame, the last frame of the
    first expert does.

    Returns:
        Their ids.

    Raises:
        BadInput: what a file holds cannot be used, and why. Nothing was kept.
    """
    materials = [readers.opened(path) for path in paths]
    wanted = [(found, number) for found in materials for number in _chosen(found, meaning.episodes)]
    had_initial, ids = session.initial, list[str]()
    try:
        for done, (material, number) in enumerate(wanted):
            progress(done, len(wanted), f"{material.name}, episode {number}")
            trajectory = trajectory_of(session, material, material.read(number), meaning)
            if session.initial is None:
                session.set_initial(trajectory.frames[0])
            ids.append(session.add_trajectory(trajectory))
        expert = next((id for id in ids if id.startswith("expert-")), None)
        if session.goal is None and expert is not None:
            pipeline.set_goal_from_trajectory(session, expert, -1)
    except BaseException:
        for id in ids:
            files.remove(session.trajectory_path(id))
        if had_initial is None:
            session.forget_initial()
        raise
    progress(len(wanted), len(wanted), f"{len(ids)} trajectories taken in")
    return ids


def _chosen(material: Material, episodes: Sequence[int]) -> Iterable[int]:
    if beyond := [number for number in episodes if not 0 <= number < material.count]:
        raise BadInput(f"{material.name} has episodes 0 to {material.count - 1}, not {beyond[0]}")
    return episodes or range(material.count)


def trajectory_of(session: Session, material: Material, episode: Episode, meaning: Meaning) -> Trajectory:
    """One episode with a meaning, as a trajectory that fits the session. Raises `BadInput` where it does not."""
    name = f"{material.name}, {episode.name}" if material.name != episode.name else material.name
    frames = frames_of(episode, meaning.frames)
    try:
        found = (
            told(name, episode, frames, meaning)
            if frames is not None
            else replayed(session.task, name, episode, meaning)
        )
    except ValueError as error:
        if isinstance(error, VlmcarError):
            raise
        raise BadInput(f"{name}: {error}") from error
    origin = {"file": files.label(material.name), **({"lossy": "yes"} if material.lossy and frames is not None else {})}
    sized, changed = _sized(session, name, found.frames, meaning.resize)
    how = {**origin, **({"resized": "yes"} if changed else {})}
    return dataclasses.replace(found, frames=sized, versions={**found.versions, **how})


def _sized(session: Session, name: str, frames: Frames, resize: bool) -> tuple[Frames, bool]:
    """Frames of the session's size, and whether they had to be made so."""
    initial = session.initial
    if initial is None or frames.shape[1:] == initial.shape:
        return frames, False
    height, width = initial.shape[:2]
    if not resize:
        raise BadInput(
            f"{name} is {frames.shape[2]} × {frames.shape[1]} pixels, and this session's frames are {width} × "
            f"{height}; record at that size, or ask for resizing, which changes pixels"
        )
    readers.check_size(name, len(frames), height, width)
    import cv2

    shrinks = height * width < frames.shape[1] * frames.shape[2]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST
    return np.stack(
        [np.asarray(cv2.resize(frame, (width, height), interpolation=way), np.uint8) for frame in frames]
    ), True
