"""Honest checkers, written as people and models write them: under the same seal each must answer rightly.

A seal that broke what checkers use would hold against every attack, too.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import dedent

import numpy as np

from tests.attacks.trial import Result, Verdict
from vlmcar_core.sandbox import CheckerProcess, Limits
from vlmcar_core.types import Checker, Frame, Frames

SIDE = 64
YELLOW, GREY = (240, 220, 30), (40, 40, 40)


@dataclass(frozen=True)
class Honest:
    """A checker, and what it must say about each of `scenes`."""

    name: str
    source: str
    values: tuple[float, float, float, float]
    printed: str | None = None
    """What it prints on the last scene, where that counts."""


def scene(*corners: tuple[int, int], side: int = 12) -> Frame:
    """Yellow squares on grey by their upper left corners (x, y), uint8 (64, 64, 3)."""
    frame = np.full((SIDE, SIDE, 3), GREY, np.uint8)
    for x, y in corners:
        frame[y : y + side, x : x + side] = YELLOW
    return frame


def scenes() -> Frames:
    """The first is also the initial frame: a square at the left; then at the right; none; two, far apart."""
    return np.stack([scene((6, 26)), scene((46, 26)), scene(), scene((6, 6), (46, 46))])


def judged(honest: Honest, gate: bool) -> Result:
    """Ask it about all scenes, and compare."""
    began = time.monotonic()
    failures: Sequence[str] = ()
    with CheckerProcess([Checker(honest.name, dedent(honest.source))], Limits(2.0, gate=gate)) as process:
        frames = scenes()
        outcomes = process.run(honest.name, frames[0], frames)
        seen = process.inspect(honest.name, frames[0], frames[-1])
    said = [None if outcome.value is None else round(outcome.value, 6) for outcome in outcomes]
    if said != list(honest.values):
        failures = (f"says {said}, not {list(honest.values)}: {next((o.message for o in outcomes if o.message), '')}",)
    elif honest.printed is not None and seen.printed != honest.printed:
        failures = (f"prints {seen.printed!r}, not {honest.printed!r}",)
    kinds = tuple(outcome.kind for outcome in outcomes)
    verdict: Verdict = "fails" if failures else "works"
    return Result(honest.name, "honest", verdict, tuple(failures), kinds, seconds=time.monotonic() - began)


CONTROLS = (
    Honest(
        "honest-mask",
        """
        import numpy as np

        def identify_square(image):
            return (image[..., 0] > 200) & (image[..., 2] < 80)

        def check(initial, current):
            return np.any(identify_square(current)[:, 32:])
        """,
        (0, 1, 0, 1),
    ),
    Honest(
        "honest-hsv",
        """
        import cv2
        import numpy as np

        def check(initial, current):
            hsv = cv2.cvtColor(current, cv2.COLOR_RGB2HSV)
            mask = cv2.inRange(hsv, (20, 100, 100), (35, 255, 255))
            return int(np.count_nonzero(mask)) > 150
        """,
        (0, 0, 0, 1),
    ),
    Honest(
        "honest-connected-components",
        """
        import cv2

        def check(initial, current):
            mask = (current[..., 0] > 200).astype("uint8")
            count, labels, stats, centres = cv2.connectedComponentsWithStats(mask)
            return count - 1 == 2 and stats[1, cv2.CC_STAT_AREA] == 144
        """,
        (0, 0, 0, 1),
    ),
    Honest(
        "honest-contours",
        """
        import cv2

        def check(initial, current):
            grey = cv2.cvtColor(current, cv2.COLOR_RGB2GRAY)
            _, mask = cv2.threshold(grey, 128, 255, cv2.THRESH_BINARY)
            found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            return any(cv2.boundingRect(contour)[0] > 32 for contour in found)
        """,
        (0, 1, 0, 1),
    ),
    Honest(
        "honest-blur-and-edges",
        """
        import cv2
        import numpy as np

        def check(initial, current):
            soft = cv2.GaussianBlur(cv2.cvtColor(current, cv2.COLOR_RGB2GRAY), (5, 5), 0)
            kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (3, 3))
            edges = cv2.morphologyEx(cv2.Canny(soft, 40, 120), cv2.MORPH_CLOSE, kernel)
            return bool(edges.any())
        """,
        (1, 1, 0, 1),
    ),
    Honest(
        "honest-template",
        """
        import cv2
        import numpy as np

        def check(initial, current):
            template = initial[24:40, 4:20]
            scores = cv2.matchTemplate(current, template, cv2.TM_CCOEFF_NORMED)[:, 32:]
            _, best, _, place = cv2.minMaxLoc(scores)
            return current.std() > 0 and best > 0.99 and place[0] == 12
        """,
        (0, 1, 0, 1),
    ),
    Honest(
        "honest-hough-and-moments",
        """
        import cv2

        def check(initial, current):
            moments = cv2.moments((current[..., 0] > 200).astype("uint8"), binaryImage=True)
            if moments["m00"] == 0:
                return 0.0
            return abs(moments["m10"] / moments["m00"] - 51.5) < 0.01
        """,
        (0, 1, 0, 0),
    ),
    Honest(
        "honest-label",
        """
        from skimage.measure import label, regionprops

        def check(initial, current):
            regions = regionprops(label(current[..., 0] > 200))
            return len(regions) == 2 and all(region.area == 144 for region in regions)
        """,
        (0, 0, 0, 1),
    ),
    Honest(
        "honest-skimage",
        """
        import numpy as np
        from skimage import color, morphology
        from skimage.filters import threshold_otsu
        from skimage.segmentation import clear_border

        def check(initial, current):
            lightness = color.rgb2lab(current)[..., 0]
            if np.ptp(lightness) < 1:
                return False
            mask = clear_border(lightness > threshold_otsu(lightness))
            return int(morphology.dilation(mask).sum()) > int(mask.sum()) == 144
        """,
        (1, 1, 0, 0),
    ),
    Honest(
        "honest-statistics",
        """
        import numpy as np

        def check(initial, current):
            bright = np.percentile(current[..., 0], 98)
            middle = np.median(current, axis=(0, 1))
            spread = current.astype(float).std() + np.linalg.norm(np.cov(current.reshape(-1, 3).T))
            return bright > 200 and bool((middle == 40).all()) and spread > 10
        """,
        (1, 1, 0, 1),
    ),
    Honest(
        "honest-progress",
        """
        import math

        import numpy as np

        def centre(image):
            rows, columns = np.nonzero(image[..., 0] > 200)
            return None if columns.size == 0 else (float(columns.mean()), float(rows.mean()))

        def check(initial, current):
            begun, now = centre(initial), centre(current)
            if begun is None or now is None:
                return 0.0
            return min(1.0, math.dist(begun, now) / 40)
        """,
        (0, 1, 0, 0.5),
    ),
    Honest(
        "honest-classes",
        """
        from abc import ABC, abstractmethod
        from dataclasses import dataclass, field
        from enum import Enum
        from typing import Optional

        class Side(Enum):
            LEFT = 0
            RIGHT = 1

        @dataclass(frozen=True)
        class Box:
            x: int
            width: int
            tags: list = field(default_factory=list)

            @property
            def side(self) -> Side:
                return Side.RIGHT if self.x + self.width / 2 > 32 else Side.LEFT

        class Finder(ABC):
            @abstractmethod
            def find(self, image) -> Optional[Box]: ...

        class Yellow(Finder):
            def find(self, image):
                columns = (image[..., 0] > 200).any(axis=0).nonzero()[0]
                return Box(int(columns[0]), int(columns[-1] - columns[0])) if columns.size else None

        def check(initial, current):
            found = Yellow().find(current)
            return found is not None and found.side is Side.RIGHT
        """,
        (0, 1, 0, 0),
    ),
    Honest(
        "honest-closures",
        """
        from functools import partial, reduce
        from itertools import product
        from operator import and_

        def above(channel, least):
            return lambda image: image[..., channel] > least

        def cells(count):
            return tuple(product(range(count), repeat=2))

        def check(initial, current):
            tests = [above(0, 200), above(1, 200), lambda image: image[..., 2] < 80]
            mask = reduce(and_, (test(current) for test in tests))
            full = {(x, y) for x, y in cells(4) if mask[16 * y : 16 * y + 16, 16 * x : 16 * x + 16].any()}
            return sum(x >= 2 for x, _ in full) > 0 and partial(max, default=0)(x for x, _ in full) == 3
        """,
        (0, 1, 0, 1),
    ),
    Honest(
        "honest-standard-library",
        """
        import bisect
        import collections
        import colorsys
        import fractions
        import heapq
        import re
        import statistics
        import string

        def check(initial, current):
            counts = collections.Counter(map(tuple, current.reshape(-1, 3).tolist()))
            common = heapq.nlargest(2, counts.values())
            if len(common) < 2:
                return 0
            share = fractions.Fraction(common[1], sum(common))
            hue, _, _ = colorsys.rgb_to_hsv(*(value / 255 for value in counts.most_common(2)[1][0]))
            word = re.sub(r"[^a-z]+", "", string.ascii_lowercase[bisect.bisect([0.1, 0.2], hue) :])
            return share > statistics.mean([0.05, 0.07]) and word.startswith("b")
        """,
        (0, 0, 0, 1),
    ),
    Honest(
        "honest-faults-of-its-own",
        """
        def first(image):
            try:
                return int((image[..., 0] > 200).any(axis=0).nonzero()[0][0])
            except IndexError:
                return None
            finally:
                del image

        def check(initial, current):
            try:
                return 1.0 if first(current) - first(initial) == 40 else 0.0
            except TypeError as error:
                return len(str(error)) < 0
        """,
        (0, 1, 0, 0),
    ),
    Honest(
        "honest-changes-its-frames",
        """
        import cv2

        def check(initial, current):
            current[:, :32] = 0
            initial -= initial
            cv2.rectangle(current, (0, 0), (63, 2), (0, 0, 0), -1)
            return current.max() > 200 and initial.sum() == 0
        """,
        (0, 1, 0, 1),
    ),
    Honest(
        "honest-prints",
        """
        def check(initial, current):
            count = int((current[..., 0] > 200).sum())
            print(f"{count} yellow pixels", count / current.size, sep="; ")
            return count == 288
        """,
        (0, 0, 0, 1),
        printed="288 yellow pixels; 0.0234375\n",
    ),
    Honest(
        "honest-linear-algebra",
        """
        import numpy as np

        def check(initial, current):
            points = np.argwhere(current[..., 0] > 200).astype(float)
            if len(points) < 3:
                return np.float32(0)
            _, sizes, _ = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
            waves = np.abs(np.fft.rfft2(current[..., 0]))
            solved = np.linalg.solve(np.eye(2) * 2, np.ones(2))
            kernel = np.einsum("ij,jk->ik", np.ones((3, 2)), np.ones((2, 3)))
            return np.bool_(sizes[0] > 2 * sizes[1] and waves[0, 0] > 0 and solved[0] == 0.5 and kernel.sum() == 18)
        """,
        (0, 0, 0, 1),
    ),
    Honest(
        "honest-warns",
        """
        import numpy as np

        def check(initial, current):
            empty = current[current > 250]
            ratio = np.float64(empty.size) / np.float64(0)
            return np.isnan(ratio) and current[..., 0].max() > 200
        """,
        (1, 1, 0, 1),
    ),
)
