"""Encoded pictures → RGB frames, within bounds that are looked at before a pixel is decoded.

How what is no plain RGB becomes it: transparency is laid on white; 16 bits a channel become their upper 8; grey,
palette, 1 bit, CMYK and YCbCr are converted by Pillow, without their colour profile; a picture is turned as its EXIF
says. Only the formats that are asked for are ever looked for, so nothing that Pillow reads with an external program or
with a parser that nobody needs here (EPS, TIFF, PSD, …) is started.
"""

import io
import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from vlmcar_core.types import Frame

SCANS_MAX = 100
"""Of a JPEG; each makes the decoder go over the whole picture again, and a scan may be a few bytes long."""

RATIO_MAX = 64
"""A thinner picture has no height left where it is shown small."""

ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF's orientation to what undoes it (CIPA DC-008, 4.6.5)."""

FAULTS = (
    *(OSError, ValueError, TypeError, SyntaxError, EOFError, MemoryError, KeyError, IndexError, OverflowError),
    *(AttributeError, AssertionError, NotImplementedError, ZeroDivisionError, RecursionError, struct.error),
)
"""What Pillow's parsers raise on damaged files."""


@dataclass(frozen=True)
class Bounds:
    """What may be decoded."""

    formats: Collection[str]
    """Of "PNG", "JPEG", "WEBP"; of "GIF" for animations alone."""

    side_min: int
    side_max: int
    """In pixels."""

    pixels_max: int


class Refused(ValueError):
    """The picture may be sound and is outside the bounds."""


def decode(data: bytes, bounds: Bounds) -> Frame:
    """One picture as RGB uint8 (H, W, 3).

    Raises:
        ValueError: it is of another format, too small or too large, animated, or damaged; the message goes after the
            picture's name.
    """
    with _opened(data, bounds) as image:
        return _rgb(_turned(image))


def check(data: bytes, bounds: Bounds) -> None:
    """The same without decoding a pixel: what its header says is within the bounds. Raises `ValueError`."""
    with _opened(data, bounds):
        pass


def measured(data: bytes, bounds: Bounds, frames_max: int) -> tuple[int, int, int]:
    """How many frames an animation has, their height and width, without decoding one. Raises `ValueError`."""
    with _opened(data, bounds) as image:
        count = int(getattr(image, "n_frames", 1))
        if count > frames_max:
            raise Refused(f"is an animation of {count:,} frames; at most {frames_max:,} are read")
        return count, image.height, image.width


def animation(data: bytes, bounds: Bounds, count: int) -> Iterator[Frame]:
    """An animation's first `count` frames as they are shown, RGB uint8 (H, W, 3) each. Raises `ValueError`."""
    with _opened(data, bounds) as image:
        for number in range(count):
            image.seek(number)
            yield _rgb(image)


@contextmanager
def _opened(data: bytes, bounds: Bounds) -> Iterator[Image.Image]:
    try:
        with Image.open(io.BytesIO(data), formats=tuple(bounds.formats)) as image:
            _refuse(image, data, bounds)
            yield image
    except UnidentifiedImageError as error:
        raise ValueError(f"is not a readable {_listed(bounds)} picture; it begins with {data[:8]!r}") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"is far too large; {_sides(bounds)}") from error
    except Refused:
        raise
    except FAULTS as error:
        detail = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"is not a readable {_listed(bounds)} picture ({detail})") from error


def _refuse(image: Image.Image, data: bytes, bounds: Bounds) -> None:
    width, height = image.size
    if not (bounds.side_min <= min(width, height) and max(width, height) <= bounds.side_max):
        raise Refused(f"is {width} × {height} pixels; {_sides(bounds)}")
    if max(width, height) > RATIO_MAX * min(width, height):
        raise Refused(f"is {width} × {height} pixels; one side may be {RATIO_MAX} times the other at most")
    if width * height > bounds.pixels_max:
        raise Refused(f"is {width} × {height} pixels; at most {bounds.pixels_max:,} in all are read")
    # A photo of some telephones (MPO) carries a map of its depth or brightness as a second picture. Who allows GIF
    # wants an animation.
    count = 1 if image.format in ("MPO", "GIF") else getattr(image, "n_frames", 1)
    if count > 1:
        raise Refused(f"is an animation of {count} frames; choose a single picture")
    scans = data.count(b"\xff\xda") if image.format in ("JPEG", "MPO") else 1
    if scans > SCANS_MAX:
        raise Refused(f"is a JPEG of {scans} scans; at most {SCANS_MAX} are read: save it as PNG")


def _listed(bounds: Bounds) -> str:
    *others, last = ("WebP" if name == "WEBP" else name for name in bounds.formats)
    return f"{', '.join(others)} or {last}" if others else last


def _sides(bounds: Bounds) -> str:
    return f"each side must be {bounds.side_min} to {bounds.side_max}"


def _turned(image: Image.Image) -> Image.Image:
    """As its EXIF says; EXIF that cannot be read says nothing."""
    try:
        orientation = image.getexif().get(ORIENTATION)
    except FAULTS:
        return image
    turn = TURNS.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _rgb(image: Image.Image) -> Frame:
    if image.mode.startswith("I"):
        return _grey16(image)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, (255, 255, 255, 255)), layer)
    return np.asarray(image.convert("RGB"))


def _grey16(image: Image.Image) -> Frame:
    """A PNG of 16 bits a pixel; one of its shades may stand for transparent."""
    values = np.asarray(image).astype(np.int32) & 0xFFFF
    shades: NDArray[np.uint8] = (values >> 8).astype(np.uint8)
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        shades[values == clear] = 255
    return np.repeat(shades[..., None], 3, axis=2)
