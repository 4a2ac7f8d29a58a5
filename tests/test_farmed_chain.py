"""The hack alarm from end to end, on a real run: a checker that is accepted and wrong, until it no longer is."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from streamlit.testing.v1 import AppTest

from tests.studio_sessions import opened, said
from vlmcar_core import films, jobs, pipeline, remedies, runs, verdicts
from vlmcar_core.cli import cli
from vlmcar_core.runs import Run
from vlmcar_core.store import Session
from vlmcar_core.types import Recording

NAME = "farm"
LEARNER = {"n_envs": 8, "n_steps": 64, "batch_size": 256, "learning_rate": 0.001}


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A door with its key and 40 steps of time; two experts and 40 short random walks."""
    monkeypatch.setenv("VLMCAR_SESSIONS", str(tmp_path))
    made = pipeline.create_from_env(
        tmp_path,
        NAME,
        "MiniGrid-DoorKey-5x5-v0",
        settings={"tile_size": 16, "max_steps": 40},
        recording=Recording(experts=2, randoms=40, random_steps=20),
    )
    pipeline.record(made)
    return made


def with_a_mistake(session: Session) -> None:
    """The built-in proposer's, without its last sub-task, and with a goal that asks for the open door alone."""
    right = pipeline.propose(session)
    door = dataclasses.replace(right.goal.checker, source=right.subtasks[1].checker.source)
    goal = dataclasses.replace(right.goal, checker=door)
    pipeline.save_edit(session, dataclasses.replace(right, goal=goal, subtasks=right.subtasks[:2]), "somebody")


def wait_for(condition: Callable[[], bool], seconds: float = 240.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


def verified_by_the_page(session: Session, key: str) -> AppTest:
    """Press the button that verifies, wait for it to be done, and look again."""
    opened("train", NAME).button(key=key).click().run()

    def over() -> bool:
        job = pipeline.current_job(session, "verify")
        return job is not None and not job.running

    wait_for(over)
    return opened("train", NAME)


def step_of(session: Session, run: Run) -> str:
    found = remedies.remedy(session, run)
    assert found is not None
    return found.step


def vlmcar(session: Session, *arguments: str) -> str:
    return CliRunner().invoke(cli, ["--root", str(session.folder.parent), *arguments]).output


def test_a_wrong_checker_is_farmed_found_rejected_and_mended_and_a_clone_is_trained_without_it(
    session: Session,
) -> None:
    with_a_mistake(session)
    judged = verdicts.judge_whole(pipeline.verify(session))
    assert judged.judgement == "accepted", "random walks hardly ever open the door, so nothing shows the mistake yet"
    (job,) = pipeline.start_training(
        session, ["dense"], [3], env_reward=False, steps=16_000, evaluations=12, settings=LEARNER, video_every=0
    )
    wait_for(lambda: not jobs.read(job.folder).running)
    (run,) = runs.runs(session).items
    assert run.job.state == "success", jobs.log(run.folder)

    # It raises the alarm, and says on the page and in the shell that its worst episodes can be kept.
    ((_, seen),) = remedies.alarmed([run])
    assert seen.for_nothing[0] > 6 and seen.success[1] < 0.2
    assert 1 <= len(films.kept(run.folder, films.HACKS).items) <= films.HACKS_MAX
    text = vlmcar(session, "runs", NAME)
    assert "hack alarm, run 0" in text and "next: vlmcar keep-hacks farm 0" in text
    app = opened("train", NAME)
    assert "Hack alarm, run 0." in said(app)

    # One click makes them negatives; asked about them, the proposal is rejected.
    app = app.button(key="keep-0").click().run()
    assert not app.exception and step_of(session, run) == "verify"
    app = verified_by_the_page(session, "verify-0")
    verification = session.verification(1)
    assert verification is not None
    judged = verdicts.judge_whole(verification)
    assert judged.judgement == "rejected" and "negatives" in judged.reason
    assert verdicts.judge_checker(verification.verdict("goal"), verification).judgement == "rejected"
    assert verdicts.judge_checker(verification.verdict("open-the-door"), verification).judgement == "accepted"
    assert step_of(session, run) == "mend"
    links = [link.proto.label for link in app.get("page_link")]
    assert {"Edit it by hand", "Have it mended", "See where it is wrong"} <= set(links)
    assert "vlmcar edit set farm goal --code FILE" in vlmcar(session, "verify", NAME)

    # With the goal alone mended all is still paid for the open door, and that is said.
    pipeline.save_edit(
        session, dataclasses.replace(session.proposal(1), goal=session.proposal(0).goal), "somebody", "asks for more"
    )
    assert step_of(session, run) == "verify"
    assert verdicts.judge_whole(pipeline.verify(session)).judgement == "accepted"
    found = remedies.remedy(session, run)
    assert found is not None and found.step == "mend" and "a sub-task for what is left is missing" in found.words

    # With the sub-task that was left out it is accepted, and pays for none of the negatives in full.
    pipeline.restore(session, 0, "somebody")
    verified_by_the_page(session, "verify-0")
    found = remedies.remedy(session, run)
    assert found is not None and (found.step, dict(found.changes)) == ("clone", {"proposal": 3})

    # Another click trains anew.
    opened("train", NAME).button(key="anew-0").click().run()
    clone = session.run_folder(1)
    config = runs.read_config(clone)
    assert (config.proposal, config.cloned_from, config.began_with, config.seed) == (3, 0, 0, 3)
    wait_for(lambda: bool(runs.read_evaluations(clone)))
    jobs.cancel(clone)
    wait_for(lambda: not jobs.read(clone).running)
    (first, *_) = runs.read_evaluations(clone)
    assert max(first["learned"]) <= 1.0 and not films.kept(clone, films.HACKS).items
    assert step_of(session, run) == "done" and "Run 1 is the same with proposal 3" in vlmcar(session, "runs", NAME)
