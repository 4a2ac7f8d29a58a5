"""The source of checkers that read a picture by its colours: a few fragments, put together."""

from string import Template

HEAD = Template('''"""$title

Written by: built-in, no VLM, from the pixels of two frames.
"""

import cv2
import numpy as np

VIEWS = $views  # the columns from a up to b of every view in the picture
COLOURFUL = 40  # largest minus smallest channel; less is grey
SPECK = $speck  # areas of fewer pixels are noise


def of_hue(image, hue, near):
    """The pixels of a hue (OpenCV's, 0 to 179) or so near to it, without specks: bool (H, W)."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    low, high = hue - near, hue + near
    mask = cv2.inRange(hsv, (max(low, 0), 1, 1), (min(high, 179), 255, 255))
    if low < 0:
        mask |= cv2.inRange(hsv, (low + 180, 1, 1), (179, 255, 255))
    if high > 179:
        mask |= cv2.inRange(hsv, (0, 1, 1), (high - 180, 255, 255))
    red, green, blue = cv2.split(image)
    chroma = cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue))
    mask = cv2.bitwise_and(mask, cv2.compare(chroma, COLOURFUL, cv2.CMP_GE))
    found = np.zeros(mask.shape, bool)
    x, y, width, height = cv2.boundingRect(mask)
    if width:
        part = np.s_[y : y + height, x : x + width]
        _, labels, stats, _ = cv2.connectedComponentsWithStats(mask[part])
        large = stats[:, cv2.CC_STAT_AREA] >= SPECK
        large[0] = False
        found[part] = large[labels]
    return found

''')

IDENTIFY = Template("""
def identify_$noun(image):
    return of_hue(image, $hue, $near)

""")

MIDDLE = '''
def middle(mask):
    """x, y of an area's middle, in pixels; None where there is nothing."""
    ys, xs = np.nonzero(mask)
    return (float(xs.mean()), float(ys.mean())) if len(xs) else None

'''

OUTLINES = '''
def outlines(mask):
    """Every connected area, filled to its convex outline: uint8 (H, W), 1 inside."""
    filled = np.zeros(mask.shape, np.uint8)
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    for contour in contours:
        cv2.fillConvexPoly(filled, cv2.convexHull(contour), 1)
    return filled

'''

OVER = Template('''
ON = 1.05  # 1 is the edge of the other, across; what stands on an edge is just on it
TALL = $tall  # pixels that the middle of what stands on the other is above its middle, at most


def check(initial, current):
    """Done when it stands on the other, which stays where it is: what either frame shows of that counts. All views
    together tell where it stands."""
    thing, place = identify_$noun(current), identify_$other(initial) | identify_$other(current)
    shares = []
    for a, b in VIEWS:
        at, columns, other = middle(thing[:, a:b]), np.flatnonzero(place[:, a:b].any(axis=0)), middle(place[:, a:b])
        if at is None or other is None or abs(at[1] - other[1]) > TALL:
            return False  # what a view does not show cannot be told
        half = (columns[-1] - columns[0] + 1) / 2
        shares.append((at[0] - (columns[0] + columns[-1]) / 2) / half)
    return bool(np.linalg.norm(shares) <= ON)
''')

CLOSE = Template('''
CLOSE = $close  # pixels between their middles; the goal frame has $measured


def apart(one, other):
    """Pixels between the middles of two areas, across in each view that shows both, and down; None where none does."""
    ways = []
    for a, b in VIEWS:
        first, second = middle(one[:, a:b]), middle(other[:, a:b])
        if first is not None and second is not None:
            ways.append((first[0] - second[0], abs(first[1] - second[1])))
    if not ways:
        return None
    return float(np.hypot(np.linalg.norm([x for x, _ in ways]), np.mean([y for _, y in ways])))


def check(initial, current):
    """Done when the two are close together$where."""
    distance = apart(identify_$noun(current), $there)
    return distance is not None and distance <= CLOSE
''')

COUNTED = Template('''
SHARE = $share  # of their area; $why
EDGE = 5  # half so many pixels, rounded down, outside the outlines still count


def check(initial, current):
    """Progress: how much of them lies within the other's outlines, or hardly outside, of what is wanted; the other
    stays where it was at first."""
    region = cv2.dilate(outlines(identify_$other(initial)), np.ones((EDGE, EDGE), np.uint8)).astype(bool)
    there = gained = 0.0
    for identify in ($things):
        before, now = identify(initial), identify(current)
        there += float(before.sum())
        gained += float((now & region).sum()) - float((before & region).sum())
    return min(1.0, max(0.0, gained / (SHARE * there))) if there else False
''')

GONE = Template('''
def check(initial, current):
    """Done when hardly any of it is left, and its place shows what was around it: a thing that is hidden behind
    another is not gone."""
    before, now = identify_$noun(initial), identify_$noun(current)
    if not before.any() or now.sum() > 0.2 * before.sum():
        return False
    around = cv2.dilate(before.astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool) & ~before
    ground = np.median(initial[around], axis=0)
    return bool((np.abs(current[before].astype(int) - ground).max(axis=1) <= 25).mean() > 0.5)
''')

APPEARED = Template('''
ENOUGH = $enough  # pixels more of its colour than at first; the goal frame has twice as many


def check(initial, current):
    """Done when clearly more of its colour is to be seen than at first."""
    return int(identify_$noun(current).sum()) - int(identify_$noun(initial).sum()) >= ENOUGH
''')

MOVED = Template('''
RIGHT, DOWN = $right, $down  # the way between the two frames, pixels
FAR = 0.9  # share of the way that counts as there


def check(initial, current):
    """Progress on the way from where it was at first."""
    a, b = VIEWS[0]
    before, now = middle(identify_$noun(initial)[:, a:b]), middle(identify_$noun(current)[:, a:b])
    if before is None or now is None:
        return 0.0
    way = (now[0] - before[0]) * RIGHT + (now[1] - before[1]) * DOWN
    return float(min(1.0, max(0.0, way / (FAR * (RIGHT**2 + DOWN**2)))))
''')

LINED_UP = Template('''
NARROW = $narrow  # how wide they lie, over how long; the goal frame has $measured


def check(initial, current):
    """Done when what is seen of its colour lies along a line, and is no shorter seen than half of what it was."""
    a, b = VIEWS[0]
    before, now = identify_$noun(initial)[:, a:b], identify_$noun(current)[:, a:b]
    if now.sum() < max(SPECK, before.sum() / 2):
        return False
    along, across = np.sqrt(np.linalg.svd(np.cov(np.argwhere(now).T))[1])
    return bool(across <= NARROW * along)
''')
