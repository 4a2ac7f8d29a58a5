"""The worker's own insides: its functions, its frames, its libraries, and what it may leave for others.

Where code runs in the worker nothing can keep it from changing what the worker says about this one checker, which could
have said True anyhow. What counts is the rest: the app stands, no answer is out of range, no other checker answers
otherwise, and what is given to it next is as it was.
"""

from textwrap import dedent, indent

from tests.attacks.attack import Attack

SPOIL = '''
import gc
import sys
import types


def spoil(value):
    """Change whatever can be changed in an object."""
    for change in (
        lambda: value.setflags(write=True),
        lambda: value.fill(255),
        lambda: value.clear(),
        lambda: value.update(kind="ok", value=7.0, message="spoilt", line=-1),
        lambda: value.append(7.0),
        lambda: value.__setitem__(slice(None), bytes(len(value))),
        lambda: value.close(),
    ):
        try:
            change()
        except BaseException:
            pass


def stack():
    """The frames above the checker's own, where its worker works."""
    frame = sys._getframe(2)
    while frame is not None:
        yield frame
        frame = frame.f_back
'''


def tampers(name: str, statements: str, imports: str = "", frames: int = 4, looks: bool = True) -> Attack:
    """Says False at every frame; what it did to the worker may make that anything at all.

    Not inspected where it silences the worker: an inspection waits for that many times as long as a call may take.
    """
    body = indent(dedent(statements).strip("\n"), "    ")
    source = f"{dedent(imports)}\n\n\ndef check(initial, current):\n{body}\n    return False\n"
    return Attack(name, source, SPOIL, frames=frames, vain=True, looks=looks, bare="nobody")


ATTACKS = (
    tampers(
        "spoil-the-stack",
        """
        for frame in stack():
            for value in list(frame.f_locals.values()):
                spoil(value)
                spoil(getattr(value, '__dict__', None))
        """,
    ),
    tampers(
        "spoil-what-calls",
        """
        for frame in stack():
            for name, value in list(frame.f_globals.items()):
                if isinstance(value, types.FunctionType):
                    value.__code__ = (lambda *a, **k: 7.0).__code__
        """,
    ),
    tampers(
        "spoil-the-globals",
        """
        for frame in list(stack()):
            for name in [n for n in frame.f_globals if not n.startswith('__')]:
                frame.f_globals[name] = None
        """,
    ),
    tampers(
        "spoil-every-object",
        """
        for thing in gc.get_objects():
            if type(thing) in (list, dict) and len(thing) < 50:
                spoil(thing)
        """,
    ),
    tampers(
        "spoil-the-answers",
        """
        for thing in gc.get_objects() + gc.get_referents(*gc.get_objects()):
            if type(thing).__name__ == 'ndarray' and thing.dtype == float:
                thing[...] = number()
        """,
        """
        import numpy as np


        def number():
            return -1e300
        """,
    ),
    tampers(
        "spoil-the-answers-with-nothing",
        """
        for thing in gc.get_objects() + gc.get_referents(*gc.get_objects()):
            if type(thing).__name__ == 'ndarray' and thing.dtype == float:
                thing[...] = float('inf')
        """,
    ),
    tampers(
        "spoil-the-answers-with-faults",
        """
        for thing in gc.get_objects() + gc.get_referents(*gc.get_objects()):
            if type(thing).__name__ == 'ndarray' and thing.dtype == float:
                thing[...] = 2.0
        """,
    ),
    tampers(
        "patch-the-types-of-answers",
        """
        for module in list(sys.modules.values()):
            for name in ('ANSWER_TYPES', 'NUMBERS'):
                if hasattr(module, name):
                    setattr(module, name, {str, dict, type(None), complex})
            for name in ('answer_of', 'progress'):
                if hasattr(module, name):
                    setattr(module, name, lambda value: {'kind': 'ok', 'value': 1e308, 'message': 5})
        """,
    ),
    tampers(
        "patch-json",
        """
        json.dumps = lambda *a, **k: '{"kind": "ok", "value": 99}'
        json.loads = lambda *a, **k: {}
        json.JSONEncoder.encode = json.dumps
        """,
        "import json",
    ),
    tampers("patch-struct", "struct.Struct = struct.pack = struct.unpack = lambda *a: (0, 0)", "import struct"),
    tampers("patch-writing", "os.write = lambda file, data: len(data)", "import os", frames=1, looks=False),
    tampers(
        "patch-float",
        """
        builtins.float = lambda *a: 1e308
        builtins.min = builtins.max = lambda *a: 1e308
        builtins.isinstance = lambda *a: True
        builtins.type = lambda *a: bool
        """,
        "import builtins",
    ),
    tampers(
        "patch-exceptions",
        """
        builtins.MemoryError = builtins.OSError = builtins.ImportError = 5
        raise ValueError('x')
        """,
        "import builtins",
    ),
    tampers("patch-numpy", "np.frombuffer = np.any = np.asarray = lambda *a, **k: True", "import numpy as np"),
    tampers("patch-opencv", "cv2.cvtColor = cv2.inRange = lambda *a, **k: None", "import cv2"),
    tampers(
        "patch-modules",
        """
        for name in list(sys.modules):
            sys.modules[name] = None
        """,
    ),
    tampers(
        "patch-the-time-limit",
        """
        for frame in stack():
            for name, value in list(frame.f_globals.items()):
                if name in ('CLOCK', 'time_limit', 'on_time', 'OutOfTime'):
                    frame.f_globals[name] = type('Never', (BaseException,), {})
        """,
    ),
    tampers(
        "trace-the-worker",
        """
        sys.settrace(lambda frame, event, value: frame.f_locals.update(value=1e9))
        sys.setprofile(lambda frame, event, value: frame.f_locals.clear())
        """,
    ),
    tampers(
        "trace-the-frames-above",
        """
        def jump(frame, event, value):
            frame.f_lineno = frame.f_lineno - 1
            return jump
        for frame in stack():
            frame.f_trace = jump
        sys.settrace(jump)
        """,
    ),
    tampers(
        "warnings-as-errors",
        """
        warnings.simplefilter('error')
        sys.showwarning = None
        """,
        "import warnings",
    ),
    tampers("hooks", "sys.excepthook = sys.unraisablehook = sys.displayhook = lambda *a: os._exit(0)", "import os"),
    tampers("audit-hook", "sys.addaudithook(lambda event, values: sys.exit(event))"),
    tampers(
        "collector-callback",
        """
        gc.callbacks.append(lambda phase, info: sys.exit(phase))
        gc.set_threshold(1)
        """,
    ),
    tampers(
        "import-hook",
        """
        sys.meta_path.insert(0, None)
        sys.path_hooks.clear()
        sys.modules.pop('json', None)
        """,
    ),
    tampers(
        "output-replaced",
        """
        sys.stdout = sys.__stdout__ = sys.stderr = 7
        print('x')
        """,
    ),
    tampers("exit-at-once", "os._exit(0)", "import os", frames=4),
    tampers("exit-as-if-well", "sys.exit(0)"),
    tampers("abort", "os.abort()", "import os"),
    tampers("kill-itself", "os.kill(os.getpid(), 9)", "import os"),
    tampers("kill-itself-by-fault", "ctypes.string_at(0)", "import ctypes"),
    tampers("kill-itself-by-forbidden-call", "ctypes.CDLL(None).syscall(101, 0, 0, 0, 0)", "import ctypes"),
    tampers(
        "alarm",
        """
        signal.alarm(1)
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        """,
        "import signal",
    ),
    tampers(
        "threads-of-the-worker",
        """
        sys.setswitchinterval(1e-9)
        sys.setrecursionlimit(60)
        """,
    ),
    tampers(
        "freed-twice",
        """
        pythonapi = ctypes.pythonapi
        for thing in (initial, current, check):
            for _ in range(9):
                pythonapi.Py_DecRef(ctypes.py_object(thing))
        """,
        "import ctypes",
    ),
    tampers(
        "numbers-changed",
        """
        ctypes.memset(id(1) + 24, 9, 1)
        ctypes.memset(id(0) + 24, 9, 1)
        """,
        "import ctypes",
    ),
    tampers(
        "true-is-false",
        "ctypes.memmove(id(False) + 16, bytes(ctypes.string_at(id(True) + 16, 12)), 12)",
        "import ctypes",
    ),
    Attack(
        "poison-for-others",
        """
        import builtins
        import cv2
        import numpy as np

        def check(initial, current):
            # Seen by the honest checker beside it.
            np.core = np.any = np.all = np.sum = lambda *a, **k: 99
            builtins.int = builtins.len = builtins.sum = lambda *a, **k: 99
            cv2.setNumThreads(0)
            np.seterr(all="raise")
            return False
        """,
        frames=2,
        vain=True,
        bare="nobody",
    ),
    Attack(
        "poison-at-module-level",
        """
        import numpy as np

        np.any = np.sum = np.array = np.zeros = lambda *a, **k: 99

        def check(initial, current):
            return False
        """,
        looks=True,
        bare="nobody",
    ),
    Attack(
        "keep-state-in-the-module",
        """
        seen = []

        def check(initial, current):
            seen.append(1)
            raise RuntimeError("called %d times" % len(seen))
        """,
        frames=3,
        bare="nobody",  # state is for the gate and the linter to see; here it only must not harm anybody
    ),
)
