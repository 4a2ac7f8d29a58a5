"""Processes, programs and threads that are started."""

from tests.attacks.attack import Attack, tries
from tests.attacks.tools import CALLS

FORKED = """
def forked(child):
    if child == 0:
        libc._exit(0)
    if child > 0:
        libc.waitpid(ctypes.c_int(child), None, 0x40000000)  # __WALL
    return child > 0
"""

ATTACKS = (
    tries("process-subprocess", "subprocess.run(['/bin/true']).returncode == 0", ["subprocess"]),
    tries("process-subprocess-shell", "subprocess.getoutput('echo x') == 'x'", ["subprocess"]),
    tries("process-system", "os.system('true') == 0", ["os"]),
    tries("process-popen", "os.popen('echo x').read()", ["os"]),
    tries("process-posix-spawn", "os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)[1] == 0", ["os"]),
    tries("process-spawn", "os.spawnv(os.P_WAIT, '/bin/true', ['true']) == 0", ["os"]),
    tries("process-execv", "os.execv('/bin/sh', ['sh', '-c', ': > ' + NEW])", ["os"]),
    tries("process-libc-system", "libc.system(b'true') == 0", tools=CALLS),
    tries("process-libc-execve", "libc.execl(b'/bin/sh', b'sh', b'-c', b': > ' + NEW.encode(), None)", tools=CALLS),
    tries("process-libc-fork", "forked(libc.fork())", tools=CALLS + FORKED),
    tries("process-call-fork", "forked(call(57))", tools=CALLS + FORKED),
    tries("process-call-clone", "forked(call(56, 17, 0, 0, 0, 0))", tools=CALLS + FORKED),
    tries("process-clone-vfork", "forked(call(56, 0x4000 | 17, 0, 0, 0, 0))", tools=CALLS + FORKED),
    tries("process-clone-beside", "forked(call(56, 0x8000 | 17, 0, 0, 0, 0))", tools=CALLS + FORKED),
    tries("process-clone-new-user", "forked(call(56, 0x10000000 | 17, 0, 0, 0, 0))", tools=CALLS + FORKED),
    tries("process-clone-without-signal", "forked(call(56, 0, 0, 0, 0, 0))", tools=CALLS + FORKED),
    tries("process-call-vfork-surface", "reached(56, 0x1000)", tools=CALLS),  # an impossible set of flags
    tries("process-clone3-surface", "reached(435, 0, 0)", tools=CALLS),
    tries("process-find-library", "ctypes.util.find_library('m')", ["ctypes.util"]),
    tries("process-asyncio", "asyncio.run(asyncio.create_subprocess_exec('/bin/true'))", ["asyncio"]),
    tries("process-pty", "pty.spawn('/bin/true') == 0", ["pty"]),
    Attack(
        "process-fork",
        """
        import os

        def check(initial, current):
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)
            return child > 0
        """,
    ),
    Attack(
        "process-forkpty",
        """
        import os

        def check(initial, current):
            child, terminal = os.forkpty()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)
            return True
        """,
    ),
    Attack(
        "process-clone3",
        """
        import struct

        def check(initial, current):
            return forked(call(435, struct.pack("<8Q", 0, 0, 0, 0, 17, 0, 0, 0), 64))
        """,
        CALLS + FORKED,
    ),
    Attack(
        "process-daemon",
        """
        import os
        import time

        def check(initial, current):
            # Seen from outside only: what was started twice removed belongs to nobody.
            child = os.fork()
            if child == 0:
                os.setsid()
                if os.fork() == 0:
                    time.sleep(20)
                os._exit(0)
            os.waitpid(child, 0)
            return False
        """,
    ),
    Attack(
        "process-fork-bomb",
        """
        import os
        import signal
        import time

        def check(initial, current):
            children = []
            for _ in range(32):
                try:
                    child = os.fork()
                except OSError:
                    break
                if child == 0:
                    time.sleep(5)
                    os._exit(0)
                children.append(child)
            for child in children:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
            return len(children) > 0
        """,
    ),
    Attack(
        "process-exec-from-memory",
        """
        import os

        def check(initial, current):
            program = os.memfd_create("program", 0)
            os.write(program, f"#!/bin/sh\\n: > {NEW}\\n".encode())
            os.execve(program, ["x"], {})
        """,
    ),
    Attack(
        "process-multiprocessing",
        """
        import multiprocessing

        def check(initial, current):
            process = multiprocessing.get_context("fork").Process(target=print)
            process.start()
            process.join()
            return process.exitcode == 0
        """,
    ),
    Attack(
        "process-pool",
        """
        from concurrent.futures import ProcessPoolExecutor

        def check(initial, current):
            with ProcessPoolExecutor(1) as pool:
                return pool.submit(abs, -1).result() == 1
        """,
    ),
    Attack(
        "thread-threading",
        """
        import threading

        def check(initial, current):
            seen = []
            thread = threading.Thread(target=seen.append, args=(1,))
            thread.start()
            thread.join()
            return seen == [1]
        """,
    ),
    Attack(
        "thread-that-stays",
        """
        import _thread
        import time

        def check(initial, current):
            # Seen from outside.
            _thread.start_new_thread(time.sleep, (30,))
            return False
        """,
    ),
    Attack(
        "thread-timer",
        """
        import threading

        def check(initial, current):
            threading.Timer(30.0, print).start()
            return False
        """,
    ),
    Attack(
        "thread-pool",
        """
        from concurrent.futures import ThreadPoolExecutor

        def check(initial, current):
            return ThreadPoolExecutor(1).submit(abs, -1).result() == 1
        """,
    ),
    Attack(
        "thread-call-clone",
        """
        def check(initial, current):
            # The C library's own function as what the thread does, on a stack of ours: VM, FS, FILES, SIGHAND, THREAD.
            stack = ctypes.create_string_buffer(65536)
            top = (ctypes.addressof(stack) + 65536) & ~15
            work = ctypes.cast(libc.getpid, ctypes.c_void_p)
            return libc.clone(work, ctypes.c_void_p(top), 0x10F00, None) > 0
        """,
        CALLS,
    ),
    Attack(
        "thread-of-opencv",
        """
        import cv2
        import numpy as np

        def check(initial, current):
            # The gate lets it pass; seen from outside.
            cv2.setNumThreads(4)
            cv2.GaussianBlur(np.zeros((1500, 1500, 3), np.uint8), (31, 31), 0)
            return False
        """,
        seconds=2.0,
    ),
    Attack(
        "thread-of-asyncio",
        """
        import asyncio

        def check(initial, current):
            return asyncio.run(asyncio.to_thread(abs, -1)) == 1
        """,
    ),
)
