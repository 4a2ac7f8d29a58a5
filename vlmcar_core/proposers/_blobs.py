"""What was done between two pictures, by coloured areas: for pictures that are not made of cells."""

from dataclasses import dataclass
from string import Template

import cv2
import numpy as np
from numpy.typing import NDArray

from vlmcar_core.proposers import _colour
from vlmcar_core.proposers._steps import Step
from vlmcar_core.types import Frame

AREA_MIN = 0.0004
AREA_MAX = 0.5
"""Areas below and above these shares of the picture are specks and background."""

AREA_TOLERANCE = 0.5
MOVED_MIN = 0.02
"""Of the picture's diagonal; less is jitter."""

CHANGES_MAX = 8


@dataclass(frozen=True, eq=False)
class Blob:
    """One connected area of one colour."""

    hue: int
    area: int
    box: tuple[int, int, int, int]
    """x, y, width, height."""
    centre: tuple[float, float]

    @property
    def name(self) -> str:
        return _colour.name_of(self.hue)


def steps(initial: Frame, goal: Frame) -> tuple[list[Step], list[str]]:
    """The sub-tasks, and what the two pictures did not tell."""
    before, after = blobs(initial), blobs(goal)
    pairs, gone, new = _match(before, after)
    diagonal = float(np.hypot(*initial.shape[:2]))
    moved = [(old, now) for old, now in pairs if _apart(old.centre, now.centre) > MOVED_MIN * diagonal]
    doubts = []
    if len(moved) + len(gone) + len(new) > CHANGES_MAX:
        count = len(moved) + len(gone) + len(new)
        doubts.append(f"{count} coloured areas differ between the two frames; only the largest are proposed")
    write = _Writer(before)
    found = [write.gone(blob) for blob in sorted(gone, key=lambda blob: -blob.area)[:CHANGES_MAX]]
    still = [now for old, now in pairs if (old, now) not in moved]
    found += [write.moved(old, now, still) for old, now in sorted(moved, key=lambda pair: -pair[0].area)[:CHANGES_MAX]]
    found += [write.appeared(blob) for blob in sorted(new, key=lambda blob: -blob.area)[:CHANGES_MAX]]
    return found, doubts


def blobs(image: Frame) -> list[Blob]:
    """Connected areas of one colour, largest first; greys, specks and the background are left out."""
    hsv = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), np.uint8)
    colourful = _colour.chroma(image) >= _colour.CHROMA_MIN
    size = image.shape[0] * image.shape[1]
    found: list[Blob] = []
    low = 0
    names = [*[top for top, _ in _colour.HUES], 172, 180]
    for high in names:
        inside = (hsv[..., 0] >= low) & (hsv[..., 0] < high)
        if low == 0:
            inside |= hsv[..., 0] >= 172
        if high != 180:
            found += _areas(hsv, colourful & inside, size)
        low = high
    return sorted(found, key=lambda blob: -blob.area)


def _areas(hsv: Frame, mask: NDArray[np.bool_], size: int) -> list[Blob]:
    clean = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, labels, stats, centres = cv2.connectedComponentsWithStats(clean)
    found = []
    for label in range(1, count):
        x, y, width, height, area = (int(value) for value in stats[label])
        if AREA_MIN * size <= area <= AREA_MAX * size:
            hue = int(np.bincount(hsv[..., 0][labels == label], minlength=180).argmax())
            found.append(Blob(hue, area, (x, y, width, height), (float(centres[label][0]), float(centres[label][1]))))
    return found


def _match(before: list[Blob], after: list[Blob]) -> tuple[list[tuple[Blob, Blob]], list[Blob], list[Blob]]:
    """Areas of one colour and about one size belong together, the nearest first."""
    options = sorted(
        (
            (_apart(old.centre, now.centre), number, other)
            for number, old in enumerate(before)
            for other, now in enumerate(after)
            if _colour.same_hue(old.hue, now.hue)
            and abs(old.area - now.area) <= AREA_TOLERANCE * max(old.area, now.area)
        ),
    )
    matched: dict[int, int] = {}
    for _, number, other in options:
        if number not in matched and other not in matched.values():
            matched[number] = other
    pairs = [(before[number], after[other]) for number, other in matched.items()]
    gone = [blob for number, blob in enumerate(before) if number not in matched]
    new = [blob for other, blob in enumerate(after) if other not in matched.values()]
    return pairs, gone, new


def _apart(one: tuple[float, float], other: tuple[float, float]) -> float:
    return float(np.hypot(one[0] - other[0], one[1] - other[1]))


def _inside(inner: Blob, outer: Blob) -> bool:
    x, y, width, height = outer.box
    return outer.area > inner.area and x < inner.centre[0] < x + width and y < inner.centre[1] < y + height


HEAD = Template('''"""$title

Written by: built-in, no VLM, from the pixels of two frames.
"""

import cv2
import numpy as np

COLOURFUL = 40  # largest minus smallest channel; less is grey
NEAR = 8  # hues this close are one colour (OpenCV's hue, 0 to 179)
SPECK = $speck  # areas of fewer pixels are noise


def largest(image, hue):
    """The largest connected area of a hue, bool (H, W); None where there is none."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    apart = np.abs(hsv[..., 0].astype(np.int16) - hue)
    chroma = image.max(axis=2).astype(np.int16) - image.min(axis=2)
    mask = (np.minimum(apart, 180 - apart) <= NEAR) & (chroma >= COLOURFUL)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2:
        return None
    label = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return labels == label if stats[label, cv2.CC_STAT_AREA] >= SPECK else None


def centre(mask):
    """x, y of an area's middle, in pixels."""
    ys, xs = np.nonzero(mask)
    return float(xs.mean()), float(ys.mean())

''')

IDENTIFY = Template("""
def identify_$noun(image):
    return largest(image, $hue)

""")

GONE = Template('''
def check(initial, current):
    """Done when hardly any of it is left to be seen."""
    before, now = identify_$noun(initial), identify_$noun(current)
    return before is not None and (now is None or now.sum() < 0.2 * before.sum())
''')

APPEARED = Template('''
ENOUGH = $enough  # pixels more of its colour than at first; the goal frame has twice as many


def identify_$noun(image):
    """The pixels of its colour, bool (H, W)."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    apart = np.abs(hsv[..., 0].astype(np.int16) - $hue)
    chroma = image.max(axis=2).astype(np.int16) - image.min(axis=2)
    return (np.minimum(apart, 180 - apart) <= NEAR) & (chroma >= COLOURFUL)


def check(initial, current):
    """Done when clearly more of its colour is to be seen than at first."""
    return int(identify_$noun(current).sum()) - int(identify_$noun(initial).sum()) >= ENOUGH
''')

INSIDE = Template('''
def check(initial, current):
    """Done when its middle lies inside the box around the other."""
    thing, other = identify_$noun(current), identify_$other(current)
    if thing is None or other is None:
        return False
    x, y = centre(thing)
    ys, xs = np.nonzero(other)
    return bool(xs.min() < x < xs.max() and ys.min() < y < ys.max())
''')

MOVED = Template('''
FAR = $far  # share of the way between the two frames that counts as there


def check(initial, current):
    """Progress on the way from where it was at first, by $right and $down pixels to the right and down."""
    before, now = identify_$noun(initial), identify_$noun(current)
    if before is None or now is None:
        return 0.0
    (x, y), (to_x, to_y) = centre(before), centre(now)
    way = (to_x - x) * $right + (to_y - y) * $down
    return float(min(1.0, max(0.0, way / (FAR * ($right**2 + $down**2)))))
''')


class _Writer:
    """Writes the checkers for one pair of pictures."""

    def __init__(self, before: list[Blob]) -> None:
        self._before = before
        self._speck = max(4, int(0.25 * min((blob.area for blob in before), default=16)))

    def gone(self, blob: Blob) -> Step:
        title = f"Remove the {blob.name} thing"
        return Step(
            title, self._head(title) + self._identify(blob) + GONE.substitute(noun=blob.name), self._doubt(blob)
        )

    def appeared(self, blob: Blob) -> Step:
        title = f"Bring a {blob.name} thing into view"
        check = APPEARED.substitute(noun=blob.name, hue=blob.hue, enough=max(1, blob.area // 2))
        doubt = "the initial frame does not show it, so only its colour is looked for, wherever it is"
        return Step(title, self._head(title) + check.lstrip("\n"), doubt)

    def moved(self, old: Blob, now: Blob, still: list[Blob]) -> Step:
        holder = next((other for other in still if _inside(now, other) and not _inside(old, other)), None)
        if holder is not None and holder.name != old.name:
            title = f"Bring the {old.name} thing into the {holder.name} one"
            check = INSIDE.substitute(noun=old.name, other=holder.name)
            return Step(
                title, self._head(title) + self._identify(old) + self._identify(holder) + check, self._doubt(old)
            )
        title = f"Move the {old.name} thing"
        right, down = (round(end - start) for start, end in zip(old.centre, now.centre, strict=True))
        check = MOVED.substitute(noun=old.name, far=0.9, right=right, down=down)
        doubt = (
            self._doubt(old) or "it ends beside nothing that could say where it should be: the way itself is asked for"
        )
        return Step(title, self._head(title) + self._identify(old) + check, doubt)

    def _head(self, title: str) -> str:
        return HEAD.substitute(title=title, speck=self._speck)

    def _identify(self, blob: Blob) -> str:
        return IDENTIFY.substitute(noun=blob.name, hue=blob.hue)

    def _doubt(self, blob: Blob) -> str:
        twins = sum(_colour.same_hue(other.hue, blob.hue) for other in self._before) - 1
        return f"{twins} more areas have its colour; only the largest is looked at" if twins > 0 else ""
