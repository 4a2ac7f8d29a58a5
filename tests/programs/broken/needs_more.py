import cv2


class NeedsMore:
    def __init__(self, threshold):
        self.threshold = threshold

    def check_and_progress(self, path):
        return cv2.imread(path).mean() > self.threshold
