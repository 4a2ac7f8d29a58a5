"""Bring the red triangle onto the green square

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

SQUARE_HUE = 60  # OpenCV's hue of the flat coloured square, 0 to 179
ACTOR_HUE = 0  # and of what comes to stand on it
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
