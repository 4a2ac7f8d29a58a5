"""Shared by all tests: small real values, made once."""

import atexit
import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from vlmcar_core.store import Session
from vlmcar_core.types import Checker, Frame, Proposal, Source, SubTask, Task, Trajectory

os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"
"""No test, and no process that one starts, looks into the keyring of whoever runs it."""

QUEUE = tempfile.mkdtemp(prefix="vlmcar-test-queue-")
"""Nor into the person's queue."""


def end_all(queue: str) -> None:
    """End what serves a queue of the tests, and every run that it started and that is still under way."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            ours = process.pid != os.getpid() and process.environ().get("VLMCAR_QUEUE") == queue
            if ours and any("vlmcar_core" in word for word in process.cmdline()):
                process.kill()


def _leave() -> None:
    end_all(QUEUE)
    shutil.rmtree(QUEUE, ignore_errors=True)


os.environ["VLMCAR_QUEUE"] = QUEUE
atexit.register(_leave)

ALWAYS = "def check(initial, current):\n    return True\n"
NEVER = "def check(initial, current):\n    return False\n"
RED_AT_LEAST = """
def identify_red(image):
    return (image[..., 0] > 200) & (image[..., 1] < 50)


def check(initial, current):
    return int(identify_red(current).sum()) >= {pixels}
"""


def picture(red_pixels: int = 0, side: int = 16) -> Frame:
    """A black picture with so many red pixels, uint8 (side, side, 3)."""
    frame = np.zeros((side * side, 3), np.uint8)
    frame[:red_pixels, 0] = 255
    return frame.reshape(side, side, 3)


def trajectory(
    red_pixels: list[int], source: Source = "expert", success: bool | None = True, seed: int | None = 0
) -> Trajectory:
    """An episode in which the red grows as told, one picture per entry."""
    steps = len(red_pixels) - 1
    return Trajectory(
        frames=np.stack([picture(pixels) for pixels in red_pixels]),
        actions=np.zeros(steps, np.int64),
        rewards=np.zeros(steps),
        terminated=success is True,
        truncated=False,
        success=success,
        source=source,
        seed=seed,
        env_id="Red-v0",
        versions={"numpy": np.__version__},
        facts={"red": np.array([pixels >= 4 for pixels in red_pixels])},
    )


def proposal(*subtasks: tuple[str, str], goal: str = NEVER) -> Proposal:
    """A proposal of (key, source) pairs."""
    steps = tuple(SubTask(key.replace("-", " "), Checker(key, source)) for key, source in subtasks)
    return Proposal(goal=SubTask("all is done", Checker("goal", goal)), subtasks=steps, author="a test")


@pytest.fixture(autouse=True)
def _own_queue(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test has a queue of its own, so that no run of another takes its cores; none goes on after its test."""
    queue = tempfile.mkdtemp(dir=tmp_path_factory.getbasetemp(), prefix="queue-")
    monkeypatch.setenv("VLMCAR_QUEUE", queue)
    with tempfile.TemporaryDirectory(prefix="vlmcar-test-cache-", ignore_cleanup_errors=True) as cache:
        monkeypatch.setenv("VLMCAR_CACHE", cache)  # nor does it know what another asked
        yield
        if any(Path(queue).iterdir()):
            end_all(queue)


@pytest.fixture
def make_session(tmp_path: Path) -> Callable[..., Session]:
    """Make a session of two frames; nothing of it is recorded."""

    def make(name: str = "red", root: Path = tmp_path) -> Session:
        session = Session.create(root, name, Task(env_id=None, family=None))
        session.set_initial(picture(0))
        return session

    return make


@pytest.fixture(scope="session")
def _specimen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from scripts import fuzz_specimen

    root = tmp_path_factory.mktemp("specimen")
    fuzz_specimen.build(root)
    return root


@pytest.fixture
def strangers(_specimen: Path, tmp_path: Path) -> Path:
    """A folder of sessions with one that holds every kind of file, a copy for this test alone."""
    return shutil.copytree(_specimen, tmp_path / "sessions")
