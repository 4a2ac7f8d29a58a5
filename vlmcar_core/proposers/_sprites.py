"""What was done between two pictures of small drawn figures, as Gymnasium's toy worlds have: one came to where another
was.

Two places differ, and only two. At one a figure was, and in the end what is around it is there; at the other something
was, and in the end the figure is there instead. A figure is known by colours that are nowhere else in the picture, to
the value: what is drawn from a few colours has such, whichever way it looks; a photograph or a shaded scene hardly ever
does, and then nothing is said.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vlmcar_core.proposers import _colour, _sprite_code
from vlmcar_core.proposers._steps import Step
from vlmcar_core.types import Frame

SAME_LEVELS = 12
"""Differences up to this many of 255 levels are noise."""

NEAR_SHARE = 40
"""Of the picture's shorter side, one in so many: what differs no further apart is one place."""

PLACE_MIN = 0.0005
"""Of the picture; a smaller place that differs is a speck."""

COLOUR_MIN = 0.02
"""Of a place's pixels that differ; a rarer colour is no mark of a figure."""

ELSEWHERE_MAX = 0.02
"""Of a colour's pixels; a colour of which more is elsewhere is nobody's own."""

COLOURS_MAX = 6
LEFT_MAX, CAME_MIN = 0.1, 0.3
"""Of a figure's pixels: at most so many are left where it was, at least so many are seen where it came to."""

COVERED_MAX = 0.5
"""Of what was there, so much may still be seen."""

GREYS = ((70, "black"), (200, "grey"))
"""The brightest channel up to which a name holds; above, white."""

Colours = tuple[int, ...]
"""Red, green and blue in one number each: 0xRRGGBB."""


@dataclass(frozen=True, eq=False)
class Figure:
    """Something that is known by its colours."""

    colours: Colours
    """The commonest first."""

    name: str


def steps(initial: Frame, goal: Frame) -> list[Step]:
    """That one figure stands where the other was; nothing where that is not what the pictures tell."""
    places = _places(initial, goal)
    if len(places) != 2:
        return []
    one, other = places
    for old, new in ((one, other), (other, one)):
        found = _arrival(initial, goal, old, new)
        if found is not None:
            return [found]
    return []


def _places(initial: Frame, goal: Frame) -> list[NDArray[np.bool_]]:
    """Where the two pictures differ, each place as bool (H, W)."""
    differs = (np.abs(initial.astype(np.int16) - goal.astype(np.int16)).max(axis=2) > SAME_LEVELS).astype(np.uint8)
    reach = max(3, min(differs.shape) // NEAR_SHARE | 1)
    _, labels = cv2.connectedComponents(cv2.dilate(differs, np.ones((reach, reach), np.uint8)))
    found = [(labels == label) & (differs > 0) for label in range(1, int(labels.max()) + 1)]
    return [place for place in found if place.mean() >= PLACE_MIN]


def _arrival(initial: Frame, goal: Frame, old: NDArray[np.bool_], new: NDArray[np.bool_]) -> Step | None:
    before, after = _values(initial), _values(goal)
    mover = [
        colour
        for colour in _own(before, old)
        if (after[old] == colour).sum() <= LEFT_MAX * (before[old] == colour).sum()
        and (after[new] == colour).sum() >= CAME_MIN * (before[old] == colour).sum()
    ]
    box = _box(new)
    covered = [
        colour
        for colour in _own(before, new)
        if colour not in mover and (after[box] == colour).sum() <= COVERED_MAX * (before[box] == colour).sum()
    ]
    if not mover or not covered:
        return None
    there, came = np.isin(before, covered), np.isin(after, mover)
    return _written(there, came, _figure(mover), _figure(covered))


def _own(values: NDArray[np.int64], place: NDArray[np.bool_]) -> Iterator[int]:
    """Colours that are there and nowhere else, the commonest first; what is around a place is of it, since a part of
    what is hidden may still be seen."""
    colours, counts = np.unique(values[place], return_counts=True)
    box = values[_box(place)]
    for at in np.argsort(-counts, kind="stable"):
        whole, there = int((values == colours[at]).sum()), int((box == colours[at]).sum())
        if counts[at] >= COLOUR_MIN * place.sum() and whole - there <= ELSEWHERE_MAX * whole:
            yield int(colours[at])


def _box(place: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The rows and columns around it, half as many again on every side."""
    (top, left), (bottom, right) = np.argwhere(place).min(axis=0), np.argwhere(place).max(axis=0)
    high, wide = (bottom - top + 2) // 2, (right - left + 2) // 2
    return slice(max(int(top - high), 0), int(bottom + high + 1)), slice(
        max(int(left - wide), 0), int(right + wide + 1)
    )


def _values(image: Frame) -> NDArray[np.int64]:
    """Red, green and blue as one number, int64 (H, W)."""
    red, green, blue = np.moveaxis(image.astype(np.int64), 2, 0)
    return np.asarray((red << 16) | (green << 8) | blue)


def _figure(colours: list[int]) -> Figure:
    kept = tuple(colours[:COLOURS_MAX])
    return Figure(kept, _name(kept[0]))


def _name(colour: int) -> str:
    pixel = np.array([[[colour >> 16, colour >> 8 & 255, colour & 255]]], np.uint8)
    if _colour.chroma(pixel)[0, 0] >= _colour.CHROMA_MIN:
        return _colour.name_of(int(cv2.cvtColor(pixel, cv2.COLOR_RGB2HSV)[0, 0, 0]))
    return next((name for top, name in GREYS if int(pixel.max()) < top), "white")


def _written(there: NDArray[np.bool_], came: NDArray[np.bool_], mover: Figure, covered: Figure) -> Step:
    """The sub-task; `there` is where the one was at first, `came` where the other is in the end, bool (H, W)."""
    apart = float(np.hypot(*(np.argwhere(there).mean(axis=0) - np.argwhere(came).mean(axis=0))))
    extent = float(np.mean(np.ptp(np.argwhere(came), axis=0) + 1))
    other = "other_" if covered.name == mover.name else ""
    title = f"Bring the {mover.name} figure to where the {other.replace('_', ' ')}{covered.name} one was"
    source = _sprite_code.ARRIVED.substitute(
        title=title,
        mover=f"{mover.name}_figure",
        covered=f"{other}{covered.name}_figure",
        mover_colours=_listed(mover.colours),
        covered_colours=_listed(covered.colours),
        enough=max(1, int(CAME_MIN * came.sum())),
        left=COVERED_MAX,
        close=f"{apart + extent / 4:.1f}",
    )
    return Step(title, source, "that it is there is seen by what it hides, and by its own colours close by")


def _listed(colours: Colours) -> str:
    return ", ".join(f"({colour >> 16}, {colour >> 8 & 255}, {colour & 255})" for colour in colours)
