"""What the released verifier got wrong, each as a case that this one gets right; through the real child process."""

from dataclasses import replace

import numpy as np

from tests.conftest import ALWAYS, NEVER, RED_AT_LEAST, proposal, trajectory
from vlmcar_core.recordings import TrajectoryInfo
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.types import Count, Frames, Proposal, Thresholds, Trajectory
from vlmcar_core.verdicts import Verification, judge_checker, judge_whole
from vlmcar_core.verify import ask, verify

ALL_RED = RED_AT_LEAST.format(pixels=200)
MOVED = """
import numpy as np


def identify_cube(image):
    ys, xs = np.nonzero(image[..., 0] > 200)
    return (float(xs.mean()), float(ys.mean())) if len(xs) else None


def check(initial, current):
    before, now = identify_cube(initial), identify_cube(current)
    return now is not None and before is not None and abs(now[0] - before[0]) >= {far}
"""


def verified(made: Proposal, trajectories: list[Trajectory]) -> Verification:
    made = replace(made, number=0)
    named = {f"{found.source}-{index:03d}": found for index, found in enumerate(trajectories)}
    infos = {
        id: TrajectoryInfo(
            id, t.source, t.steps, t.success, t.terminated, t.truncated, t.seed, t.env_id, 0.0, (16, 16), t.versions
        )
        for id, t in named.items()
    }
    checkers = {step.checker.digest: step.checker for step in made.steps}
    with CheckerProcess(list(checkers.values())) as process:
        answers = {
            (digest, id): ask(process, checker, found)
            for digest, checker in checkers.items()
            for id, found in named.items()
        }
    return verify(made, infos, answers, Thresholds(), 50)


def randoms(red: list[int], count: int = 30) -> list[Trajectory]:
    return [trajectory(red, "random", False, seed) for seed in range(count)]


def cube(columns: list[int], source: str = "expert", success: bool = True) -> Trajectory:
    """A red cube of 3 × 3 pixels whose left edge is at these columns."""
    frames: Frames = np.zeros((len(columns), 16, 16, 3), np.uint8)
    for frame, column in zip(frames, columns, strict=True):
        frame[6:9, column : column + 3, 0] = 255
    steps = len(columns) - 1
    return Trajectory(frames, np.zeros(steps), np.zeros(steps), success, False, success, source, 0, "Cube-v0")  # type: ignore[arg-type]


def test_an_expert_that_only_twitches_does_not_complete_the_task() -> None:
    twitching = [cube([2, 4, 2, 4, 2, 4, 2]) for _ in range(2)]
    found = verified(proposal(("reach", MOVED.format(far=8)), goal=MOVED.format(far=8)), twitching + randoms([0, 0]))
    assert judge_checker(found.verdict("reach"), found).judgement == "rejected"
    assert found.expert.hits == 0


def test_a_random_cube_that_jitters_does_not_fail_a_correct_program() -> None:
    experts = [cube([2, 5, 8, 11]) for _ in range(2)]
    jitters = [cube([5, 2, 8, 5, 3, 7], "random", False) for _ in range(30)]
    found = verified(proposal(("reach", MOVED.format(far=8)), goal=MOVED.format(far=8)), experts + jitters)
    assert found.random.hits == 0
    assert judge_whole(found).judgement == "accepted"


def test_many_frames_of_one_sub_task_are_not_many_sub_tasks() -> None:
    made = proposal(("some", RED_AT_LEAST.format(pixels=4)), ("all", ALL_RED), goal=ALL_RED)
    found = verified(made, [trajectory([0, 9, 9, 9, 9, 9])] * 2 + randoms([0, 1]))
    assert found.verdict("some").expert.hits == 2
    assert found.expert.hits == 0 and judge_whole(found).judgement == "rejected"
    assert "never completes" in found.wrong[0].reason


def test_a_run_that_skips_the_door_does_not_pass() -> None:
    made = proposal(("door", NEVER), ("all", ALL_RED), goal=ALL_RED)
    found = verified(made, [trajectory([0, 9, 250])] * 2 + randoms([0, 1]))
    assert judge_checker(found.verdict("door"), found).judgement == "rejected"
    assert judge_whole(found).judgement == "rejected"


def test_sub_tasks_out_of_order_do_not_complete_the_task() -> None:
    much = RED_AT_LEAST.format(pixels=100)
    few = "def check(initial, current):\n    return 0 < (current[..., 0] > 200).sum() < 20\n"
    found = verified(proposal(("much", much), ("few", few), goal=few), [trajectory([0, 9, 150])] * 2)
    assert found.verdict("much").expert.hits == found.verdict("few").expert.hits == 2
    assert found.expert.hits == 0


def test_nothing_is_carried_from_one_trajectory_to_the_next() -> None:
    grown = (
        "def check(initial, current):\n    return (current[..., 0] > 200).sum() > (initial[..., 0] > 200).sum() + 5\n"
    )
    one, other = trajectory([0, 9]), trajectory([100, 100, 107])
    found = verified(proposal(("grown", grown), goal=grown), [one, other, one])
    assert found.verdict("grown").expert.hits == 3
    assert found.verdict("grown").at_start.hits == 0


def test_frames_are_asked_in_their_order_and_the_first_is_the_first() -> None:
    """With more than ten frames, names sorted as text would put frame 10 before frame 2."""
    shrunk = "def check(initial, current):\n    return (current[..., 0] > 200).sum() < (initial[..., 0] > 200).sum()\n"
    checker = proposal(("shrunk", shrunk)).subtasks[0].checker
    with CheckerProcess([checker]) as process:
        said = ask(process, checker, trajectory([50] * 11 + [60, 40, 50]))
    assert np.flatnonzero(said.done).tolist() == [12]


def test_a_program_that_never_gets_to_run_is_found_out() -> None:
    typo = "DONE = 1\nif DONE == 2:\n    def check(initial, current):\n        return True\n"
    found = verified(proposal(("typo", typo), goal=ALL_RED), [trajectory([0, 250])] * 2)
    judged = judge_checker(found.verdict("typo"), found)
    assert judged.judgement == "rejected" and "check(initial, current)" in judged.reason


def test_a_checker_that_always_fires_is_rejected() -> None:
    found = verified(proposal(("always", ALWAYS), goal=ALL_RED), [trajectory([0, 250])] * 2 + randoms([0, 1]))
    judged = judge_checker(found.verdict("always"), found)
    assert judged.judgement == "rejected" and "first frame" in judged.reason
    assert found.verdict("always").wrong[0].frame == 0


def test_a_checker_that_never_fires_is_rejected_at_the_experts_last_frame() -> None:
    found = verified(proposal(("never", NEVER), goal=ALL_RED), [trajectory([0, 5, 250])] * 2)
    assert judge_checker(found.verdict("never"), found).judgement == "rejected"
    assert found.verdict("never").wrong[0].frame == 2


def test_a_goal_that_fires_where_the_environment_says_not_solved_is_shown_at_that_frame() -> None:
    goal = RED_AT_LEAST.format(pixels=4)
    found = verified(proposal(goal=goal), [trajectory([0, 9])] * 2 + randoms([0, 1, 9, 1]))
    judged = judge_checker(found.verdict("goal"), found)
    assert judged.judgement == "rejected"
    wrong = [item for item in found.verdict("goal").wrong if item.trajectory.startswith("random")]
    assert len(wrong) == 30 and wrong[0].frame == 2


def test_random_episodes_that_the_environment_calls_solved_are_left_out() -> None:
    solved = [trajectory([0, 250], "random", True, seed) for seed in range(12)]
    found = verified(proposal(("all", ALL_RED), goal=ALL_RED), [trajectory([0, 250])] * 2 + randoms([0, 1]) + solved)
    assert (found.random.hits, found.random.total, found.random_solved) == (0, 30, 12)
    assert judge_whole(found).judgement == "accepted"


def test_a_checker_that_fails_on_one_frame_is_rejected_with_its_line_and_frame() -> None:
    bad = "def check(initial, current):\n    red = int((current[..., 0] > 200).sum())\n    return 1 / (red - 5) > 2\n"
    found = verified(proposal(("bad", bad), goal=ALL_RED), [trajectory([0, 4, 5, 250])] * 2)
    judged = judge_checker(found.verdict("bad"), found)
    assert judged.judgement == "rejected" and "line 3: ZeroDivisionError" in judged.reason
    assert found.verdict("bad").faulty.hits == 2
    assert found.verdict("bad").wrong[0].frame == 2


def test_without_trajectories_nothing_is_decided() -> None:
    found = verified(proposal(("some", ALL_RED), goal=ALL_RED), [])
    assert judge_whole(found).judgement == "undecided"


def test_episodes_beside_a_wrong_object_are_left_to_the_examination() -> None:
    """The task never shows such a layout, so a checker that is mistaken there alone may be right."""
    done, never = trajectory([0, 4, 250]), trajectory([0, 9, 9], "expert", True)
    beside = [
        replace(never, versions={"scene": "another key"}),
        replace(trajectory([0, 250], "near-miss", False), versions={"scene": "another key"}),
    ]
    made = proposal(("red", ALL_RED), goal=ALL_RED)
    found = verified(made, [done, done, *randoms([0, 1]), *beside])
    assert found.expert == Count(2, 2) and found.verdict("red").expert == Count(2, 2)
    assert found.verdict("goal").false_goals == Count(0, 30) and not found.wrong
    assert judge_whole(found).judgement == judge_checker(found.verdict("goal"), found).judgement == "accepted"
    own = [replace(episode, versions={}) for episode in beside]
    assert judge_whole(verified(made, [done, done, *randoms([0, 1]), *own])).judgement == "rejected"
