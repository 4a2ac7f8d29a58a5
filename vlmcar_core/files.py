"""Reading and writing single files so that a reader never meets half of one.

Every JSON file is an object with a `version`. Pictures are PNG: checkers judge pixels, so nothing lossy.
"""

import io
import json
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from vlmcar_core.errors import DamagedFile
from vlmcar_core.types import Frame

T = TypeVar("T")

JSON_LIMIT_BYTES = 64 * 1024 * 1024


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, in place of what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
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


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_json(path: Path, value: dict[str, Any], version: int = 1) -> None:
    """Write an object with its version; NaN and Infinity, which are not JSON, are refused."""
    write_bytes(path, _json(value, version))


def add_json(path: Path, value: dict[str, Any], version: int = 1) -> None:
    """The same as a new file; raises `FileExistsError` where there is one by that name."""
    add_bytes(path, _json(value, version))


def _json(value: dict[str, Any], version: int) -> bytes:
    return (json.dumps({"version": version, **value}, indent=1, allow_nan=False) + "\n").encode()


def read_json(path: Path, version: int = 1) -> dict[str, Any]:
    """Read an object that `write_json` wrote.

    Raises:
        FileNotFoundError: there is none.
        DamagedFile: it is no such object, or was written by a newer version of the program.
    """
    try:
        if path.stat().st_size > JSON_LIMIT_BYTES:
            raise DamagedFile(f"{path.name} is larger than {JSON_LIMIT_BYTES // 2**20} MiB; it was not read")
        value = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DamagedFile(f"{path.name} is not valid JSON ({error}); restore it or move it away") from error
    if not isinstance(value, dict) or not isinstance(value.get("version"), int):
        raise DamagedFile(f"{path.name} is not an object with a version; restore it or move it away")
    if value["version"] > version:
        raise DamagedFile(
            f"{path.name} has version {value['version']}, this program reads up to {version}; update VLM-CaR Studio"
        )
    return value


def parse(path: Path, build: Callable[[], T]) -> T:
    """Build a value from what was read from `path`; what does not fit is damage, named after the file."""
    try:
        return build()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        detail = f"{type(error).__name__}: {error}"
        raise DamagedFile(f"{path.name} does not hold what it should ({detail}); restore it or move it away") from error


def png(frame: Frame) -> bytes:
    """One frame as PNG, lossless."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def from_png(data: bytes, name: str) -> Frame:
    """One frame from PNG bytes of our own writing.

    Raises:
        DamagedFile: they are no picture.
    """
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DamagedFile(f"{name} is not a readable PNG picture ({error}); restore it or move it away") from error
