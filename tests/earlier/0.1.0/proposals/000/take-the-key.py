"""Take the key (yellow here)

Written by: built-in, no VLM, from the pixels of two frames.
"""

import cv2
import numpy as np

TILE = 8  # pixels per cell, measured on the two frames
SIDE = 16  # cells are compared at 16 x 16 ...
EDGE = 2  # ... without so many pixels at the left and the top, where grid lines run, and one at the others
FLAT = 20  # a cell whose brightest channel varies by less shows nothing
SAME = 0.8  # correlation from which on two looks are the same


def looks(image):
    """Every cell's look: its brightest channel, centred and of length 1, so that colour and light do not matter."""
    rows, columns = image.shape[0] // TILE, image.shape[1] // TILE
    red, green, blue = cv2.split(image[: rows * TILE, : columns * TILE])
    brightest = cv2.max(cv2.max(red, green), blue)
    small = cv2.resize(brightest, (columns * SIDE, rows * SIDE), interpolation=cv2.INTER_AREA)
    cells = small.reshape(rows, SIDE, columns, SIDE).swapaxes(1, 2)[:, :, EDGE:-1, EDGE:-1]
    cells = cells.reshape(rows, columns, -1).astype(np.float32)
    flat = cells.max(axis=2) - cells.min(axis=2) < FLAT
    cells -= cells.mean(axis=2, keepdims=True)
    cells /= np.maximum(np.linalg.norm(cells, axis=2, keepdims=True), 1e-6)
    cells[flat] = 0
    return cells


def picture(text):
    """A look from its drawing: '.' is dark, 9 is bright."""
    look = np.array([[int(c) for c in line.replace(".", "0")] for line in text.split()], np.float32)
    look -= look.mean()
    return look.ravel() / np.linalg.norm(look)


def box(places):
    """The first of some (row, column) places as x, y, width, height in pixels; None where there is none."""
    return (places[0][1] * TILE, places[0][0] * TILE, TILE, TILE) if places else None


KEY = picture("""
....888877...
....888877...
....993399...
....993399...
....339933...
....339933...
....3399.....
....3399.....
....3399.....
....3399.....
....6699.....
....6699.....
.............
""")


def find_key(image):
    """Where cells look like KEY: a list of (row, column)."""
    return [(int(row), int(column)) for row, column in zip(*np.where(looks(image) @ KEY > SAME))]


def identify_key(image):
    return box(find_key(image))


def check(initial, current):
    """Done while fewer are to be seen than at first: what is taken along is not drawn."""
    return len(find_key(current)) < len(find_key(initial))
