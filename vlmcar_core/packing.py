"""A session as one file, and back: a zip that another machine reads.

    pack.json           version, name, the program's version; how many files follow, and their bytes
    session/…           the session's files under their own names

What is left out: `jobs/` and `driving/`, which are about processes of this machine, and `answers/` and `made/`, which
are made again when they are missing and which nobody should take from a stranger. The members are in order and without
dates, so the same session gives the same bytes.

A zip may be anybody's. Of its members only names that a session has are written, as plain files, within bounds that are
looked at before anything is unpacked; they are written beside the sessions, looked through, and only then get the
session's name: all, or nothing.
"""

import importlib.metadata
import io
import os
import re
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from vlmcar_core import files, strict
from vlmcar_core.archives import Archive
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.progress import silent
from vlmcar_core.store import COMPARISONS, SESSION, Session, check_name
from vlmcar_core.types import Progress

VERSION = 1
ABOUT, INSIDE = "pack.json", "session"
ABOUT_LIMIT_BYTES = 64 * 1024
FILE_LIMIT_BYTES = 8 * 1024**3
"""Of the zip, and of all that is in it, unpacked."""

MEMBER_LIMIT_BYTES = 2 * 1024**3
MEMBERS_MAX = 50_000
PIECE_BYTES = 1024 * 1024
DATE = (1980, 1, 1, 0, 0, 0)
MODE = 0o644

WORD = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"
MEMBER = re.compile(
    rf"session\.json|draft\.json|marks\.jsonl|(frames|trajectories|verdicts|examinations|prompts|sweeps)/{WORD}"
    rf"|(proposals|dialogues|runs)/[0-9]{{3,9}}(/{WORD}){{1,3}}"
)
"""What a session holds, below its folder."""

LEFT_OUT = ("jobs", "answers", "made", "driving")
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
STORED = (".zip", ".png", ".npz", ".mp4")
"""Endings of what is packed already."""


@dataclass(frozen=True)
class About:
    """What `pack.json` holds."""

    version: int
    name: str
    program: str
    """The version of the program that wrote it."""

    members: int
    size: int
    """Of all members together, in bytes."""


def pack(session: Session, progress: Progress = silent) -> bytes:
    """A session as the bytes of one zip; see `pack_to`."""
    buffer = io.BytesIO()
    _write(session, buffer, progress)
    return buffer.getvalue()


def pack_to(session: Session, path: Path, progress: Progress = silent) -> int:
    """Write a session as one zip, whole or not at all; returns how many files are in it.

    Args:
        session: which.
        path: of the zip, where nothing is yet.
        progress: told of each file, and of the parts of large ones.

    Raises:
        BadInput: there is no folder to write to, or a file by that name.
        DamagedFile: a file of the session is a link, or is larger than what is read again.
    """
    if not path.parent.is_dir():
        raise BadInput(f"there is no folder {str(path.parent)!r} to write to")
    if files.there(path):
        raise BadInput(f"{str(path)!r} is there already; name another file")
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            count = _write(session, file, progress)
        Path(draft).chmod(MODE)
        Path(draft).rename(path)
    finally:
        Path(draft).unlink(missing_ok=True)
    return count


def _write(session: Session, file: BinaryIO, progress: Progress) -> int:
    paths = list(_members(session))
    size = sum((session.folder / name).lstat().st_size for name in paths)
    if len(paths) > MEMBERS_MAX or size > FILE_LIMIT_BYTES:
        raise BadInput(
            f"session {session.name!r} has {len(paths):,} files of {size / 2**30:.1f} GiB; at most {MEMBERS_MAX:,} of "
            f"{FILE_LIMIT_BYTES // 2**30} GiB are packed"
        )
    program = importlib.metadata.version("vlmcar-studio")
    told = _Told(progress, len(paths), size)
    with zipfile.ZipFile(file, "w") as archive:
        for name in paths:
            told.begin(name)
            with (
                files.opened(session.folder / name, MEMBER_LIMIT_BYTES) as source,
                archive.open(_entry(f"{INSIDE}/{name}"), "w") as target,
            ):
                _copy(source, target, told)
        # A run may have written on since the files were counted: what counts is what was packed.
        packed = sum(entry.file_size for entry in archive.infolist())
        about = {"name": session.name, "program": program, "members": len(paths), "size": packed}
        archive.writestr(_entry(ABOUT), files.json_bytes(about, VERSION))
    told.end(f"{len(paths)} files packed")
    return len(paths)


class _Told:
    """Tells a `Progress` how many files are done, and of the one at hand how much of all bytes."""

    def __init__(self, progress: Progress, files: int, size: int) -> None:
        self._progress, self._files, self._size = progress, files, size
        self._begun, self._bytes, self._name = 0, 0, ""

    def begin(self, name: str) -> None:
        self._begun, self._name = self._begun + 1, name
        self.add(0)

    def add(self, count: int) -> None:
        """So many bytes more are done."""
        self._bytes += count
        words = f"{self._name}, {self._bytes / 2**20:,.1f} of {self._size / 2**20:,.1f} MiB"
        self._progress(self._begun - 1, self._files, words)

    def end(self, words: str) -> None:
        self._progress(self._files, self._files, words)


class _Counting:
    """A file to write to that tells how much was written."""

    def __init__(self, file: IO[bytes], told: _Told) -> None:
        self._file, self._told = file, told

    def write(self, data: bytes, /) -> None:
        self._file.write(data)
        self._told.add(len(data))


def _copy(source: BinaryIO, target: IO[bytes], told: _Told) -> None:
    """What a file holds now; what is added to it meanwhile is not waited for."""
    left = os.fstat(source.fileno()).st_size
    while piece := source.read(min(left, PIECE_BYTES)):
        target.write(piece)
        told.add(len(piece))
        left -= len(piece)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, DATE)
    entry.create_system = 3  # Unix, whose modes follow
    entry.external_attr = (stat.S_IFREG | MODE) << 16
    entry.compress_type = zipfile.ZIP_STORED if name.endswith(STORED) else zipfile.ZIP_DEFLATED
    return entry


def _members(session: Session) -> Iterator[str]:
    """The files of a session by name, in order; what has a name that no session has is passed over."""
    found: list[str] = []
    pending = [""]
    while pending:
        within = pending.pop()
        for entry in os.scandir(files.folder(session.folder, *filter(None, within.split("/")))):
            name = f"{within}/{entry.name}" if within else entry.name
            if entry.is_dir(follow_symlinks=False):
                pending += [] if name in LEFT_OUT else [name]
            elif MEMBER.fullmatch(name) and entry.is_file(follow_symlinks=False):
                found.append(name)
    yield from sorted(found)


def unpack(root: Path, source: Path | bytes, name: str | None = None, progress: Progress = silent) -> Session:
    """A zip as a new session.

    Args:
        root: the folder of the sessions.
        source: the zip; a file that the person names, or its bytes.
        name: of the session; as it was called, if None.
        progress: told of each file, and of the parts of large ones.

    Raises:
        BadInput: it is no session that was packed, holds what no session holds, or the name is taken. Nothing was made.
    """
    try:
        if isinstance(source, bytes):
            return _unpack(root, Archive(io.BytesIO(source), "the file"), name, progress)
        with files.opened(source.resolve(), FILE_LIMIT_BYTES) as file:
            return _unpack(root, Archive(file, files.label(source.name)), name, progress)
    except FileNotFoundError as error:
        raise BadInput(f"there is no file {str(source)!r}") from error
    except DamagedFile as error:
        raise BadInput(f"it cannot be unpacked: {error}") from error


def _unpack(root: Path, archive: Archive, name: str | None, progress: Progress) -> Session:
    about = _about(archive)
    members = _checked(archive, about)
    folder = root / check_name(name or about.name)
    if folder.name == COMPARISONS or files.there(folder):
        raise BadInput(f"a session named {folder.name!r} exists already; unpack it under another name")
    root.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=root))
    draft.chmod(0o755)
    told = _Told(progress, about.members, about.size)
    try:
        for member in members:
            inside = member.removeprefix(f"{INSIDE}/")
            path = draft / inside
            path.parent.mkdir(parents=True, exist_ok=True)
            told.begin(inside)
            with path.open("xb") as target:
                archive.copy(member, _Counting(target, told), MEMBER_LIMIT_BYTES)
        Session(draft).header()
        draft.rename(folder)
    except OSError as error:
        raise BadInput(f"{archive.name} cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    told.end(f"{about.members} files unpacked")
    return Session(folder)


def _about(archive: Archive) -> About:
    try:
        value = strict.loads(archive.read(ABOUT, ABOUT_LIMIT_BYTES))
        if isinstance(value, dict) and type(value.get("version")) is int and value["version"] > VERSION:
            raise BadInput(
                f"{archive.name} was packed in version {value['version']}, this program reads up to {VERSION}; update "
                "VLM-CaR Studio"
            )
        return strict.build(About, value)
    except BadInput:
        raise
    except (DamagedFile, ValueError) as error:
        raise BadInput(f"{archive.name} is no session that was packed ({error})") from error


def _checked(archive: Archive, about: About) -> list[str]:
    """The members to be written, once their names, kinds and sizes are those of a session."""
    names = [name for name in archive.names if name != ABOUT]
    for name in names:
        inside = name.removeprefix(f"{INSIDE}/")
        if inside == name or not MEMBER.fullmatch(inside) or ".." in inside:
            raise BadInput(f"{archive.name} holds {files.label(name)!r}, which no session holds; it was not unpacked")
        if archive.mode(name) not in (0, stat.S_IFREG):
            raise BadInput(f"{archive.name}: {files.label(name)!r} is a link or no plain file; it was not unpacked")
    folded = {name.casefold() for name in names}
    size = sum(archive.size(name) for name in names)
    if len(folded) != len(names):
        raise BadInput(f"{archive.name} holds two names that are one where case does not count; it was not unpacked")
    if len(names) > MEMBERS_MAX or size > FILE_LIMIT_BYTES:
        raise BadInput(f"{archive.name} holds {len(names):,} files of {size / 2**30:.1f} GiB; it was not unpacked")
    if (len(names), size) != (about.members, about.size) or f"{INSIDE}/{SESSION}" not in names:
        raise BadInput(
            f"{archive.name} is not whole: {ABOUT} tells of {about.members} files of {about.size:,} bytes, and there "
            f"are {len(names)} of {size:,}; pack the session again"
        )
    return names
