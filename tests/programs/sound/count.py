"""How many white squares lie inside the blue frame, with a word beside it."""

import cv2
import numpy as np


class InTheBowl:
    def reset(self):
        self.initial_path = None

    def reward(self, path):
        if self.initial_path is None:
            self.initial_path = path
        bowl = cv2.inRange(cv2.imread(self.initial_path), (200, 0, 0), (255, 60, 60))
        x, y, width, height = cv2.boundingRect(bowl)
        grey = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
        _, white = cv2.threshold(grey, 240, 255, cv2.THRESH_BINARY)
        number, _ = cv2.connectedComponents(white[y : y + height, x : x + width])
        inside = number - 1
        return "counted", inside
