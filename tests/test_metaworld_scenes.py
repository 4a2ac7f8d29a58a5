"""Decoys in Meta-World: they are seen, nothing can touch them, and going to one does nothing that the task asks for."""

import dataclasses

import numpy as np
import pytest

from vlmcar_core import plugins, rollouts
from vlmcar_core.errors import BadInput
from vlmcar_core.lab import hard_scenes
from vlmcar_core.types import Task

pytest.importorskip("metaworld")
metaworld = plugins.load("envs", "metaworld")
PUSH = Task("Meta-World/push-v3", "metaworld", 0, settings={"size": 96})
BUTTON = Task("Meta-World/button-press-v3", "metaworld", 0, settings={"size": 96})


def test_decoys_have_the_objects_shape_its_colour_or_the_goals() -> None:
    extras = [scene.task.settings["extra"].split()[:2] for scene in metaworld.scenes(PUSH, 0)]
    assert extras == [["puck", "blue"], ["ball", "red"], ["ball", "green"]]  # a dark red puck goes to a green place
    assert len(metaworld.scenes(BUTTON, 0)) == 2  # a button is a mesh, which no decoy looks like


def test_a_decoy_is_seen_and_changes_nothing_else() -> None:
    scene = metaworld.scenes(PUSH, 0)[0]
    plain, changed = metaworld.make(PUSH), metaworld.make(scene.task)
    try:
        seen, beside = plain.reset(seed=0)[0], changed.reset(seed=0)[0]
        assert np.array_equal(seen, beside)
        differs = (plain.render().astype(int) - changed.render()).any(axis=2)
        assert 0 < differs.mean() < 0.02
        for action in scene.wrong:
            one, other = plain.step(action), changed.step(action)
            assert np.array_equal(one[0], other[0]) and not other[2]
        place = np.array([float(number) for number in scene.task.settings["extra"].split()[2:]])
        assert np.linalg.norm(other[0][:2] - place[:2]) < 0.03  # the hand is at it
        assert metaworld.facts(changed) == {"success": False, "near object": False}
        first = changed.reset(seed=0)[0]
        assert np.array_equal(first, beside)
    finally:
        plain.close()
        changed.close()


def test_episodes_beside_a_decoy_are_solved_or_not() -> None:
    episodes = hard_scenes.hard_scenes(BUTTON, 0)
    assert [(episode.source, episode.success) for episode in episodes] == [("expert", True), ("near-miss", False)] * 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cube red 0.1", "SHAPE COLOUR X Y Z.*'cube red 0.1'"),
        ("bowl red 0.1 0.6 0.02", "puck.*'bowl red 0.1 0.6 0.02'"),
        ("cube red 0.6 0.6 0.02", "no room for one more red cube at \\[0.6, 0.6, 0.02\\]"),
    ],
)
def test_what_cannot_be_drawn_there_is_told(text: str, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        rollouts.first_frame(dataclasses.replace(PUSH, settings={"extra": text}))


def test_there_is_one_decoy() -> None:
    taken = dataclasses.replace(PUSH, settings={"extra": "cube red 0.1 0.6 0.02"})
    with pytest.raises(BadInput, match="one more object already: cube red"):
        metaworld.scenes(taken, 0)
