"""Pictures from outside: decoded safely, or refused with a reason."""

from vlmcar_core import decoding, files
from vlmcar_core.errors import BadImage
from vlmcar_core.types import Frame

SIZE_LIMIT_BYTES = 20 * 1024 * 1024
SIDE_MIN, SIDE_MAX = 8, 4096
BOUNDS = decoding.Bounds(("PNG", "JPEG", "WEBP"), SIDE_MIN, SIDE_MAX, SIDE_MAX * SIDE_MAX)
NAME_CHARS_MAX = 100


def decode(data: bytes, name: str) -> Frame:
    """A PNG, JPEG or WebP file as an RGB frame; turned as its EXIF says, transparency laid on white, of 16 bits the
    upper 8 (see `decoding`). What it is, its contents say and not its name.

    The size is read from the header and refused before any pixel is decoded, so that a small file that
    unpacks to gigabytes costs nothing.

    Raises:
        BadImage: it is empty, too large, of another type, damaged, or animated.
    """
    shown = repr(files.label(name, NAME_CHARS_MAX))
    if not data:
        raise BadImage(f"{shown} is empty; choose a PNG, JPEG or WebP picture")
    if len(data) > SIZE_LIMIT_BYTES:
        raise BadImage(f"{shown} has {len(data) / 2**20:.1f} MiB; at most {SIZE_LIMIT_BYTES // 2**20} MiB are read")
    try:
        return decoding.decode(data, BOUNDS)
    except decoding.Refused as error:
        raise BadImage(f"{shown} {error}") from error
    except ValueError as error:
        raise BadImage(f"{shown} {error}; save it as PNG and choose that") from error
