"""What one checker said about one episode, as a file: arrays, of which every one is looked at as a stranger's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vlmcar_core import archives
from vlmcar_core.errors import DamagedFile
from vlmcar_core.types import Answers, Outcome, OutcomeKind

ANSWERS_LIMIT_BYTES = 64 * 1024 * 1024


def read(path: Callable[[], Path]) -> Answers | None:
    """None where there are none that can be read, or a link is on the way."""
    try:
        with archives.opened(path(), ANSWERS_LIMIT_BYTES) as archive:
            return _answers(archive.arrays(ANSWERS_LIMIT_BYTES))
    except (DamagedFile, FileNotFoundError, ValueError, KeyError, TypeError, OverflowError):
        return None


def packed(answers: Answers) -> bytes:
    """The file that `read` reads."""
    faults = answers.faults
    arrays: dict[str, ArrayLike] = {
        "values": answers.values,
        "frame": np.array(list(faults), dtype=np.int32),
        "kind": np.array([fault.kind for fault in faults.values()], dtype=np.str_),
        "message": np.array([fault.message for fault in faults.values()], dtype=np.str_),
        "line": np.array([fault.line or 0 for fault in faults.values()], dtype=np.int32),
        "frame_seconds": np.float64(np.nan if answers.frame_seconds is None else answers.frame_seconds),
    }
    return archives.packed(arrays)


def _answers(arrays: dict[str, NDArray[Any]]) -> Answers:
    """Raises `ValueError`, `KeyError`, `TypeError` or `OverflowError` for what no checker can have said."""
    values = arrays["values"]
    if values.ndim != 1 or values.dtype.kind != "f" or not len(values) or (values < 0).any() or (values > 1).any():
        raise ValueError("values are progress in [0, 1], one for each frame")
    frames, kinds, messages, lines = (arrays[name].tolist() for name in ("frame", "kind", "message", "line"))
    faults = {
        int(frame): Outcome(kind, None, str(message), int(line) or None)
        for frame, kind, message, line in zip(frames, kinds, messages, lines, strict=True)
    }
    if set(kinds) - set(get_args(OutcomeKind)) or not all(0 <= frame < len(values) for frame in faults):
        raise ValueError("faults are of known kinds, in frames that there are")
    measured = float(arrays.get("frame_seconds", np.float64(np.nan)))
    return Answers(values.astype(np.float32), faults, measured if np.isfinite(measured) and measured >= 0 else None)
