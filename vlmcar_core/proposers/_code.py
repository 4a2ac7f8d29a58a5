"""The source of checkers that read a picture cell by cell: a few fragments, put together.

What is written must be read: names for numbers, a picture for a look, one idea a function.
"""

from string import Template

import numpy as np

from vlmcar_core.proposers._cells import Look

HEAD = Template('''"""$title

Written by: built-in, no VLM, from the pixels of two frames.
"""

import cv2
import numpy as np

TILE = $tile  # pixels per cell, measured on the two frames
SIDE = 16  # cells are compared at 16 x 16 ...
EDGE = $margin  # ... without so many pixels at the left and the top, where grid lines run, and one at the others
FLAT = 20  # a cell whose brightest channel varies by less shows nothing
SAME = 0.8  # correlation from which on two looks are the same


def sampled(image):
    """The picture at SIDE x SIDE pixels a cell."""
    rows, columns = image.shape[0] // TILE, image.shape[1] // TILE
    whole = image[: rows * TILE, : columns * TILE]
    return cv2.resize(whole, (columns * SIDE, rows * SIDE), interpolation=$how)


def cells(image):
    """Every cell's brightest channel, so that colour does not matter, row by row: uint8 (cells, pixels)."""
    rows, columns = image.shape[0] // TILE, image.shape[1] // TILE
    red, green, blue = cv2.split(sampled(image))
    brightest = cv2.max(cv2.max(red, green), blue)
    inside = brightest.reshape(rows, SIDE, columns, SIDE).swapaxes(1, 2)[:, :, EDGE:-1, EDGE:-1]
    return inside.reshape(rows * columns, -1)


def alike(image, *pictures):
    """Where cells look like one of some pictures, whatever the light: a list of (row, column)."""
    seen = cells(image)
    values = seen.astype(np.float32)
    total = values.sum(axis=1)
    spread = np.sqrt(np.maximum(np.einsum("cp,cp->c", values, values) - total * total / values.shape[1], 1))
    correlation = np.max([values @ picture for picture in pictures], axis=0) / spread
    places = np.flatnonzero((correlation > SAME) & (seen.max(axis=1) - seen.min(axis=1) >= FLAT))
    return [divmod(int(place), image.shape[1] // TILE) for place in places]


def picture(text):
    """A cell from its drawing, centred and of length 1: '.' is dark, 9 is bright."""
    look = np.array([[int(c) for c in line.replace(".", "0")] for line in text.split()], np.float32)
    look -= look.mean()
    return look.ravel() / np.linalg.norm(look)


def box(places):
    """The first of some (row, column) places as x, y, width, height in pixels; None where there is none."""
    return (places[0][1] * TILE, places[0][0] * TILE, TILE, TILE) if places else None

''')

DRAWING = Template('''
$name = picture("""
$drawing
""")
''')

FIND = Template('''

def find_$noun(image):
    """Where cells look like $const: a list of (row, column)."""
    return alike(image, $const)


def identify_$noun(image):
    return box(find_$noun(image))
''')

FIND_COLOURED = Template('''
${const}_HUE = $hue  # OpenCV's hue, 0 to 179: more than one cell looks like it, so its colour counts


def hue_near(image, place, wanted):
    """Whether the colourful pixels of a cell have this hue."""
    row, column = place
    cell = image[row * TILE + 1 : (row + 1) * TILE, column * TILE + 1 : (column + 1) * TILE]
    hsv = cv2.cvtColor(np.ascontiguousarray(cell), cv2.COLOR_RGB2HSV)
    colourful = hsv[..., 1].astype(int) * hsv[..., 2] > 40 * 255
    if wanted is None or not colourful.any():
        return (wanted is None) == (not colourful.any())
    apart = abs(int(np.bincount(hsv[..., 0][colourful]).argmax()) - wanted)
    return min(apart, 180 - apart) <= 8


def find_$noun(image):
    """Where cells look like $const and have its colour: a list of (row, column)."""
    return [place for place in alike(image, $const) if hue_near(image, place, ${const}_HUE)]


def identify_$noun(image):
    return box(find_$noun(image))
''')

GONE = Template('''

def check(initial, current):
    """Done while fewer are to be seen than at first: what is taken along is not drawn."""
    return len(find_$noun(current)) < len(find_$noun(initial))
''')

MOVED = Template('''

def check(initial, current):
    """Done when it has left the place where it was at first."""
    now = find_$noun(current)
    return any(place not in now for place in find_$noun(initial))
''')

CHANGED = Template('''

def identify_opened(image):
    return box(alike(image, OPENED))


def check(initial, current):
    """Done when enough of the places that looked like $const at first look like OPENED now."""
    opened = alike(current, OPENED)
    return sum(place in opened for place in find_$noun(initial)) >= $count
''')

ENTERED = Template('''

def check(initial, current):
    """Done when a place that looked like $const at first no longer does: it is open, or somebody stands in it."""
    now = find_$noun(current)
    return any(place not in now for place in find_$noun(initial))
''')

STANDS_ON = Template('''
SQUARE_HUE = $square_hue  # OpenCV's hue of the flat coloured square, 0 to 179
ACTOR_HUE = $actor_hue  # and of what comes to stand on it
NEAR = 8  # hues this close are one colour
COLOURFUL = 40  # largest minus smallest channel; a mix with white light keeps the hue


def of_hue(image, wanted):
    """Which pixels have this hue, bool (H, W)."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    low, high = wanted - NEAR, wanted + NEAR
    masks = [cv2.inRange(hsv, (max(low, 0), 1, 1), (min(high, 179), 255, 255))]
    if low < 0:
        masks.append(cv2.inRange(hsv, (low + 180, 1, 1), (179, 255, 255)))
    if high > 179:
        masks.append(cv2.inRange(hsv, (0, 1, 1), (high - 180, 255, 255)))
    red, green, blue = cv2.split(image)
    chroma = cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue))
    return (np.maximum.reduce(masks) > 0) & (chroma >= COLOURFUL)


def identify_square(image):
    """The cell that is covered by the square's colour: x, y, width, height."""
    rows, columns = image.shape[0] // TILE, image.shape[1] // TILE
    shares = of_hue(sampled(image), SQUARE_HUE).reshape(rows, SIDE, columns, SIDE).mean(axis=(1, 3))
    row, column = np.unravel_index(int(shares.argmax()), shares.shape)
    return (int(column) * TILE, int(row) * TILE, TILE, TILE) if shares[row, column] > 0.85 else None


def identify_actor(image):
    """The pixels of its colour."""
    return of_hue(image, ACTOR_HUE)


def check(initial, current):
    """Done when the actor's colour is on the square, which the episode's first frame shows."""
    square = identify_square(initial)
    if square is None:
        return False
    x, y, width, height = square
    cell = np.ascontiguousarray(current[y : y + height, x : x + width])
    return float(of_hue(cell, ACTOR_HUE).mean()) > 0.08
''')

BESIDE = Template('''

def check(initial, current):
    """Done when the two are in neighbouring cells$corners, and were not at first."""
    return near(current) and not near(initial)


def near(image):
    return any(
        $distance == 1
        for a, b in find_$noun(image)
        for c, d in find_$other(image)
    )
''')

FIND_ACTOR = Template('''

def find_$noun(image):
    """Where cells look like $const in any of its four headings: a list of (row, column)."""
    side = SIDE - EDGE - 1
    return alike(image, *[np.rot90($const.reshape(side, side), turns).ravel() for turns in range(4)])


def identify_$noun(image):
    return box(find_$noun(image))
''')


def drawing(look: Look) -> str:
    """A look as lines of digits: '.' is 0, 9 is 1."""
    levels = np.clip(np.rint(look * 9), 0, 9).astype(int)
    return "\n".join("".join("." if level == 0 else str(level) for level in row) for row in levels)
