"""The stages on real sessions: resumed after a kill, re-verified only where something changed."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ALWAYS, NEVER, RED_AT_LEAST, picture, proposal, trajectory
from vlmcar_core import files, jobs, pipeline
from vlmcar_core.errors import BadImage, BadInput, ChangedElsewhere
from vlmcar_core.files import png
from vlmcar_core.store import Session
from vlmcar_core.types import Recording

ENV = "MiniGrid-DoorKey-5x5-v0"
SLOW = "def check(initial, current):\n    return sum(range(1_000_000)) < 0\n"
SMALL = Recording(experts=2, randoms=12, random_steps=15)


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def kill(folder: Path) -> None:
    """End a job's process at once, wherever it is."""
    pid = files.read_json(folder / "status.json")["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: jobs.read(folder).state == "lost")


def test_the_goal_frame_is_the_experts_last(tmp_path: Path) -> None:
    session = pipeline.create_from_env(tmp_path, "a", ENV, recording=SMALL)
    pipeline.record(session)
    expert = session.trajectory("expert-000")
    assert np.array_equal(session.goal, expert.frames[-1])
    assert np.array_equal(session.initial, expert.frames[0])
    origin = session.goal_origin()
    assert origin is not None and (origin.kind, origin.trajectory, origin.frame) == (
        "expert",
        "expert-000",
        expert.steps,
    )


def test_a_recording_that_was_killed_goes_on_and_equals_one_that_was_not(tmp_path: Path) -> None:
    whole = pipeline.create_from_env(tmp_path, "whole", ENV, recording=SMALL)
    pipeline.record(whole)
    cut = pipeline.create_from_env(tmp_path, "cut", ENV, recording=SMALL)
    job = pipeline.launch(cut, "record")
    wait_for(lambda: len(cut.trajectories().items) >= 4)
    kill(job.folder)
    before = {info.id for info in cut.trajectories().items}
    assert 4 <= len(before) < 14
    pipeline.record(cut)
    both = [{info.id: info for info in session.trajectories().items} for session in (whole, cut)]
    assert both[0] == both[1]
    for id in both[0]:
        assert np.array_equal(whole.trajectory(id).frames, cut.trajectory(id).frames)


def test_random_episodes_of_two_lengths_are_not_mixed(tmp_path: Path) -> None:
    session = pipeline.create_from_env(tmp_path, "a", ENV, recording=SMALL)
    pipeline.record(session)
    longer = dataclasses.replace(SMALL, random_steps=30)
    with pytest.raises(BadInput, match="15 steps"):
        pipeline.record(session, longer)
    pipeline.record(session, longer, replace=True)
    lengths = [info.steps for info in session.trajectories().items if info.source == "random"]
    assert len(lengths) == 12 and max(lengths) == 30
    assert session.header().recording == longer


def test_a_background_stage_outlives_the_process_that_started_it(tmp_path: Path) -> None:
    session = pipeline.create_from_env(tmp_path, "a", ENV, recording=dataclasses.replace(SMALL, randoms=40))
    starter = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\nfrom pathlib import Path\nfrom vlmcar_core import pipeline\n"
            "from vlmcar_core.store import Session\n"
            "pipeline.launch(Session(Path(sys.argv[1])), 'record')\ntime.sleep(600)",
            str(session.folder),
        ],
        start_new_session=True,
    )
    wait_for(lambda: len(session.trajectories().items) >= 3)
    os.killpg(starter.pid, signal.SIGKILL)
    starter.wait()
    folder = session.job_folders()[0]
    wait_for(lambda: not jobs.read(folder).running)
    assert jobs.read(folder).state == "success"
    assert len(session.trajectories().items) == 42


def test_a_proposing_that_was_killed_leaves_a_whole_proposal_or_none(tmp_path: Path) -> None:
    session = pipeline.create_from_env(tmp_path, "a", ENV, recording=dataclasses.replace(SMALL, randoms=0))
    pipeline.record(session)
    for patience in (0.0, 0.3, 0.6, 0.9):
        job = pipeline.launch(session, "propose")
        time.sleep(patience)
        launch = files.read_json(job.folder / "launch.json")
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(launch["pid"]), signal.SIGKILL)
        wait_for(lambda folder=job.folder: not jobs.read(folder).running)
        assert jobs.read(job.folder).state in ("lost", "success")
        assert not session.proposals().problems
    before = len(session.proposals().items)
    again = pipeline.propose(session)
    assert again.number == before and [item.number for item in session.proposals().items] == list(range(before + 1))


def test_a_verification_that_was_killed_asks_only_what_is_missing(tmp_path: Path) -> None:
    session = pipeline.create_from_env(tmp_path, "a", ENV, recording=dataclasses.replace(SMALL, randoms=30))
    pipeline.record(session)
    session.add_proposal(proposal(("slow", SLOW), goal=NEVER))
    job = pipeline.launch(session, "verify")
    answers = session.folder / "answers"
    wait_for(lambda: len(list(answers.glob("*/*.npz"))) >= 3)
    kill(job.folder)
    kept = {path: path.stat().st_mtime_ns for path in answers.glob("*/*.npz")}
    assert 3 <= len(kept) < 64 and session.verification(0) is None
    verification = pipeline.verify(session)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert verification.expert.total == 2 and len(verification.trajectories) == 32


def test_editing_one_checker_asks_only_that_one_again(make_session: Callable[..., Session]) -> None:
    session = make_session()
    for red in ([0, 2, 5, 9], [0, 4, 9]):
        session.add_trajectory(trajectory(red))
    for seed in range(30):
        session.add_trajectory(trajectory([0, 1, 0, 1], "random", False, seed))
    first = session.add_proposal(
        proposal(("some", RED_AT_LEAST.format(pixels=4)), ("more", RED_AT_LEAST.format(pixels=20)), goal=NEVER)
    )
    asked: list[tuple[int, int]] = []
    pipeline.verify(session, progress=lambda done, total, _: asked.append((done, total)))
    assert asked[-1] == (96, 96)
    step = dataclasses.replace(
        first.subtasks[1], checker=dataclasses.replace(first.subtasks[1].checker, source=RED_AT_LEAST.format(pixels=9))
    )
    pipeline.save_edit(session, pipeline.with_step(first, step), "Ada", "twenty was too many", first.number)
    asked.clear()
    verification = pipeline.verify(session, progress=lambda done, total, _: asked.append((done, total)))
    assert asked[-1] == (32, 32)
    assert verification.verdict("more").expert.hits == 2
    again: list[int] = []
    pipeline.verify(session, progress=lambda _done, total, _: again.append(total))
    assert again == [0]


def test_a_damaged_trajectory_is_left_out_and_the_others_are_verified(make_session: Callable[..., Session]) -> None:
    session = make_session()
    for _ in range(3):
        session.add_trajectory(trajectory([0, 9]))
    session.trajectory_path("expert-001").write_bytes(b"not a zip")
    session.add_proposal(proposal(("some", RED_AT_LEAST.format(pixels=4)), goal=RED_AT_LEAST.format(pixels=4)))
    verification = pipeline.verify(session)
    assert verification.trajectories == ("expert-000", "expert-002")
    assert session.trajectories().problems


def test_a_frames_only_session_takes_two_pictures_of_one_size(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="32 × 32"):
        pipeline.create_from_frames(tmp_path, "a", png(picture()), png(picture(side=32)))
    assert not (tmp_path / "a").exists()
    session = pipeline.create_from_frames(tmp_path, "a", png(picture()), png(picture(40)))
    with pytest.raises(BadInput, match="nothing to record"):
        pipeline.record(session)
    with pytest.raises(BadInput, match="nothing to train"):
        pipeline.start_training(session, ["dense"], [0])
    assert pipeline.propose(session).author == "built-in, no VLM"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"trainer": "sac2"}, "sac2"),
        ({"settings": {"n_envs": 0}}, "n_envs"),
        ({"settings": {"x": 1}}, "'x'"),
        ({"steps": 0}, "not 0"),
    ],
)
def test_a_run_that_cannot_be_is_refused_before_anything_is_started(tmp_path: Path, options: dict, words: str) -> None:
    session = pipeline.create_from_env(tmp_path, "a", ENV)
    with pytest.raises(BadInput, match=words):
        pipeline.start_training(session, ["sparse"], [0], **options)
    assert session.run_folders() == []


def test_proposing_without_a_goal_frame_says_how_to_get_one(tmp_path: Path) -> None:
    session = pipeline.create_from_env(tmp_path, "a", ENV)
    with pytest.raises(BadInput, match="no goal frame yet"):
        pipeline.propose(session)


def test_an_edit_needs_an_author_titles_and_the_newest_proposal(make_session: Callable[..., Session]) -> None:
    session = make_session()
    first = session.add_proposal(proposal(("some", ALWAYS)))
    with pytest.raises(BadInput, match="author"):
        pipeline.save_edit(session, first, "  ")
    with pytest.raises(BadInput, match="title"):
        pipeline.save_edit(session, pipeline.with_step(first, dataclasses.replace(first.subtasks[0], title=" ")), "Ada")
    second = pipeline.save_edit(session, first, "Ada", expected_latest=0)
    assert (second.parent, second.author) == (0, "Ada")
    with pytest.raises(ChangedElsewhere):
        pipeline.save_edit(session, first, "Bob", expected_latest=0)


def test_a_training_that_was_killed_is_lost_with_its_rows_and_others_start_again(tmp_path: Path) -> None:
    from vlmcar_core import runs

    session = pipeline.create_from_env(tmp_path, "a", ENV)
    job = pipeline.start_training(session, ["sparse"], [0], steps=2_000_000)[0]
    wait_for(lambda: len(runs.read_progress(job.folder)) >= 2, 120)
    kill(job.folder)
    rows = runs.read_progress(job.folder)
    assert len(rows) >= 2
    listed = runs.runs(session).items
    assert [(run.number, run.job.state) for run in listed] == [(0, "lost")]
    again = pipeline.start_training(session, ["sparse"], [0], steps=512)[0]
    wait_for(lambda: not jobs.read(again.folder).running, 120)
    assert jobs.read(again.folder).state == "success"
    assert runs.read_progress(job.folder) == rows
