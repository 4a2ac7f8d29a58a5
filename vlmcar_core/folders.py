"""Folders whose entries are numbered, and what of such a folder can be read."""

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from vlmcar_core import files
from vlmcar_core.errors import DamagedFile

NUMBER_MAX = 999_999_999
STARTS_WITH_NUMBER = re.compile(r"[0-9].*", re.DOTALL)

T = TypeVar("T")


@dataclass(frozen=True)
class Listing(Generic[T]):
    """What could be read of a folder, and what could not."""

    items: tuple[T, ...]
    problems: tuple[str, ...] = ()
    """One message per damaged file."""


def new_folder(root: Path, suffix: str) -> Path:
    """Make the folder of the next number, such as `003` and the suffix; it is nobody else's."""
    while True:
        number = next_number(path.name.partition("-")[0] for path in files.listed(root, STARTS_WITH_NUMBER))
        path = root / f"{number:03d}{suffix}"
        try:
            path.mkdir()
            return path
        except FileExistsError:
            continue


def next_number(names: Iterable[str]) -> int:
    """The number after the largest; names that are no numbers do not count.

    Raises:
        DamagedFile: the largest that there may be is taken.
    """
    number = max((int(name) for name in names if files.NUMBER.fullmatch(name)), default=-1) + 1
    if number > NUMBER_MAX:
        raise DamagedFile(f"the numbers up to {NUMBER_MAX} are used up; move what has the largest away")
    return number


def is_own_folder(path: Path) -> bool:
    """Whether it is a folder, and no link to one."""
    return path.is_dir() and not path.is_symlink()


def number_of(path: Path) -> int:
    """Of a folder such as `003` or `003-record`."""
    return int(path.name.partition("-")[0])


def of_source(folder: Path, source: str, ending: str) -> list[Path]:
    """The files such as `expert-003.zip`, of one source and ending."""
    return files.listed(folder, re.compile(rf"{re.escape(source)}-.*\.{ending}"))


def read_all(find: Callable[[], list[Path]], read: Callable[[Path], T]) -> Listing[T]:
    """What can be read of what is found, and a message for each that cannot be."""
    items: list[T] = []
    problems: list[str] = []
    try:
        paths = find()
    except DamagedFile as error:
        return Listing((), (str(error),))
    for path in paths:
        try:
            items.append(read(path))
        except DamagedFile as error:
            problems.append(str(error))
        except FileNotFoundError:
            continue
    return Listing(tuple(items), tuple(problems))


def changed(folder: Path) -> float:
    """Unix time of the newest entry; 0.0 where nobody may look."""
    try:
        with os.scandir(folder) as entries:
            inside = [entry.stat(follow_symlinks=False).st_mtime for entry in entries]
        return max(folder.stat().st_mtime, *inside)
    except OSError:
        return 0.0
