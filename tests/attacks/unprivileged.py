"""Try all attacks as a user who may do nothing; for root: `python -m tests.attacks.unprivileged --gate off`.

The arguments are those of `tests.attacks.run`. Where the interpreter or this tree lies below a folder that such a user
may not enter (pyenv in /root), they are shown to it in a mount namespace of its own. Exits 77 where that cannot be.
"""

import argparse
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOBODY = 65534
CANNOT = 77
"""The exit code for what could not be tried, as automake has it."""

CLONE_NEWNS = 0x20000
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 0x1000, 0x4000, 0x40000, 2


def main(arguments: Sequence[str]) -> int:
    """Exit code: that of the run, or 77."""
    if os.geteuid() != 0:
        print("only root can become somebody else", file=sys.stderr)
        return CANNOT
    needed = {ROOT, Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()}
    try:
        open_up(needed)
    except OSError as error:
        print(f"user {NOBODY} may not enter {_closed(needed)}, and it cannot be shown: {error}", file=sys.stderr)
        return CANNOT
    with _folder() as folder:
        if _as_nobody(["-c", "import tests.attacks.run"], folder) != 0:
            print(f"user {NOBODY} cannot import the suite; see above", file=sys.stderr)
            return CANNOT
        options, rest = _options(arguments)
        told = ["--json", str(folder / "told.json")] if options.json else []
        code = _as_nobody(["-m", "tests.attacks.run", *rest, *told], folder)
        if options.json:
            shutil.copyfile(folder / "told.json", options.json)
        return code


def _options(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The file, which that user may not be able to write, and all else, which is not ours."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--json", type=Path)
    return parser.parse_known_args(arguments)


def open_up(needed: set[Path]) -> None:
    """Let everybody enter these folders, for this process and those that it starts.

    Raises:
        OSError: this process may not mount.
    """
    closed = _closed(needed)
    if not closed:
        return
    _checked(_libc.unshare(CLONE_NEWNS))
    _mount("none", Path("/"), MS_REC | MS_PRIVATE)
    for folder in sorted(closed):
        inside = sorted(path for path in needed if path.is_relative_to(folder))
        stages = [Path(tempfile.mkdtemp()) for _ in inside]
        for path, stage in zip(inside, stages, strict=True):
            _mount(str(path), stage, MS_BIND | MS_REC)
        _mount("tmpfs", folder, kind="tmpfs", options="mode=755")
        for path, stage in zip(inside, stages, strict=True):
            path.mkdir(mode=0o755, parents=True)
            _mount(str(stage), path, MS_BIND | MS_REC)
            _checked(_libc.umount2(str(stage).encode(), MNT_DETACH))
            stage.rmdir()


def _closed(needed: set[Path]) -> set[Path]:
    """The uppermost folders above these that others may not enter."""
    found = set()
    for path in needed:
        above = [folder for folder in reversed((path, *path.parents)) if not folder.stat().st_mode & 0o001]
        found |= set(above[:1])
    return found


def _as_nobody(arguments: Sequence[str], folder: Path) -> int:
    environment = {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "TMPDIR": str(folder)}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd=ROOT,
        env=environment,
    ).returncode


@contextmanager
def _folder() -> Iterator[Path]:
    """For temporary files, where that user may reach it."""
    for parent in (Path(tempfile.gettempdir()), Path("/tmp")):
        if not _closed({parent}):
            folder = Path(tempfile.mkdtemp(prefix="nobody-", dir=parent))
            break
    folder.chmod(0o777)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_libc = ctypes.CDLL(None, use_errno=True)


def _mount(what: str, where: Path, flags: int = 0, kind: str = "none", options: str = "") -> None:
    flagged = ctypes.c_ulong(flags)
    _checked(_libc.mount(what.encode(), str(where).encode(), kind.encode(), flagged, options.encode()))


def _checked(result: int) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
