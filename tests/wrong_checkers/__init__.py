"""Checkers for the paper's MiniGrid tasks that are wrong in ways that reward code really is wrong.

Each takes the place of one checker in the built-in proposer's proposal, which is right (docs/proposer_truth.md).
`scripts/wrong_checkers.py` shows which tool of the laboratory catches which.
"""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
DOOR_KEY, UNLOCK = "MiniGrid-DoorKey-6x6-v0", "MiniGrid-Unlock-v0"
UNLOCK_PICKUP, LAVA_GAP = "MiniGrid-UnlockPickup-v0", "MiniGrid-LavaGapS5-v0"

FACTS = {
    DOOR_KEY: ("key held", "door open", "goal reached", "goal reached"),
    UNLOCK: ("key held", "door open", "door open"),
    UNLOCK_PICKUP: ("key held", "door open", "box held", "box held"),
    LAVA_GAP: ("goal reached", "goal reached"),
}
"""What each step of the proposal is about, in order, the goal last: what a person would name."""


@dataclass(frozen=True)
class Specimen:
    """One wrong checker."""

    name: str
    """Also the stem of its file."""

    env_id: str
    step: int
    """Which step of the proposal it takes the place of, from 0; the goal is the last."""

    fault: str
    """What is wrong with it."""

    @property
    def source(self) -> str:
        looks = (FOLDER / "looks.txt").read_text(encoding="utf-8")
        return looks + (FOLDER / f"{self.name}.txt").read_text(encoding="utf-8")


SPECIMENS = (
    Specimen("wrong_colour", DOOR_KEY, 0, "looks for a green key; the key is yellow"),
    Specimen("inverted_comparison", DOOR_KEY, 0, "done when there is more yellow than at first"),
    Specimen(
        "threshold_too_narrow", DOOR_KEY, 0, "done when nine tenths of the yellow are gone; the door stays yellow"
    ),
    Specimen("absolute_place_of_the_key", DOOR_KEY, 0, "looks only at the square where one layout has its key"),
    Specimen("beside_is_enough", DOOR_KEY, 0, "done when the agent stands beside the key"),
    Specimen("any_change", DOOR_KEY, 0, "done when any pixel differs from the first frame"),
    Specimen("left_the_start", DOOR_KEY, 0, "done when the agent is two squares from where it began"),
    Specimen("counts_frames", DOOR_KEY, 0, "a program that is done in its third frame, whatever is in it"),
    Specimen(
        "never_reset", DOOR_KEY, 0, "a program that keeps its first frame as a class attribute and pays every frame"
    ),
    Specimen("keeps_a_list", DOOR_KEY, 0, "appends to a list of the module and is done when it is long"),
    Specimen("draws_lots", DOOR_KEY, 0, "done by chance"),
    Specimen(
        "uses_up_an_iterator", DOOR_KEY, 0, "done when an iterator of the module is used up: after five questions"
    ),
    Specimen(
        "threshold_too_wide", DOOR_KEY, 1, "done when two hundredths of the yellow are gone, as when the key is taken"
    ),
    Specimen("key_for_the_door", DOOR_KEY, 1, "tests for the key a second time instead of the door"),
    Specimen("through_the_door", DOOR_KEY, 1, "done when the agent stands beyond the wall, not when the door opens"),
    Specimen("door_of_one_layout", DOOR_KEY, 1, "looks only at the square where one layout has its door"),
    Specimen("near_the_goal", DOOR_KEY, 2, "done two squares away from the goal"),
    Specimen("lower_right", DOOR_KEY, 2, "done when the agent is in the lower right quarter"),
    Specimen("faces_any_green", DOOR_KEY, 3, "the goal's checker is done when the agent is in the column of the goal"),
    Specimen("door_means_goal", DOOR_KEY, 3, "the goal's checker is done when the door is open"),
    Specimen("first_frame_ignored", UNLOCK, 0, "an absolute number of coloured pixels, right for one colour of key"),
    Specimen("colour_of_one_layout", UNLOCK, 1, "looks for a yellow door; its colour differs by layout"),
    Specimen("darker_is_open", UNLOCK, 1, "done when the picture is a little darker than at first"),
    Specimen("key_gone_is_open", UNLOCK, 2, "the goal's checker is done when the key is gone from the floor"),
    Specimen(
        "agent_hides_it", UNLOCK_PICKUP, 0, "done when the key's square looks different, also when the agent is by"
    ),
    Specimen("fewer_colours", UNLOCK_PICKUP, 2, "done when anything coloured is gone, as when the key is taken"),
    Specimen("same_room_as_the_box", UNLOCK_PICKUP, 2, "done when the agent is in the box's room"),
    Specimen("key_dropped", UNLOCK_PICKUP, 3, "the goal's checker is done when the key lies elsewhere than at first"),
    Specimen("past_the_lava", LAVA_GAP, 0, "done when the agent is beyond the lava"),
    Specimen(
        "less_lava", LAVA_GAP, 1, "the goal's checker is done when lava or goal is covered: also when the agent burns"
    ),
    Specimen("agent_gone", LAVA_GAP, 1, "the goal's checker is done when the agent is not where it began"),
)
