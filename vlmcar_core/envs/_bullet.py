"""pybullet, imported without what it prints. Import it from here: `from vlmcar_core.envs._bullet import pybullet`."""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """What C code prints in the block is lost; it would end up among a command's own output."""
    libc = ctypes.CDLL(None)
    libc.fflush(None)
    kept = [(number, os.dup(number)) for number in (1, 2)]
    with Path(os.devnull).open("wb") as nowhere:
        for number, _ in kept:
            os.dup2(nowhere.fileno(), number)
        try:
            yield
        finally:
            libc.fflush(None)
            for number, copy in kept:
                os.dup2(copy, number)
                os.close(copy)


with quietly():
    import pybullet

__all__ = ["pybullet", "quietly"]
