"""The source of a checker that knows figures by colours of their own."""

from string import Template

ARRIVED = Template('''"""$title

Written by: built-in, no VLM, from the pixels of two frames.
"""

import cv2
import numpy as np

MOVER = [$mover_colours]  # red, green, blue: in the first frame nothing else has these
COVERED = [$covered_colours]
LEVELS = 2  # by so much a colour may be off
ENOUGH = $enough  # pixels of who came must be seen
LEFT = $left  # of what was there so much may still be seen
CLOSE = $close  # pixels between the middle of who came and where the middle of what was there was


def of_colours(image, colours):
    """The pixels of one of these colours: bool (H, W)."""
    found = np.zeros(image.shape[:2], np.uint8)
    for colour in colours:
        low = tuple(max(level - LEVELS, 0) for level in colour)
        high = tuple(min(level + LEVELS, 255) for level in colour)
        found |= cv2.inRange(image, low, high)
    return found > 0


def identify_$mover(image):
    return of_colours(image, MOVER)


def identify_$covered(image):
    return of_colours(image, COVERED)


def check(initial, current):
    """Done when who came hides what was there at first, and is close to where that was."""
    there, came = identify_$covered(initial), identify_$mover(current)
    still = identify_$covered(current) & there
    if not there.any() or came.sum() < ENOUGH or still.sum() > LEFT * there.sum():
        return False
    apart = np.argwhere(came).mean(axis=0) - np.argwhere(there).mean(axis=0)
    return bool(np.hypot(*apart) <= CLOSE)
''')
