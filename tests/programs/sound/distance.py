"""How much nearer the gripper's red tip came to the yellow target: (d0 - d) / d0, and 1 more once it is there."""

import math

import cv2
import numpy as np


class Reach:
    NEAR = 0.25

    def __init__(self):
        self.first_distance = None
        self.there = False

    def identify_target(self, image):
        return self._middle(image, (20, 120, 120), (35, 255, 255))

    def identify_tip(self, image):
        return self._middle(image, (170, 120, 120), (180, 255, 255))

    @staticmethod
    def _middle(image, low, high):
        mask = cv2.inRange(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), low, high)
        moments = cv2.moments(mask, binaryImage=True)
        if moments["m00"] == 0:
            return None
        return moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]

    def reward(self, path):
        image = cv2.imread(path)
        target, tip = self.identify_target(image), self.identify_tip(image)
        if target is None or tip is None:
            return 0.0
        distance = math.dist(target, tip)
        if self.first_distance is None:
            self.first_distance = distance
        value = (self.first_distance - distance) / self.first_distance
        if distance < self.NEAR * self.first_distance and not self.there:
            self.there = True
            value += 1
        return value
