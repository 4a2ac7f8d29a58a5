import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

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


def test_a_palette_becomes_its_colours() -> None:
    frame = np.random.default_rng(0).choice(np.array([[0, 128, 255], [9, 8, 7]], np.uint8), (10, 12))
    palette = Image.fromarray(frame).quantize(2, dither=Image.Dither.NONE)
    assert np.array_equal(images.decode(encoded(palette), "p.png"), np.asarray(palette.convert("RGB")))


SIXTEEN = (np.arange(8 * 8, dtype=np.uint16) * 1021).reshape(8, 8)


def test_of_sixteen_bit_grey_the_upper_eight_are_taken_however_dark_it_is() -> None:
    for values in (SIXTEEN, SIXTEEN // 300):
        frame = images.decode(encoded(Image.fromarray(values)), "g.png")
        assert np.array_equal(frame, np.repeat((values >> 8).astype(np.uint8)[..., None], 3, axis=2))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(values: NDArray[Any], depth: int, colour: int, *extra: bytes) -> bytes:
    """A PNG of raw samples, big-endian (H, W, channels), with chunks before the data."""
    rows = values.astype(">u2" if depth == 16 else "u1").reshape(values.shape[0], -1)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(extra) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def test_of_sixteen_bit_colour_too_the_upper_eight_are_taken() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (9, 11, 3))
    assert np.array_equal(images.decode(png(values, 16, 2), "c.png"), values >> 8)


def test_sixteen_bit_transparency_is_laid_on_white() -> None:
    values = np.stack([np.full((8, 8), 0x4000), np.where(np.eye(8) > 0, 0xFFFF, 0)], axis=2)
    frame = images.decode(png(values, 16, 4), "la.png")
    assert (frame[np.eye(8) > 0] == 0x40).all() and (frame[np.eye(8) == 0] == 255).all()


@pytest.mark.parametrize(("depth", "key"), [(8, 7), (16, 0x0807)])
def test_a_shade_that_stands_for_transparent_becomes_white(depth: int, key: int) -> None:
    values = np.where(np.eye(8) > 0, key, 0)[..., None]
    frame = images.decode(png(values, depth, 0, chunk(b"tRNS", struct.pack(">H", key))), "t.png")
    assert (frame[np.eye(8) > 0] == 255).all() and (frame[np.eye(8) == 0] == 0).all()


def test_a_colour_that_stands_for_transparent_becomes_white() -> None:
    values = np.where(np.eye(8)[..., None] > 0, np.array([1, 2, 3]), np.array([4, 5, 6]))
    frame = images.decode(png(values, 8, 2, chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3))), "t.png")
    assert (frame[np.eye(8) > 0] == 255).all() and (frame[np.eye(8) == 0] == [4, 5, 6]).all()


def test_half_transparent_is_half_white() -> None:
    assert tuple(images.decode(encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 128))), "h.png")[0, 0]) == (127, 127, 127)


def test_one_bit_and_grey_become_rgb() -> None:
    shades = np.where(np.eye(8, 9) > 0, 255, 0).astype(np.uint8)
    for mode in ("1", "L"):
        frame = images.decode(encoded(Image.fromarray(shades).convert(mode)), "a.png")
        assert np.array_equal(frame, np.repeat(shades[..., None], 3, axis=2))


def test_cmyk_is_read_as_the_colours_that_it_prints() -> None:
    frame = images.decode(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95), "print.jpg")
    assert np.abs(frame.astype(int) - [255, 0, 0]).max() < 12


def test_a_colour_profile_changes_no_pixel() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert np.array_equal(images.decode(encoded(Image.fromarray(frame), icc_profile=profile), "a.png"), frame)


def test_the_contents_count_and_not_the_name() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert np.array_equal(images.decode(encoded(Image.fromarray(frame)), "photo.jpg"), frame)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_every_orientation_is_turned_upright(orientation: int, format: str) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (10, 14, 3), dtype=np.uint8)
    image = Image.fromarray(frame)
    exif = image.getexif()
    exif[0x0112] = orientation
    data = encoded(image, format, exif=exif, **({"lossless": True} if format == "WEBP" else {}))
    with Image.open(io.BytesIO(data)) as opened:
        wanted = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    assert np.array_equal(images.decode(data, "a"), wanted)


@pytest.mark.parametrize(
    "exif", [b"", b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"\xff" * 60, b"Exif\0\0II*\0" + bytes(30)]
)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_exif_that_cannot_be_read_turns_nothing(exif: bytes) -> None:
    plain = images.decode(encoded(Image.new("RGB", (24, 16), (9, 9, 9)), "JPEG"), "a.jpg")
    assert (
        images.decode(encoded(Image.new("RGB", (24, 16), (9, 9, 9)), "JPEG", exif=exif), "a.jpg").shape == plain.shape
    )


def test_a_header_that_announces_gigapixels_is_refused_before_decoding() -> None:
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


@pytest.mark.parametrize("size", [(8, 7), (7, 8), (4097, 8), (8, 4097), (2**31 - 1, 8), (2**31 - 1, 2**31 - 1)])
def test_a_side_that_is_not_read_is_named_before_a_pixel_is(size: tuple[int, int]) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(BadImage, match=r"wide\.png.*each side must be 8 to 4096"):
        images.decode(data, "wide.png")


def test_a_picture_that_is_a_line_is_refused() -> None:
    assert images.decode(encoded(Image.new("RGB", (8 * 64, 8))), "a.png").shape == (8, 512, 3)
    for size in ((8 * 64 + 1, 8), (8, 4096)):
        with pytest.raises(BadImage, match="64 times the other"):
            images.decode(encoded(Image.new("RGB", size)), "a.png")


def test_a_picture_of_no_size_is_refused() -> None:
    with pytest.raises(BadImage, match=r"none\.png"):
        images.decode(png(np.zeros((1, 0, 3)), 8, 2), "none.png")


OTHERS = {
    "BMP": encoded(Image.new("RGB", (20, 20)), "BMP"),
    "GIF": encoded(Image.new("RGB", (20, 20)), "GIF"),
    "TIFF of floats": encoded(Image.new("F", (20, 20)), "TIFF"),
    "TIFF of LAB": encoded(Image.new("LAB", (20, 20)), "TIFF"),
    "EPS": encoded(Image.new("RGB", (20, 20)), "EPS"),
    "PDF": encoded(Image.new("RGB", (20, 20)), "PDF"),
    "ICO": encoded(Image.new("RGB", (20, 20)), "ICO"),
    "TGA": encoded(Image.new("RGB", (20, 20)), "TGA"),
    "PPM": encoded(Image.new("RGB", (20, 20)), "PPM"),
    "JPEG 2000": encoded(Image.new("RGB", (20, 20)), "JPEG2000"),
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><script>alert(1)</script></svg>',
    "HTML": b"<!doctype html><script>alert(1)</script>",
    "ZIP": b"PK\x03\x04" + bytes(40),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_any_other_format_is_refused_whatever_it_is_called(kind: str) -> None:
    for name in ("a.png", f"a.{kind.lower()}"):
        with pytest.raises(
            BadImage, match=r"is not a readable PNG, JPEG or WebP picture; it begins with .*save it as PNG"
        ):
            images.decode(OTHERS[kind], name)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_a_picture_that_ends_early_is_refused(format: str) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(frame), format)
    for share in (0.1, 0.5, 0.9):
        with pytest.raises(BadImage, match=r"half\.png"):
            images.decode(data[: int(len(data) * share)], "half.png")


def test_a_jpeg_of_endless_scans_is_refused_before_it_is_decoded() -> None:
    data = encoded(Image.fromarray(np.zeros((64, 64, 3), np.uint8)), "JPEG", progressive=True)
    start, end = data.rindex(b"\xff\xda"), len(data) - 2
    with pytest.raises(BadImage, match=r"scans\.jpg' is a JPEG of .* scans; at most 100"):
        images.decode(data[:start] + data[start:end] * 100_000 + data[end:], "scans.jpg")


def test_the_main_picture_of_a_telephones_photo_is_taken() -> None:
    photo, depth = Image.new("RGB", (32, 16), (200, 10, 10)), Image.new("RGB", (16, 8))
    data = encoded(photo, "MPO", save_all=True, append_images=[depth])
    frame = images.decode(data, "photo.jpg")
    assert frame.shape == (16, 32, 3) and np.abs(frame.astype(int) - [200, 10, 10]).max() < 12


def test_an_animated_png_is_refused() -> None:
    frames = [Image.new("RGB", (16, 16), (shade, 0, 0)) for shade in (0, 255, 7)]
    with pytest.raises(BadImage, match="animation of 3 frames"):
        images.decode(encoded(frames[0], "PNG", save_all=True, append_images=frames[1:]), "moving.png")


def test_a_name_that_is_no_text_or_very_long_is_shown_as_one_line() -> None:
    with pytest.raises(BadImage) as caught:
        images.decode(b"", "x\x1b]0;evil\x07\n\udcff" + "y" * 5000)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300


def test_an_animation_is_refused() -> None:
    frames = [Image.new("RGB", (16, 16), (shade, 0, 0)) for shade in (0, 255)]
    data = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    with pytest.raises(BadImage, match="animation of 2 frames"):
        images.decode(data, "moving.webp")
