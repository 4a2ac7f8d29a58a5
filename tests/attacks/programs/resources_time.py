"""Time without end, and ways to get around the clock; what must hold is seen in how and when the call ends."""

from textwrap import dedent, indent

from tests.attacks.attack import Attack
from tests.attacks.tools import FORGE
from vlmcar_core.types import OutcomeKind

ENDED: tuple[OutcomeKind, ...] = ("timeout",)
STOPPED: tuple[OutcomeKind, ...] = ("timeout", "denied", "crash", "error")


def endless(name: str, statements: str, imports: str = "", kinds: tuple[OutcomeKind, ...] = ENDED) -> Attack:
    """Never returns by itself, so it cannot be tried where nothing ends it."""
    body = indent(dedent(statements).strip("\n"), "    ")
    source = f"{imports}\n\n\ndef check(initial, current):\n{body}\n    return True\n"
    return Attack(name, source, kinds=kinds, seconds=0.2, lifts=False, bare="nobody")


ATTACKS = (
    endless(
        "time-loop",
        """
        while True:
            pass
        """,
    ),
    endless(
        "time-loop-that-catches",
        """
        while True:
            try:
                while True:
                    pass
            except BaseException:
                pass
        """,
    ),
    endless(
        "time-loop-in-finally",
        """
        try:
            while True:
                pass
        finally:
            while True:
                pass
        """,
    ),
    endless("time-recursive-generators", "list(zip(*[iter(int, 1)] * 2))", kinds=("timeout", "memory", "crash")),
    endless("time-regular-expression", "re.match('(a+)+$', 'a' * 60 + 'b')", "import re"),
    endless("time-power", "9 ** 9 ** 9"),
    endless(
        "time-digits",
        """
        sys.set_int_max_str_digits(0)
        str(7 ** 10_000_000)
        """,
        "import sys",
        ("timeout", "rejected"),
    ),
    endless("time-sum", "sum(range(10 ** 14))"),
    endless("time-membership", "10 ** 14 in iter(range(10 ** 15))"),
    endless("time-deque", "collections.deque(itertools.repeat(0), maxlen=0)", "import collections, itertools"),
    endless("time-permutations", "max(itertools.permutations(range(40)))", "import itertools"),
    endless(
        "time-eigenvalues",
        "np.linalg.eig(np.sin(np.arange(9e6)).reshape(3000, 3000))",
        "import numpy as np",
        ("timeout", "memory"),
    ),
    endless("time-convolution", "np.convolve(np.ones(2_000_000), np.ones(2_000_000))", "import numpy as np"),
    endless(
        "time-opencv-filter",
        """
        cv2.medianBlur(np.zeros((4000, 4000), np.uint8), 99)
        while True:
            cv2.bilateralFilter(np.zeros((900, 900, 3), np.uint8), 99, 99, 99)
        """,
        "import cv2\nimport numpy as np",
    ),
    endless(
        "time-sleep",
        """
        while True:
            time.sleep(600)
        """,
        "import time",
        STOPPED,
    ),
    endless(
        "time-wait-for-signal",
        """
        while True:
            signal.pause()
        """,
        "import signal",
        STOPPED,
    ),
    endless(
        "time-wait-for-nothing",
        """
        while True:
            select.select([], [], [])
        """,
        "import select",
        STOPPED,
    ),
    endless(
        "time-wait-for-lock",
        """
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
        """,
        "import threading",
        STOPPED,
    ),
    endless(
        "time-read-the-channel",
        """
        for file in range(64):
            try:
                os.read(file, 1 << 20)
            except OSError:
                pass
        while True:
            pass
        """,
        "import os",
        ("timeout", "crash"),
    ),
    endless(
        "time-stop-itself",
        """
        while True:
            os.kill(os.getpid(), 19)
        """,
        "import os",
        STOPPED,
    ),
    endless(
        "time-clock-stopped",
        """
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        while True:
            pass
        """,
        "import signal",
        STOPPED,
    ),
    endless(
        "time-clock-ignored",
        """
        signal.signal(signal.SIGPROF, signal.SIG_IGN)
        while True:
            pass
        """,
        "import signal",
        STOPPED,
    ),
    endless(
        "time-clock-handled",
        """
        signal.signal(signal.SIGPROF, lambda *_: None)
        while True:
            pass
        """,
        "import signal",
        STOPPED,
    ),
    endless(
        "time-clock-blocked",
        """
        signal.pthread_sigmask(0, range(1, 65))
        while True:
            pass
        """,
        "import signal",
        STOPPED,
    ),
    endless(
        "time-termination-ignored",
        """
        for number in range(1, 65):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        while True:
            pass
        """,
        "import signal",
        STOPPED,
    ),
    endless(
        "time-tracing",
        """
        sys.settrace(lambda *_: None)
        while True:
            pass
        """,
        "import sys",
        STOPPED,
    ),
    endless(
        "time-profile-that-catches",
        """
        sys.setprofile(lambda *_: sys.exc_info())
        while True:
            pass
        """,
        "import sys",
        STOPPED,
    ),
    Attack(
        "time-at-module-level",
        """
        while True:
            try:
                while True:
                    pass
            except BaseException:
                pass

        def check(initial, current):
            return True
        """,
        kinds=("timeout", "rejected"),
        seconds=0.2,
        bare="nobody",
    ),
    Attack(
        "time-when-compared",
        """
        class Slow(float):
            def __float__(self):
                while True:
                    pass

            __eq__ = __le__ = __ge__ = __lt__ = __gt__ = __bool__ = lambda self, *other: Slow.__float__(self)

        def check(initial, current):
            return Slow(1.0)
        """,
        kinds=("badreturn", "timeout"),
        bare="nobody",
    ),
    Attack(
        "time-in-the-text-of-an-error",
        """
        class Slow(Exception):
            def __str__(self):
                while True:
                    pass

        def check(initial, current):
            raise Slow
        """,
        kinds=("error", "timeout"),
        bare="nobody",
    ),
    Attack(
        "time-in-the-text-of-an-error-that-catches",
        """
        class Slow(Exception):
            def __str__(self):
                while True:
                    try:
                        while True:
                            pass
                    except BaseException:
                        pass

        def check(initial, current):
            raise Slow
        """,
        kinds=("error", "timeout"),
        seconds=0.2,
        bare="nobody",
    ),
    Attack(
        "time-when-collected",
        """
        class Late:
            def __del__(self):
                while True:
                    pass

        def check(initial, current):
            late = Late()
            return False
        """,
        kinds=("timeout", "ok"),
        bare="nobody",
    ),
    Attack(
        "time-in-a-name-of-a-class",
        """
        class Meta(type):
            @property
            def __name__(self):
                while True:
                    pass

        class Odd(metaclass=Meta):
            pass

        def check(initial, current):
            return Odd()
        """,
        kinds=("badreturn", "timeout"),
        seconds=0.2,
        bare="nobody",
    ),
    Attack(
        "time-in-what-is-identified",
        """
        def identify_forever(image):
            while True:
                pass

        def identify_without_end(image):
            return iter(int, 1)

        def check(initial, current):
            return False
        """,
        seconds=0.1,
        looks=True,
        bare="nobody",
    ),
    Attack(
        "time-progress-faked",
        """
        import gc

        def check(initial, current):
            # What tells the app that frames get answered is written by the worker: write it to and fro.
            gc.unfreeze()
            held = [thing for thing in gc.get_objects() + gc.get_referents(*gc.get_objects()) if is_answers(thing)]
            while True:
                try:
                    while True:
                        for value in (0.0, float("nan")):
                            for array in held:
                                array[...] = value
                            for _ in range(300_000):
                                pass
                except BaseException:
                    pass

        def is_answers(thing):
            return type(thing).__name__ == "ndarray" and thing.dtype == float and thing.size <= 4096
        """,
        kinds=("timeout", "crash"),
        seconds=0.2,
        bare="nobody",
    ),
    Attack(
        "time-answers-taken-back",
        """
        import gc

        def check(initial, current):
            # The answer about the frame before is gone at the end, and is asked for again, and again.
            gc.unfreeze()
            for thing in gc.get_objects() + gc.get_referents(*gc.get_objects()):
                if type(thing).__name__ == "ndarray" and thing.dtype == float and thing.size <= 4096:
                    thing[...] = float("nan")
            return False
        """,
        kinds=("timeout", "crash", "ok"),
        frames=2,
        bare="nobody",
    ),
    Attack(
        "time-message-trickled",
        """
        import time

        def check(initial, current):
            # A message that is never at its end, a byte now and then, so that there always is something to read.
            forge(b"F", b"{", claims=(900_000, 0))
            while True:
                try:
                    while True:
                        begun = time.perf_counter()
                        while time.perf_counter() < begun + 0.002:
                            pass
                        for file in range(8):
                            try:
                                os.write(file, b"x")
                            except OSError:
                                pass
                except BaseException:
                    pass
        """,
        FORGE,
        kinds=("timeout", "crash"),
        seconds=0.2,
        bare="nobody",
    ),
    Attack(
        "time-messages-flooding",
        """
        def check(initial, current):
            # As much as a message may carry, as often as there are frames.
            while True:
                try:
                    forge(b"F", {"kind": "error", "frame": 0}, bytes(60_000_000))
                except BaseException:
                    pass
        """,
        FORGE,
        kinds=("timeout", "crash"),
        seconds=0.2,
        bare="nobody",
    ),
)
