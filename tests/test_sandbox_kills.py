"""Workers, zygotes and the app itself are killed over and over: nothing is left behind, and the next answer is right."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.conftest import RED_AT_LEAST, picture
from tests.test_sandbox import workers, zygotes
from vlmcar_core.errors import SandboxError
from vlmcar_core.sandbox import CheckerProcess, Limits, diagnosis
from vlmcar_core.types import Checker

CYCLES = 100
APP_CYCLES = 10
HONEST = Checker("honest", RED_AT_LEAST.format(pixels=4))
DIES = Checker("dies", "import ctypes\n\n\ndef check(a, b):\n    return bool(ctypes.string_at(8))\n")
STUBBORN = (
    "def check(a, b):\n    while True:\n        try:\n            while True:\n                pass\n"
    "        except BaseException:\n            pass\n    return True\n"
)


@pytest.fixture(autouse=True)
def no_worker_of_others() -> None:
    diagnosis.close()


def descriptors(pid: int | str = "self") -> list[str]:
    """What is open, without the numbers."""
    folder = Path(f"/proc/{pid}/fd")
    found = []
    for entry in folder.iterdir():
        try:
            found.append(str(entry.readlink()).split(":")[0])
        except FileNotFoundError:
            continue  # the one that lists the folder
    return sorted(found)


def shared_maps() -> int:
    return Path("/proc/self/maps").read_text().count("memfd:vlmcar")


def shared_files() -> set[str]:
    return {path.name for path in Path("/dev/shm").iterdir()}


def ask(checker: Checker, limits: Limits) -> str:
    with CheckerProcess([checker, HONEST], limits) as process:
        (outcome,) = process.run(checker.key, picture(), picture(9)[None])
        assert [found.done for found in process.run("honest", picture(), np.stack([picture(3), picture(4)]))] == [
            False,
            True,
        ]
    return outcome.kind


def test_a_hundred_killed_workers_leave_nothing_behind() -> None:
    ask(HONEST, Limits())
    (zygote,) = zygotes()
    before = descriptors(), descriptors(zygote.pid), shared_maps(), shared_files()
    kinds = [ask(DIES, Limits(gate=False)) for _ in range(CYCLES)]
    assert kinds == ["crash"] * CYCLES
    assert workers() == []
    assert (descriptors(), descriptors(zygote.pid), shared_maps(), shared_files()) == before
    assert zygotes() == [zygote]


def test_workers_that_had_to_be_killed_by_us_leave_nothing_behind() -> None:
    before = descriptors(), shared_maps()
    stubborn = Checker("stubborn", STUBBORN)
    assert [ask(stubborn, Limits(seconds=0.05)) for _ in range(5)] == ["timeout"] * 5
    assert workers() == [] and (descriptors(), shared_maps()) == before


def test_a_killed_zygote_takes_its_workers_along_and_is_replaced() -> None:
    with CheckerProcess([HONEST]) as process:
        assert process.run("honest", picture(), picture(9)[None])[0].done
        (zygote,), (worker,) = zygotes(), workers()
        zygote.kill()
        _, alive = psutil.wait_procs([worker], timeout=10)
        assert not alive
        with pytest.raises(SandboxError, match="not the checker's fault"):
            process.run("honest", picture(), picture(9)[None])
        assert process.run("honest", picture(), picture(9)[None])[0].done


def test_a_killed_app_takes_everything_along() -> None:
    code = (
        "import numpy as np, sys\nfrom vlmcar_core.sandbox import CheckerProcess, Limits\nfrom vlmcar_core.types import Checker\n"
        f"p = CheckerProcess([Checker('it', {STUBBORN!r})], Limits(seconds=60.0))\nf = np.zeros((1, 8, 8, 3), np.uint8)\n"
        "p.start('it')\nprint('ready', flush=True)\np.run('it', f[0], f)\n"
    )
    before = shared_files()
    for _ in range(APP_CYCLES):
        app = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert app.stdout is not None and app.stdout.readline() == b"ready\n"
        family = psutil.Process(app.pid).children(recursive=True)
        assert len(family) == 2
        os.kill(app.pid, signal.SIGKILL)
        app.wait()
        app.stdout.close()
        _, alive = psutil.wait_procs(family, timeout=10)
        assert not alive
    time.sleep(0.1)
    assert shared_files() == before
