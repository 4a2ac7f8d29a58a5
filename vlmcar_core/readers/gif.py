"""Animated GIFs: one episode a file, or a folder of such files."""

import re
from pathlib import Path

from vlmcar_core import decoding, files
from vlmcar_core.errors import BadImage, BadInput, DamagedFile
from vlmcar_core.readers import FRAMES_MAX, GIF_BOUNDS, Episode, Material, beginning, check_size, natural, stacked

TITLE = "GIF"
ENDINGS = ("gif",)

NAME = re.compile(r"[^.].*\.gif", re.IGNORECASE | re.DOTALL)
SIZE_LIMIT_BYTES = 200 * 1024 * 1024
LOSSY = "a GIF has 256 colours a frame: where the camera saw more, its pixels are changed, and checkers judge pixels"


def fits(path: Path) -> bool:
    if path.is_dir():
        return bool(files.listed(path, NAME))
    return beginning(path).startswith((b"GIF87a", b"GIF89a"))


def opened(path: Path) -> Material:
    """See the module."""
    paths = sorted(files.listed(path, NAME), key=natural) if path.is_dir() else [path.resolve()]
    return Material(TITLE, files.label(path.name), len(paths), lambda number: _read(paths[number]), LOSSY)


def _read(path: Path) -> Episode:
    name = files.label(path.name)
    try:
        data = files.read_bytes(path, SIZE_LIMIT_BYTES)
        count, height, width = decoding.measured(data, GIF_BOUNDS, FRAMES_MAX)
        check_size(name, count, height, width)
        return Episode(name, stacked(name, decoding.animation(data, GIF_BOUNDS, count), count))
    except DamagedFile as error:
        raise BadInput(str(error)) from error
    except BadInput:
        raise
    except ValueError as error:
        raise BadImage(f"{name!r} {error}") from error
