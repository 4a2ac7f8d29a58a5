import cv2


class UndefinedName:
    def reset(self):
        self.first = None

    def reward(self, path):
        image = cv2.imread(path)
        if self.first is None:
            self.first = image
            return 0.0
        return float(np.abs(image - self.first).mean() > 1)
