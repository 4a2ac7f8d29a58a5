"""A folder of pictures, in natural order: one episode. A folder of such folders: one episode each."""

import re
from collections.abc import Iterator
from pathlib import Path

from vlmcar_core import decoding, files
from vlmcar_core.errors import BadImage, BadInput, DamagedFile
from vlmcar_core.images import SIZE_LIMIT_BYTES
from vlmcar_core.readers import FRAMES_MAX, PICTURE_BOUNDS, Episode, Material, natural, stacked
from vlmcar_core.types import Frame

TITLE = "folder of pictures"
ENDINGS = ("png", "jpg", "jpeg", "webp")

PICTURE = re.compile(r"[^.].*\.(png|jpe?g|webp)", re.IGNORECASE | re.DOTALL)
LOSSY = re.compile(r".*\.jpe?g", re.IGNORECASE | re.DOTALL)
ANY = re.compile(r"[^.].*", re.DOTALL)


def fits(path: Path) -> bool:
    return path.is_dir() and bool(_episodes(path))


def opened(path: Path) -> Material:
    """See the module."""
    folders = _episodes(path)
    if len(files.listed(folders[0], PICTURE)) > FRAMES_MAX:
        raise BadInput(f"{files.label(path.name)} holds more than {FRAMES_MAX:,} pictures; split it into episodes")
    jpeg = any(LOSSY.fullmatch(found.name) for folder in folders for found in files.listed(folder, PICTURE))
    lossy = "JPEG changes pixels; checkers judge pixels: PNG keeps them" if jpeg else ""
    return Material(TITLE, files.label(path.name), len(folders), lambda number: _read(folders[number]), lossy)


def _episodes(path: Path) -> list[Path]:
    """The folder itself, or the folders in it."""
    if files.listed(path, PICTURE):
        return [path]
    inside = [found for found in files.listed(path, ANY) if found.is_dir() and not found.is_symlink()]
    return sorted((found for found in inside if files.listed(found, PICTURE)), key=natural)


def _read(folder: Path) -> Episode:
    paths = sorted(files.listed(folder, PICTURE), key=natural)
    name = files.label(folder.name)
    return Episode(name, stacked(name, _decoded(paths), len(paths)))


def _decoded(paths: list[Path]) -> Iterator[Frame]:
    for path in paths:
        try:
            yield decoding.decode(files.read_bytes(path, SIZE_LIMIT_BYTES), PICTURE_BOUNDS)
        except DamagedFile as error:
            raise BadInput(str(error)) from error
        except ValueError as error:
            raise BadImage(f"{files.label(path.name)!r} {error}") from error
