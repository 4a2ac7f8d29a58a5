"""Pictures from outside: decoded safely, or refused with a reason."""

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vlmcar_core.errors import BadImage
from vlmcar_core.types import Frame

FORMATS = ("PNG", "JPEG", "WEBP")
SIZE_LIMIT_BYTES = 20 * 1024 * 1024
SIDE_MIN, SIDE_MAX = 8, 4096


def decode(data: bytes, name: str) -> Frame:
    """A PNG, JPEG or WebP file as an RGB frame; turned as its EXIF says, transparency laid on white.

    The size is read from the header and refused before any pixel is decoded, so that a small file that
    unpacks to gigabytes costs nothing.

    Raises:
        BadImage: it is empty, too large, of another type, damaged, or animated.
    """
    if not data:
        raise BadImage(f"{name!r} is empty; choose a PNG, JPEG or WebP picture")
    if len(data) > SIZE_LIMIT_BYTES:
        raise BadImage(f"{name!r} has {len(data) / 2**20:.1f} MiB; at most {SIZE_LIMIT_BYTES // 2**20} MiB are read")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _refuse(image, name)
            return _rgb(ImageOps.exif_transpose(image))
    except BadImage:
        raise
    except UnidentifiedImageError as error:
        raise BadImage(f"{name!r} is not a readable PNG, JPEG or WebP picture") from error
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, Image.DecompressionBombError) as error:
        raise BadImage(f"{name!r} is not a readable PNG, JPEG or WebP picture ({error})") from error


def _refuse(image: Image.Image, name: str) -> None:
    width, height = image.size
    if not (SIDE_MIN <= width <= SIDE_MAX and SIDE_MIN <= height <= SIDE_MAX):
        raise BadImage(f"{name!r} is {width} × {height} pixels; each side must be {SIDE_MIN} to {SIDE_MAX}")
    if getattr(image, "n_frames", 1) > 1:
        raise BadImage(f"{name!r} is an animation of {getattr(image, 'n_frames', 1)} frames; choose a single picture")


def _rgb(image: Image.Image) -> Frame:
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image, dtype=np.float64)
        top = 65535.0 if values.max(initial=0) > 255 else 255.0
        image = Image.fromarray(np.clip(values * 255.0 / top, 0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, (255, 255, 255, 255)), layer)
    return np.asarray(image.convert("RGB"))
