"""Tricks of the language that lead from harmless names to the modules of the process, and there to a file.

These are what the static gate is for; `language_past_gate` has those that it lets pass.
"""

from tests.attacks.attack import Attack
from tests.attacks.tools import trick

ATTACKS: tuple[Attack, ...] = (
    trick(
        "subclasses",
        "next(c for c in ().__class__.__base__.__subclasses__() if c.__name__ == '_wrap_close').__init__.__globals__['sys'].modules",
    ),
    trick("builtins-of-a-module", "np.__builtins__['__import__']('sys').modules", "import numpy as np"),
    trick(
        "builtins-name",
        "__builtins__.__import__('sys').modules if hasattr(__builtins__, 'open') else __builtins__['__import__']('sys').modules",
    ),
    trick("globals-of-a-function", "statistics.mean.__globals__['sys'].modules", "import statistics"),
    trick("frame", "sys._getframe(1).f_globals['__builtins__'] and sys.modules", "import sys"),
    trick("code-of-ones-own", "(lambda: 0).__class__(compile('__import__(\"sys\").modules', '', 'eval'), {})()"),
    trick("eval", "eval('__import__(\"sys\").modules')"),
    trick(
        "exec",
        "space['x']",
        """
        space = {}
        exec('import sys\\nx = sys.modules', space)
        """,
    ),
    trick("getattr", "getattr(__import__('sys'), 'modules')"),
    trick("importlib", "importlib.import_module('sys').modules", "import importlib"),
    trick("loader-of-a-module", "np.__loader__.__init__.__globals__['sys'].modules", "import numpy as np"),
    trick("reduce", "().__reduce_ex__(2)[0].__globals__['__builtins__']['__import__']('sys').modules"),
    trick(
        "generator-frame",
        "next(up(None))",
        """
        def up(own):
            own = [None]
            def inner():
                yield own[0].gi_frame.f_back.f_builtins['__import__']('sys').modules
            own[0] = inner()
            yield next(own[0])
        """,
    ),
    trick(
        "traceback-frame",
        "caught()",
        """
        def caught():
            try:
                1 / 0
            except ZeroDivisionError as error:
                return error.__traceback__.tb_frame.f_builtins['__import__']('sys').modules
        """,
    ),
    trick(
        "collector",
        "sys_of(gc)",
        """
        import gc


        def sys_of(gc):
            gc.unfreeze()
            for thing in gc.get_objects():
                if isinstance(thing, dict) and 'posix' in thing and 'builtins' in thing and hasattr(thing['posix'], 'read'):
                    return thing
        """,
    ),
    trick(
        "closure",
        "(lambda: np).__closure__ or np.__dict__['__builtins__']['__import__']('sys').modules",
        "import numpy as np",
    ),
    trick(
        "metaclass",
        "Found.modules",
        """
        class Meta(type):
            def __prepare__(name, bases):
                return {'modules': __import__('sys').modules}


        class Found(metaclass=Meta):
            pass
        """,
    ),
    trick(
        "decorator",
        "modules",
        """
        @lambda function: __import__('sys').modules
        def modules():
            pass
        """,
    ),
    trick("pickle", "pickle.loads(b'csys\\nmodules\\n.')", "import pickle"),
    trick(
        "coroutine",
        "run()",
        """
        async def wait():
            pass


        def run():
            waiting = wait()
            frame = waiting.cr_frame
            waiting.close()
            return frame.f_builtins['__import__']('sys').modules if frame else None
        """,
    ),
    trick(
        "code-object-replaced",
        "reach()",
        """
        def reach():
            return 0


        reach.__code__ = (lambda: __import__('sys').modules).__code__
        """,
    ),
    trick("names-in-full-width", "__\uff49\uff4d\uff50\uff4f\uff52\uff54__('sys').modules"),
    trick("attributes-in-full-width", "np.__\uff42uiltins__['__import__']('sys').modules", "import numpy as np"),
    trick(
        "coding-cookie",
        "modules",
        """
        # -*- coding: rot13 -*-
        from sys import modules
        """,
    ),
    trick("form-feed", "\x0c__import__('sys').modules"),
    trick("star-import", "modules", "from sys import *"),
    trick(
        "import-in-a-string-annotation",
        "found(1)",
        """
        def found(x: 'y' = __import__('sys')):
            return found.__defaults__[0].modules
        """,
    ),
)
