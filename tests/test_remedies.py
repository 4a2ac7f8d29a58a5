"""What an alarm asks for next, in each state in which somebody may have left it; negatives in a verdict."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ALWAYS, NEVER, RED_AT_LEAST, picture, proposal, trajectory
from vlmcar_core import continuing, films, jobs, pipeline, remedies, runs, verdicts
from vlmcar_core.remedies import Remedy
from vlmcar_core.runs import Run, RunConfig
from vlmcar_core.store import Session
from vlmcar_core.types import Count, Proposal, SubTask, Task

SOME, ALL = RED_AT_LEAST.format(pixels=4), RED_AT_LEAST.format(pixels=200)
RIGHT = proposal(("some", SOME), ("all", ALL), goal=ALL)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Experts that fill a picture with red, and random walks that do not."""
    made = Session.create(tmp_path, "red", Task("MiniGrid-Empty-5x5-v0", "minigrid"))
    made.set_initial(picture(0))
    for seed in (0, 1):
        made.add_trajectory(trajectory([0, 9, 250], seed=seed))
    for seed in range(30):
        made.add_trajectory(trajectory([0, 1], "random", False, seed))
    return made


def farmed(session: Session, hacks: tuple[list[int], ...] = ([0, 9, 0],), **fields: Any) -> Run:
    """A run of the newest proposal that was paid more and more and solved nothing, and kept these episodes."""
    folder = session.new_run_folder()
    runs.write_config(folder, RunConfig(**{"proposal": session.proposal().number, **fields}))
    for number in range(1, 9):
        told = {"solved": [False] * 9, "lengths": [9] * 9, "learned": [number * 0.2 + place for place in range(9)]}
        runs.append(folder, runs.EVALUATION, {"steps": 500 * number, "episodes": 9, "successes": 0, **told})
    for seed, red in enumerate(hacks, 1_000_000):
        films.keep_hack(folder, trajectory(red, "adversarial", success=False, seed=seed), 500, 3.0)
    with jobs.running(folder, "train"):
        pass
    return continuing.run(session, int(folder.name))


def edited(session: Session, made: Proposal) -> Proposal:
    return pipeline.save_edit(session, replace(made, number=session.proposal().number), "somebody")


def next_step(session: Session, run: Run) -> Remedy:
    found = remedies.remedy(session, run)
    assert found is not None
    return found


def test_right_checkers_that_are_paid_in_circles_ask_for_another_way_to_pay(session: Session) -> None:
    session.add_proposal(RIGHT)
    run = farmed(session, pay="edge")
    assert [found.number for found, _ in remedies.alarmed(runs.runs(session).items)] == [run.number]
    assert next_step(session, run).command == "vlmcar keep-hacks red 0"
    ids = continuing.keep_hacks(session, run.number)
    assert remedies.negatives(session, run) == ids
    assert (next_step(session, run).step, next_step(session, run).proposal) == ("verify", 0)
    judged = verdicts.judge_whole(pipeline.verify(session))
    assert judged.judgement == "accepted" and judged.reason.endswith("in none of 1 negatives")
    found = next_step(session, run)
    assert (found.step, dict(found.changes)) == ("clone", {"pay": "once"}) and "its checkers are right" in found.words
    assert found.command == "vlmcar clone-run red 0 --set pay=once"
    folder = session.new_run_folder()
    runs.write_config(folder, continuing.changed(run, found.changes))
    with jobs.running(folder, "train"):
        pass
    assert next_step(session, run).step == "done" and "Run 1" in next_step(session, run).words


def test_a_proposal_that_completes_a_negative_is_rejected_and_is_to_be_mended(session: Session) -> None:
    session.add_proposal(proposal(("some", SOME), goal=SOME))
    run = farmed(session)
    assert verdicts.judge_whole(pipeline.verify(session)).judgement == "accepted"
    continuing.keep_hacks(session, run.number)
    verification = pipeline.verify(session)
    assert verification.negatives == Count(1, 1) == verification.verdict("goal").negatives
    assert verification.verdict("goal").false_goals == Count(0, 30), "negatives are no random sample"
    assert verdicts.judge_whole(verification).judgement == "rejected"
    assert verdicts.judge_checker(verification.verdict("goal"), verification).judgement == "rejected"
    assert verdicts.judge_checker(verification.verdict("some"), verification).judgement == "accepted"
    found = next_step(session, run)
    assert (found.step, found.checker) == ("mend", "goal") and "1 of 1 negatives" in found.words
    edited(session, RIGHT)
    assert (next_step(session, run).step, next_step(session, run).proposal) == ("verify", 1)
    pipeline.verify(session)
    assert dict(next_step(session, run).changes) == {"proposal": 1}


def test_sub_tasks_that_pay_in_full_where_the_goal_says_no_are_told(session: Session) -> None:
    session.add_proposal(proposal(("some", SOME), goal=ALL))
    run = farmed(session)
    continuing.keep_hacks(session, run.number)
    assert verdicts.judge_whole(pipeline.verify(session)).judgement == "accepted"
    found = next_step(session, run)
    assert (found.step, found.checker) == ("mend", "some") and "a sub-task for what is left is missing" in found.words
    assert "vlmcar edit add red" in found.command


def test_too_few_random_episodes_ask_for_more_and_not_for_a_mended_checker(tmp_path: Path) -> None:
    session = Session.create(tmp_path, "red", Task("MiniGrid-Empty-5x5-v0", "minigrid"))
    session.set_initial(picture(0))
    session.add_trajectory(trajectory([0, 9, 250]))
    session.add_proposal(RIGHT)
    run = farmed(session)
    continuing.keep_hacks(session, run.number)
    pipeline.verify(session)
    assert next_step(session, run).step == "decide"


def test_a_run_that_kept_no_episode_has_only_its_curves_and_so_has_one_whose_proposals_are_gone(
    session: Session,
) -> None:
    session.add_proposal(RIGHT)
    assert remedies.remedy(session, farmed(session, hacks=())) is None
    run = farmed(session)
    assert next_step(session, run).step == "keep"
    shutil.rmtree(session.folder / "proposals")
    assert remedies.remedy(session, run) is None


def test_the_same_episode_of_another_run_is_a_negative_already(session: Session) -> None:
    session.add_proposal(RIGHT)
    first, second = farmed(session), farmed(session, pay="level")
    other = farmed(session, hacks=([0, 9, 9],), pay="edge")
    ids = continuing.keep_hacks(session, first.number)
    assert remedies.negatives(session, second) == ids
    assert next_step(session, second).step == "verify"
    # The pictures differ and the actions do not: it is the environment that makes the one from the other.
    assert remedies.negatives(session, other) == ids


def test_an_episode_that_is_solved_or_beside_a_wrong_object_is_no_negative(session: Session) -> None:
    session.add_proposal(proposal(("some", SOME), goal=SOME))
    session.add_trajectory(trajectory([0, 9], "adversarial", True, 7))
    beside = trajectory([0, 9], "adversarial", False, 8)
    session.add_trajectory(replace(beside, versions={**beside.versions, "scene": "another key"}))
    verification = pipeline.verify(session)
    assert verification.negatives == Count(0, 0)
    assert verdicts.judge_whole(verification).judgement == "accepted"


def test_negatives_say_nothing_of_a_proposal_that_experts_do_not_complete(session: Session) -> None:
    session.add_proposal(proposal(("some", NEVER), goal=NEVER))
    session.add_trajectory(trajectory([0, 9], "adversarial", False, 7))
    judged = verdicts.judge_whole(pipeline.verify(session))
    assert judged.judgement == "rejected" and "expert" in judged.reason and "in none of 1" in judged.reason
    session.add_proposal(proposal(("some", ALWAYS), goal=ALWAYS))
    judged = verdicts.judge_whole(pipeline.verify(session))
    assert judged.judgement == "rejected"


def test_a_clone_with_another_proposal_leaves_out_weights_of_sub_tasks_that_it_has_not(session: Session) -> None:
    session.add_proposal(RIGHT)
    run = farmed(session, weights={"some": 2.0, "all": 3.0}, steps=64, evaluations=1)
    edited(session, replace(RIGHT, subtasks=(SubTask("all", RIGHT.subtasks[1].checker),)))
    job = continuing.clone(session, run.number, {"proposal": 1})
    assert dict(runs.read_config(job.folder).weights) == {"all": 3.0}
