"""Wrong objects put beside the task's own, and sub-tasks shown out of order."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import proposal
from vlmcar_core import laboratory, pipeline, plugins, rollouts
from vlmcar_core.errors import BadInput
from vlmcar_core.lab import hard_scenes, operators
from vlmcar_core.types import Recording, Task, Trajectory

DOOR = Task("MiniGrid-DoorKey-6x6-v0", "minigrid", 0)
PICKUP = Task("MiniGrid-UnlockPickup-v0", "minigrid", 0)
minigrid = plugins.load("envs", "minigrid")


@pytest.mark.parametrize("task", [DOOR, PICKUP])
def test_a_scene_differs_in_one_cell_and_stays_solvable(task: Task) -> None:
    scenes = minigrid.scenes(task, 0)
    assert len(scenes) >= 3
    before = rollouts.first_frame(task)
    for scene in scenes:
        after = rollouts.first_frame(scene.task)
        side = 32
        changed = (before != after).any(axis=2).reshape(before.shape[0] // side, side, -1, side).any(axis=(1, 3))
        assert changed.sum() == 1, scene.name
        assert rollouts.record_expert(scene.task, 0).success


def test_each_kind_of_wrong_object_is_there() -> None:
    names = " ".join(scene.name for scene in minigrid.scenes(DOOR, 0))
    for kind in ("another key, same shape, other colour", "not the key: same colour, other shape", "goal's colour"):
        assert kind in names


def test_facts_stay_about_the_right_object() -> None:
    scene = next(scene for scene in minigrid.scenes(DOOR, 0) if "another key" in scene.name)
    wrong = rollouts.record_actions(scene.task, 0, scene.wrong, "near-miss")
    env = minigrid.make(scene.task)
    env.reset(seed=0)
    for action in scene.wrong:
        env.step(action)
    assert env.unwrapped.carrying.type == "key" and env.unwrapped.carrying.color != "yellow"
    assert not wrong.facts["key held"].any()
    expert = rollouts.record_expert(scene.task, 0)
    assert expert.facts["key held"].any() and expert.success


def test_episodes_beside_a_wrong_object_are_solved_or_not_and_replay() -> None:
    episodes = hard_scenes.hard_scenes(DOOR, 0)
    assert {(episode.source, episode.success) for episode in episodes} == {("expert", True), ("near-miss", False)}
    assert all(episode.versions["scene"] for episode in episodes)
    again = hard_scenes.hard_scenes(DOOR, 0)
    assert all(np.array_equal(one.frames, other.frames) for one, other in zip(episodes, again, strict=True))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ball green 3", "KIND COLOUR COLUMN ROW"),
        ("lamp green 3 1", "'lamp green 3 1'"),
        ("ball green 3 -1", "'ball green 3 -1'"),
        ("ball green 0 0", "no free cell at \\(0, 0\\)"),
        ("ball green 90 1", "no free cell at \\(90, 1\\)"),
    ],
)
def test_what_cannot_be_put_in_is_told(text: str, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        rollouts.first_frame(dataclasses.replace(DOOR, settings={"extra": text}))


def test_what_has_no_scenes_is_told() -> None:
    with pytest.raises(BadInput, match="nothing can be put into the layouts of CLIPort"):
        hard_scenes.hard_scenes(Task("CLIPort/put-block-in-bowl", "cliport", 0), 0)
    changed = dataclasses.replace(DOOR, settings={"extra": "ball green 3 1"})
    with pytest.raises(BadInput, match="one more object already: ball green 3 1"):
        minigrid.scenes(changed, 0)


def test_a_checker_that_takes_any_key_for_the_key_is_rejected(tmp_path: Path) -> None:
    """It looks for what the agent's own cell hides: any thing that goes away is the key to it."""
    anything_gone = (
        "import numpy as np\n\n\ndef things(image):\n    grey = image.max(axis=2).astype(int) - image.min(axis=2) > 90\n"
        "    cells = grey.reshape(image.shape[0] // 32, 32, image.shape[1] // 32, 32).sum(axis=(1, 3))\n"
        "    return int((cells > 20).sum())\n\n\n"
        "def check(initial, current):\n    return things(current) < things(initial)\n"
    )
    session = pipeline.create_from_env(tmp_path, "door", DOOR.env_id or "", recording=Recording(2, 30, 60))
    pipeline.record(session)
    asked = proposal(("take-the-key", anything_gone), goal="def check(initial, current):\n    return False\n")
    session.add_proposal(dataclasses.replace(asked, author="a test"))
    facts: dict[str, str | None] = {"take-the-key": "key held"}
    before = laboratory.examine(session, mutants=False, facts=facts)
    ids = laboratory.hard_scenes(session)
    assert laboratory.hard_scenes(session) == ids
    after = laboratory.examine(session, mutants=False)
    known = [case for case in before.checkers[0].cases if " " not in case.episode]
    found = [case for case in after.checkers[0].cases if case.episode in ids]
    assert known == [] and found
    assert {session.trajectory(case.episode).source for case in found} == {"near-miss"}


def test_facts_are_shown_out_of_order() -> None:
    expert = rollouts.record_expert(DOOR, 0)
    made = {item.operator: item for item in operators.negatives(expert)}
    swapped = made["“door open” shown before “key held”"].trajectory
    assert len(swapped.frames) == len(expert.frames)
    start = int(np.argmax(expert.facts["key held"]))
    assert swapped.facts["door open"][start] and not expert.facts["door open"][start]
    assert _counts(swapped) == _counts(expert)


def _counts(episode: Trajectory) -> dict[str, int]:
    return {name: int(truth.sum()) for name, truth in episode.facts.items()}


def test_an_expert_beside_a_wrong_object_says_nothing_of_what_a_checker_is_about(tmp_path: Path) -> None:
    """The built-in proposer's code is fooled there; what it is about is guessed from the other experts, as before."""
    session = pipeline.create_from_env(tmp_path, "door", DOOR.env_id or "", recording=Recording(2, 3, 20))
    pipeline.record(session)
    pipeline.propose(session)
    before = laboratory.examine(session, mutants=False)
    laboratory.hard_scenes(session, 2)
    after = laboratory.examine(session, mutants=False)
    assert [found.fact for found in before.checkers] == [found.fact for found in after.checkers]
    assert before.checkers[0].fact == "key held"
    assert any("expert" in row.source and row.should.total > 2 for row in after.checkers[0].rows)
