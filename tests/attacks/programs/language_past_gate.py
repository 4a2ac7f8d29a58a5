"""Tricks of the language that the static gate let pass when they were written: nothing but the seal is left then.

A gate that has become stricter since is no reason to take one away.
"""

from tests.attacks.attack import Attack
from tests.attacks.tools import trick

ATTACKS = (
    trick("collections-keep-sys", "collections._sys.modules", "import collections"),
    trick(
        "attrgetter",
        "operator.attrgetter('__globals__')(statistics.mean)['sys'].modules",
        "import operator\nimport statistics",
    ),
    trick("attrgetter-chain", "operator.attrgetter('sys.modules')(enum)", "import enum\nimport operator"),
    trick(
        "methodcaller",
        "operator.methodcaller('__getattribute__', 'modules')(operator.attrgetter('sys')(enum))",
        "import enum\nimport operator",
    ),
    trick(
        "match-pattern",
        "reach()",
        """
        import statistics


        def reach():
            match statistics.mean:
                case object(__globals__=found):
                    return found['sys'].modules
        """,
    ),
    trick(
        "match-pattern-of-a-module",
        "reach()",
        """
        import enum


        def reach():
            match enum:
                case object(sys=found):
                    return found.modules
        """,
    ),
    trick(
        "string-formatter",
        "string.Formatter().get_field('0.sys.modules', (enum,), {})[0]",
        "import enum\nimport string",
    ),
    trick("importlib-of-opencv", "cv2.importlib.import_module('sys').modules", "import cv2"),
    trick(
        "type-hints",
        "typing.get_type_hints(Hinted)['x'].modules",
        """
        import typing


        class Hinted:
            x: "type('Found', (), {'modules': __import__('sys').modules})"
        """,
    ),
    trick(
        "forward-reference",
        "typing.ForwardRef(\"type('Found', (), {'modules': __import__('sys').modules})\")._evaluate({}, {}, frozenset()).modules",
        "import typing",
    ),
    trick(
        "single-dispatch-hints",
        "chosen[0]",
        """
        import functools

        chosen = []


        @functools.singledispatch
        def pick(x):
            return None


        def picked(x: "chosen.append(__import__('sys').modules) or int"):
            return None


        pick.register(picked)
        """,
    ),
    trick(
        "dataclass-code",
        "dataclasses._create_fn('found', [], ['return __import__(\"sys\").modules'])()",
        "import dataclasses",
    ),
    trick(
        "dataclass-modules", "operator.attrgetter('sys.modules')(dataclasses)", "import dataclasses\nimport operator"
    ),
    trick("regular-expressions-modules", "operator.attrgetter('enum.sys.modules')(re)", "import operator\nimport re"),
    trick(
        "numpy-modules",
        "np.lib._npyio_impl.operator.attrgetter('os.sys.modules')(np.lib._npyio_impl)",
        "import numpy as np",
    ),
    trick("numpy-pickle", "np.lib._npyio_impl.pickle.loads(b'csys\\nmodules\\n.')", "import numpy as np"),
    trick(
        "numpy-vectorize",
        "np.vectorize(operator.attrgetter('sys'), otypes=[object])(enum).item().modules",
        "import enum\nimport operator\n\nimport numpy as np",
    ),
    trick(
        "fromfunction-frame",
        "walk()",
        """
        import operator

        back = operator.attrgetter('gi_frame.f_back')


        def walk():
            own = []

            def inner():
                yield operator.attrgetter('f_builtins')(back(own[0]))

            own.append(inner())
            return next(own[0])['__import__']('collections')._sys.modules
        """,
    ),
    trick(
        "traceback-by-getter",
        "caught()",
        """
        import operator


        def caught():
            try:
                1 / 0
            except ZeroDivisionError as error:
                found = operator.attrgetter('__traceback__.tb_frame.f_back.f_builtins')(error)
                return operator.attrgetter('sys.modules')(found['__import__']('enum'))
        """,
    ),
    trick(
        "exception-group",
        "caught()",
        """
        import operator


        def caught():
            try:
                raise ExceptionGroup('x', [ValueError()])
            except* ValueError as group:
                found = operator.attrgetter('__traceback__.tb_frame.f_builtins')(group)
            return found['__import__']('collections')._sys.modules
        """,
    ),
    trick(
        "class-body",
        "Found.modules",
        """
        import collections


        class Found:
            modules = collections._sys.modules
        """,
    ),
    trick("comprehension", "[m for m in [collections._sys]][0].modules", "import collections"),
    trick(
        "subclasses-by-getter",
        "reach()",
        """
        import operator


        def reach():
            every = operator.attrgetter('__class__.__base__.__subclasses__')(())()
            for each in every:
                try:
                    found = operator.attrgetter('__init__.__globals__')(each)
                except AttributeError:
                    continue
                if 'sys' in found and hasattr(found['sys'], 'modules'):
                    return found['sys'].modules
        """,
    ),
    trick(
        "descriptor",
        "Found().modules",
        """
        import collections


        class Found:
            @property
            def modules(self):
                return collections._sys.modules
        """,
    ),
    trick(
        "collected-late",
        "kept[0]",
        """
        import collections

        kept = []


        class Late:
            def __del__(self):
                kept.append(collections._sys.modules)


        Late()
        """,
    ),
    trick(
        "ctypes-by-getter",
        "operator.attrgetter('ctypeslib.ctypes._sys.modules')(np)",
        "import operator\n\nimport numpy as np",
    ),
    Attack(
        "trick-licence-printer",
        """
        def check(initial, current):
            # The interpreter's own way to print its licence, told to print another file.
            printer = license
            printer._Printer__filenames = [CANARY]
            printer._Printer__lines = None
            printer._Printer__setup()
            return any("canary" in line for line in printer._Printer__lines)
        """,
    ),
    Attack(
        "trick-numpy-opener",
        """
        import numpy as np

        def check(initial, current):
            return "canary" in np.lib._datasource.open(CANARY).read()
        """,
    ),
    Attack(
        "trick-system-by-getter",
        """
        import collections
        import operator

        def check(initial, current):
            posix = collections._sys.modules["posix"]
            return operator.attrgetter("system")(posix)("true") == 0
        """,
    ),
    Attack(
        "trick-fork-by-getter",
        """
        import collections

        def check(initial, current):
            posix = collections._sys.modules["posix"]
            child = posix.fork()
            if child == 0:
                posix._exit(0)
            posix.waitpid(child, 0)
            return True
        """,
    ),
    Attack(
        "trick-signal-by-getter",
        """
        import collections

        def check(initial, current):
            collections._sys.modules["posix"].kill(VICTIM, 23)
            return True
        """,
    ),
    Attack(
        "trick-socket-by-getter",
        """
        import collections
        import operator

        def check(initial, current):
            sockets = operator.attrgetter("__import__")(collections._sys.modules["builtins"])("_socket")
            sockets.socket(1, 1, 0).connect(chr(0) + ABSTRACT)
            return True
        """,
    ),
    Attack(
        "trick-environment-by-getter",
        """
        import collections

        def check(initial, current):
            return b"VLMCAR_API_KEY" in collections._sys.modules["posix"].environ
        """,
    ),
    Attack(
        "trick-worker-by-getter",
        """
        import collections
        import operator

        def check(initial, current):
            # From the frames below the checker to the worker's own; seen in what the app makes of it.
            frame = collections._sys._getframe()
            while frame:
                for name in list(frame.f_globals):
                    if name in ("ANSWER_TYPES", "NUMBERS", "answer_of", "progress", "_send", "send"):
                        frame.f_globals[name] = lambda *a: {"kind": "ok", "value": 9.0}
                frame = frame.f_back
            return False
        """,
        frames=2,
        seconds=0.2,
        vain=True,
        bare="nobody",
    ),
)
