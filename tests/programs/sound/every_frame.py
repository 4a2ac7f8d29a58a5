"""Half a point in every frame in which the key is out of sight."""

import cv2


class KeyOutOfSight:
    first = None

    def reset(self):
        self.first = None

    def reward(self, path):
        picture = cv2.imread(path)
        yellow = cv2.inRange(cv2.cvtColor(picture, cv2.COLOR_BGR2HSV), (25, 100, 100), (35, 255, 255)).sum() // 255
        if self.first is None:
            self.first = yellow
        return 0.5 if yellow < self.first - 10 else 0.0
