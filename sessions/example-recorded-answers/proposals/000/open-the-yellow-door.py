import cv2
import numpy as np


def yellow_parts(image):
    """Boxes (x, y, width, height) of the connected bright yellow areas."""
    red, green, blue = (image[..., channel].astype(int) for channel in range(3))
    mask = ((red > 200) & (green > 200) & (blue < 100)).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    return [tuple(int(v) for v in stats[number, :4]) for number in range(1, count) if stats[number, 4] >= 10]


def identify_key(image):
    """The yellow thing that is smaller than a cell in both directions."""
    cell = image.shape[0] / 6
    boxes = [box for box in yellow_parts(image) if max(box[2], box[3]) < 0.9 * cell]
    return boxes[0] if boxes else None


def identify_door(image):
    """The yellow thing that is as tall as a cell."""
    cell = image.shape[0] / 6
    boxes = [box for box in yellow_parts(image) if box[3] >= 0.9 * cell]
    return boxes[0] if boxes else None


import numpy as np


def identify_leaf(image):
    """All yellow, bright or dark, as a mask."""
    red, green, blue = (image[..., channel].astype(int) for channel in range(3))
    return (red > 90) & (green > 90) & (blue < 60)


def check(initial, current):
    door = identify_door(initial)
    if door is None:
        return False
    x, y, width, height = door
    before = identify_leaf(initial)[y : y + height, x : x + width].sum()
    now = identify_leaf(current)[y : y + height, x : x + width].sum()
    return bool(now < 0.05 * before)
