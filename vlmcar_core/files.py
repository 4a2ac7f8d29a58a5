"""Reading and writing single files: a writer's reader never meets half of one, and a stranger's file can do no harm.

Every file of a session is opened here. What is opened is a plain file, found without following a link, no larger than
its reader wants, and never one that could make the reader wait (a FIFO, a device). Folders inside a session are entered
through `folder`, which follows no link either. So whatever a session's folder holds, nothing outside it is read or
written. (A link *to* a session's folder, or to the folder of all sessions, is the person's own and is followed.)

Every JSON file is an object with a `version`. Pictures are PNG: checkers judge pixels, so nothing lossy.
"""

import io
import json
import os
import re
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from PIL import Image

from vlmcar_core import decoding, strict
from vlmcar_core.errors import DamagedFile
from vlmcar_core.escaping import one_line
from vlmcar_core.types import Frame

T = TypeVar("T")

JSON_LIMIT_BYTES = 64 * 1024 * 1024
PNG_LIMIT_BYTES = 64 * 1024 * 1024
PNG_BOUNDS = decoding.Bounds(("PNG",), 1, 16_384, 40_000_000)
ENTRIES_MAX = 100_000
"""In one folder."""

NUMBER = re.compile(r"[0-9]{3}|[1-9][0-9]{3,8}")
"""How a numbered folder or file is called: three digits at least, so that each number has one name."""

LABEL_CHARS_MAX = 80


def label(name: str, limit: int = LABEL_CHARS_MAX) -> str:
    """A file's name for a message: bounded, without what would steer a terminal or is no text at all."""
    return one_line(name, limit)


# Looking into folders


def folder(root: Path, *names: str) -> Path:
    """A folder inside `root`, by the names on the way; it need not be there.

    Raises:
        DamagedFile: on the way there is a link, or something else that is no folder.
    """
    path = root
    for name in names:
        path = path / name
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _unreadable(path, error) from error
        if not stat.S_ISDIR(mode):
            what = "a link" if stat.S_ISLNK(mode) else "no folder"
            raise DamagedFile(f"{label(name)} is {what} and is not entered; move it away")
    return path


def only_ours(folder: Path) -> bool:
    """Whether a folder is this person's, and nobody else may write in it. Raises `OSError` where it cannot be told."""
    found = folder.stat()
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def listed(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    """What a folder holds under names that fit a pattern, sorted; nothing where there is no such folder.

    Raises:
        DamagedFile: it cannot be listed, or holds more than anybody would put there.
    """
    found: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            for count, entry in enumerate(entries):
                if count >= ENTRIES_MAX:
                    raise DamagedFile(f"{label(folder.name)} holds more than {ENTRIES_MAX:,} files; move some away")
                if pattern.fullmatch(entry.name):
                    found.append(folder / entry.name)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(folder, error) from error
    return sorted(found)


def there(path: Path) -> bool:
    """Whether there is anything by this name, be it a link that leads nowhere: then reading it says what is wrong."""
    return os.path.lexists(path)


# Reading


@contextmanager
def opened(path: Path, limit: int) -> Iterator[BinaryIO]:
    """A plain file of at most `limit` bytes, open for reading.

    Raises:
        FileNotFoundError: there is none.
        DamagedFile: it is a link, no plain file, or too large, or may not be read.
    """
    try:
        found = path.lstat()
        _check_plain(path, found)
        if found.st_size > limit:
            raise _too_large(path, limit)
        # Whoever swaps the file just now gains nothing: no link is followed, and no FIFO or device is waited for.
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unreadable(path, error) from error
    with file:
        yield file


def _check_plain(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        what = "a link" if stat.S_ISLNK(found.st_mode) else "no plain file"
        raise DamagedFile(f"{label(path.name)} is {what} and is not opened; move it away")


def read_bytes(path: Path, limit: int) -> bytes:
    """A whole file; see `opened`."""
    with opened(path, limit) as file:
        try:
            data = file.read(limit + 1)
        except OSError as error:
            raise _unreadable(path, error) from error
    if len(data) > limit:
        raise _too_large(path, limit)
    return data


def read_text(path: Path, limit: int) -> str:
    """A whole file of UTF-8; see `opened`. Raises `DamagedFile` for what is no UTF-8, too."""
    try:
        return read_bytes(path, limit).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DamagedFile(f"{label(path.name)} is no UTF-8 text ({error.reason} at byte {error.start})") from error


def _too_large(path: Path, limit: int) -> DamagedFile:
    size = f"{limit // 2**20} MiB" if limit >= 2**20 else f"{limit // 1024} KiB"
    return DamagedFile(f"{label(path.name)} is larger than {size}; it was not read")


def _unreadable(path: Path, error: OSError) -> DamagedFile:
    return DamagedFile(f"{label(path.name)} cannot be read ({error.strerror or error}); check it and its permissions")


# Writing


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, in place of the file or link that was there.

    Raises:
        DamagedFile: there is a folder in its place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, IsADirectoryError):
            raise DamagedFile(f"{label(path.name)} is no plain file and is not replaced; move it away") from error
        raise


def add_bytes(path: Path, data: bytes) -> None:
    """Write a new file whole or not at all.

    Raises:
        FileExistsError: there is one by that name; it was left alone.
    """
    whole = path.parent / f".{path.name}.{os.getpid()}.{threading.get_ident()}"
    write_bytes(whole, data)
    try:
        os.link(whole, path)
    finally:
        whole.unlink()


def remove(path: Path) -> None:
    """Take a file or a link away, if there is one. Raises `DamagedFile` where there is a folder in its place."""
    try:
        path.unlink(missing_ok=True)
    except (IsADirectoryError, PermissionError) as error:
        raise DamagedFile(f"{label(path.name)} cannot be removed ({error.strerror}); move it away") from error


@contextmanager
def appending(path: Path) -> Iterator[BinaryIO]:
    """A file, made where there is none, open for reading and for writing at its end.

    Raises:
        DamagedFile: it is a link or no plain file.
    """
    with append_to(path) as file:
        yield file


def append_to(path: Path) -> BinaryIO:
    """The same until it is closed."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        if there(path):
            _check_plain(path, path.lstat())
        return os.fdopen(os.open(path, flags, 0o666), "ab+")
    except OSError as error:
        raise _unreadable(path, error) from error


def append_row(path: Path, row: Mapping[str, Any], limit: int) -> None:
    """Add a line of JSON to a file of such lines, which is made where there is none.

    Raises:
        DamagedFile: it is a link or no plain file.
        ValueError: with the line it would be larger than `limit` bytes, or the row holds NaN or Infinity.
    """
    line = json.dumps(row, allow_nan=False) + "\n"
    with appending(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        if file.read() not in (b"", b"\n"):
            # A row before this one was cut short: only that one is lost, not this one with it.
            line = "\n" + line
        if size + len(line) > limit:
            raise ValueError(f"larger than {limit:,} bytes")
        file.write(line.encode())


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


# JSON


def write_json(path: Path, value: dict[str, Any], version: int = 1) -> None:
    """Write an object with its version; NaN and Infinity, which are not JSON, are refused."""
    write_bytes(path, json_bytes(value, version))


def add_json(path: Path, value: dict[str, Any], version: int = 1) -> None:
    """The same as a new file; raises `FileExistsError` where there is one by that name."""
    add_bytes(path, json_bytes(value, version))


def json_bytes(value: dict[str, Any], version: int = 1) -> bytes:
    """What `write_json` writes. Half a surrogate pair, as a model or a file's name may hold, is no text and becomes a
    question mark."""
    text = json.dumps({"version": version, **value}, indent=1, allow_nan=False, ensure_ascii=False)
    return f"{text}\n".encode(errors="replace")


def read_json(path: Path, version: int = 1) -> dict[str, Any]:
    """Read an object that `write_json` wrote.

    Raises:
        FileNotFoundError: there is none.
        DamagedFile: it is no such object, or was written by a newer version of the program.
    """
    name = label(path.name)
    try:
        value = strict.loads(read_bytes(path, JSON_LIMIT_BYTES))
    except ValueError as error:
        raise DamagedFile(f"{name} is not valid JSON ({error}); restore it or move it away") from error
    if not isinstance(value, dict) or type(value.get("version")) is not int:
        raise DamagedFile(f"{name} is not an object with a version; restore it or move it away")
    if value["version"] > version:
        raise DamagedFile(
            f"{name} has version {value['version']}, this program reads up to {version}; update VLM-CaR Studio"
        )
    return value


def read_as(kind: type[T], path: Path, version: int = 1) -> T:
    """Read a frozen dataclass that was written as JSON; see `read_json` and `strict.build`."""
    value = read_json(path, version)
    del value["version"]
    return parse(path, lambda: strict.build(kind, value))


def parse(path: Path, build: Callable[[], T]) -> T:
    """Build a value from what was read from `path`; what does not fit is damage, named after the file."""
    try:
        return build()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        detail = f"{type(error).__name__}: {error}"[:400]
        name = label(path.name)
        raise DamagedFile(f"{name} does not hold what it should ({detail}); restore it or move it away") from error


# Pictures


def png(frame: Frame) -> bytes:
    """One frame as PNG, lossless."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def from_png(data: bytes, name: str) -> Frame:
    """One frame from PNG bytes, as they were written by us or by anybody.

    Raises:
        DamagedFile: they are no picture, or a larger one than is decoded.
    """
    try:
        return decoding.decode(data, PNG_BOUNDS)
    except ValueError as error:
        raise DamagedFile(f"{name} {error}; restore it or move it away") from error


def check_png(data: bytes, name: str) -> bytes:
    """The same bytes, once their header says that they are a PNG of a size that is decoded.

    Raises:
        DamagedFile: they are not.
    """
    try:
        decoding.check(data, PNG_BOUNDS)
    except ValueError as error:
        raise DamagedFile(f"{name} {error}; restore it or move it away") from error
    return data


def read_png(path: Path) -> Frame:
    """One frame from a PNG file; see `opened` and `from_png`."""
    return from_png(read_bytes(path, PNG_LIMIT_BYTES), label(path.name))
