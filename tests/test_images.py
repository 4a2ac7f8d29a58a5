import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.conftest import picture
from vlmcar_core import images
from vlmcar_core.errors import BadImage


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def test_a_png_comes_back_bit_for_bit() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert np.array_equal(images.decode(encoded(Image.fromarray(frame)), "a.png"), frame)


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_the_other_formats_are_read(format: str) -> None:
    frame = images.decode(encoded(Image.new("RGB", (32, 16), (200, 10, 10)), format), "a")
    assert frame.shape == (16, 32, 3) and frame.dtype == np.uint8
    assert np.abs(frame.astype(int) - [200, 10, 10]).max() < 12


def test_a_photo_is_turned_as_its_exif_says() -> None:
    image = Image.new("RGB", (40, 20))
    exif = image.getexif()
    exif[0x0112] = 6
    assert images.decode(encoded(image, "JPEG", exif=exif), "photo.jpg").shape == (40, 20, 3)


def test_transparency_is_laid_on_white() -> None:
    clear = Image.new("RGBA", (10, 10), (255, 0, 0, 0))
    assert images.decode(encoded(clear), "clear.png").min() == 255


def test_a_palette_and_sixteen_bit_grey_become_rgb() -> None:
    palette = Image.new("RGB", (10, 10), (0, 128, 255)).convert("P")
    assert tuple(images.decode(encoded(palette), "p.png")[0, 0])[2] > 200
    grey = Image.fromarray(np.full((10, 10), 65535, np.uint16))
    assert images.decode(encoded(grey), "g.png").min() == 255


def test_a_header_that_announces_gigapixels_is_refused_before_decoding() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    with pytest.raises(BadImage, match=r"bomb\.png"):
        images.decode(bomb, "bomb.png")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"hello", "not a readable"),
        (encoded(Image.fromarray(picture()))[:50], "not a readable"),
        (encoded(Image.new("RGB", (4, 40))), "4 × 40"),
        (encoded(Image.new("RGB", (20, 20)), "BMP"), "not a readable"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * (images.SIZE_LIMIT_BYTES + 1), "MiB"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_name_and_the_reason(data: bytes, words: str) -> None:
    with pytest.raises(BadImage, match=words) as caught:
        images.decode(data, "mine.png")
    assert "mine.png" in str(caught.value)


def test_an_animation_is_refused() -> None:
    frames = [Image.new("RGB", (16, 16), (shade, 0, 0)) for shade in (0, 255)]
    data = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    with pytest.raises(BadImage, match="animation of 2 frames"):
        images.decode(data, "moving.webp")
