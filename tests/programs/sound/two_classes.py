"""Two sub-tasks in one file, and a class that is none."""

import cv2


class Settings:
    LIMIT = 30


class Brighter:
    def check_and_progress(self, path):
        mean = cv2.imread(path, 0).mean()
        if not hasattr(self, "first"):
            self.first = mean
        return mean > self.first + Settings.LIMIT


class Darker(Brighter):
    def check_and_progress(self, path):
        mean = cv2.imread(path, 0).mean()
        self.first = mean if not hasattr(self, "first") else self.first
        done = mean < self.first - Settings.LIMIT
        return done, float(mean)
