"""The process that parses: `main(["video", path])` answers requests, a line of JSON each (see `_apart.py`)."""

import json
import os
import resource
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlmcar_core import plugins
from vlmcar_core.errors import BadInput
from vlmcar_core.readers import Material
from vlmcar_core.readers._apart import FRAMES, Held, Told

MEMORY_BYTES = 6 * 1024**3
"""Twice the frames of an episode, and what the libraries need."""

OUT_BYTES = 2 * 1024**3


def main(arguments: Sequence[str]) -> None:
    """Answer until nobody asks any more. What is no `BadInput` ends the process, which is an answer, too."""
    reader, path = arguments
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, OUT_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is no answer
    material: Material | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if material is None:
                material = plugins.load("readers", reader).inside(Path(path))
            answer = _held(material, request) if "number" in request else _told(material)
        except BadInput as error:
            answer = {"error": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _told(material: Material) -> dict[str, Any]:
    return asdict(
        Told(material.title, material.name, material.count, material.lossy, material.notes, dict(material.settings))
    )


def _held(material: Material, request: dict[str, Any]) -> dict[str, Any]:
    episode, out = material.read(request["number"]), Path(request["out"])
    arrays: dict[str, NDArray[Any]] = dict(episode.arrays)
    frames = next((name for name, array in arrays.items() if array is episode.frames), None)
    if episode.frames is not None and frames is None:
        frames, arrays = FRAMES, {**arrays, FRAMES: episode.frames}
    for place, array in enumerate(arrays.values()):
        np.save(out / f"{place}.npy", array, allow_pickle=False)
    at = None if frames is None else list(arrays).index(frames)
    return asdict(Held(episode.name, episode.seed, episode.env_id, episode.source, tuple(arrays), at))
