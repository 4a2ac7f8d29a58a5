"""Source that attacks share. It is read by checkers, never imported; and `trick`, which puts some of it together."""

from textwrap import dedent

from tests.attacks.attack import Attack

CALLS = '''
import ctypes
import errno
import os

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
libc.mmap.restype = ctypes.c_void_p


def call(number, *arguments):
    """What the kernel returned, or minus the number of its error."""
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    found = libc.syscall(ctypes.c_long(number), *words)
    return -ctypes.get_errno() if found == -1 else found


def reached(number, *arguments):
    """Whether the kernel looked at the call at all; a wrong argument is reason enough for it to refuse afterwards."""
    return call(number, *arguments) not in (-errno.EPERM, -errno.EACCES, -errno.ENOSYS)
'''
"""System calls by number, as on x86-64."""

RUNS = (
    CALLS
    + '''

CODE = b"\\xb8\\x2a\\x00\\x00\\x00\\xc3"  # mov eax, 42; ret


def runs(address, code=CODE, says=42):
    """Write machine code there, unless it is there already, and run it."""
    if code is not None:
        ctypes.memmove(address, code, len(code))
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)() == says
'''
)
"""Machine code, of x86-64."""

LOOT = '''
import re

MARK = re.compile(b"vlmcar-" + b"canary-[0-9a-f]{28}")


def found(data):
    """Whether there is a secret in it; it is printed, so that it is also met where output goes."""
    if isinstance(data, str):
        data = data.encode("utf-8", "replace")
    secret = MARK.search(bytes(data))
    if secret:
        print(secret.group().decode())
    return secret is not None
'''
"""Looks for what may not be known. The gate lets it pass."""

REACH = '''
def loot(modules):
    """Read the canary with what a trick laid open: the modules of the process."""
    resource = modules.get("resource")
    if resource is not None:
        try:
            resource.setrlimit(7, (64, 64))
        except (OSError, ValueError):
            pass
    posix = modules["posix"]
    return b"canary" in posix.read(posix.open(CANARY, 0), 99)
'''
"""What a trick of the language is for. The gate lets it pass."""

FORGE = '''
import json
import os
import struct
import sys

wire = sys.modules.get("vlmcar_core.sandbox.inside.wire")
HEADER = struct.Struct("<II") if wire is None else wire.HEADER


def forge(operation, text, payload=b"", claims=None):
    """Write a message of one's own to every descriptor; `claims` are lengths of text and payload that lie."""
    if not isinstance(text, bytes):
        text = json.dumps(text).encode()
    lengths = claims or (len(text), len(payload))
    head = HEADER.pack(*lengths) if HEADER.size == 8 else HEADER.pack(operation[0], *lengths)
    for file in range(64):
        try:
            os.write(file, head + text + payload)
        except (OSError, BlockingIOError):
            pass
'''
"""Messages in the form of the worker's own; `test_the_forger_speaks_the_workers_language` sees that it still is."""


def trick(name: str, modules: str, before: str = "") -> Attack:
    """Reach the modules of the process by an expression, and read the canary with them."""
    source = f"{dedent(before)}\n\n\ndef check(initial, current):\n    return loot({modules})\n"
    return Attack(f"trick-{name}", source, REACH)
