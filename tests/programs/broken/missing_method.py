import cv2


class MissingMethod:
    def reset(self):
        self.first = None

    def check_and_progress(self, path):
        image = cv2.imread(path)
        return self.find_key(image) is None
