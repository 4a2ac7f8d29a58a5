"""Fuzz what reads files from anybody, for as long as you like: python -m scripts.fuzz --examples 5000 [TARGET ...]

Each example makes a real file wrong (fuzz_mutations.py) and reads it. It must be read, or refused with one of the
errors that its reader promises, within a time and a memory; what does otherwise is made smaller by Hypothesis, shown,
and kept under --keep. A further reader, such as a parser of messages, is one more row in `TARGETS`.
"""

import argparse
import atexit
import contextlib
import io
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from scripts import fuzz_specimen
from scripts.fuzz_mutations import mutated
from scripts.fuzz_specimen import NAME, encoded
from vlmcar_core import archives, files, images, importing, policies, recordings, strict
from vlmcar_core.errors import VlmcarError
from vlmcar_core.store import Session

PROGRAMS = Path(__file__).parents[1] / "tests" / "programs" / "sound"
SECONDS = 20.0
MEMORY_BYTES = 3 * 1024**3


@dataclass(frozen=True)
class Target:
    """One reader."""

    seeds: Callable[[], Mapping[str, bytes]]
    """What is made wrong, by a name whose ending says what structure it has."""

    read: Callable[[bytes, str], object]
    """Given the contents and the name."""

    promised: tuple[type[Exception], ...] = (VlmcarError,)
    """How the reader may refuse."""


@cache
def specimen() -> Path:
    """The folder of a session that holds every kind of file, and what lies beside it; made once, gone at the end."""
    root = Path(tempfile.mkdtemp(prefix="vlmcar-fuzz-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    fuzz_specimen.build(root)
    return root


def _files(endings: tuple[str, ...], under: str = "") -> dict[str, bytes]:
    paths = (path for path in sorted((specimen() / under).rglob("*")) if path.is_file())
    return {str(path.relative_to(specimen())): path.read_bytes() for path in paths if path.name.endswith(endings)}


def _pictures() -> dict[str, bytes]:
    exif = bytes.fromhex("4578696600004d4d002a00000008000101120003000000010006000000000000")
    made = {f"{mode}.png": encoded("PNG", mode) for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "I;16")}
    made |= {f"{mode}.jpg": encoded("JPEG", mode, exif=exif) for mode in ("RGB", "L", "CMYK")}
    return made | {
        "progressive.jpg": encoded("JPEG", progressive=True),
        "lossy.webp": encoded("WEBP"),
        "lossless.webp": encoded("WEBP", "RGBA", lossless=True),
    }


def _put(data: bytes, name: str, look: Callable[[], object]) -> object:
    """Look at the specimen while one of its files is another."""
    path = specimen() / name
    kept = path.read_bytes()
    path.write_bytes(data)
    try:
        return look()
    finally:
        path.write_bytes(kept)


def _episode(path: Path) -> object:
    order = recordings.read_order(path)
    return recordings.read_info(path), recordings.read(path), recordings.read_png(path, int(order[-1]))


def _policy(path: Path) -> object:
    return policies.load(path)(np.zeros((3, 5), np.float32))


def _looking(look: Callable[[Path], object]) -> Callable[[bytes, str], object]:
    return lambda data, name: _put(data, name, lambda: look(specimen() / name))


def _programs() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(PROGRAMS.glob("*.py"))}


def _imported(data: bytes, name: str) -> object:
    """As far as an import goes: understood, read as suggested, and one frame shown."""
    text = importing.read(data)
    source = importing.as_source(text, importing.chosen(importing.understand(text)))
    importing.check(source)
    return importing.summary(importing.trial(source, np.zeros((2, 16, 16, 3), np.uint8)))


def _arrays() -> dict[str, bytes]:
    made = {}
    for array in (np.arange(4), np.ones((2, 3), np.float32), np.array(["x", "yz"]), np.array(True)):
        buffer = io.BytesIO()
        np.save(buffer, array)
        made[f"{array.dtype.kind}.npy"] = buffer.getvalue()
    return made


TARGETS: dict[str, Target] = {
    "picture": Target(_pictures, images.decode),
    "png of a session": Target(lambda: _files((".png",), f"{NAME}/frames"), files.from_png),
    "json": Target(lambda: _files((".json",)), lambda data, name: strict.loads(data), (ValueError,)),
    "array": Target(_arrays, lambda data, name: archives.array(data), (ValueError,)),
    "trajectory": Target(lambda: _files((".zip",), f"{NAME}/trajectories"), _looking(_episode)),
    "program": Target(_programs, _imported),
    "policy": Target(lambda: _files(("model.zip",), f"{NAME}/runs"), _looking(_policy)),
    "answers": Target(
        lambda: _files((".npz",)),
        lambda data, name: _put(
            data, name, lambda: Session(specimen() / NAME).answers(Path(name).parent.name, Path(name).stem)
        ),
        (),
    ),
    "session": Target(
        lambda: _files(("",)), lambda data, name: _put(data, name, lambda: fuzz_specimen.read_everything(specimen()))
    ),
}


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Stops what takes too long."""

    def late(_signal: int, _frame: object) -> None:
        raise AssertionError(f"took longer than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def fuzz(target: Target, examples: int, keep: Path | None = None) -> None:
    """Read so many wrong files.

    Args:
        target: the reader.
        examples: how many.
        keep: a folder for the file that fails, in its smallest form.

    Raises:
        Exception: whatever a reader did not promise to raise; an AssertionError where it took too long.
    """
    seeds = target.seeds()

    @given(chance=st.randoms(use_true_random=False), name=st.sampled_from(sorted(seeds)))
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    def one(chance: Random, name: str) -> None:
        with warnings.catch_warnings(action="ignore"):
            data = mutated(seeds[name], name, chance)
        try:
            with bounded(), warnings.catch_warnings(action="ignore"):
                target.read(data, name)
        except target.promised:
            return
        except BaseException:
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / name.replace("/", "_")).write_bytes(data)
            raise

    one()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"all if none is given: {', '.join(TARGETS)}")
    parser.add_argument("--examples", type=int, default=2000, help="of each target (%(default)s)")
    parser.add_argument("--keep", type=Path, help="a folder for the files that fail")
    options = parser.parse_args()
    if unknown := sorted(set(options.targets) - set(TARGETS)):
        parser.error(f"no target {unknown[0]!r}; there are: {', '.join(TARGETS)}")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    failed = [name for name in options.targets or TARGETS if not _told(name, options)]
    sys.exit(1 if failed else 0)


def _told(name: str, options: Any) -> bool:
    began = time.monotonic()
    try:
        fuzz(TARGETS[name], options.examples, options.keep)
    except Exception:  # noqa: BLE001 (whatever it is, it is what was looked for)
        traceback.print_exc()
        print(f"{name}: FAILED", flush=True)
        return False
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{name}: {options.examples} read or refused in {time.monotonic() - began:.0f} s, {peak:.0f} MiB at most",
        flush=True,
    )
    return True


if __name__ == "__main__":
    main()
