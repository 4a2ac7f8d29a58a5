"""DoorKey in three stages: the key is taken, the door is open, the agent stands on the goal."""

import cv2
import numpy as np


def colored(image, low, high):
    return cv2.inRange(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), low, high) > 0


class DoorKey:
    def __init__(self):
        self.reset()

    def reset(self):
        self.first = None
        self.stage = 0

    def identify_yellow(self, image):
        return colored(image, (25, 100, 100), (35, 255, 255))

    def identify_goal(self, image):
        return colored(image, (50, 100, 150), (70, 255, 255))

    def check_and_progress(self, path):
        image = cv2.imread(path)
        yellow = int(self.identify_yellow(image).sum())
        goal = int(self.identify_goal(image).sum())
        if self.first is None:
            self.first = (yellow, goal)
            return 0.0
        was, goal_was = self.first
        if self.stage == 0 and yellow < was - 10:
            self.stage, self.without_key = 1, yellow
        elif self.stage == 1 and yellow < 0.7 * self.without_key:
            self.stage = 2
        if self.stage == 2 and goal < 0.9 * goal_was:
            self.stage = 3
        return self.stage / 3


if __name__ == "__main__":
    import sys

    program = DoorKey()
    for name in sys.argv[1:]:
        print(name, program.check_and_progress(name))
