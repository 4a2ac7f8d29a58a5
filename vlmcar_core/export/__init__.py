"""A proposal as a bundle that runs without the studio: code, what it was verified by, and tests of both.

    card.md               what it rewards, how it was verified, by whom it was made, its limits
    manifest.json         the same for programs: hashes, seeds, versions, the verification table
    reward.py             the sub-tasks in order, and how they pay; what a user imports
    checkers/             a module per checker, byte for byte what was verified, so that names cannot clash
    paying/               our own payments.py and chain.py, and what asks checkers
    wrapper.py            for Gymnasium
    sb3_wrapper.py        for Stable-Baselines3's vectorised environments
    environment.py        how its environment is made and drawn; where that is possible
    studio/               our own code that it needs, copied: for the arm, the tabletop, Meta-World
    recorded.py, demo.py  recorded episodes played again
    tests/                decisive frames and whole episodes, and what must be answered and paid
    requirements.txt, requirements-demo.txt

Nothing contains the checkers there: whoever uses the bundle trusts the code in `checkers/`.
"""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vlmcar_core import files
from vlmcar_core.errors import BadInput
from vlmcar_core.export import card, code, manifest
from vlmcar_core.export.evidence import Evidence, gather
from vlmcar_core.export.source import Source
from vlmcar_core.progress import part, silent
from vlmcar_core.store import Session
from vlmcar_core.types import Progress

WARNING = "Nothing contains the checkers in a bundle: they run with everything that you may do. Read checkers/ first."
SINCE = (1980, 1, 1, 0, 0, 0)
"""The time of every file in a zip: the same bundle is the same file."""


@dataclass(frozen=True)
class Bundle:
    """A bundle's files, ready to be written."""

    name: str
    files: Mapping[str, bytes]
    """By path, with slashes."""

    cases: int
    """Decisive frames among its tests."""
    episodes: int
    """Whole or first parts of episodes among its tests."""
    notes: tuple[str, ...] = ()
    """What it lacks, and why."""


def bundle(session: Session, number: int | None, mebibytes: float, progress: Progress = silent) -> Bundle:
    """Everything that a bundle holds.

    Args:
        session: whose proposal it is.
        number: of the proposal; the newest that stands if None.
        mebibytes: recorded frames take no more than this.
        progress: told in per cent.

    Raises:
        UnknownName: there is no such proposal.
        BadInput: it is not verified, or holds a program in the released style.
    """
    progress(0, 100, "reading the proposal")
    source = Source.read(session, number)
    evidence = gather(source, mebibytes, part(progress, 5, 80))
    made = {**code.files(source), **_tests(evidence)}
    made["card.md"] = card.text(source, evidence).encode()
    made["manifest.json"] = manifest.text(source, evidence, made, part(progress, 80, 100)).encode()
    return Bundle(
        f"{session.name}-reward", made, len(evidence.cases), len(evidence.episodes), (*source.notes, *evidence.notes)
    )


def _tests(evidence: Evidence) -> dict[str, bytes]:
    frames = {f"tests/frames/{name}": data for name, data in evidence.frames.items()}
    return {**frames, "tests/recorded.json": evidence.json().encode()}


def zipped(made: Bundle) -> bytes:
    """A bundle as one zip file with one folder in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in sorted(made.files.items()):
            about = zipfile.ZipInfo(f"{made.name}/{path}", SINCE)
            about.external_attr = 0o644 << 16
            about.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(about, data)
    return buffer.getvalue()


def write(made: Bundle, to: Path) -> None:
    """Write a bundle as a new folder, or as a new zip file where the name ends in .zip.

    Raises:
        BadInput: there is something by that name already, or no folder to put it in.
    """
    if not to.absolute().parent.is_dir():
        raise BadInput(f"there is no folder {str(to.parent)!r} to write the bundle to; make it first")
    if files.there(to) and not _empty(to):
        raise BadInput(f"{str(to)!r} is there already, and is left alone; name another, or move it away")
    if to.suffix.lower() == ".zip":
        files.add_bytes(to, zipped(made))
        return
    for path, data in sorted(made.files.items()):
        place = to / path
        place.parent.mkdir(parents=True, exist_ok=True)
        files.add_bytes(place, data)


def _empty(to: Path) -> bool:
    return to.suffix.lower() != ".zip" and not to.is_symlink() and to.is_dir() and not any(to.iterdir())
