"""Evaluation episodes that a run keeps: videos of its policy on the way, and the worst it was paid for.

    videos/000012288.zip           an episode on the first held-out layout, after so many steps of training
    hacks/000012288-1000003.zip    one that was paid in full and not solved: steps, seed; the best paid are kept

Each is a trajectory as in a session (recordings.py), lossless. What checkers say about it is asked when it is shown.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vlmcar_core import files, pictures, recordings, rollouts
from vlmcar_core.errors import DamagedFile
from vlmcar_core.recordings import TrajectoryInfo
from vlmcar_core.store import Listing
from vlmcar_core.types import Frames, Source, Task, Trajectory

VIDEOS, HACKS = "videos", "hacks"
NAME = re.compile(r"[0-9]{9,10}(-[0-9]{1,10})?\.zip")
VIDEOS_MAX = 100
HACKS_MAX = 5
STEPS, LEARNED = "training steps", "learned return"
"""What a kept episode says of itself beside its versions."""

GIF_SIDE, GIF_FRAMES_MAX, GIF_MS = 256, 500, 120
BAR_PIXELS = 14
DONE, OPEN = (0, 158, 115), (90, 90, 90)


def kept(folder: Path, kind: str) -> Listing[TrajectoryInfo]:
    """The episodes that a run has kept, by the steps of training.

    Args:
        folder: the run's.
        kind: `VIDEOS` or `HACKS`.
    """
    items, problems = [], []
    try:
        paths = files.listed(files.folder(folder, kind), NAME)
    except DamagedFile as error:
        return Listing((), (str(error),))
    for path in paths:
        try:
            items.append(recordings.read_info(path))
        except (DamagedFile, FileNotFoundError) as error:
            problems.append(f"{kind}: {error}")
    return Listing(tuple(items), tuple(problems))


def path(folder: Path, kind: str, id: str) -> Path:
    """The file of an episode that a run has kept. Raises `DamagedFile` for what cannot be one."""
    if kind not in (VIDEOS, HACKS) or not NAME.fullmatch(f"{id}.zip"):
        raise DamagedFile(f"{files.label(id)} is no episode that a run keeps")
    return files.folder(folder, kind) / f"{id}.zip"


def read(folder: Path, kind: str, id: str) -> Trajectory:
    """An episode that a run has kept. Raises `DamagedFile` where there is none that can be read."""
    try:
        return recordings.read(path(folder, kind, id))
    except FileNotFoundError as error:
        raise DamagedFile(f"there is no {kind}/{files.label(id)}.zip any more") from error


def again(task: Task, seed: int, actions: NDArray[Any], source: Source, run: str, steps: int) -> Trajectory:
    """An evaluation episode once more, with its pictures: its environment does the same for the same seed and actions.

    Args:
        task: of the session.
        seed: that it was reset with.
        actions: that the policy took.
        source: whom it is kept as.
        run: the name of the run's folder.
        steps: of training so far.
    """
    taken = iter(actions)
    seen = rollouts.record_policy(task, seed, lambda _observation: next(taken), len(actions))
    return replace(seen, source=source, versions={**seen.versions, "run": run, STEPS: str(steps)})


def keep_video(folder: Path, trajectory: Trajectory, steps: int) -> None:
    """Keep it, unless there are enough."""
    place = files.folder(folder, VIDEOS)
    path = place / f"{steps:09d}.zip"
    files.remove(path)
    if len(files.listed(place, NAME)) < VIDEOS_MAX:
        recordings.write(path, trajectory)


def is_among_worst(folder: Path, learned: float) -> bool:
    """Whether an episode that was paid so much for nothing would be kept."""
    there = [paid(info) for info in kept(folder, HACKS).items]
    return len(there) < HACKS_MAX or learned > min(there)


def keep_hack(folder: Path, trajectory: Trajectory, steps: int, learned: float) -> None:
    """Keep an episode that was paid in full and not solved; the worse paid give way."""
    place = files.folder(folder, HACKS)
    told = replace(trajectory, versions={**trajectory.versions, LEARNED: f"{learned:.3f}"})
    path = place / f"{steps:09d}-{trajectory.seed}.zip"
    files.remove(path)
    recordings.write(path, told)
    worst = sorted(kept(folder, HACKS).items, key=paid, reverse=True)
    for info in worst[HACKS_MAX:]:
        files.remove(place / f"{info.id}.zip")


def paid(info: TrajectoryInfo) -> float:
    """The learned return that a kept episode tells of; 0 where it tells none."""
    try:
        told = float(info.versions.get(LEARNED, "0"))
    except ValueError:
        return 0.0
    return told if np.isfinite(told) else 0.0


def gif(frames: Frames, completed: Sequence[int], total: int) -> bytes:
    """An episode as a GIF that plays without a program of ours; under each frame a box per sub-task, filled once done.

    Its colours are reduced to 256, so it is for people; checkers are judged by the trajectory. Of longer episodes
    frames are left out, evenly.

    Args:
        frames: uint8 (T + 1, H, W, 3).
        completed: of each frame, how many sub-tasks are done.
        total: sub-tasks; 0 for no boxes.
    """
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), GIF_FRAMES_MAX)).round().astype(int))
    zoom = pictures.zoom_for(frames[0], GIF_SIDE)
    drawn = [_page(pictures.scaled(frames[number], zoom), completed[number], total) for number in chosen]
    buffer = io.BytesIO()
    durations = [GIF_MS] * (len(drawn) - 1) + [8 * GIF_MS]
    drawn[0].save(buffer, "GIF", save_all=True, append_images=drawn[1:], duration=durations, loop=0)
    return buffer.getvalue()


def _page(frame: Frames, completed: int, total: int) -> Image.Image:
    height, width = frame.shape[:2]
    page = Image.new("RGB", (width, height + (BAR_PIXELS if total else 0)))
    page.paste(Image.fromarray(frame))
    draw = ImageDraw.Draw(page)
    for number in range(total):
        left, right = number * width // total, (number + 1) * width // total - 2
        draw.rectangle((left, height + 2, right, height + BAR_PIXELS - 2), fill=DONE if number < completed else OPEN)
    return page
