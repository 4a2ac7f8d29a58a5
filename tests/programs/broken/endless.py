import cv2


class Endless:
    def reset(self):
        self.seen = 0

    def check_and_progress(self, path):
        cv2.imread(path)
        self.seen += 1
        while self.seen == 3:
            pass
        return False
