"""The frames that a checker is given: what it does to them must not be seen by its next call, nor by the app."""

from tests.attacks.attack import Attack

ATTACKS = (
    Attack(
        "change-the-frames",
        """
        def check(initial, current):
            changed = bool((initial != 7).any() or current.any())
            initial[:] = 255
            current[:] = 255
            return changed
        """,
        frames=3,
    ),
    Attack(
        "change-the-frames-by-flags",
        """
        def check(initial, current):
            changed = bool((initial != 7).any() or current.any())
            for array in (initial, current):
                while array is not None and hasattr(array, "flags"):
                    try:
                        array.flags.writeable = True
                    except ValueError:
                        pass
                    else:
                        array[:] = 255
                    array = array.base
            return changed
        """,
        frames=3,
    ),
    Attack(
        "change-the-frames-by-address",
        """
        import ctypes
        import gc

        def check(initial, current):
            changed = bool((initial != 7).any() or current.any())
            for array in (initial, current):
                ctypes.memset(array.__array_interface__["data"][0], 255, array.size)
            return changed
        """,
        frames=3,
    ),
    Attack(
        "change-the-frames-of-all",
        """
        import ctypes
        import gc
        import mmap
        import numpy as np

        def check(initial, current):
            # Whatever memory of frames there is in the process: arrays, views, maps.
            changed = bool((initial != 7).any() or current.any())
            gc.unfreeze()
            for thing in gc.get_objects() + gc.get_referents(*gc.get_objects()):
                if type(thing) in (np.ndarray, memoryview, mmap.mmap) and type(thing) is not np.ufunc:
                    try:
                        view = np.frombuffer(thing, np.uint8)
                        view.flags.writeable = True
                        view[:] = 255
                    except (ValueError, TypeError, BufferError):
                        pass
            return changed
        """,
        frames=2,
        vain=True,  # the frames of its own next call, at most: the answers about them are its own, too
        bare="nobody",
    ),
    Attack(
        "change-the-frames-by-forged-interface",
        """
        import numpy as np

        class Window:
            def __init__(self, array):
                self.__array_interface__ = {**array.__array_interface__}
                self.__array_interface__["data"] = (array.__array_interface__["data"][0], False)

        def check(initial, current):
            changed = bool((initial != 7).any() or current.any())
            np.asarray(Window(initial))[:] = 255
            np.asarray(Window(current))[:] = 255
            return changed
        """,
        frames=3,
    ),
    Attack(
        "change-the-frames-by-strides",
        """
        import numpy as np

        def check(initial, current):
            changed = bool((initial != 7).any() or current.any())
            view = np.lib.stride_tricks.as_strided(current, writeable=True)
            view[:] = 255
            return changed
        """,
        frames=3,
        bare="nobody",  # there it depends on where the frames lie
    ),
    Attack(
        "change-the-frames-by-opencv",
        """
        import cv2

        def check(initial, current):
            # The gate lets it pass: OpenCV writes where NumPy would not.
            changed = bool((initial != 7).any() or current.any())
            try:
                cv2.rectangle(initial, (0, 0), (16, 16), (255, 255, 255), -1)
            finally:
                cv2.rectangle(current, (0, 0), (16, 16), (255, 255, 255), -1)
            return changed
        """,
        frames=3,
    ),
)
