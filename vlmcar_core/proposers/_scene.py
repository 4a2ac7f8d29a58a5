"""What was done between two pictures of a scene, by colour: for camera pictures that are not made of cells.

A frame may hold several views side by side, parted by black columns; a thing is then looked for in each of them, and
what is said of it must hold in all: two views tell where it is in space, one does not.

All that has one colour is one `Kind`. What a kind did is told by the pixels that it gained: one that is only covered
in part gains none. What is hidden in the goal frame is not taken for gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vlmcar_core.proposers import _colour
from vlmcar_core.types import Frame

Mask = NDArray[np.bool_]

AREA_MIN = 0.0004
"""Areas below this share of a view are specks."""

AREA_MAX = 0.4
"""What covers more than this share of a view is the background."""

GAINED = 0.3
"""A kind moved when so much of it, at least, is where it was not."""

LOST = 0.2
"""Of a thing that is gone less than this share is left."""

ATTACHED = 0.12
"""What acts is held by something: so much of its surroundings, at least, is not the background."""

SAME_LEVELS = 25

PEAKS_APART = 6
"""Hues nearer than this are one colour."""


@dataclass(frozen=True, eq=False)
class Area:
    """What a view shows of a kind."""

    mask: Mask
    """(H, W) of the view."""
    count: int
    """Connected areas that are no specks."""

    @property
    def size(self) -> int:
        return int(self.mask.sum())

    @property
    def centre(self) -> tuple[float, float]:
        """x, y in pixels of the view."""
        ys, xs = np.nonzero(self.mask)
        return float(xs.mean()), float(ys.mean())

    @property
    def extent(self) -> float:
        """The mean of its width and height, pixels."""
        ys, xs = np.nonzero(self.mask)
        return float(np.ptp(xs) + np.ptp(ys) + 2) / 2


@dataclass(frozen=True, eq=False)
class Kind:
    """All that has one colour, in both frames."""

    hue: int
    near: int
    """Hues so close to it are its own."""
    name: str
    before: tuple[Area, ...]
    """One for each view."""
    after: tuple[Area, ...]

    @property
    def count(self) -> int:
        """How many there were at first, as far as they do not touch each other."""
        return max(area.count for area in self.before)

    @property
    def moved(self) -> bool:
        """In a view that shows it before and after, much of it is where it was not."""
        return any(
            now.count and old.count and (now.mask & ~_grown(old.mask, 2)).sum() > GAINED * min(now.size, old.size)
            for old, now in zip(self.before, self.after, strict=True)
        )

    @property
    def seen_first(self) -> bool:
        return any(area.count for area in self.before)

    @property
    def seen_last(self) -> bool:
        return any(area.count for area in self.after)


def views(initial: Frame, goal: Frame) -> list[tuple[int, int]]:
    """The columns [a, b) of each view: what is between the black columns that both frames have."""
    black = ~(initial.any(axis=(0, 2)) | goal.any(axis=(0, 2)))
    edges = np.flatnonzero(np.diff(np.concatenate([[True], black, [True]]).astype(np.int8)))
    found = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return found if min(b - a for a, b in found) >= 16 else [(0, initial.shape[1])]


def kinds(initial: Frame, goal: Frame, columns: Sequence[tuple[int, int]]) -> list[Kind]:
    """Every colour that a view of either frame shows, those of the largest areas first."""
    found: list[Kind] = []
    for hue, near in _hues(np.concatenate([initial, goal], axis=1)):
        before, after = (tuple(_area(frame[:, a:b], hue, near) for a, b in columns) for frame in (initial, goal))
        if any(area.count for area in (*before, *after)):
            name = _name(initial, goal, hue, near)
            alike = sum(kind.name.partition("_")[0] == name for kind in found)
            found.append(Kind(hue, near, f"{name}_{alike + 1}" if alike else name, before, after))
    return sorted(found, key=lambda kind: -sum(area.size for area in kind.before))


def of_hue(image: Frame, hue: int, near: int) -> Mask:
    """Which pixels are colourful and of a hue, or near to it; bool (H, W)."""
    apart = np.abs(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2HSV)[..., 0].astype(np.int16) - hue)
    close: Mask = np.minimum(apart, 180 - apart) <= near
    return close & (_colour.chroma(image) >= _colour.CHROMA_MIN)


def _hues(image: Frame) -> list[tuple[int, int]]:
    """The peaks of the hues of what is colourful, the highest first, and how near to each a hue is its own: no more
    than half the way to the next peak."""
    hsv = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2HSV)
    levels = np.bincount(hsv[..., 0][_colour.chroma(image) >= _colour.CHROMA_MIN], minlength=180)[:180]
    smooth = np.sum([np.roll(levels, shift) for shift in range(-2, 3)], axis=0)
    least = AREA_MIN * image.shape[0] * image.shape[1] / 4
    found: list[int] = []
    for hue in np.argsort(-smooth, kind="stable"):
        if smooth[hue] < least:
            break
        if all(not _colour.same_hue(int(hue), other, PEAKS_APART) for other in found):
            found.append(int(hue))
    return [(hue, _reach_of(hue, found)) for hue in found]


def _reach_of(hue: int, others: Sequence[int]) -> int:
    gaps = [min(abs(hue - other), 180 - abs(hue - other)) for other in others if other != hue]
    return min(_colour.NEAR, (min(gaps, default=180) - 1) // 2)


def _area(view: Frame, hue: int, near: int) -> Area:
    mask = of_hue(view, hue, near)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    sizes = stats[:, cv2.CC_STAT_AREA]
    kept = [label for label in range(1, count) if sizes[label] >= max(4, AREA_MIN * mask.size)]
    if sum(int(sizes[label]) for label in kept) > AREA_MAX * mask.size:
        kept = []
    return Area(np.isin(labels, kept), len(kept))


def _name(initial: Frame, goal: Frame, hue: int, near: int) -> str:
    """As a person calls it: a dark orange is brown."""
    name = _colour.name_of(hue)
    pixels = np.concatenate([frame[of_hue(frame, hue, near)] for frame in (initial, goal)])
    return "brown" if name == "orange" and np.median(pixels.max(axis=1)) < 190 else name


def gone(kind: Kind, initial: Frame, goal: Frame, columns: Sequence[tuple[int, int]]) -> bool:
    """Whether a thing left the picture: hardly any of it is left and its old place shows what is around it."""
    for old, now, (a, b) in zip(kind.before, kind.after, columns, strict=True):
        if not old.count:
            continue
        around = _grown(old.mask, 3) & ~old.mask
        ground = np.median(initial[:, a:b][around], axis=0)
        shown = np.abs(goal[:, a:b][old.mask].astype(int) - ground).max(axis=1) <= SAME_LEVELS
        if now.size > LOST * old.size or shown.mean() < 0.5:
            return False
    return kind.seen_first


def held(kind: Kind, initial: Frame, columns: Sequence[tuple[int, int]]) -> float:
    """Which share of a thing's surroundings is not background: something is attached to it, as an arm is to a hand."""
    shares = []
    for area, (a, b) in zip(kind.before, columns, strict=True):
        if area.count:
            view = initial[:, a:b].astype(int)
            ground = np.median(view[_grown(area.mask, 12) & ~_grown(area.mask, 4)], axis=0)
            around = _grown(area.mask, 3) & ~area.mask
            shares.append(float((np.abs(view[around] - ground).max(axis=1) > SAME_LEVELS).mean()))
    return float(np.mean(shares)) if shares else 0.0


def outline(mask: Mask) -> Mask:
    """Every connected area filled to its convex outline."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8))
    filled = np.zeros(mask.shape, np.uint8)
    for label in range(1, count):
        points = cv2.findNonZero((labels == label).astype(np.uint8))
        if points is not None and len(points) > 3:
            cv2.fillConvexPoly(filled, cv2.convexHull(points), 1)
    return filled.astype(bool)


def share_inside(place: Area, thing: Area) -> float:
    """Which share of a thing's pixels is within a place's outlines."""
    return float((outline(place.mask) & thing.mask).sum() / thing.size) if thing.size else 0.0


def both(ones: Sequence[Area], others: Sequence[Area]) -> list[int]:
    """The views that show both of two things."""
    return [view for view, (one, other) in enumerate(zip(ones, others, strict=True)) if one.count and other.count]


def apart(ones: Sequence[Area], others: Sequence[Area]) -> float | None:
    """Pixels between the middles of two things, the views that show both taken together; None where none does.

    Views from directions at right angles have their own way across and share the way down.
    """
    shown = both(ones, others)
    if not shown:
        return None
    ways = [(ones[view].centre, others[view].centre) for view in shown]
    across = sum((a - c) ** 2 for (a, _), (c, _) in ways)
    down = float(np.mean([abs(b - d) for (_, b), (_, d) in ways]))
    return float(np.hypot(np.sqrt(across), down))


def _grown(mask: Mask, pixels: int) -> Mask:
    kernel = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel)).astype(bool)
