"""Frames as they are shown to a model, and with what a checker sees drawn on them.

OpenCV is imported where it is used: listing commands must not wait for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vlmcar_core.types import Frame, Seen

POINTS_MAX = 400
POLYGONS_MAX = 40
LABEL_PIXELS = 20
GAP_PIXELS = 16
COLOURS = ((228, 87, 46), (23, 190, 187), (255, 201, 20), (157, 107, 219), (118, 176, 65), (242, 95, 156))


def zoom_for(frame: Frame, side: int) -> float:
    """How many times as large a frame is shown so that its longer side comes to about `side` pixels: a whole number
    where it is enlarged (so that every pixel stays a square), the exact share where it is reduced."""
    longer = max(frame.shape[:2])
    return float(max(1, side // longer)) if longer <= side else side / longer


def scaled(frame: Frame, zoom: float) -> Frame:
    """A frame enlarged pixel by pixel, or reduced by the mean over areas."""
    if zoom == 1:
        return frame
    import cv2

    size = (max(1, round(frame.shape[1] * zoom)), max(1, round(frame.shape[0] * zoom)))
    way = cv2.INTER_NEAREST if zoom > 1 else cv2.INTER_AREA
    return np.asarray(cv2.resize(frame, size, interpolation=way), np.uint8)


def side_by_side(left: Frame, right: Frame) -> Frame:
    """Two frames in one picture, with a grey bar between them."""
    height = max(left.shape[0], right.shape[0])
    whole = np.full((height, left.shape[1] + GAP_PIXELS + right.shape[1], 3), 128, np.uint8)
    whole[: left.shape[0], : left.shape[1]] = left
    whole[: right.shape[0], left.shape[1] + GAP_PIXELS :] = right
    return whole


@dataclass(frozen=True)
class Outline:
    """One object in one frame."""

    name: str
    polygons: tuple[tuple[tuple[float, float], ...], ...]
    """Closed, in pixels."""
    text: str
    """What was found, in words."""

    def json(self) -> dict[str, Any]:
        return {"name": self.name, "polygons": self.polygons, "text": self.text}


def outline(seen: Seen) -> Outline:
    """The outline of what one `identify_*` found; empty where it found nothing."""
    if seen.kind == "mask" and seen.mask is not None:
        return Outline(seen.name, _contours(seen.mask), f"mask of {int(seen.mask.sum())} pixels")
    if seen.kind == "box" and seen.box is not None:
        x, y, w, h = seen.box
        corners = ((x, y), (x + w, y), (x + w, y + h), (x, y + h))
        return Outline(seen.name, (corners,), f"box at {x:g}, {y:g}, {w:g} × {h:g}")
    if seen.kind == "point" and seen.point is not None:
        x, y = seen.point
        return Outline(seen.name, (((x - 4, y), (x, y - 4), (x + 4, y), (x, y + 4)),), f"point at {x:g}, {y:g}")
    return Outline(seen.name, (), f"failed: {seen.message}" if seen.kind == "fault" else "nothing")


def _contours(mask: np.ndarray) -> tuple[tuple[tuple[float, float], ...], ...]:
    """The outlines of a mask and of the holes in it, a quarter of a pixel within its edge: what is enclosed, by the
    even-odd rule, are just its pixels, be it one pixel wide. Long ones are simplified, and small ones left out."""
    import cv2

    # OpenCV draws contours through the middles of pixels; of a mask twice as large these are no middles any more.
    large = mask.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    contours, _ = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    largest = sorted(contours, key=cv2.contourArea, reverse=True)[:POLYGONS_MAX]
    lines = (line if len(line) <= POINTS_MAX else cv2.approxPolyDP(line, 2.0, True) for line in largest)
    return tuple(tuple(((float(x) + 0.5) / 2, (float(y) + 0.5) / 2) for x, y in line[:POINTS_MAX, 0]) for line in lines)


def drawn(frame: Frame, outlines: Sequence[Outline], side: int = 420) -> Frame:
    """A frame, enlarged by a whole number, with outlines and names on it."""
    zoom = max(1, side // frame.shape[1])
    image = Image.fromarray(frame).resize((frame.shape[1] * zoom, frame.shape[0] * zoom), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(LABEL_PIXELS)
    for number, item in enumerate(outlines):
        colour = COLOURS[number % len(COLOURS)]
        for polygon in item.polygons:
            points = [(x * zoom, y * zoom) for x, y in polygon]
            if len(points) > 1:
                pen.line([*points, points[0]], fill=(0, 0, 0), width=5)
                pen.line([*points, points[0]], fill=colour, width=3)
        if item.polygons:
            x, y = min(item.polygons[0], key=lambda point: point[1])
            wide = pen.textlength(item.name, font)
            at = (min(max(2.0, x * zoom), max(2.0, image.width - wide - 4)), max(0.0, y * zoom - LABEL_PIXELS - 6))
            pen.rectangle(pen.textbbox(at, item.name, font), fill=(0, 0, 0), outline=(0, 0, 0), width=2)
            pen.text(at, item.name, fill=(255, 255, 255), font=font)
    return np.asarray(image)
