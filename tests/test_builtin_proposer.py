"""The built-in proposer on pictures, and its checkers against the simulator on layouts that it never saw."""

import numpy as np
import pytest

from scripts.proposer_truth import FACTS, episodes, judge, proposal_for
from tests.test_proposers_contract import discs
from vlmcar_core import rollouts
from vlmcar_core.errors import NothingToPropose
from vlmcar_core.proposers import _cells, _sprites, builtin
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.types import BUILT_IN, Frame, Proposal, Task


def propose(env: str, seed: int = 0, **settings: object) -> Proposal:
    found = rollouts.record_expert(Task(f"MiniGrid-{env}-v0", "minigrid", settings=settings), seed)
    return builtin.propose(found.frames[0], found.frames[-1], lambda *_: None)


def keys(proposal: Proposal) -> list[str]:
    return [step.key for step in proposal.subtasks]


@pytest.mark.parametrize("env_id", [env_id for env_id in FACTS if env_id.startswith("MiniGrid")])
def test_its_checkers_agree_with_the_simulator_on_unseen_layouts(env_id: str) -> None:
    proposal = proposal_for(env_id, 0)
    assert proposal is not None
    found = judge(proposal, env_id, episodes(env_id, 6))
    assert len(found) == len(proposal.subtasks) and all(fact != "no fact" for _, fact, _ in found)
    for _, _, tally in found:
        assert tally.false_alarms == tally.missed == 0
        assert tally.hits >= 6
        assert set(tally.offsets) == {0}


@pytest.mark.parametrize("env_id", [env_id for env_id in FACTS if not env_id.startswith("MiniGrid")])
def test_its_checkers_of_scenes_are_right_about_unseen_layouts_but_for_a_frame_or_few(env_id: str) -> None:
    proposal = proposal_for(env_id, 1)
    assert proposal is not None
    trajectories = episodes(env_id, 3 if "piles" in env_id else 6)  # its episodes are the longest by far
    title, fact, tally = judge(proposal, env_id, trajectories)[-1]
    assert fact != "no fact", title
    assert len(tally.offsets) >= 0.8 * (len(tally.offsets) + tally.missed)
    assert tally.hits + tally.early >= 0.7 * (tally.hits + tally.false_alarms)
    assert tally.frames_right / tally.frames > 0.95


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ("DoorKey-6x6", ["take-the-key", "open-the-door", "bring-the-red-triangle-onto-the-green"]),
        ("Unlock", ["take-the-key", "open-the-door"]),
        ("UnlockPickup", ["pick-up-the-key", "open-the-door", "take-the-box"]),
        ("BlockedUnlockPickup", ["pick-up-the-ball", "pick-up-the-key", "open-the-door", "take-the-box"]),
        ("KeyCorridorS3R1", ["open-the-door", "pick-up-the-key", "go-through-the-door", "take-the-ball"]),
        ("Empty-8x8", ["bring-the-red-triangle-onto-the-green"]),
        ("Fetch-8x8-N3", ["take-the-ball"]),
        ("RedBlueDoors-6x6", ["open-1-of-2-doors", "open-2-of-2-doors"]),
        ("PutNear-8x8-N3", ["pick-up-the-ball", "bring-the-ball"]),
    ],
)
def test_sub_tasks_come_in_the_order_in_which_they_can_be_done(env: str, expected: list[str]) -> None:
    proposal = propose(env)
    assert keys(proposal) == expected
    assert proposal.author == BUILT_IN


def test_other_colours_and_sizes_give_the_same_sub_tasks() -> None:
    expected = keys(propose("UnlockPickup", 0))
    assert all(keys(propose("UnlockPickup", seed)) == expected for seed in range(1, 6))
    assert keys(propose("UnlockPickup", 0, tile_size=8)) == expected
    assert keys(propose("UnlockPickup", 0, tile_size=16, highlight=False)) == expected


def test_a_thing_told_by_its_colour_only_carries_a_doubt() -> None:
    proposal = propose("Fetch-8x8-N3")
    assert "colour" in proposal.subtasks[0].doubt
    assert (
        "chance" in propose("GoToObject-8x8-N2").subtasks[0].doubt
        or "colour" in propose("GoToObject-8x8-N2").subtasks[0].doubt
    )


@pytest.mark.parametrize("tile", [8, 12, 16, 32])
def test_the_size_of_cells_is_read_from_the_picture(tile: int) -> None:
    frame = rollouts.first_frame(Task("MiniGrid-DoorKey-8x8-v0", "minigrid", 1, {"tile_size": tile}))
    assert _cells.tile_size(frame) == tile


def test_a_picture_without_cells_has_none() -> None:
    assert _cells.tile_size(discs(50)) is None
    assert _cells.tile_size(np.random.default_rng(0).integers(0, 255, (128, 128, 3), dtype=np.uint8)) is None


def test_a_thing_that_comes_to_lie_in_another_is_asked_for_there_and_not_at_its_pixels() -> None:
    proposal = builtin.propose(discs(40), discs(165), lambda *_: None)
    assert proposal.subtasks[0].title == "Bring the orange thing into the blue one"
    frames = np.stack([discs(x, y) for x, y in ((40, 60), (100, 60), (150, 50), (175, 75), (60, 20))])
    with CheckerProcess([proposal.subtasks[0].checker]) as process:
        done = [outcome.done for outcome in process.run(proposal.subtasks[0].key, frames[0], frames)]
    assert done == [False, False, True, True, False]


def test_a_thing_that_moved_elsewhere_is_proposed_with_progress_and_a_doubt() -> None:
    proposal = builtin.propose(discs(20, 20), discs(60, 90), lambda *_: None)
    assert proposal.subtasks[0].title == "Move the orange thing" and proposal.subtasks[0].doubt
    with CheckerProcess([proposal.subtasks[0].checker]) as process:
        half = process.run(proposal.subtasks[0].key, discs(20, 20), discs(40, 55)[None])[0]
    assert half.value == pytest.approx(0.55, abs=0.05)


def test_a_thing_that_is_gone_is_proposed_as_removed() -> None:
    goal = np.full((120, 200, 3), 90, np.uint8)
    proposal = builtin.propose(discs(40), goal, lambda *_: None)
    assert "Remove the blue thing" in [step.title for step in proposal.subtasks]


def test_a_thing_that_only_the_goal_shows_is_proposed_with_a_doubt() -> None:
    empty = np.full((120, 200, 3), 90, np.uint8)
    goal = empty.copy()
    goal[20:50, 20:60] = (20, 200, 40)
    proposal = builtin.propose(empty, goal, lambda *_: None)
    assert [step.title for step in proposal.subtasks] == ["Bring a green thing into view"] and proposal.subtasks[
        0
    ].doubt
    with CheckerProcess([proposal.subtasks[0].checker]) as process:
        done = [outcome.done for outcome in process.run(proposal.subtasks[0].key, empty, np.stack([empty, goal]))]
    assert done == [False, True]


def test_frames_of_two_sizes_are_refused_with_both_sizes() -> None:
    with pytest.raises(NothingToPropose, match=r"200 × 120.*100 × 60"):
        builtin.propose(discs(40), np.ascontiguousarray(discs(60)[::2, ::2]), lambda *_: None)


def test_where_too_much_changed_the_doubt_is_written_down() -> None:
    other = np.full((120, 200, 3), 200, np.uint8)
    other[20:40, 20:60] = (20, 200, 40)
    proposal = builtin.propose(discs(40), other, lambda *_: None)
    assert any("guess" in doubt for doubt in proposal.doubts)


def test_a_difference_that_cannot_be_named_says_so() -> None:
    with pytest.raises(NothingToPropose, match="can name"):
        builtin.propose(np.full((64, 64, 3), 90, np.uint8), np.full((64, 64, 3), 130, np.uint8), lambda *_: None)


# Drawn figures


def figures(mover: tuple[int, int], flag: tuple[int, int] | None = (5, 5), looks: int = 0) -> Frame:
    """A board of 6 × 6 fields of 20 pixels with lines of two blues, a figure and a flag: row and column of each."""
    frame = np.full((120, 120, 3), (198, 221, 240), np.uint8)
    frame[::20], frame[:, ::20] = (170, 200, 230), (170, 200, 230)
    frame[3:9, 3:7] = (56, 58, 70)  # a letter, in the colour of the figure's outlines
    if flag is not None:
        y, x = flag[0] * 20, flag[1] * 20
        frame[y + 4 : y + 17, x + 6 : x + 8] = (56, 58, 70)
        frame[y + 4 : y + 10, x + 8 : x + 14] = (202, 102, 92)
    y, x = mover[0] * 20, mover[1] * 20
    frame[y + 5 : y + 17, x + 5 : x + 16] = (56, 58, 70)
    frame[y + 6 : y + 14, x + 6 + looks : x + 13 + looks] = (208, 210, 216)
    return frame


def test_a_figure_that_came_to_where_another_was_is_found_on_every_board() -> None:
    proposal = builtin.propose(figures((1, 2)), figures((5, 5), looks=2), lambda *_: None)
    assert [step.title for step in proposal.subtasks] == ["Bring the white figure to where the red one was"]
    initial = figures((4, 0), flag=(2, 3))
    places = [(4, 0), (2, 2), (1, 3), (2, 3), (3, 3), (5, 5)]
    frames = [figures(place, flag=(2, 3), looks=looks) for place in places for looks in (0, 2)]
    assert fires(proposal, initial, frames) == [place == (2, 3) for place in places for _ in (0, 2)]


def test_a_flag_that_is_gone_with_nobody_there_is_not_reached() -> None:
    proposal = builtin.propose(figures((1, 2)), figures((5, 5)), lambda *_: None)
    assert fires(proposal, figures((1, 2)), [figures((1, 2), flag=None), figures((4, 5), flag=None)]) == [False, False]


@pytest.mark.parametrize("flag", [None, (1, 2)])
def test_a_figure_that_only_went_elsewhere_tells_nothing_of_where(flag: tuple[int, int] | None) -> None:
    assert _sprites.steps(figures((4, 4), flag=flag), figures((5, 5), flag=flag)) == []


def fires(proposal: Proposal, initial: Frame, frames: list[Frame]) -> list[bool]:
    checker = proposal.subtasks[0].checker
    with CheckerProcess([checker]) as process:
        outcomes = process.run(checker.key, initial, np.stack(frames))
    assert [outcome.kind for outcome in outcomes] == ["ok"] * len(frames), outcomes
    return [outcome.done for outcome in outcomes]


def test_nothing_found_says_what_is_looked_for_and_what_to_do() -> None:
    lines = np.full((120, 200, 3), 240, np.uint8)
    thicker = lines.copy()
    thicker[40:60, 20:180:6] = 120
    with pytest.raises(NothingToPropose) as told:
        builtin.propose(lines, thicker, lambda *_: None)
    for words in (
        "differ in ",
        "plain shapes on equal cells",
        "one strong colour",
        "goal frame",
        "By hand",
        "clipboard",
    ):
        assert words in str(told.value)
