"""Video, through PyAV (FFmpeg): one episode a file, or a folder of such files.

It is parsed in a sealed process of its own. The container is told by its first bytes and given to FFmpeg as bytes with
that name, so that nothing that a file could ask for (a playlist, another file, an address) is ever opened.
"""

import io
import pkgutil
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vlmcar_core import files
from vlmcar_core.errors import BadInput
from vlmcar_core.readers import (
    BEGINNING_BYTES,
    SIDE_MIN,
    Episode,
    Material,
    _apart,
    beginning,
    check_size,
    natural,
    stacked,
)
from vlmcar_core.types import Frame

TITLE = "video"
ENDINGS = ("mp4", "mov", "mkv", "webm", "avi")

NAME = re.compile(r"[^.].*\.(mp4|m4v|mov|mkv|webm|avi)", re.IGNORECASE | re.DOTALL)
LOSSLESS = {"ffv1", "huffyuv", "png", "rawvideo", "qtrle", "utvideo", "ffvhuff"}
"""Codecs that keep every value that they are given."""

RGB = ("rgb24", "bgr24", "gbrp", "rgba", "bgra", "rgb0", "bgr0", "0rgb", "argb", "pal8", "gray")
"""Formats of pixels that are RGB already; the others store colour at another precision, or at half the size."""

MISSING = 'video needs PyAV: pip install "vlmcar-studio[video]"; or save the frames as PNG pictures in a folder'


def fits(path: Path) -> bool:
    if path.is_dir():
        return bool(files.listed(path, NAME))
    return _container(beginning(path)) is not None


def _container(data: bytes) -> str | None:
    """FFmpeg's name of the container, by its first bytes."""
    if data[4:8] == b"ftyp":
        return "mp4"
    if data.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    if data.startswith(b"RIFF") and data[8:12] == b"AVI ":
        return "avi"
    return None


def opened(path: Path) -> Material:
    """See the module. Raises `BadInput` where PyAV is not installed, or a file is no video."""
    if find_spec("av") is None:
        raise BadInput(MISSING)
    return _apart.opened("video", path)


def wanted(path: Path) -> list[Path]:
    """The files that the process that parses is to open."""
    return sorted(files.listed(path, NAME), key=natural) if path.is_dir() else [path.resolve()]


def warm_up() -> None:
    """Load all that decoding needs: PyAV loads its parts when they are first needed."""
    av = import_module("av")
    for found in pkgutil.walk_packages(av.__path__, "av."):
        if not found.name.endswith("__main__"):
            import_module(found.name)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream("mpeg4", rate=8, width=SIDE_MIN, height=SIDE_MIN, pix_fmt="yuv420p")
        stream.codec_context.thread_count = 1
        picture = np.zeros((SIDE_MIN, SIDE_MIN, 3), np.uint8)
        container.mux([*stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")), *stream.encode(None)])
    stacked("warm-up", _frames(Path("warm-up"), buffer))


def inside(path: Path, opened: Mapping[Path, BinaryIO]) -> Material:
    """The same in the process that parses, with its files open."""
    paths = list(opened)
    told = [lossy for lossy in (_lossy(found, opened[found]) for found in paths) if lossy]
    lossy = f"{told[0]} changes pixels; checkers judge pixels, so look at what they see" if told else ""

    def read(number: int) -> Episode:
        name = files.label(paths[number].name)
        return Episode(name, stacked(name, _frames(paths[number], opened[paths[number]])))

    return Material(TITLE, files.label(path.name), len(paths), read, lossy)


def _lossy(path: Path, file: BinaryIO) -> str:
    """The codec and its pixels, where they are not RGB kept exactly; empty where they are."""
    with _Video(path, file) as video:
        context = video.stream.codec_context
        exact = context.name in LOSSLESS and str(context.pix_fmt) in RGB
        return "" if exact else files.label(f"{context.name}, {context.pix_fmt}")


def _frames(path: Path, file: BinaryIO) -> Iterator[Frame]:
    with _Video(path, file) as video:
        for frame in video.decoded():
            check_size(files.label(path.name), 1, frame.height, frame.width)
            yield np.asarray(frame.reformat(format="rgb24", threads=1).to_ndarray(), np.uint8)


class _Video:
    """A video that is open for decoding, from its first byte."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._av: Any = import_module("av")
        self._name, self._file = files.label(path.name), file
        self._container: Any = None
        self.stream: Any = None

    def __enter__(self) -> "_Video":
        self._file.seek(0)
        container = _container(self._file.read(BEGINNING_BYTES))
        self._file.seek(0)
        if container is None:
            raise self._bad("it begins like none of MP4, MOV, Matroska, WebM and AVI")
        try:
            self._container = self._av.open(self._file, mode="r", format=container, metadata_errors="replace")
            if not self._container.streams.video:
                raise self._bad("it has no pictures")
            self.stream = self._container.streams.video[0]
            context = self.stream.codec_context
            if context is None:
                raise self._bad("its pictures are packed in a way that is not known here")
            self.stream.thread_type, context.thread_count = "NONE", 1  # the seal allows no thread
            check_size(self._name, 1, int(context.height), int(context.width))
        except self._av.FFmpegError as error:
            self.__exit__()
            raise self._bad(str(error)) from error
        except BadInput:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._container is not None:
            self._container.close()

    def decoded(self) -> Iterator[Any]:
        """Its frames, in the order in which they are shown."""
        try:
            yield from self._container.decode(self.stream)
        except (self._av.FFmpegError, ValueError) as error:
            if isinstance(error, BadInput):
                raise
            raise self._bad(str(error)) from error

    def _bad(self, why: str) -> BadInput:
        return BadInput(f"{self._name} is no video that can be read ({files.label(why, 200)})")
