"""One more thing on the table: the task stays what it is, and the wrong thing done is never called done."""

import dataclasses

import numpy as np
import pytest

from vlmcar_core import plugins, rollouts
from vlmcar_core.envs.tabletop import beside
from vlmcar_core.errors import BadInput
from vlmcar_core.lab import hard_scenes
from vlmcar_core.types import Task

tabletop = plugins.load("envs", "tabletop")
BOWL = Task("Tabletop/put-block-in-bowl-v0", "tabletop", 0)
SHAPES = Task("Tabletop/packing-shapes-v0", "tabletop", 0)
PILES = Task("Tabletop/separating-piles-v0", "tabletop", 0)
KINDS = ("another", "not the", "in the goal's colour")


@pytest.mark.parametrize("task", [BOWL, SHAPES, PILES])
def test_each_kind_of_wrong_thing_is_there_and_the_rest_of_the_layout_stays(task: Task) -> None:
    found = tabletop.scenes(task, 0)
    assert len(found) == 3 and all(kind in scene.name for kind, scene in zip(KINDS, found, strict=True))
    before = rollouts.first_frame(task)
    for scene in found:
        after = rollouts.first_frame(scene.task)
        rows, columns = np.nonzero((before.astype(int) - after).any(axis=2))
        assert 0 < len(rows) < 0.01 * before.shape[0] * before.shape[1]
        assert np.ptp(rows) < 40 and np.ptp(columns) < 40  # in one place
        expert = rollouts.record_expert(scene.task, 0)
        assert expert.success and expert.facts["all in place"].any()


@pytest.mark.parametrize("task", [BOWL, SHAPES, dataclasses.replace(BOWL, settings={"actions": "steps"})])
def test_the_wrong_thing_comes_to_the_place_and_counts_for_nothing(task: Task) -> None:
    for scene in tabletop.scenes(task, 0):
        wrong = rollouts.record_actions(scene.task, 0, scene.wrong, "near-miss")
        assert not any(truth.any() for truth in wrong.facts.values())
        env = tabletop.make(scene.task)
        try:
            env.reset(seed=0)
            table = env.unwrapped
            first = table.world.place(table.extra.body)
            for action in scene.wrong:
                env.step(action)
            places = [table.world.place(thing.body)[:2] for thing in table.goal.things if thing.role == "place"]
            now = table.world.place(table.extra.body)
            assert np.linalg.norm(now[:2] - first[:2]) > 0.05
            assert min(np.linalg.norm(now[:2] - place) for place in places) < 0.03
        finally:
            env.close()


def test_a_sweep_takes_the_wrong_thing_along() -> None:
    for scene in tabletop.scenes(PILES, 0):
        env = tabletop.make(scene.task)
        try:
            env.reset(seed=0)
            table = env.unwrapped
            first = table.world.place(table.extra.body)
            for action in scene.wrong:
                _, _, terminated, _, _ = env.step(action)
            assert np.linalg.norm(table.world.place(table.extra.body) - first) > 0.05 and not terminated
        finally:
            env.close()


def test_episodes_beside_a_wrong_thing_are_solved_or_not_and_replay_in_any_environment() -> None:
    episodes = hard_scenes.hard_scenes(BOWL, 0)
    assert [(episode.source, episode.success) for episode in episodes] == [("expert", True), ("near-miss", False)] * 3
    changed = tabletop.scenes(BOWL, 0)[0].task
    env = tabletop.make(changed)
    try:
        env.reset(seed=0)
        for action in tabletop.scenes(BOWL, 0)[0].wrong:
            env.step(action)
        env.reset(seed=0)  # used before
        assert np.array_equal(tabletop.scene(env), episodes[0].frames[0])
    finally:
        env.close()


def test_colours_and_shapes_are_told_of_what_stands_on_the_table() -> None:
    env = tabletop.make(BOWL)
    try:
        env.reset(seed=0)
        table = env.unwrapped
        wanted = table.goal.wanted[0]
        assert beside.shape_of(table.world, wanted) == "block"
        assert f"the {beside.colour_of(table.world, wanted)} blocks" in table.goal.instruction
        bowl = next(thing for thing in table.goal.things if thing.role == "place")
        assert beside.shape_of(table.world, bowl) is None
    finally:
        env.close()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("block red 0.2", "SHAPE COLOUR X Y Z.*'block red 0.2'"),
        ("lamp red 0.2 0 0", "block.*'lamp red 0.2 0 0'"),
        ("block mauve 0.2 0 0", "purple.*'block mauve 0.2 0 0'"),
        ("block red 0.2 nan 0", "'block red 0.2 nan 0'"),
        ("block red 0.6 0 0.02", "no room for one more red block at \\[0.6, 0.0\\]"),
    ],
)
def test_what_cannot_be_put_on_the_table_is_told(text: str, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        rollouts.first_frame(dataclasses.replace(BOWL, settings={"extra": text}))


def test_nothing_is_put_where_something_stands_or_a_second_time() -> None:
    env = tabletop.make(BOWL)
    env.reset(seed=0)
    x, y, _ = env.unwrapped.world.place(env.unwrapped.goal.wanted[0].body)
    env.close()
    taken = dataclasses.replace(BOWL, settings={"extra": f"block red {x:.3f} {y:.3f} 0.02"})
    with pytest.raises(BadInput, match="no room"):
        rollouts.first_frame(taken)
    with pytest.raises(BadInput, match="one more object already: block red"):
        tabletop.scenes(taken, 0)
