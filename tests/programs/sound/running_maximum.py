"""The largest share of the picture that was ever green."""

import cv2
import numpy as np


class Piles:
    def __init__(self, weight=1.0):
        self.best = 0.0
        self.weight = weight

    def reset(self):
        self.best = 0.0

    def reward(self, path):
        image = cv2.imread(path).astype(int)
        share = float((image[..., 1] > image[..., 0] + image[..., 2]).mean())
        self.best = max(self.best, self.weight * share)
        return self.best
