"""Memory, stack, descriptors and disk without end, and sources that are hard to read.

Programs that would take all of a machine's memory stop at three times what they may have.
"""

from textwrap import dedent

from tests.attacks.attack import Attack, tries
from tests.attacks.tools import CALLS
from vlmcar_core.types import OutcomeKind

REFUSED: tuple[OutcomeKind, ...] = ("memory", "denied", "error", "crash", "timeout")


def hoards(name: str, step: str, imports: str = "import numpy as np", bytes_each: int = 16 << 20) -> Attack:
    """Holds three times the memory that it may."""
    source = f"""{dedent(imports)}


def check(initial, current):
    held = []
    for number in range({(768 << 20) // bytes_each}):
        held.append({step})
    return True
"""
    return Attack(name, source, kinds=REFUSED, seconds=4.0, lifts=False)


ATTACKS = (
    hoards("memory-arrays", "np.ones(16 << 20, np.uint8)"),
    hoards("memory-bytes", "bytes([number]) * (16 << 20)"),
    hoards("memory-strings", "'x' * (16 << 20)"),
    hoards("memory-lists", "[number] * (2 << 20)"),
    hoards("memory-small-objects", "[[]] and [[None] for _ in range(160_000)]"),
    hoards("memory-opencv", "cv2.resize(current, (4096, 1366)).copy()", "import cv2"),
    hoards("memory-big-number", "1 << (128 << 20)"),
    hoards(
        "memory-mapped",
        "touch(mmap.mmap(-1, 16 << 20))",
        """
        import mmap


        def touch(found):
            found[:: 4096] = bytes(4096)
            return found
        """,
    ),
    hoards(
        "memory-c-heap",
        "libc.memset(ctypes.c_void_p(libc.malloc(ctypes.c_size_t(16 << 20))), 1, ctypes.c_size_t(16 << 20))",
        """
        import ctypes

        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.c_void_p
        """,
    ),
    Attack(
        "memory-file-in-memory",
        """
        import os

        def check(initial, current):
            file = os.memfd_create("hoard")
            for _ in range(48):
                os.write(file, bytes(16 << 20))
            return True
        """,
        kinds=REFUSED,
    ),
    Attack(
        "memory-limit-lifted",
        """
        import resource
        import numpy as np

        def check(initial, current):
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            return np.ones(768 << 20, np.uint8)[-1] == 1
        """,
        kinds=REFUSED,
        seconds=4.0,
        lifts=False,
    ),
    Attack(
        "memory-one-great-array",
        """
        import numpy as np

        def check(initial, current):
            return np.zeros(8 << 30, np.uint8)[-1] == 0
        """,
        kinds=("memory",),
        lifts=False,
    ),
    Attack(
        "memory-in-an-error",
        """
        def check(initial, current):
            raise ValueError("x" * (60 << 20))
        """,
        kinds=("error",),
        lifts=False,
        bare="nobody",
    ),
    Attack(
        "memory-printed",
        """
        def check(initial, current):
            for _ in range(200):
                print("x" * (1 << 20))
            return False
        """,
        seconds=2.0,
        looks=True,
        bare="nobody",
    ),
    Attack(
        "memory-printed-to-errors",
        """
        import sys

        def check(initial, current):
            for stream in (sys.stderr, sys.__stderr__, sys.__stdout__):
                print("x" * (1 << 20), file=stream)
            return False
        """,
        looks=True,
        bare="nobody",
    ),
    Attack(
        "memory-identified",
        """
        def identify_much(image):
            return [1.0] * 20_000_000

        def identify_wide(image):
            return "x" * 20_000_000

        def check(initial, current):
            return False
        """,
        looks=True,
        lifts=False,
        bare="nobody",
    ),
    Attack(
        "memory-many-identified",
        """
        for number in range(20_000):
            globals()[f"identify_{number}_" + "x" * 50] = lambda image: image[..., 0]

        def check(initial, current):
            return False
        """,
        looks=True,
        bare="nobody",
    ),
    Attack(
        "stack-recursion",
        """
        def check(initial, current):
            return check(initial, current)
        """,
        kinds=("error",),
        bare="nobody",
    ),
    Attack(
        "stack-recursion-unlimited",
        """
        import sys

        def deeper(thing):
            return deeper([thing]) or 0

        def check(initial, current):
            sys.setrecursionlimit(10**9)
            return repr(deeper([]))
        """,
        kinds=("crash", "error", "memory", "timeout"),
        bare="nobody",
    ),
    Attack(
        "stack-deep-list",
        """
        import copy

        def check(initial, current):
            nest = []
            for _ in range(300_000):
                nest = [nest]
            return copy.deepcopy(nest) is nest
        """,
        kinds=("error", "crash", "memory", "timeout"),
        bare="nobody",
    ),
    Attack("stack-deep-source", "(" * 20_000 + ")" * 20_000, kinds=("error", "rejected", "memory"), bare="nobody"),
    Attack(
        "stack-deep-expression",
        "x = " + "-" * 40_000 + "1",
        kinds=("error", "rejected", "memory", "crash"),
        bare="nobody",
    ),
    Attack(
        "stack-deep-attributes", "x = a" + ".b" * 25_000, kinds=("error", "rejected", "memory", "crash"), bare="nobody"
    ),
    Attack("source-too-large", "x = 1\n" * 30_000, kinds=("error", "rejected"), bare="nobody"),
    Attack("source-constant-folding", "x = 9 ** 9 ** 9 ** 9\n", kinds=("error", "rejected", "timeout"), bare="nobody"),
    Attack("source-nul", "x = 1\0\ndef check(a, b):\n    return True\n", kinds=("error", "rejected"), bare="nobody"),
    Attack("source-surrogate", "x = '\ud800'\ndef check(a, b):\n    return x == ''\n", kinds=None, bare="nobody"),
    Attack(
        "descriptors-all",
        """
        import os

        def check(initial, current):
            count = 0
            try:
                for _ in range(500):
                    os.pipe()
                    count += 1
            except OSError:
                pass
            return count > 0
        """,
    ),
    Attack(
        "disk-filled",
        """
        def check(initial, current):
            with open(NEW, "wb") as file:
                for _ in range(8):
                    file.write(bytes(1 << 20))
            return True
        """,
        kinds=("denied", "error", "crash"),
    ),
    tries("limits-lifted", "call(302, 0, 9, b'\\xff' * 16, 0) == 0", tools=CALLS),
    tries("limits-of-time-lifted", "call(302, 0, 0, b'\\xff' * 16, 0) == 0", tools=CALLS),
)
