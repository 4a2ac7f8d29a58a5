"""Memory that can be run: with it, code is no longer Python's, and any system call can be made in any way."""

from tests.attacks.attack import Attack, tries
from tests.attacks.tools import RUNS

MAP = "libc.mmap(None, ctypes.c_size_t(4096), {prot}, {flags}, -1, ctypes.c_long(0))"
WRITABLE = "page = libc.mmap(None, ctypes.c_size_t(4096), 3, 0x22, -1, ctypes.c_long(0))"

ATTACKS = (
    tries("memory-map-executable", "mmap.mmap(-1, 4096, prot=7)", ["mmap"]),
    tries("memory-map-shared-executable", "mmap.mmap(-1, 4096, flags=1, prot=5)", ["mmap"]),
    tries(
        "memory-own-text-writable",
        "libc.mprotect(page_of(libc.getpid), ctypes.c_size_t(4096), 7) == 0",
        tools=RUNS
        + """

def page_of(function):
    return ctypes.c_void_p(ctypes.cast(function, ctypes.c_void_p).value & ~4095)
""",
    ),
    tries("memory-own-text-by-file", "os.open('/proc/self/mem', os.O_WRONLY) >= 0", ["os"]),
    tries("memory-of-another-by-file", "os.open(f'/proc/{VICTIM}/mem', os.O_RDWR) >= 0", ["os"]),
    tries("memory-locked", "libc.mlockall(1) == 0", tools=RUNS, bare="root"),
    tries("memory-executable-by-library", "ctypes.CDLL('libutil.so.1')", ["ctypes"]),
    Attack(
        "memory-run-mapped",
        f"""
        def check(initial, current):
            return runs({MAP.format(prot=7, flags="0x22")})
        """,
        RUNS,
    ),
    Attack(
        "memory-run-after-protect",
        f"""
        def check(initial, current):
            {WRITABLE}
            ctypes.memmove(page, CODE, len(CODE))
            return libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(4096), 5) == 0 and runs(page, None)
        """,
        RUNS,
    ),
    Attack(
        "memory-run-after-call-protect",
        f"""
        def check(initial, current):
            {WRITABLE}
            ctypes.memmove(page, CODE, len(CODE))
            return call(10, page, 4096, 5) == 0 and runs(page, None)
        """,
        RUNS,
    ),
    Attack(
        "memory-run-after-key-protect",
        f"""
        def check(initial, current):
            {WRITABLE}
            ctypes.memmove(page, CODE, len(CODE))
            return call(329, page, 4096, 5, -1) == 0 and runs(page, None)
        """,
        RUNS,
    ),
    Attack(
        "memory-run-grown-stack",
        f"""
        def check(initial, current):
            page = {MAP.format(prot=7, flags="0x122")}
            return runs(page)
        """,
        RUNS,
    ),
    Attack(
        "memory-run-remapped",
        f"""
        def check(initial, current):
            # Grow executable memory that is there already: the part that is new is executable, too.
            text = ctypes.cast(libc.getpid, ctypes.c_void_p).value & ~4095
            {WRITABLE}
            moved = call(25, text, 0, 4096, 3, page)
            return moved == page and ctypes.CFUNCTYPE(ctypes.c_int)(
                page + (ctypes.cast(libc.getpid, ctypes.c_void_p).value & 4095)
            )() == os.getpid()
        """,
        RUNS,
        bare="nobody",  # private file mappings cannot be mapped a second time; asked for all the same
    ),
    Attack(
        "memory-run-from-two-views",
        """
        import mmap

        def check(initial, current):
            file = os.memfd_create("code")
            os.ftruncate(file, 4096)
            mmap.mmap(file, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE)[: len(CODE)] = CODE
            page = libc.mmap(None, ctypes.c_size_t(4096), 5, 1, file, ctypes.c_long(0))
            return page != ctypes.c_void_p(-1).value and runs(page, None)
        """,
        RUNS,
    ),
    Attack(
        "memory-run-from-file",
        """
        def check(initial, current):
            file = os.open(NEW, os.O_CREAT | os.O_RDWR)
            os.write(file, CODE + bytes(4096))
            page = libc.mmap(None, ctypes.c_size_t(4096), 5, 2, file, ctypes.c_long(0))
            return page != ctypes.c_void_p(-1).value and runs(page, None)
        """,
        RUNS,
    ),
    Attack(
        "memory-run-shared-segment",
        """
        libc.shmat.restype = ctypes.c_void_p

        def check(initial, current):
            segment = libc.shmget(0, ctypes.c_size_t(4096), 0o1700)
            if segment < 0:
                return False
            page = libc.shmat(segment, None, 0o100000)
            libc.shmctl(segment, 0, None)
            return page != ctypes.c_void_p(-1).value and runs(page)
        """,
        RUNS,
    ),
    Attack(
        "memory-run-by-personality",
        f"""
        def check(initial, current):
            # READ_IMPLIES_EXEC: what is mapped readable from here on can be run.
            libc.personality(ctypes.c_ulong(0x0400000))
            page = {MAP.format(prot=3, flags="0x22")}
            return open("/proc/self/maps").read().count("rwxp") > 0 and runs(page)
        """,
        RUNS,
    ),
    Attack(
        "memory-run-on-the-stack",
        """
        def check(initial, current):
            found = ctypes.create_string_buffer(8192)
            page = (ctypes.addressof(found) + 4095) & ~4095
            return libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(4096), 7) == 0 and runs(page)
        """,
        RUNS,
    ),
    Attack(
        "memory-call-of-32-bit",
        f"""
        def check(initial, current):
            # getpid by the number of 32-bit Linux, through int 0x80: another table, another filter.
            page = {MAP.format(prot=7, flags="0x22")}
            return runs(page, bytes.fromhex("b814000000cd80c3"), os.getpid())
        """,
        RUNS,
    ),
)
