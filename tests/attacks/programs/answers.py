"""Answers that are none, errors that are odd, and objects that lie about what they are."""

from textwrap import dedent, indent

from tests.attacks.attack import Attack
from vlmcar_core.types import OutcomeKind

BAD = {
    "nan": "float('nan')",
    "infinite": "float('inf')",
    "minus-infinite": "-float('inf')",
    "two": "2",
    "minus-one": "-1.0",
    "little-too-much": "1.01",
    "huge-integer": "10**5000",
    "huge-negative-integer": "-(10**400)",
    "nothing": "None",
    "text": "'True'",
    "bytes": "b'1'",
    "complex": "1 + 0j",
    "decimal": "decimal.Decimal(1)",
    "fraction": "fractions.Fraction(1)",
    "list": "[True]",
    "generator": "(True for _ in ())",
    "function": "check",
    "class": "float",
    "ellipsis": "...",
    "array-of-no-dimensions": "np.array(True)",
    "array-of-one": "np.array([1.0])",
    "array-of-objects": "np.array(True, object)",
    "small-float-nan": "np.float16('nan')",
    "long-double-infinite": "np.longdouble('inf')",
    "long-double-huge": "np.longdouble('1e4000')",
    "unsigned-huge": "np.uint64(2**64 - 1)",
    "time-difference": "np.timedelta64(5, 's')",
    "no-time": "np.timedelta64('NaT')",
    "date": "np.datetime64('2000-01-01')",
    "structured": "np.zeros((), 'i4,i4')[()]",
    "masked": "np.ma.masked",
    "not-implemented": "NotImplemented",
}
"""Name to an expression that is neither a bool nor a number from 0 to 1."""

LIES = {
    "subclass-of-int": """
        class Lie(int):
            def __float__(self):
                return 1.0
        """,
    "subclass-of-float": """
        class Lie(float):
            def __float__(self):
                return 1.0

            def __ge__(self, other):
                return True
        """,
    "says-it-is-bool": """
        class Lie:
            __class__ = bool

            def __bool__(self):
                return True
        """,
    "float-raises": """
        class Lie(float):
            def __float__(self):
                raise SystemExit
        """,
    "float-is-text": """
        class Lie:
            def __float__(self):
                return 'x'

            __index__ = __float__
        """,
    "hash-raises": """
        class Meta(type):
            def __hash__(cls):
                raise SystemExit

            def __eq__(cls, other):
                return True


        class Lie(metaclass=Meta):
            def __float__(self):
                return 1.0
        """,
    "name-raises": """
        class Meta(type):
            @property
            def __name__(cls):
                raise SystemExit


        class Lie(metaclass=Meta):
            pass
        """,
    "name-is-no-text": """
        class Meta(type):
            @property
            def __name__(cls):
                return 5


        class Lie(metaclass=Meta):
            pass
        """,
    "name-is-long": "Lie = type('x' * 5_000_000, (), {})\n",
    "name-has-control": "Lie = type('\\x1b[2J\\x07', (), {})\n",
    "everything-raises": """
        class Lie:
            def __getattribute__(self, name):
                raise KeyboardInterrupt
        """,
    "dies-when-freed": """
        class Lie:
            def __del__(self):
                raise SystemExit
        """,
    "subclass-of-array": """
        import numpy as np


        class Array(np.ndarray):
            def __float__(self):
                return 1.0


        def Lie():
            return np.zeros(()).view(Array)
        """,
    "array-interface": """
        class Lie:
            __array_interface__ = {'shape': (1 << 40,), 'typestr': '|u1', 'data': (1, False), 'version': 3}
        """,
}
"""Name to a class whose instance is returned."""

RAISED: dict[str, tuple[str, tuple[OutcomeKind, ...]]] = {
    "system-exit": ("raise SystemExit(0)", ("error",)),
    "keyboard-interrupt": ("raise KeyboardInterrupt", ("error",)),
    "generator-exit": ("raise GeneratorExit", ("error",)),
    "base-exception": ("raise type('Odd', (BaseException,), {})('x')", ("error",)),
    "group": ("raise BaseExceptionGroup('x', [SystemExit(), ValueError()])", ("error",)),
    "stop-iteration": ("raise StopIteration(True)", ("error",)),
    "text-lies": ("raise type('Odd', (Exception,), {'__str__': lambda self: 5})", ("error",)),
    "text-raises": ("raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})", ("error",)),
    "text-exits": ("raise type('Odd', (Exception,), {'__str__': lambda self: exit(0)})", ("error",)),
    "text-is-long": ("raise ValueError('x' * 5_000_000)", ("error",)),
    "text-has-control": ("raise ValueError('\\x1b[2J\\x00\\x07')", ("error",)),
    "text-is-surrogate": ("raise ValueError('\\ud800')", ("error",)),
    "text-subclass": (
        "raise ValueError(type('Text', (str,), {'__getitem__': lambda *a: exit(0), '__str__': lambda s: s})('x'))",
        ("error",),
    ),
    "name-is-long": ("raise type('x' * 5_000_000, (Exception,), {})", ("error",)),
    "name-has-control": ("raise type('\\x1b[2J', (Exception,), {})", ("error",)),
    "class-lies": (
        "raise type('Odd', (Exception,), {'__class__': property(lambda self: MemoryError)})('x')",
        ("error", "memory"),
    ),
    "error-number-lies": (
        "raise type('Odd', (OSError,), {'errno': property(lambda self: exit(0))})('x')",
        ("error", "denied", "crash"),
    ),
    "long-chain": (
        """
        fault = None
        for _ in range(100_000):
            fault, fault_before = ValueError(), fault
            fault.__cause__ = fault_before
        raise fault
        """,
        ("error", "crash"),
    ),
    "traceback-forged": (
        "raise ValueError().with_traceback(__import__('types').TracebackType(None, __import__('sys')._getframe(), 0, 10**6))",
        ("error",),
    ),
    "timeout-faked": ("raise TimeoutError('x')", ("error",)),
    "soft-limit-faked": (
        "raise next(value for frame in [__import__('sys')._getframe(2)] for name, value in frame.f_globals.items() if name == 'OutOfTime')",
        ("timeout", "error"),
    ),
    "memory-error-faked": ("raise MemoryError('x')", ("memory",)),
    "warning": (
        """
        __import__('warnings').warn('x' * 9999)
        return False
        """,
        ("ok",),
    ),
    "exit-builtin": ("exit(0)", ("error",)),
    "assertion": ("assert False, [0] * 1_000_000", ("error",)),
}
"""Name to statements, and how the call ends."""

SEEN = {
    "mask-of-another-shape": "image",
    "mask-of-objects": "np.full(image.shape[:2], object())",
    "mask-of-nan": "np.full(image.shape[:2], float('nan'))",
    "mask-of-no-size": "np.zeros((16, 16, 0))",
    "mask-without-memory": "np.broadcast_to(np.uint8(1), (1 << 30, 1 << 20))",
    "box-infinite": "(1, 2, float('inf'), 4)",
    "box-not-a-number": "(1, 2, float('nan'), 4)",
    "box-huge": "(1, 2, 3, 10**400)",
    "box-without-end": "iter(lambda: 1.0, 2)",
    "point-of-text": "('1', '2')",
    "number": "5",
    "text-with-control": "'\\x1b[2J'",
    "recursive": "[image].__class__([[]])",
}
"""Name to what identify_it finds."""


def _returns(name: str, value: str, before: str = "") -> Attack:
    source = f"import decimal\nimport fractions\n\nimport numpy as np\n\n{dedent(before)}\n\ndef check(initial, current):\n    return {value}\n"
    # A class whose own class lies may take its worker down with it, and harms nobody else by that.
    kinds: tuple[OutcomeKind, ...] = ("badreturn", "crash") if "Meta(type)" in before else ("badreturn",)
    return Attack(f"answer-{name}", source, kinds=kinds, looks=True, bare="nobody")


def _raises(name: str, statements: str, kinds: tuple[OutcomeKind, ...]) -> Attack:
    source = f"def check(initial, current):\n{indent(dedent(statements), '    ')}\n"
    return Attack(f"raise-{name}", source, kinds=kinds, looks=True, frames=2, bare="nobody")


def _identifies(name: str, value: str) -> Attack:
    source = f"import numpy as np\n\n\ndef identify_it(image):\n    return {value}\n\n\ndef check(initial, current):\n    return False\n"
    return Attack(f"identify-{name}", source, kinds=("ok",), looks=True, bare="nobody")


ATTACKS = (
    *(_returns(name, value) for name, value in BAD.items()),
    *(_returns(name, "Lie()", lie) for name, lie in LIES.items()),
    *(_raises(name, *raised) for name, raised in RAISED.items()),
    *(_identifies(name, value) for name, value in SEEN.items()),
)
