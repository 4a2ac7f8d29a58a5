"""Colours as a person names them, and as they stay when light is mixed in."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vlmcar_core.types import Frame

CHROMA_MIN = 40
"""A pixel whose channels differ by less than this is grey."""

NEAR = 8
"""Hues this close are one colour."""

HUES = ((8, "red"), (22, "orange"), (34, "yellow"), (85, "green"), (100, "cyan"), (128, "blue"), (155, "purple"))
"""OpenCV's hue (0 to 179) up to which a name holds; above the last, pink and then red again."""


def chroma(image: Frame) -> NDArray[np.uint8]:
    """Largest minus smallest channel, uint8 (H, W): 0 for greys, and no less where white light is mixed in evenly."""
    red, green, blue = cv2.split(image)
    high, low = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    return np.asarray(cv2.subtract(high, low), np.uint8)


def hue_of(pixels: Frame) -> int | None:
    """The hue (OpenCV's, 0 to 179) that the colourful pixels of a picture share; None where it is grey."""
    colourful = chroma(pixels) >= CHROMA_MIN
    if int(colourful.sum()) < max(4, 0.02 * colourful.size):
        return None
    hue = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)[..., 0][colourful]
    return int(np.bincount(hue, minlength=180).argmax())


def name_of(hue: int | None) -> str:
    if hue is None:
        return "grey"
    return next((name for top, name in HUES if hue < top), "pink" if hue < 172 else "red")


def same_hue(one: int | None, other: int | None, tolerance: int = NEAR) -> bool:
    """Whether two hues are one colour; greys are one colour."""
    if one is None or other is None:
        return one is other
    apart = abs(one - other)
    return min(apart, 180 - apart) <= tolerance
