"""True once the door stands open; says nothing otherwise."""

from cv2 import COLOR_BGR2HSV, cvtColor, imread, inRange

START = None


class Unlock:
    def reset(self):
        global START
        START = None

    def check_and_progress(self, path):
        global START
        yellow = (inRange(cvtColor(imread(path), COLOR_BGR2HSV), (25, 100, 100), (35, 255, 255)) > 0).sum()
        if START is None:
            START = yellow
        if yellow < 0.5 * START:
            return True
