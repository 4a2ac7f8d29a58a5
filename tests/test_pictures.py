"""Outlines of what the code sees, as they are drawn and asked about."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from vlmcar_core.pictures import Outline, outline
from vlmcar_core.types import Seen

RING = np.pad(np.pad(np.zeros((2, 2), bool), 2, constant_values=True), 3)
CHANCE = np.random.default_rng(0)


def enclosed(found: Outline, shape: tuple[int, int]) -> np.ndarray:
    """Which pixels have their middle in an odd number of polygons, by another program's rules; bool, (H, W)."""
    inside = np.zeros(shape, bool)
    for polygon in found.polygons:
        large = Image.new("1", (shape[1] * 8, shape[0] * 8))
        ImageDraw.Draw(large).polygon([(x * 8, y * 8) for x, y in polygon], fill=1)
        inside ^= np.asarray(large)[4::8, 4::8]
    return inside


def masks() -> dict[str, np.ndarray]:
    line, dot = np.zeros((16, 16), bool), np.zeros((16, 16), bool)
    line[0, :9] = dot[15, 15] = True
    return {"line": line, "dot": dot, "ring": RING, "all": np.ones((5, 7), bool), "some": CHANCE.random((9, 9)) < 0.3}


@pytest.mark.parametrize("name", masks())
def test_an_outline_encloses_just_the_pixels_of_the_mask(name: str) -> None:
    mask = masks()[name]
    found = outline(Seen("it", "mask", mask=mask))
    assert np.array_equal(enclosed(found, (mask.shape[0], mask.shape[1])), mask)
    assert found.text == f"mask of {mask.sum()} pixels"


def test_an_outline_that_would_be_very_long_is_simplified_and_stays_closed() -> None:
    down, across = np.mgrid[:400, :400]
    mask = (down - 200) ** 2 + (across - 200) ** 2 < 190**2
    found = outline(Seen("it", "mask", mask=mask))
    assert sum(map(len, found.polygons)) < 400
    assert (enclosed(found, (400, 400)) ^ mask).sum() < 0.01 * mask.sum()
