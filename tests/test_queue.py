"""The line, and runs that wait in it: real processes, really killed."""

import dataclasses
import functools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import picture
from vlmcar_core import files, jobs, launching, pipeline, plugins, queue, runs
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.store import Session
from vlmcar_core.types import Task

ENDLESS = 3_000_000
TINY: dict[str, Any] = {"n_envs": 2, "n_steps": 32, "batch_size": 64}
SHORT: dict[str, Any] = {"steps": 128, "evaluations": 1, "eval_episodes": 1, "settings": TINY}
LONG: dict[str, Any] = {**SHORT, "steps": ENDLESS}


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """An empty room, on a machine of one core."""
    monkeypatch.setenv("VLMCAR_CORES", "1")
    made = Session.create(tmp_path, "room", Task("MiniGrid-Empty-5x5-v0", "minigrid", settings={"tile_size": 8}))
    made.set_initial(picture(0))
    yield made
    for folder in made.run_folders():
        jobs.cancel(folder, grace_seconds=1.0)
    wait_for(lambda: not any(jobs.read(folder).running for folder in made.run_folders()))


def wait_for(condition: Callable[[], bool], seconds: float = 300.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def started(session: Session, seeds: int, **options: Any) -> list[Path]:
    return [job.folder for job in pipeline.start_training(session, ["sparse"], range(seeds), **options)]


def states(folders: list[Path]) -> list[str]:
    return [jobs.read(folder).state for folder in folders]


def server() -> psutil.Process:
    """The process that serves this test's line."""
    wait_for(lambda: queue.served("local") and len(serving()) == 1)  # one that finds it served already ends at once
    (found,) = serving()
    return found


def serving() -> list[psutil.Process]:
    """Not the children of such a process that are about to become runs, which look like it for a moment."""
    found = {}
    for process in psutil.process_iter():
        try:
            if process.cmdline()[1:] == ["-m", "vlmcar_core.launching", "local"] and (
                process.environ().get("VLMCAR_QUEUE") == os.environ["VLMCAR_QUEUE"]
            ):
                found[process.pid] = (process, process.ppid())
        except psutil.Error:
            continue
    return [process for process, parent in found.values() if parent not in found]


def kill(process: psutil.Process) -> None:
    process.kill()
    with_patience = time.monotonic() + 20
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < with_patience:
        time.sleep(0.02)


def run_process(folder: Path) -> psutil.Process:
    wait_for(lambda: (folder / jobs.STATUS).exists())
    return psutil.Process(int(files.read_json(folder / jobs.STATUS)["pid"]))


def test_runs_wait_in_the_order_in_which_they_were_asked_for_and_are_done_in_it(session: Session) -> None:
    folders = started(session, 3, **SHORT)
    assert [jobs.read(folder).message for folder in folders[1:]] == [
        "waiting, 2nd in line",
        "waiting, 3rd in line",
    ] or (jobs.read(folders[2]).message == "waiting, 2nd in line")
    wait_for(lambda: states(folders) == ["success"] * 3)
    began = [files.read_json(folder / jobs.STATUS)["began"] for folder in folders]
    ended = [files.read_json(folder / jobs.STATUS)["updated"] for folder in folders]
    assert began == sorted(began) and ended[0] <= began[1] and ended[1] <= began[2]
    wait_for(lambda: not queue.entries() and not queue.served("local"))


def test_no_more_runs_are_at_work_than_there_are_cores(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLMCAR_CORES", "2")
    folders = started(session, 4, **LONG)
    wait_for(lambda: all((folder / jobs.STATUS).exists() for folder in folders[:2]))
    time.sleep(3 * launching.STEP_SECONDS)
    assert states(folders) == ["started", "started", "waiting", "waiting"]
    assert jobs.read(folders[3]).message == "waiting, 2nd in line"
    assert jobs.read(folders[3]).seconds_left is None and jobs.read(folders[3]).launcher == "local"


def test_a_waiting_run_passes_the_ones_before_it_and_the_rest_keep_their_order(session: Session) -> None:
    folders = started(session, 4, **LONG)
    wait_for(lambda: states(folders)[0] == "started")
    ids = {entry.folder: entry.id for entry in queue.entries()}
    last = ids[str(folders[3])]
    queue.move_up(last)
    assert [Path(entry.folder).name for entry in queue.entries()] == ["000", "001", "003", "002"]
    queue.move_up(last, to_front=True)
    assert [Path(entry.folder).name for entry in queue.entries()] == ["000", "003", "001", "002"]
    queue.move_up(last)
    queue.move_up(ids[str(folders[0])])
    assert [Path(entry.folder).name for entry in queue.entries()] == ["000", "003", "001", "002"]
    jobs.cancel(folders[0], grace_seconds=10)
    wait_for(lambda: states(folders)[3] == "started")
    assert states(folders)[1:3] == ["waiting", "waiting"]


def test_a_run_that_waits_is_stopped_at_once_and_never_starts(session: Session) -> None:
    folders = started(session, 2, **LONG)
    wait_for(lambda: states(folders) == ["started", "waiting"])
    jobs.cancel(folders[1])
    found = jobs.read(folders[1])
    assert (found.state, found.message) == ("cancelled", "stopped by a person before it began")
    assert [entry.folder for entry in queue.entries()] == [str(folders[0])]
    assert not (folders[1] / jobs.LOG).exists()


def test_the_server_is_killed_and_what_waits_goes_on_with_nothing_lost_or_doubled(session: Session) -> None:
    folders = started(session, 3, **SHORT)
    for _ in range(3):
        if not any(folder for folder in folders if jobs.read(folder).running):
            break
        kill(server())
        wait_for(lambda: queue.served("local") or not any(state == "waiting" for state in states(folders)), 30)
    wait_for(lambda: states(folders) == ["success"] * 3)
    for folder in folders:
        assert [row["steps"] for row in runs.read_evaluations(folder)] == [128]
    jobs.keep_served()
    wait_for(lambda: not queue.entries())


def test_killed_at_random_moments_the_server_starts_every_run_once_and_none_is_stuck(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runs are quick ones, so that many of the kills fall into a start."""
    monkeypatch.setenv("VLMCAR_CORES", "3")
    interpreter = tmp_path / "interpreter"
    interpreter.write_text(
        f"#!{sys.executable}\n"
        "import sys, time\nfrom pathlib import Path\nfrom vlmcar_core import jobs\n"
        "folder = Path(sys.argv[-1])\n"
        f"with Path({str(tmp_path / 'began')!r}).open('a') as began:\n"
        "    began.write(folder.name + '\\n')\n"
        "with jobs.running(folder, 'train') as job:\n"
        "    time.sleep(0.1)\n"
    )
    interpreter.chmod(0o755)
    folders = [tmp_path / "runs" / f"{number:03d}" for number in range(15)]
    for folder in folders:
        folder.mkdir(parents=True)
        made = queue.new_entry(folder, ("run",), "local", "", True, time.time())
        entry = dataclasses.replace(made, python=str(interpreter))
        queue.add(entry, functools.partial(jobs.announce, folder, "train", entry))
    lot = random.Random(0)
    for _ in range(8):
        jobs.awake("local", sure=True)
        wait_for(lambda: queue.served("local") or not queue.entries())
        time.sleep(lot.uniform(0.0, 0.3))
        for process in serving():
            process.kill()
    wait_for(lambda: not any(jobs.read(folder).running for folder in folders))
    assert states(folders) == ["success"] * 15
    assert sorted((tmp_path / "began").read_text().split()) == [folder.name for folder in folders]
    jobs.keep_served()
    wait_for(lambda: not queue.entries())


def test_a_run_at_work_has_the_line_served_again_though_nobody_looks(session: Session) -> None:
    folders = started(session, 2, **LONG)
    wait_for(lambda: states(folders) == ["started", "waiting"])
    run_process(folders[0])
    killed = server()
    kill(killed)
    wait_for(lambda: queue.served("local") and server() != killed, 60)  # nothing here reads a job; the run itself looks


def test_a_killed_run_gives_its_core_to_the_next_and_is_lost(session: Session) -> None:
    folders = started(session, 2, **LONG)
    wait_for(lambda: states(folders) == ["started", "waiting"])
    kill(run_process(folders[0]))
    wait_for(lambda: states(folders) == ["lost", "started"])
    wait_for(lambda: [entry.folder for entry in queue.entries()] == [str(folders[1])])


def test_everything_is_killed_at_once_and_the_next_look_goes_on(session: Session) -> None:
    folders = [*started(session, 1, **LONG), *started(session, 2, **SHORT, when_disabled="stop")]
    wait_for(lambda: (folders[0] / jobs.STATUS).exists())
    run = run_process(folders[0])
    run.suspend()  # else it may have the line served again before it is killed
    kill(server())
    kill(run)
    wait_for(lambda: not queue.served("local"))  # a dead process lets go once its last thread is gone
    wait_for(lambda: states(folders)[1:] == ["success", "success"])
    assert states(folders)[0] == "lost"


def test_a_start_that_is_killed_halfway_starts_the_run_once(session: Session) -> None:
    """Killed between the lock and the process: the run still waits. Killed after it: the run lives, and counts."""
    entry = queue.new_entry(session.new_run_folder(), ("x",), "local", "", True, 1.0)
    code = (
        "import os, subprocess, sys\nfrom vlmcar_core import queue\n"
        "with queue.changing() as line, queue.occupying(sys.argv[1]) as held:\n"
        "    if sys.argv[2] == 'after':\n"
        "        process = subprocess.Popen(['sleep', '600'], pass_fds=(held,), stdout=subprocess.DEVNULL, start_new_session=True)\n"
        "        print(process.pid, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    queue.add(entry, lambda: None)
    subprocess.run([sys.executable, "-c", code, entry.id, "before"], check=False)
    assert not queue.occupied(entry.id) and queue.entries() == (entry,)
    done = subprocess.run([sys.executable, "-c", code, entry.id, "after"], stdout=subprocess.PIPE, check=False)
    assert queue.occupied(entry.id) and not queue.drop_waiting(entry.id)
    plugins.load("launchers", "local").advance(queue.entries())
    (adopted,) = queue.entries()
    assert adopted.started is not None and adopted.tries == 1
    os.kill(int(done.stdout), signal.SIGKILL)
    wait_for(lambda: not queue.occupied(entry.id))
    queue.remove(entry.id)
    Path(entry.folder).rmdir()


def test_a_run_that_ended_before_anybody_wrote_down_its_start_is_not_started_again(session: Session) -> None:
    folder = session.new_run_folder()
    entry = queue.new_entry(folder, ("x",), "local", "", True, time.time())
    queue.add(entry, functools.partial(jobs.announce, folder, "train", entry))
    run = "import sys\nfrom pathlib import Path\nfrom vlmcar_core import jobs\nwith jobs.running(Path(sys.argv[1]), 'train'): pass\n"
    code = (
        "import os, subprocess, sys\nfrom vlmcar_core import queue\n"
        "with queue.changing() as line, queue.occupying(sys.argv[1]) as held:\n"
        "    subprocess.Popen([sys.executable, '-c', sys.argv[2], sys.argv[3]], pass_fds=(held,), start_new_session=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, entry.id, run, str(folder)], check=False)
    wait_for(lambda: not queue.occupied(entry.id))
    assert queue.entries() == (entry,) and jobs.ended(folder) == "success"
    plugins.load("launchers", "local").advance(queue.entries())
    assert queue.entries() == () and not queue.occupied(entry.id)
    assert jobs.read(folder).state == "success" and "no command" not in jobs.log(folder)


def test_a_process_that_never_says_a_word_is_tried_three_times_and_then_told(session: Session) -> None:
    folder = session.new_run_folder()
    runs.write_config(folder, runs.RunConfig(reward="sparse"))
    launching.start(folder, ["--root", str(session.folder.parent), "no-such-command"])
    wait_for(lambda: not jobs.read(folder).running)
    found = jobs.read(folder)
    assert found.state == "lost" and "3 times before it began" in found.message
    assert jobs.log(folder).count("there is no command") == 3


def test_a_run_whose_folder_is_gone_leaves_the_line(session: Session) -> None:
    folders = started(session, 2, **LONG)
    wait_for(lambda: states(folders) == ["started", "waiting"])
    for path in (*folders[1].iterdir(), folders[1]):
        path.unlink() if path.is_file() else path.rmdir()
    jobs.cancel(folders[0], grace_seconds=10)
    wait_for(lambda: not queue.entries())
    assert not folders[1].exists()


def test_a_run_takes_its_settings_along_and_no_key(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLMCAR_API_KEY", "secret-1")
    monkeypatch.setenv("OPENAI_API_KEY", "secret-2")
    monkeypatch.setenv("VLMCAR_TRUST_CHECKERS", "yes")
    folders = started(session, 2, **LONG)
    line = (queue.root() / queue.LINE).read_text()
    assert "VLMCAR_TRUST_CHECKERS" in line and "secret" not in line
    assert (queue.root() / queue.LINE).stat().st_mode & 0o077 == 0
    environment = run_process(folders[0]).environ()
    assert environment["VLMCAR_TRUST_CHECKERS"] == "yes"


def test_one_run_is_not_put_into_the_line_twice(session: Session) -> None:
    folders = started(session, 2, **LONG)
    with pytest.raises(BadInput, match="in the queue already"):
        pipeline.start_run(session, folders[1])


def test_a_strangers_session_is_never_taken_for_one_in_the_line(session: Session, tmp_path: Path) -> None:
    """It names an entry that is another run's: it is lost, and stopping it stops nothing."""
    folders = started(session, 2, **LONG)
    theirs = tmp_path / "stranger" / "runs" / "000"
    theirs.mkdir(parents=True)
    launch = files.read_json(folders[1] / jobs.LAUNCH)
    files.write_json(theirs / jobs.LAUNCH, {**launch, "began": 1.0})
    assert jobs.read(theirs).state == "lost"
    jobs.cancel(theirs)
    assert [entry.folder for entry in queue.entries()] == [str(folder) for folder in folders]


def test_a_folder_in_which_others_may_write_is_no_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    monkeypatch.setenv("VLMCAR_QUEUE", str(folder))
    with pytest.raises(BadInput, match="others may write"):
        queue.entries()


def test_a_damaged_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    (queue.root() / queue.LINE).write_text("{")
    with pytest.raises(DamagedFile, match=r"line\.json"):
        queue.entries()


@pytest.mark.parametrize("wrong", ["0", "-1", "two", "1.5", "99999"])
def test_a_number_of_cores_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("VLMCAR_CORES", wrong)
    with pytest.raises(BadInput, match="VLMCAR_CORES is a whole number"):
        queue.cores()


def test_places_are_told_as_people_do() -> None:
    assert [queue.ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 22, 101, 111)] == [
        *("1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "101st", "111th")
    ]
