import cv2


class NoMethod:
    def reset(self):
        self.first = None

    def judge(self, path, other):
        return cv2.imread(path) is not None
