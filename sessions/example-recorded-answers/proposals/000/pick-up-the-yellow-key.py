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


def check(initial, current):
    return identify_key(initial) is not None and identify_key(current) is None
