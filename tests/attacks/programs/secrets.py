"""What may not be known: keys, environment, the app's memory, other checkers' frames.

The runner has a secret in its environment, in its memory, in the canary file and in the honest checker's initial frame.
"""

from tests.attacks.attack import Attack, tries
from tests.attacks.tools import CALLS, LOOT

ATTACKS = (
    tries("secret-environment", "found(repr(dict(os.environ)))", ["os"], LOOT),
    tries("secret-environment-bytes", "found(repr(os.environb))", ["os"], LOOT),
    tries("secret-getenv", "libc.getenv(b'VLMCAR_API_KEY')", tools=CALLS),
    tries("secret-posix-environment", "found(repr(posix.environ))", ["posix"], LOOT),
    tries("secret-own-environment-file", "found(open('/proc/self/environ', 'rb').read())", tools=LOOT),
    tries("secret-parents-environment-file", "found(open(f'/proc/{os.getppid()}/environ', 'rb').read())", ["os"], LOOT),
    tries("secret-runners-environment-file", "found(open(f'/proc/{RUNNER}/environ', 'rb').read())", tools=LOOT),
    tries("secret-runners-command-line", "open(f'/proc/{RUNNER}/cmdline').read()"),
    tries("secret-runners-descriptors", "os.listdir(f'/proc/{RUNNER}/fd')", ["os"]),
    tries("secret-processes", "len([name for name in os.listdir('/proc') if name.isdigit()]) > 1", ["os"]),
    tries("secret-parents-memory-file", "os.open(f'/proc/{os.getppid()}/mem', 0) >= 0", ["os"]),
    tries("secret-home", "os.path.isdir(os.path.expanduser('~root') if os.getuid() == 0 else '/home')", ["os"]),
    tries("secret-host-name", "os.uname().nodename", ["os"]),
    tries("secret-user-names", "pwd.getpwall()", ["pwd"]),
    Attack(
        "secret-runners-memory-file",
        """
        def check(initial, current):
            with open(f"/proc/{RUNNER}/mem", "rb", 0) as memory:
                memory.seek(SECRET_AT)
                return found(memory.read(SECRET_BYTES))
        """,
        LOOT,
    ),
    Attack(
        "secret-runners-memory-by-readv",
        """
        import struct

        def check(initial, current):
            data = ctypes.create_string_buffer(SECRET_BYTES)
            ours = struct.pack("<QQ", ctypes.addressof(data), SECRET_BYTES)
            theirs = struct.pack("<QQ", SECRET_AT, SECRET_BYTES)
            call(310, RUNNER, ours, 1, theirs, 1, 0)
            return found(data.raw)
        """,
        CALLS + LOOT,
    ),
    Attack(
        "secret-runners-memory-by-ptrace",
        """
        def check(initial, current):
            # SEIZE does not stop it; PEEK then fails, so reading goes through the file that tracing opens.
            if call(101, 0x4206, RUNNER, 0, 0) != 0:
                return False
            with open(f"/proc/{RUNNER}/mem", "rb", 0) as memory:
                memory.seek(SECRET_AT)
                return found(memory.read(SECRET_BYTES))
        """,
        CALLS + LOOT,
    ),
    Attack(
        "secret-runners-memory-written",
        """
        import struct

        def check(initial, current):
            data = ctypes.create_string_buffer(b"changed")
            ours, theirs = struct.pack("<QQ", ctypes.addressof(data), 7), struct.pack("<QQ", SCRATCH_AT, 7)
            return call(311, RUNNER, ours, 1, theirs, 1, 0) == 7
        """,
        CALLS,
    ),
    Attack(
        "secret-runners-descriptor",
        """
        def check(initial, current):
            handle = call(434, RUNNER, 0)
            return any(call(438, handle, file, 0) >= 0 for file in range(16))
        """,
        CALLS,
    ),
    Attack(
        "secret-on-the-stack",
        """
        def check(initial, current):
            # The C library's own pointer to the environment, as it was handed to the process.
            environment = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, "environ")
            number = 0
            while environment[number]:
                if found(environment[number]):
                    return True
                number += 1
            return False
        """,
        CALLS + LOOT,
    ),
    Attack(
        "secret-among-all-objects",
        """
        import gc

        def check(initial, current):
            # What the zygote has frozen is thawed first.
            gc.unfreeze()
            for thing in gc.get_objects():
                for inside in gc.get_referents(thing):
                    if type(inside) is dict:
                        inside = repr(inside)[:65536]
                    if type(inside) in (str, bytes) and found(inside):
                        return True
            return False
        """,
        LOOT,
        seconds=4.0,
    ),
    Attack(
        "secret-in-modules",
        """
        import sys

        def check(initial, current):
            for module in list(sys.modules.values()):
                for value in list(vars(module).values()):
                    if type(value) in (str, bytes, list, dict) and found(repr(value)[:20000]):
                        return True
            return False
        """,
        LOOT,
        seconds=4.0,
        bare="nobody",  # os.environ is no plain dictionary; looked for by the others
    ),
    Attack(
        "secret-in-memory-around",
        """
        def check(initial, current):
            # MADV_POPULATE_READ tells what is there and can be read, without a crash where not.
            size = 65536
            heap = libc.sbrk(ctypes.c_long(0))
            starts = [heap - (160 << 20), id(object()) - (64 << 20), id(found) - (64 << 20)]
            for start in starts:
                for address in range(start & ~(size - 1), start + (160 << 20), size):
                    if libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(size), 22) == 0:
                        if found(ctypes.string_at(address, size)):
                            return True
            return False
        """,
        CALLS.replace("libc.mmap.restype", "libc.sbrk.restype = ctypes.c_void_p\nlibc.mmap.restype") + LOOT,
        seconds=6.0,
    ),
    Attack(
        "secret-in-fresh-arrays",
        """
        import numpy as np

        def check(initial, current):
            # What is not cleared may hold another's frames. The gate lets it pass.
            for size in (768, 4096, 65536, 1 << 20, 8 << 20):
                for _ in range(8):
                    if found(np.empty(size, np.uint8).tobytes()):
                        return True
            return False
        """,
        LOOT,
        bare="nobody",  # there are no others
    ),
    Attack(
        "secret-beyond-the-frames",
        """
        import numpy as np

        def check(initial, current):
            # Around the frames that it was given lie others. The gate lets it pass.
            base = initial
            while base.base is not None and hasattr(base.base, "base"):
                base = base.base
            wide = np.lib.stride_tricks.as_strided(initial.reshape(-1), (1 << 16,), (1,))
            return found(wide.tobytes()) or found(np.asarray(base).tobytes())
        """,
        LOOT,
        frames=2,
        bare="nobody",  # there are no others
    ),
    Attack(
        "secret-by-forged-array",
        """
        import numpy as np

        def check(initial, current):
            # An array of objects over bytes of ours: any address is an object. The gate lets it pass.
            address = np.frombuffer(initial.tobytes()[:8], np.uint64).copy()
            forged = np.ndarray((1,), "O", buffer=address)
            fake = np.array([2, id(bytes), 1 << 20, 0, 0, 0, 0, 0], np.uint64)
            address[0] = id(fake) and fake.__array_interface__["data"][0]
            return found(forged[0])
        """,
        LOOT,
        bare="nobody",  # it reads what lies beside it, and mostly crashes
    ),
    Attack(
        "secret-by-forged-array-past-the-gate",
        """
        import numpy as np

        def check(initial, current):
            # An object pointer made of pixels: the crash that follows is the attacker's own.
            address = np.zeros(1, np.uint64)
            address[0] = id(initial) + 16
            forged = np.ndarray((1,), "O", buffer=address)
            return found(str(forged[0]))
        """,
        LOOT,
        bare="nobody",
    ),
    Attack(
        "secret-by-message",
        """
        import os

        def check(initial, current):
            # Nothing is claimed from inside; the runner looks at what comes out.
            raise ValueError(os.environ["VLMCAR_API_KEY"])
        """,
        looks=True,
    ),
    Attack(
        "secret-by-name-of-an-object",
        """
        import os

        def identify_it(image):
            return type(os.environ.get("VLMCAR_API_KEY", "none"), (), {})()

        def check(initial, current):
            return type(os.environ.get("VLMCAR_API_KEY", "none"), (), {})()
        """,
        looks=True,
        bare="nobody",  # what check returned is not looked at there
    ),
)
