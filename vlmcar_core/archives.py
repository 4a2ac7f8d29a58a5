"""Zip files, and NumPy arrays in them, from anybody: read within bounds, never unpacked to disk, never unpickled.

Only what is asked for by name is read. Refused are: more names than fit a small table of contents, a name twice,
members that share bytes (a zip bomb's way to be small), encrypted ones, methods of compression whose reader cannot be
bounded (bzip2, LZMA: a few bytes give gigabytes at once), and members larger than their reader wants. An array's header
must announce exactly the bytes that follow it, in a plain number's or text's type; nothing is allocated for what a
header merely says. `numpy.load` is not used: it allocates first, and evaluates the header as Python.
"""

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vlmcar_core import files
from vlmcar_core.errors import DamagedFile

CONTENTS_LIMIT_BYTES = 2 * 1024 * 1024
"""Of a zip's table of contents: about 30,000 names."""

PIECE_BYTES = 1024 * 1024
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 0x1
LOCAL_HEADER_BYTES = 30
FAULTS = (
    *(zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, RuntimeError),
    *(NotImplementedError, OverflowError, IndexError, KeyError, TypeError),
)
"""What the standard library's reader raises on damaged files."""

NPY = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([<>|][biufU][0-9]{1,5})', 'fortran_order': (False|True), "
    rb"'shape': \(([0-9]{0,12}(?:, ?[0-9]{1,12}){0,3}),?\), \} *\n",
    re.DOTALL,
)
"""An array's beginning, as `numpy.save` writes it for numbers and texts of up to four axes (NEP 1)."""

DIMENSIONS_MAX = 4
CODE_POINT_MAX = 0x10FFFF
SURROGATES = (0xD800, 0xDFFF)


class SupportsWrite(Protocol):
    """What a member is written to, a piece at a time."""

    def write(self, data: bytes, /) -> object: ...


class Archive:
    """A zip file that is open for reading."""

    def __init__(self, file: Any, name: str) -> None:
        """Raises `DamagedFile`: it is none that is read; `name` is what messages call it."""
        self.name = name
        try:
            self._zip = zipfile.ZipFile(_Bounded(file))
            self._members = self._checked()
        except FAULTS as error:
            raise self._damaged(f"is not a zip file that can be read ({_why(error)})") from error

    def _checked(self) -> dict[str, zipfile.ZipInfo]:
        infos = self._zip.infolist()
        members = {info.filename: info for info in infos}
        if len(members) != len(infos):
            raise ValueError("it holds a name twice")
        for before, after in pairwise(sorted(infos, key=lambda info: info.header_offset)):
            if before.header_offset + LOCAL_HEADER_BYTES + before.compress_size > after.header_offset:
                raise ValueError("its members share bytes")
        return members

    @property
    def names(self) -> list[str]:
        return list(self._members)

    def size(self, member: str) -> int:
        """How many bytes a member is said to have, unpacked; never more are read of it."""
        return self._members[member].file_size

    def mode(self, member: str) -> int:
        """What kind of file a member was, as `stat.S_IFMT` gives it; 0 where that is not told."""
        return stat.S_IFMT(self._members[member].external_attr >> 16)

    def read(self, member: str, limit: int) -> bytes:
        """One member, unpacked.

        Raises:
            DamagedFile: there is none by this name, or it cannot be read within `limit` bytes.
        """
        buffer = io.BytesIO()
        self.copy(member, buffer, limit)
        return buffer.getvalue()

    def copy(self, member: str, target: SupportsWrite, limit: int) -> None:
        """Write one member, unpacked, a piece at a time; raises as `read` does, with a part of it written."""
        try:
            info = self._members[member]
            if info.flag_bits & ENCRYPTED or info.compress_type not in METHODS:
                raise ValueError("it is encrypted or packed by a method that is not read")
            if info.file_size > limit:
                raise ValueError(f"it is larger than {limit / 2**20:.0f} MiB")
            with self._zip.open(info) as stream:
                # The stream gives no more than `file_size` bytes, and of these no more than asked for at a time.
                for piece in iter(lambda: stream.read(PIECE_BYTES), b""):
                    target.write(piece)
        except KeyError as error:
            raise self._damaged(f"holds no {member}") from error
        except FAULTS as error:
            raise self._damaged(f"holds a {member} that cannot be read ({_why(error)})") from error

    def arrays(self, limit: int) -> dict[str, NDArray[Any]]:
        """Every array of an .npz file, by its name without `.npy`.

        Args:
            limit: of all of them together, unpacked, in bytes.
        """
        if sum(info.file_size for info in self._members.values()) > limit:
            raise self._damaged(f"holds arrays larger than {limit / 2**20:.0f} MiB")
        try:
            return {name.removesuffix(".npy"): array(self.read(name, limit)) for name in self.names}
        except FAULTS as error:
            raise self._damaged(f"holds an array that cannot be read ({_why(error)})") from error

    def arrays_in(self, member: str, limit: int) -> dict[str, NDArray[Any]]:
        """Every array of an .npz file that is a member of this one."""
        return Archive(io.BytesIO(self.read(member, limit)), f"{self.name}: {member}").arrays(limit)

    def _damaged(self, what: str) -> DamagedFile:
        return DamagedFile(f"{self.name} {what}; restore it or move it away")


@contextmanager
def opened(path: Path, limit: int) -> Iterator[Archive]:
    """A zip file of a session.

    Raises:
        FileNotFoundError: there is none.
        DamagedFile: it is none that is read, or larger than `limit` bytes.
    """
    with files.opened(path, limit) as file:
        yield Archive(file, files.label(path.name))


def packed(arrays: Mapping[str, ArrayLike], quick: bool = False) -> bytes:
    """Arrays as an .npz file; larger, and sooner done, where it is to be quick."""
    buffer = io.BytesIO()
    (np.savez if quick else np.savez_compressed)(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def array(data: bytes) -> NDArray[Any]:
    """The array in an .npy file.

    Raises:
        ValueError: it is none of plain numbers or texts, or of another length than its header says.
    """
    found = NPY.match(data)
    if found is None:
        raise ValueError("it is no array of plain numbers")
    descr, fortran, sizes = found.groups()
    try:
        dtype = np.dtype(descr.decode("ascii"))
    except TypeError as error:
        raise ValueError(f"{descr!r} is no type of numbers") from error
    shape = tuple(int(size) for size in sizes.replace(b" ", b"").split(b",") if size)
    content = data[found.end() :]
    if not dtype.itemsize or prod(shape) * dtype.itemsize != len(content):
        raise ValueError(f"its header announces {shape} of {dtype}, and {len(content):,} bytes follow")
    flat = np.frombuffer(content, dtype)
    if dtype.kind == "U":
        _check_text(flat)
    if dtype.kind == "b":
        flat = flat.view(np.uint8) != 0  # any other byte than 0 and 1 would be neither true nor false
    return np.array(flat.reshape(shape, order="F" if fortran == b"True" else "C"))


def _check_text(flat: NDArray[Any]) -> None:
    points = flat.view(flat.dtype.byteorder.replace("|", "=") + "u4")
    low, high = SURROGATES
    if (points > CODE_POINT_MAX).any() or ((points >= low) & (points <= high)).any():
        raise ValueError("its texts hold what is no letter")


class _Bounded(io.BufferedReader):
    """What `zipfile` reads at once is bounded: it would read a table of contents of any size into memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = CONTENTS_LIMIT_BYTES
        if size > CONTENTS_LIMIT_BYTES:
            raise ValueError("its table of contents is too large")
        return super().read(size)


def _why(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
