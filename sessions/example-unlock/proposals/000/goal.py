"""Open the door (purple here)

Written by: built-in, no VLM, from the pixels of two frames.
"""

import cv2
import numpy as np

TILE = 32  # pixels per cell, measured on the two frames
SIDE = 16  # cells are compared at 16 x 16 ...
EDGE = 1  # ... without so many pixels at the left and the top, where grid lines run, and one at the others
FLAT = 20  # a cell whose brightest channel varies by less shows nothing
SAME = 0.8  # correlation from which on two looks are the same


def sampled(image):
    """The picture at SIDE x SIDE pixels a cell."""
    rows, columns = image.shape[0] // TILE, image.shape[1] // TILE
    whole = image[: rows * TILE, : columns * TILE]
    return cv2.resize(whole, (columns * SIDE, rows * SIDE), interpolation=cv2.INTER_NEAREST)


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

OPENED = picture("""
.............9
.............9
.............9
.............9
.............9
.............9
.............9
.............9
.............9
.............9
.............9
.............9
.............9
.............9
""")

DOOR = picture("""
..............
..............
..............
..............
..............
..............
..............
.......3999...
..............
..............
..............
..............
..............
..............
""")


def find_door(image):
    """Where cells look like DOOR: a list of (row, column)."""
    return alike(image, DOOR)


def identify_door(image):
    return box(find_door(image))


def identify_opened(image):
    return box(alike(image, OPENED))


def check(initial, current):
    """Done when enough of the places that looked like DOOR at first look like OPENED now."""
    opened = alike(current, OPENED)
    return sum(place in opened for place in find_door(initial)) >= 1
