"""What a checker is held to without a person's word, what is worked out only once, and sub-tasks out of order."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import NEVER, RED_AT_LEAST, proposal, trajectory
from tests.studio_sessions import recorded
from vlmcar_core import examinations, laboratory, pipeline
from vlmcar_core.examinations import Examined, Row, Survivor, Turn
from vlmcar_core.lab import mutation, out_of_order, titles, truth, turns
from vlmcar_core.lab.truth import Episode
from vlmcar_core.lab.unnoticed import unnoticed
from vlmcar_core.recordings import Distinct, distinct_frames
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.store import MADE
from vlmcar_core.types import GOAL, Answers, Checker, Count, SubTask, Task
from vlmcar_core.verify import ask

FACTS = ("key held", "ball held", "door open", "goal reached")


@pytest.mark.parametrize(
    ("title", "fact"),
    [
        ("Take the key (yellow here)", "key held"),
        ("Pick up the purple ball", "ball held"),
        ("Unlock the door with the key", "door open"),
        ("Bring the red triangle onto the green square", "goal reached"),
        ("Walk to the goal", "goal reached"),
        ("Take the key and open the door", None),
        ("Drop the key", None),
        ("Stand beside the door", None),
        ("Do not pick up the ball", None),
        ("Open 1 of 2 gates", None),
        ("", None),
    ],
)
def test_a_title_names_one_fact_or_none(title: str, fact: str | None) -> None:
    assert titles.named(title, FACTS) == fact


def test_the_fact_of_more_words_is_meant() -> None:
    assert titles.named("Open the blue door", ["door open", "blue door open", "red door open"]) == "blue door open"


def anchored(title: str, done: list[int], key: str = "it", success: bool | None = True) -> truth.Anchor:
    """Of a checker that is done in these frames of two experts of six; “door open” from 2, “goal reached” in the last."""
    facts = {"door open": np.arange(6) >= 2, "goal reached": np.arange(6) >= 5, "key held": np.zeros(6, np.bool_)}
    answers = Answers(np.isin(np.arange(6), done).astype(np.float32))
    experts = [(Episode(f"e{number}", "expert", success, facts), {key: answers}) for number in range(2)]
    return truth.anchors([SubTask(title, Checker(key, NEVER))], experts)[key]


def test_what_a_title_names_holds_whatever_its_checker_does() -> None:
    found = anchored("Open the door", [5])
    assert (found.fact, found.origin) == ("door open", "title")
    assert anchored("Take the key", [2, 3]).fact == "door open", "no expert ever holds the key, so its title is not it"
    found = anchored("Something", [5])
    assert (found.fact, found.origin) == ("goal reached", "fires")
    assert found.likely == ("goal reached", "door open")
    assert anchored("Something", [4, 5]).origin == "fires"
    assert (anchored("Something", [0]).fact, anchored("Something", [0]).origin) == (None, "none")


def test_the_goal_is_about_what_the_environment_calls_solved() -> None:
    found = anchored("Open the door", [2], key=GOAL)
    assert (found.fact, found.origin) == ("goal reached", "success")
    assert anchored("Open the door", [2], key=GOAL, success=None).origin == "fires"


def test_none_is_accepted_for_agreeing_with_what_it_chose_itself() -> None:
    rows = (Row("it", "expert", Count(2, 2), Count(0, 0), 0), Row("it", "random", Count(0, 0), Count(9, 9), 0))
    guessed = Examined("it", "", "door open", rows, (), origin="fires")
    judged = examinations.judge(guessed)
    assert judged.judgement == "undecided" and "name what it is about" in judged.reason
    for origin in ("title", "success"):
        assert examinations.judge(dataclasses.replace(guessed, origin=origin)).judgement == "accepted"
    named = dataclasses.replace(guessed, named=True, origin="named")
    assert examinations.judge(named).judgement == "accepted"
    assert examinations.judge(dataclasses.replace(guessed, fact=None, origin="none")).judgement == "accepted"


# Worked out only once


def contents(session_folder: Path) -> set[str]:
    return {path.name for path in (session_folder / MADE).iterdir()}


def test_after_an_edit_only_that_checker_is_examined_again(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    told: list[str] = []
    first = laboratory.examine(session, mutants=False)
    before = contents(session.folder)
    assert before
    same = laboratory.examine(session, mutants=False, progress=lambda _done, _all, message: told.append(message))
    assert sum("nothing has changed since" in message for message in told) == len(first.checkers)
    assert same.checkers == first.checkers and same.evidence == first.evidence
    made = session.proposal()
    step = made.steps[0]
    edited = dataclasses.replace(step, checker=Checker(step.key, step.checker.source + "\n# the same\n"))
    pipeline.save_edit(session, pipeline.with_step(made, edited), "Ada")
    told.clear()
    again = laboratory.examine(session, mutants=False, progress=lambda _done, _all, message: told.append(message))
    assert sum("nothing has changed since" in message for message in told) == len(first.checkers) - 1
    assert again.checkers[1:] == first.checkers[1:]
    assert again.checkers[0].rows == first.checkers[0].rows and again.checkers[0].basis != first.checkers[0].basis
    assert len(contents(session.folder)) > len(before)


def test_a_new_episode_is_looked_at_and_made_ones_are_not_asked_again(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    first = laboratory.examine(session, mutants=False)
    before = contents(session.folder)
    session.add_trajectory(trajectory([0, 1, 2], source="random", success=False, seed=77))
    again = laboratory.examine(session, mutants=False)
    assert again.episodes == first.episodes + 1
    assert [row.unknown + row.must_not.total for row in again.checkers[0].rows if row.source == "random"] > [
        row.unknown + row.must_not.total for row in first.checkers[0].rows if row.source == "random"
    ]
    assert contents(session.folder) == before


def test_what_is_remembered_is_bounded_and_damage_is_asked_again(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    first = laboratory.examine(session, mutants=False)
    paths = sorted((session.folder / MADE).iterdir())
    paths[0].write_bytes(b"nothing that can be read")
    session.add_trajectory(trajectory([0, 1], source="random", success=False, seed=78))
    assert laboratory.examine(session, mutants=False).checkers[0].cases == first.checkers[0].cases
    kept = len(contents(session.folder))
    assert session.forget_made_answers(3) == kept - 3
    assert len(contents(session.folder)) == 3


def test_mutants_meet_the_same_in_portions_as_at_once() -> None:
    checker = Checker("it", RED_AT_LEAST.format(pixels=4))
    episodes = {f"e{number}": trajectory([0, number, 4, 9], success=True, seed=number) for number in range(4)}
    with CheckerProcess([checker]) as process:
        answers = {id: ask(process, checker, episode) for id, episode in episodes.items()}
    witnesses = [
        mutation.Witness("it", Episode.of(id, episode), "expert", answers[id], truth.Expected(True, 2))
        for id, episode in episodes.items()
    ]

    def frames(id: str) -> Distinct:
        return distinct_frames(episodes[id].frames)

    whole = mutation.score(checker, witnesses, frames)
    assert mutation.score(checker, witnesses, frames, portion_bytes=1) == whole
    assert 0 < whole.killed.hits < whole.killed.total


# Survivors in plain words


def test_survivors_are_told_together_with_what_to_record() -> None:
    where = "int(identify_red(current).sum()) >= 20"
    numbers = [Survivor(f"20 becomes {one}", 7, where, "20", one) for one in ("22", "25", "35")]
    found = unnoticed([*numbers, Survivor("the condition “near” dropped", 9, "near and far")])
    assert [item.told for item in found] == [
        f"nothing recorded tells 20 from 22, 25 or 35 in “{where}”",
        "nothing recorded needs “near” in “near and far”",
    ]
    assert found[0].record == "a frame in which “int(identify_red(current).sum())” lies between 20 and 35"
    assert found[1].record == "a frame in which “near” fails and all else is as when done"


def test_every_kind_of_wrong_version_has_words() -> None:
    source = """
LOW = (20, 100, 90)


def check(initial, current):
    red = ((current > LOW).all(axis=2) & (initial[5:50, 20:40, 0].max() < 0.5)).sum()
    return not red < 7 and (current[0, 0] == initial[0, 0]).all()
"""
    found = unnoticed(mutant.survivor for mutant in mutation.mutants(source))
    assert len(found) >= 10
    assert all(item.told.startswith("nothing recorded") and item.record and "{" not in item.told for item in found)


# Out of order


def test_what_is_done_before_its_turn_is_paid_nothing_until_then() -> None:
    steps = proposal(("one", NEVER), ("two", NEVER)).subtasks

    def said(one: list[int], two: list[int]) -> dict[str, Answers]:
        return {"one": Answers(np.array(one, np.float32)), "two": Answers(np.array(two, np.float32))}

    found = turns.turns(
        steps,
        {
            "in order": said([0, 1, 1, 1], [0, 0, 1, 1]),
            "early, and still done": said([0, 0, 1, 1], [0, 1, 1, 1]),
            "early, and not any more": said([0, 0, 1, 1], [0, 1, 0, 0]),
            "early, and never its turn": said([0, 0, 0, 0], [0, 1, 1, 1]),
        },
    )
    assert found == (Turn("one", Count(0, 4), Count(0, 0)), Turn("two", Count(3, 4), Count(1, 3)))
    assert turns.turns((), {"e": {}}) == ()


def test_a_later_sub_task_is_played_before_an_earlier_one_where_the_simulator_can() -> None:
    doors = Task("MiniGrid-RedBlueDoors-6x6-v0", "minigrid", 0)
    found = {episode.versions["order"]: episode for episode in out_of_order.out_of_order(doors, 0)}
    swapped = found["“blue door open” before “red door open”"]
    assert swapped.success is False and swapped.source == "near-miss"
    assert swapped.facts["blue door open"].any() and not swapped.facts["red door open"].any()
    undone = found["“red door open”, then undone"]
    red = undone.facts["red door open"]
    assert undone.success is True and undone.source == "adversarial"
    assert (np.diff(red.astype(int)) == -1).any(), "it is opened and shut"


def test_an_order_that_the_layout_does_not_allow_is_not_recorded() -> None:
    door = Task("MiniGrid-DoorKey-5x5-v0", "minigrid", 0)
    orders = {episode.versions["order"] for episode in out_of_order.out_of_order(door, 0)}
    assert orders == {"“key held”, then undone", "“door open”, then undone"}
    assert not out_of_order.possible(Task("PandaReach-v3", "panda", 0))
