"""Training runs as what they are for a person: processes that are stopped, killed, and looked at afterwards."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import picture, proposal
from vlmcar_core import continuing, files, jobs, pipeline, plugins, runs
from vlmcar_core.errors import BadInput, Cancelled
from vlmcar_core.logbook import TELL_SECONDS
from vlmcar_core.store import Session
from vlmcar_core.train import train
from vlmcar_core.types import Task

MOVED = """
def check(initial, current):
    return bool((initial != current).any())
"""
ENDLESS = 300_000
TINY: dict[str, Any] = {"n_envs": 4, "n_steps": 32, "batch_size": 64}


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """An empty room with a proposal; its runs share their free cores with nobody else's."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    made = Session.create(tmp_path, "room", Task("MiniGrid-Empty-5x5-v0", "minigrid", settings={"tile_size": 8}))
    made.set_initial(picture(0))
    made.add_proposal(proposal(("move", MOVED)))
    return made


def wait_for(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def endless(session: Session) -> Path:
    """The folder of a dense run that would take minutes, after its second evaluation."""
    often = {"evaluations": 1000, "eval_episodes": 1}
    (job,) = pipeline.start_training(session, ["dense"], [0], steps=ENDLESS, settings=TINY, **often)
    wait_for(lambda: len(runs.read_evaluations(job.folder)) >= 2 or not jobs.read(job.folder).running)
    assert jobs.read(job.folder).running, jobs.log(job.folder)
    return job.folder


def pid_of(folder: Path) -> int:
    return int(files.read_json(folder / jobs.STATUS)["pid"])


def test_a_run_that_was_killed_is_lost_and_its_rows_and_policy_are_kept(session: Session) -> None:
    folder = endless(session)
    process = psutil.Process(pid_of(folder))
    children = process.children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: jobs.read(folder).state == "lost")
    (run,) = runs.runs(session).items
    assert (run.job.state, run.config.steps) == ("lost", ENDLESS)
    assert len(runs.read_progress(folder)) >= 2 and len(runs.read_evaluations(folder)) >= 2
    assert len(pipeline.watch(session, 0, 1)) == 1
    wait_for(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children))


def test_a_run_that_a_person_stops_ends_by_itself_with_its_policy(session: Session) -> None:
    folder = endless(session)
    (folder / runs.MODEL).unlink()
    jobs.cancel(folder, grace_seconds=60.0)
    wait_for(lambda: jobs.read(folder).state == "cancelled")
    assert "by force" not in jobs.read(folder).message
    assert callable(plugins.load("trainers", "ppo").load(folder / runs.MODEL))


def test_progress_is_told_within_a_long_stretch_so_that_a_stop_is_heard_soon(session: Session) -> None:
    folder, told = session.new_run_folder(), []
    one_stretch = {"n_envs": 4, "n_steps": 25_000, "batch_size": 1000}

    def stop_at_the_second(done: int, _total: int, _message: str) -> None:
        told.append((time.monotonic(), done))
        if len(told) == 2:
            raise Cancelled("enough")

    config = runs.RunConfig(reward="sparse", steps=ENDLESS, settings=one_stretch)
    with pytest.raises(Cancelled):
        train(session, folder, config, stop_at_the_second)
    (first, _), (second, steps) = told
    assert TELL_SECONDS <= second - first < 20 * TELL_SECONDS
    assert steps < 4 * 25_000
    assert (folder / runs.MODEL).is_file()


def test_an_episode_that_is_watched_names_the_run_whose_policy_acted(session: Session) -> None:
    for reward in ("sparse", "dense"):
        config = runs.RunConfig(
            reward=reward,
            proposal=0 if reward == "dense" else None,
            steps=128,
            evaluations=1,
            eval_episodes=1,
            settings=TINY,
        )
        folder = session.new_run_folder()
        runs.write_config(folder, config)
        train(session, folder, config, lambda _done, _total, _message: None)
    (id,) = pipeline.watch(session, 1, 1)
    assert session.trajectory(id).versions["run"] == "001"


def test_a_run_that_was_killed_goes_on_from_its_checkpoint_and_says_from_where(session: Session) -> None:
    asked = {"steps": 12_000, "evaluations": 40, "eval_episodes": 1, "settings": TINY}
    (job,) = pipeline.start_training(session, ["dense"], [0], **asked)
    folder = job.folder
    wait_for(lambda: runs.checkpoint(folder) is not None or not jobs.read(folder).running)
    os.kill(pid_of(folder), signal.SIGKILL)
    wait_for(lambda: jobs.read(folder).state == "lost")
    there = runs.checkpoint(folder)
    assert there is not None, jobs.log(folder)
    continuing.resume(session, 0)
    wait_for(lambda: not jobs.read(folder).running, seconds=150.0)
    assert jobs.read(folder).state == "success", jobs.log(folder)
    rows, evaluations = runs.read_progress(folder), runs.read_evaluations(folder)
    assert [row["resumed"] for row in rows if row["resumed"] is not None] == [there[1]]
    assert f"resumed from the checkpoint after {there[1]:,} steps" in jobs.log(folder)
    steps = [row["steps"] for row in rows]
    assert steps == sorted(set(steps)) and steps[0] < there[1] < steps[-1]
    assert len(evaluations) == 40 and evaluations[-1]["steps"] >= 12_000
    assert rows[-1]["losses"]
    with pytest.raises(BadInput, match="made its 12,000 steps"):
        continuing.resume(session, 0)
    longer = continuing.clone(session, 0, {"steps": 12_600}, go_on=True)
    wait_for(lambda: not jobs.read(longer.folder).running)
    assert jobs.read(longer.folder).state == "success", jobs.log(longer.folder)
    assert runs.read_progress(longer.folder)[0]["steps"] > 12_000
