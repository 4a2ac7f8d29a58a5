"""Every file in proposers/ keeps the contract that its folder states."""

import numpy as np
import pytest

from vlmcar_core import plugins
from vlmcar_core.errors import NothingToPropose
from vlmcar_core.sandbox import CheckerProcess, diagnose
from vlmcar_core.types import GOAL, Frame

NAMES = plugins.names("proposers")


def discs(x: int, y: int = 60) -> Frame:
    """A blue box on grey and an orange disc at x, y."""
    import cv2

    picture = np.full((120, 200, 3), 90, np.uint8)
    cv2.rectangle(picture, (140, 30), (190, 90), (30, 60, 220), -1)
    cv2.circle(picture, (x, y), 12, (240, 130, 20), -1)
    return picture


@pytest.mark.parametrize("name", NAMES)
def test_it_proposes_runnable_checkers_and_signs_them(name: str) -> None:
    proposer = plugins.load("proposers", name)
    initial, goal = discs(40), discs(165)
    proposal = proposer.propose(initial, goal, lambda *_: None)
    assert proposal.author == proposer.TITLE and proposal.goal.key == GOAL and proposal.subtasks
    for step in proposal.steps:
        assert not [found for found in diagnose(step.checker.source) if found.severity == "error"]
        with CheckerProcess([step.checker]) as process:
            outcomes = process.run(step.key, initial, np.stack([initial, goal]))
            inspected = process.inspect(step.key, initial, goal)
        assert [outcome.done for outcome in outcomes] == [False, True]
        assert inspected.initial and all(seen.kind != "fault" for seen in (*inspected.initial, *inspected.current))


@pytest.mark.parametrize("name", NAMES)
def test_two_frames_that_are_the_same_tell_nothing(name: str) -> None:
    with pytest.raises(NothingToPropose, match="the same"):
        plugins.load("proposers", name).propose(discs(40), discs(40), lambda *_: None)
