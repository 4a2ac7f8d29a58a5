import numpy as np


def identify_square(image):
    """The bright green cell as a mask."""
    red, green, blue = (image[..., channel].astype(int) for channel in range(3))
    return (green > 200) & (red < 100) & (blue < 100)


def identify_agent(image):
    """The red pixels as a mask."""
    red, green, blue = (image[..., channel].astype(int) for channel in range(3))
    return (red > 200) & (green < 100) & (blue < 100)


def check(initial, current):
    square = identify_square(initial)
    if square.sum() < 50:
        return False
    return int((identify_agent(current) & square).sum()) >= 20
