"""The built-in proposer on pictures of scenes: several views, things of one colour, things that hide others."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest

from vlmcar_core.proposers import _scene, builtin
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.types import Frame, Proposal

RED, GREEN, BLUE, YELLOW, BROWN = (220, 30, 30), (30, 190, 40), (40, 60, 220), (230, 210, 30), (140, 85, 40)
TABLE = (200, 200, 205)
Box = tuple[int, int, int, int, tuple[int, int, int]]
"""x, y, width, height, colour."""


def painted(*boxes: Box, size: tuple[int, int] = (120, 200)) -> Frame:
    """A table seen from above; the lower half of everything is darker, as shading makes it."""
    frame = np.full((*size, 3), TABLE, np.uint8)
    for x, y, width, height, colour in boxes:
        frame[y : y + height, x : x + width] = colour
        frame[y + height // 2 : y + height, x : x + width] = tuple(int(0.6 * level) for level in colour)
    return frame


def two_views(*things: tuple[int, int, int, int, tuple[int, int, int]]) -> Frame:
    """Things at (x, y, z) of a width, seen from the front (x, z) and from the side (y, z)."""
    front = [(x - w // 2, 90 - z - w // 2, w, w, colour) for x, y, z, w, colour in things]
    side = [(y - w // 2, 90 - z - w // 2, w, w, colour) for x, y, z, w, colour in things]
    gap = np.zeros((120, 2, 3), np.uint8)
    return np.concatenate([painted(*front, size=(120, 120)), gap, painted(*side, size=(120, 120))], axis=1)


def propose(initial: Frame, goal: Frame) -> Proposal:
    return builtin.propose(initial, goal, lambda *_: None)


def values(proposal: Proposal, index: int, initial: Frame, frames: Sequence[Frame]) -> list[float]:
    checker = proposal.subtasks[index].checker
    with CheckerProcess([checker]) as process:
        outcomes = process.run(checker.key, initial, np.stack(frames))
    assert [outcome.kind for outcome in outcomes] == ["ok"] * len(frames), outcomes
    return [float(outcome.value or 0.0) for outcome in outcomes]


def done(*arguments: Any) -> list[bool]:
    return [value >= 1.0 for value in values(*arguments)]


def test_views_are_told_by_the_black_columns_between_them() -> None:
    frame = two_views((20, 30, 0, 10, GREEN))
    assert _scene.views(frame, frame) == [(0, 120), (122, 242)]
    assert _scene.views(painted(), painted()) == [(0, 200)]


def test_near_in_one_view_and_far_in_the_other_is_not_near() -> None:
    mark = (80, 30, 40, 10, YELLOW)
    initial = two_views((20, 90, 10, 12, RED), mark)
    proposal = propose(initial, two_views((74, 33, 44, 12, RED), mark))
    assert [step.title for step in proposal.subtasks] == ["Bring the red thing to the yellow one"]
    frames = [two_views(thing, mark) for thing in ((78, 30, 41, 12, RED), (78, 95, 41, 12, RED), (20, 30, 41, 12, RED))]
    assert done(proposal, 0, initial, frames) == [True, False, False]


def test_a_thing_behind_another_is_neither_gone_nor_anywhere() -> None:
    still, goal_box = (20, 20, 12, 12, BLUE), (150, 70, 30, 30, YELLOW)
    initial = painted(still, (60, 20, 12, 12, RED), goal_box)
    goal = painted((18, 18, 16, 16, (128, 128, 128)), goal_box, (158, 78, 12, 12, RED))
    proposal = propose(initial, goal)
    assert [step.title for step in proposal.subtasks] == ["Bring the red thing into the yellow one"]
    assert any("hidden" in doubt and "blue" in doubt for doubt in proposal.doubts)
    covered = painted(still, goal_box, (155, 75, 18, 18, (120, 120, 120)))
    assert done(proposal, 0, initial, [covered, goal, initial]) == [False, True, False]


def test_what_left_the_picture_is_told_from_what_is_covered() -> None:
    ball, box = (40, 40, 14, 14, BLUE), (120, 60, 30, 30, YELLOW)
    initial = painted(ball, box)
    proposal = propose(initial, painted(box))
    assert [step.title for step in proposal.subtasks] == ["Remove the blue thing"]
    covered = painted(box, (36, 36, 24, 24, (90, 90, 90)))
    assert done(proposal, 0, initial, [painted(box), covered, initial]) == [True, False, False]


def test_several_of_one_colour_are_counted_and_each_is_a_sub_task() -> None:
    bowls = [(20, 70, 30, 30, GREEN), (80, 70, 30, 30, GREEN), (140, 70, 30, 30, GREEN)]
    blocks = [(20, 10, 12, 12, RED), (60, 10, 12, 12, RED), (100, 10, 12, 12, RED)]
    inside = [(29, 79, 12, 12, RED), (89, 79, 12, 12, RED), (149, 79, 12, 12, RED)]
    other = (150, 10, 12, 12, BLUE)
    initial = painted(*bowls, *blocks, other)
    proposal = propose(initial, painted(*bowls, *inside, other))
    assert [step.title for step in proposal.subtasks] == [
        f"Bring {number} of 3 red things into the green" for number in (1, 2, 3)
    ]
    frames = [
        initial,
        painted(*bowls, inside[2], *blocks[1:], other),
        painted(*bowls, *inside[:2], blocks[2], other),
        painted(*bowls, *inside, other),
    ]
    assert [done(proposal, index, initial, frames) for index in range(3)] == [
        [False, True, True, True],
        [False, False, True, True],
        [False, False, False, True],
    ]
    progress = values(proposal, 2, initial, frames)
    assert progress == sorted(progress) and 0.3 < progress[1] < 0.5 and progress[0] == 0.0


def test_things_of_several_colours_that_go_into_one_are_counted_together() -> None:
    box = (120, 20, 70, 80, BROWN)
    initial = painted(box, (10, 10, 14, 14, RED), (10, 60, 14, 14, BLUE), (60, 60, 14, 14, GREEN))
    goal = painted(box, (130, 30, 14, 14, RED), (150, 60, 14, 14, BLUE), (60, 60, 14, 14, GREEN))
    proposal = propose(initial, goal)
    titles = [step.title for step in proposal.subtasks]
    assert len(titles) == 2 and all("into the brown" in title and "green" not in title for title in titles)
    only_blue = painted(box, (10, 10, 14, 14, RED), (150, 60, 14, 14, BLUE), (60, 60, 14, 14, GREEN))
    assert done(proposal, 0, initial, [initial, only_blue, goal]) == [False, True, True]
    assert done(proposal, 1, initial, [initial, only_blue, goal]) == [False, False, True]


def test_many_small_things_are_asked_for_in_parts() -> None:
    zone = (120, 20, 70, 80, YELLOW)
    pile = [(8 + 9 * (i % 4), 20 + 9 * (i // 4), 5, 5, BLUE) for i in range(16)]
    swept = [(130 + 9 * (i % 4), 30 + 9 * (i // 4), 5, 5, BLUE) for i in range(16)]
    initial, goal = painted(zone, *pile), painted(zone, *swept)
    proposal = propose(initial, goal)
    assert [step.title for step in proposal.subtasks] == [
        f"Bring {part} of 3 parts of the blue things into the yellow" for part in (1, 2, 3)
    ]
    half = painted(zone, *pile[8:], *swept[:8])
    assert [done(proposal, index, initial, [half, goal])[0] for index in range(3)] == [True, False, False]
    assert [done(proposal, index, initial, [half, goal])[1] for index in range(3)] == [True, True, True]


def test_beads_that_came_to_lie_in_a_line_are_proposed_as_lined_up() -> None:
    places = [(30 + 14 * i, 60 + round(30 * np.sin(i))) for i in range(9)]
    initial = painted(*((x, y, 7, 7, RED) for x, y in places))
    goal = painted(*((30 + 14 * i, 100, 7, 7, RED) for i in range(9)))
    proposal = propose(initial, goal)
    assert [step.title for step in proposal.subtasks] == ["Line up the red things"]
    turned = painted(*((30 + 9 * i, 20 + 9 * i, 7, 7, RED) for i in range(9)))
    assert done(proposal, 0, initial, [initial, turned, goal]) == [False, True, True]


def test_the_hand_of_an_arm_comes_to_what_it_moves_first() -> None:
    def scene(hand: tuple[int, int], cube: tuple[int, int]) -> Frame:
        frame = painted((140, 70, 30, 30, YELLOW), (*cube, 14, 14, GREEN))
        cv2.line(frame, (0, 0), hand, (120, 120, 130), 10)
        frame[hand[1] - 5 : hand[1] + 5, hand[0] - 5 : hand[0] + 5] = RED
        return frame

    initial, goal = scene((90, 20), (60, 70)), scene((141, 84), (148, 78))
    proposal = propose(initial, goal)
    assert [step.title for step in proposal.subtasks] == [
        "Bring the red thing to the green one",
        "Bring the green thing into the yellow one",
    ]
    reached = scene((52, 75), (60, 70))
    assert done(proposal, 0, initial, [initial, reached, goal]) == [False, True, True]
    assert done(proposal, 1, initial, [initial, reached, goal]) == [False, False, True]


@pytest.mark.parametrize(("colour", "name"), [(BROWN, "brown"), ((240, 140, 20), "orange"), ((230, 60, 160), "pink")])
def test_colours_are_named_as_a_person_would(colour: tuple[int, int, int], name: str) -> None:
    frame = painted((50, 50, 20, 20, colour))
    assert [kind.name for kind in _scene.kinds(frame, frame, [(0, 200)])] == [name]


def test_a_checker_survives_a_frame_that_shows_nothing_of_what_it_looks_for() -> None:
    initial = painted((20, 20, 12, 12, RED), (100, 40, 40, 40, GREEN), (20, 60, 12, 12, RED))
    goal = painted((105, 45, 12, 12, RED), (100, 40, 40, 40, GREEN), (122, 60, 12, 12, RED))
    goal = painted((100, 40, 40, 40, GREEN), (105, 45, 12, 12, RED), (122, 60, 12, 12, RED))
    proposal = propose(initial, goal)
    blank = painted()
    for index in range(len(proposal.subtasks)):
        assert done(proposal, index, initial, [blank]) == [False]
        assert done(proposal, index, blank, [goal, blank]) == [False, False]
