"""Jobs as real processes: they report, are stopped, are killed, and are never mistaken for one another."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from vlmcar_core import jobs
from vlmcar_core.errors import BadInput, Cancelled, DamagedFile

WORKER = """
import sys, time
from pathlib import Path
from vlmcar_core import jobs
with jobs.running(Path(sys.argv[1]), "count") as job:
    for number in range(2000):
        job(number, 2000, f"number {number}")
        if "stubborn" in sys.argv:
            (Path(sys.argv[1]) / "cancel").unlink(missing_ok=True)
        time.sleep(0.02)
"""


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def worker(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", WORKER, str(folder), *words], start_new_session=True)
    wait_for(lambda: (folder / "status.json").exists() and jobs.read(folder).done > 2)
    return process


def test_a_job_that_ends_well_says_so(tmp_path: Path) -> None:
    with jobs.running(tmp_path, "record") as job:
        job(1, 2, "half")
        job.finish("success", "two recorded", {"experts": 2})
    found = jobs.read(tmp_path)
    assert (found.state, found.kind, found.message, found.result) == (
        "success",
        "record",
        "two recorded",
        {"experts": 2},
    )


def test_a_job_that_fails_keeps_its_message(tmp_path: Path) -> None:
    with pytest.raises(BadInput), jobs.running(tmp_path, "record"):
        raise BadInput("no such environment 'x'; there are a, b")
    assert jobs.read(tmp_path).state == "error"
    assert jobs.read(tmp_path).message == "no such environment 'x'; there are a, b"


def test_a_fault_of_the_program_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), jobs.running(tmp_path, "record"):
        1 / 0  # noqa: B018
    assert "a fault of the program" in jobs.read(tmp_path).message


def test_a_job_that_is_asked_to_stop_stops_at_its_next_report(tmp_path: Path) -> None:
    with pytest.raises(Cancelled), jobs.running(tmp_path, "record") as job:
        (tmp_path / "cancel").touch()
        job(1, 1, "working")
    assert jobs.read(tmp_path).state == "cancelled"


def test_a_cancelled_process_ends_by_itself(tmp_path: Path) -> None:
    process = worker(tmp_path)
    jobs.cancel(tmp_path)
    process.wait(20)
    assert jobs.read(tmp_path).state == "cancelled"


def test_a_process_that_does_not_listen_is_ended_by_force(tmp_path: Path) -> None:
    process = worker(tmp_path, "stubborn")
    jobs.cancel(tmp_path, grace_seconds=0.5)
    process.wait(20)
    wait_for(lambda: not jobs.read(tmp_path).running)
    assert jobs.read(tmp_path).state == "cancelled"


def test_a_killed_process_is_lost_and_what_it_said_last_is_kept(tmp_path: Path) -> None:
    process = worker(tmp_path)
    assert jobs.read(tmp_path).state == "started"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(20)
    found = jobs.read(tmp_path)
    assert found.state == "lost" and "number" in found.message and found.done > 2


def test_a_zombie_counts_as_gone(tmp_path: Path) -> None:
    process = worker(tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    assert jobs.read(tmp_path).state == "lost"
    process.wait()


def test_another_process_with_the_same_pid_is_not_the_job(tmp_path: Path) -> None:
    with jobs.running(tmp_path, "record"):
        status = json.loads((tmp_path / "status.json").read_text())
        status["process_created"] -= 1000
        (tmp_path / "status.json").write_text(json.dumps(status))
        assert jobs.read(tmp_path).state == "lost"


def test_a_termination_signal_counts_as_a_wish_to_stop(tmp_path: Path) -> None:
    process = worker(tmp_path)
    process.terminate()
    process.wait(20)
    assert jobs.read(tmp_path).state == "cancelled"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_whose_exception_is_lost_stops_it_at_its_next_report(tmp_path: Path, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Cancelled), jobs.running(tmp_path, "record") as job:
        with contextlib.suppress(Cancelled, KeyboardInterrupt):  # as the interpreter drops it here and there
            signal.raise_signal(number)
            raise AssertionError("the signal was not met")
        job(1, 2, "working")
    assert jobs.read(tmp_path).state == "cancelled"
    assert signal.getsignal(number) is before


def test_time_left_follows_the_pace(tmp_path: Path) -> None:
    job = jobs.Job(tmp_path, "train", "started", 25, 100, "", started=1000.0, updated=1010.0, result={})
    assert job.seconds_left == pytest.approx(30.0)


def test_a_damaged_status_is_damage_not_a_crash(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text('{"version": 1, "state": ')
    with pytest.raises(DamagedFile, match=r"status\.json"):
        jobs.read(tmp_path)


def test_a_started_command_is_a_job_and_its_failure_is_read_from_its_folder(tmp_path: Path) -> None:
    job = jobs.start(tmp_path / "000-verify", "verify", ["--root", str(tmp_path), "verify", "nowhere"])
    wait_for(lambda: not jobs.read(job.folder).running, 60)
    found = jobs.read(job.folder)
    assert found.state == "lost" and "no session 'nowhere'" in found.message
