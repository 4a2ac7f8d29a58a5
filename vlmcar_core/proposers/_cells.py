"""A picture as equal cells, and what a cell looks like whatever its colour and light.

A cell's *look* is its brightest channel, stretched to 0…1: it is the same for a yellow and a blue thing of one
shape, and the same when light is mixed evenly into the cell.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vlmcar_core.proposers import _colour
from vlmcar_core.types import Frame

SIDE = 16
"""A cell is resampled to this many pixels a side; some at its borders, where grid lines run, are left out."""

CONTRAST_MIN = 20.0
"""A cell whose brightest channel varies by less is flat."""

SAME_LOOK = 0.8
"""Correlation from which on two looks are the same."""

TRIANGLE_MIN = 0.65
"""Share of the smallest triangle around it that a triangle fills; a disc fills 0.60, a small key 0.61."""

TILES = range(6, 129)
CELLS_MIN, CELLS_MAX = 3, 64
EDGE_RATIO = 2.5

Look = NDArray[np.float32]
Place = tuple[int, int]
"""Row and column."""


@dataclass(frozen=True, eq=False)
class Cell:
    """What is in one cell."""

    place: Place
    look: Look
    """float32, square, in [0, 1]; all 0 where the cell is flat."""
    flat: bool
    hue: int | None

    @property
    def empty(self) -> bool:
        """Flat and grey: floor or wall, as far as one can see."""
        return self.flat and self.hue is None


def tile_size(*images: Frame) -> int | None:
    """The side of the equal cells that pictures of one size are made of, in pixels; None where they are made of none.

    Edges run along cell borders: the right size has strong edges at its multiples and weak ones between them.
    """
    height, width = images[0].shape[:2]
    greys = [image.max(axis=2).astype(np.float32) for image in images]
    across = np.mean([np.abs(np.diff(grey, axis=1)).mean(axis=0) for grey in greys], axis=0)
    down = np.mean([np.abs(np.diff(grey, axis=0)).mean(axis=1) for grey in greys], axis=0)
    best, found = EDGE_RATIO, None
    for tile in TILES:
        if height % tile or width % tile or not CELLS_MIN <= min(height, width) // tile <= CELLS_MAX:
            continue
        ratio = min(_edge_ratio(across, tile), _edge_ratio(down, tile))
        if ratio > best:
            best, found = ratio, tile
    return found


def _edge_ratio(edges: NDArray[np.float32], tile: int) -> float:
    """Mean edge strength at the borders of cells over that elsewhere."""
    starts = np.arange(tile, len(edges), tile)
    at_border = np.zeros(len(edges), bool)
    at_border[starts] = at_border[starts - 1] = True
    strongest = np.maximum(edges[starts], edges[starts - 1])
    elsewhere = float(edges[~at_border].mean()) if (~at_border).any() else 0.0
    return float(np.median(strongest)) / (elsewhere + 0.5)


def read(image: Frame, tile: int) -> dict[Place, Cell]:
    """Every cell of a picture."""
    rows, columns = image.shape[0] // tile, image.shape[1] // tile
    how = cv2.INTER_NEAREST if nearest(tile) else cv2.INTER_AREA
    sampled = cv2.resize(image[: rows * tile, : columns * tile], (columns * SIDE, rows * SIDE), interpolation=how)
    small = sampled.max(axis=2).astype(np.float32)
    first = margin(tile)
    found = {}
    for row in range(rows):
        for column in range(columns):
            inside = small[row * SIDE + first : (row + 1) * SIDE - 1, column * SIDE + first : (column + 1) * SIDE - 1]
            low, high = float(inside.min()), float(inside.max())
            flat = high - low < CONTRAST_MIN
            look = np.zeros_like(inside) if flat else (inside - low) / (high - low)
            found[row, column] = Cell((row, column), look, flat, _colour.hue_of(pixels(image, (row, column), tile)))
    return found


def nearest(tile: int) -> bool:
    """Whether a cell is resampled by taking every so many-th pixel, which is quickest, or by areas."""
    return tile % SIDE == 0


def margin(tile: int) -> int:
    """How many resampled pixels at the left and the top are left out: at least one of the picture's own."""
    return max(1, -(-SIDE // tile))


def pixels(image: Frame, place: Place, tile: int) -> Frame:
    """A cell's pixels without its outermost ones."""
    row, column = place
    edge = max(1, tile // SIDE)
    top, left = row * tile, column * tile
    return np.ascontiguousarray(image[top + edge : top + tile - edge, left + edge : left + tile - edge])


def alike(one: Look, other: Look) -> float:
    """Correlation of two looks, -1 to 1; 0 where one of them is flat."""
    a, b = one - one.mean(), other - other.mean()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / norm if norm > 1e-6 else 0.0


def alike_turned(one: Look, other: Look) -> float:
    """The best correlation over the four quarter turns of `other`."""
    return max(alike(one, np.rot90(other, turns)) for turns in range(4))


def shape_of(look: Look) -> str:
    """What a silhouette may be called; "thing" where it is none of the few that are known."""
    mask = (look > 0.5).astype(np.uint8)
    big = cv2.resize(mask * 255, (112, 112), interpolation=cv2.INTER_CUBIC)
    contours, tree = cv2.findContours((big > 127).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    outer = [index for index in range(len(contours)) if tree[0][index][3] < 0]
    if not outer:
        return "thing"
    index = max(outer, key=lambda number: cv2.contourArea(contours[number]))
    contour, hole = contours[index], tree[0][index][2] >= 0
    area, hull = cv2.contourArea(contour), cv2.contourArea(cv2.convexHull(contour))
    _, _, width, height = cv2.boundingRect(contour)
    if area < 60 or hull < 1:
        return "thing"
    _, triangle = cv2.minEnclosingTriangle(contour)
    if not hole and cv2.contourArea(triangle) > 0 and area / cv2.contourArea(triangle) > TRIANGLE_MIN:
        return "triangle"
    if not hole and area / hull > 0.9 and area / (width * height) < 0.86 and 0.8 < width / height < 1.25:
        return "ball"
    if area / (width * height) > 0.86 and width > 60 and height > 60:
        return "box" if hole else "square"
    if area / hull < 0.85 and (height > 1.5 * width or width > 1.5 * height):
        return "key"
    return "thing"
