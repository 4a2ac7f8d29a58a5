import cv2
import numpy as np


def identify_leaf(image):
    """All yellow, bright or dark, as a mask."""
    red, green, blue = (image[..., channel].astype(int) for channel in range(3))
    return (red > 90) & (green > 90) & (blue < 60)


def identify_door(image):
    """The yellow area that is as tall as a cell, as a box."""
    cell = image.shape[0] / 6
    count, _, stats, _ = cv2.connectedComponentsWithStats(identify_leaf(image).astype(np.uint8))
    boxes = [tuple(int(v) for v in stats[number, :4]) for number in range(1, count)]
    tall = [box for box in boxes if box[3] >= 0.9 * cell]
    return tall[0] if tall else None


def check(initial, current):
    door = identify_door(initial)
    if door is None:
        return False
    x, y, width, height = door
    before = identify_leaf(initial)[y : y + height, x : x + width].sum()
    now = identify_leaf(current)[y : y + height, x : x + width].sum()
    return bool(now < 0.5 * before)
