import cv2


class Writer:
    def check_and_progress(self, path):
        image = cv2.imread(path)
        with open("/tmp/written-by-a-program", "w") as file:
            file.write("here")
        return image.mean() > 1
