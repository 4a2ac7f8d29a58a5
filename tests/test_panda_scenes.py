"""One more thing beside panda-gym's own: the task stays what it is, and the wrong thing done counts for nothing."""

import dataclasses

import numpy as np
import pytest

from vlmcar_core import plugins, rollouts
from vlmcar_core.errors import BadInput
from vlmcar_core.lab import hard_scenes
from vlmcar_core.types import Task

panda = plugins.load("envs", "panda")
REACH, PUSH = Task("PandaReach-v3", "panda", 1), Task("PandaPush-v3", "panda", 1)
SLIDE, PICK = Task("PandaSlide-v3", "panda", 1), Task("PandaPickAndPlace-v3", "panda", 1)


@pytest.mark.parametrize("task", [REACH, PUSH, SLIDE, PICK])
def test_each_wrong_thing_is_seen_and_the_expert_still_solves_the_task(task: Task) -> None:
    found = panda.scenes(task, 1)
    names = " ".join(scene.name for scene in found)
    assert all(kind in names for kind in ("same shape, other colour", "not the", "goal's colour"))
    before = rollouts.first_frame(task)
    for scene in found:
        after = rollouts.first_frame(scene.task)
        changed = (before.astype(int) - after).any(axis=2)
        assert 0 < changed.mean() < 0.03
        assert rollouts.record_expert(scene.task, 1).success


@pytest.mark.parametrize("task", [REACH, PUSH, PICK])
def test_the_wrong_thing_done_makes_no_fact_about_the_task_true(task: Task) -> None:
    for scene in panda.scenes(task, 1)[:2]:
        env = panda.make(scene.task)
        try:
            env.reset(seed=1)
            first = env.place("extra")
            for action in scene.wrong:
                _, _, terminated, _, _ = env.step(action)
            assert not terminated and not any(env.facts().values())
            there = env.hand if task is REACH else env.place("extra")
            goal = env.place("extra") if task is REACH else env.goal
            assert np.linalg.norm(there - goal) < env.threshold
            assert task is REACH or np.linalg.norm(env.place("extra") - first) > 0.05
        finally:
            env.close()


def test_episodes_beside_a_wrong_thing_are_solved_or_not_and_replay_in_a_used_environment() -> None:
    episodes = hard_scenes.hard_scenes(PUSH, 1)
    assert [(episode.source, episode.success) for episode in episodes] == [("expert", True), ("near-miss", False)] * 3
    scene = panda.scenes(PUSH, 1)[0]
    env = panda.make(scene.task)
    try:
        env.reset(seed=1)
        for action in scene.wrong:
            env.step(action)
        env.reset(seed=1)  # used before
        frames = [panda.scene(env)]
        for action in episodes[0].actions:
            env.step(action)
            frames.append(panda.scene(env))
        assert np.array_equal(np.stack(frames), episodes[0].frames)
    finally:
        env.close()


def test_without_one_the_scene_is_what_it_was() -> None:
    env = panda.make(PUSH)
    try:
        env.reset(seed=1)
        assert env.extra is None and "extra" not in env.stock.sim._bodies_idx
    finally:
        env.close()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cube red 0.1", "SHAPE COLOUR X Y Z.*'cube red 0.1'"),
        ("cone red 0.1 0.1 0.02", "puck.*'cone red 0.1 0.1 0.02'"),
        ("cube mauve 0.1 0.1 0.02", "cyan.*'cube mauve 0.1 0.1 0.02'"),
        ("cube red 0.6 0 0.02", "no room for one more red cube at \\[0.6, 0.0, 0.02\\]"),
    ],
)
def test_what_cannot_be_put_there_is_told(text: str, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        rollouts.first_frame(dataclasses.replace(PUSH, settings={"extra": text}))


def test_nothing_is_put_where_something_stands_or_a_second_time_or_beside_flips_cube() -> None:
    env = panda.make(PUSH)
    env.reset(seed=1)
    x, y, _ = env.place("object")
    env.close()
    taken = dataclasses.replace(PUSH, settings={"extra": f"cube red {x:.3f} {y:.3f} 0.02"})
    with pytest.raises(BadInput, match="no room"):
        rollouts.first_frame(taken)
    with pytest.raises(BadInput, match="one more object already: cube red"):
        panda.scenes(taken, 1)
    with pytest.raises(BadInput, match="Flip's cube"):
        panda.scenes(Task("PandaFlipJoints-v3", "panda", 0), 0)
