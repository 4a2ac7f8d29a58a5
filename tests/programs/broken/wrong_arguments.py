import cv2


class WrongArguments:
    def reset(self):
        self.first = None

    def distance(self, one, other):
        return cv2.absdiff(one, other).mean()

    def check_and_progress(self, path):
        image = cv2.imread(path)
        return self.distance(image) > 1
