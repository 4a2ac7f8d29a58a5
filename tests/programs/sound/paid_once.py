"""+1 the first time that the key is gone; nothing afterwards."""

import cv2


class TakeKey:
    def __init__(self):
        self.start = None
        self.paid = False

    def count_yellow(self, image):
        hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
        return cv2.countNonZero(cv2.inRange(hsv, (25, 100, 100), (35, 255, 255)))

    def reward(self, image_path):
        seen = self.count_yellow(cv2.imread(image_path))
        if self.start is None:
            self.start = seen
        if seen < self.start - 10 and not self.paid:
            self.paid = True
            return 1
        return 0

    def reset(self):
        self.__init__()
