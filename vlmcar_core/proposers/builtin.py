"""The built-in proposer: no VLM, no key, no network. It compares the pixels of the two frames.

Where the picture is made of equal cells it is read cell by cell (`_grid`), else by colour (`_scene`, `_placing`).
Either way it finds what vanished, moved, changed in its place, or came to stand on or beside something else, puts
that in an order, and writes a checker for each. Where no arrowhead acts, or no patch of colour tells anything, it looks
for one drawn figure that came to where another was (`_sprites`). It knows no environment, no language and no physics.
"""

import numpy as np

from vlmcar_core.errors import NothingToPropose
from vlmcar_core.proposers import _cells, _grid, _placing, _sprites
from vlmcar_core.proposers._steps import Step, assemble
from vlmcar_core.types import BUILT_IN, Frame, Progress, Proposal

TITLE = BUILT_IN

SAME_LEVELS = 12
"""Differences up to this many of 255 levels are noise."""

NOTHING = (
    "the two frames differ in {:.1%} of their pixels, but in nothing that the built-in proposer can name. It looks for "
    "plain shapes on equal cells (a key that is gone, a door that looks different), for patches of one strong colour "
    "that went into, onto, next to or away from another, and for one drawn figure that came to where another was. "
    "Drawings that change in several places, thin lines, shades of grey and text tell it nothing. Choose a goal frame "
    "in which only what matters has changed, write the sub-tasks yourself (By hand, on the page Propose; vlmcar edit "
    "begin), or ask a model (A model or Clipboard there; vlmcar propose --proposer openai or clipboard)"
)

CHANGED_MAX = 0.6
"""Where a larger share of the pixels differs, comparing coloured areas is a guess."""


def propose(initial: Frame, goal: Frame, progress: Progress) -> Proposal:
    """Compare the two frames.

    Raises:
        NothingToPropose: they are the same, or differ in nothing that can be named.
    """
    if initial.shape != goal.shape:
        raise NothingToPropose(
            f"the initial frame is {initial.shape[1]} × {initial.shape[0]} pixels and the goal frame "
            f"{goal.shape[1]} × {goal.shape[0]}; only frames of one size can be compared"
        )
    difference = np.abs(initial.astype(np.int16) - goal.astype(np.int16)).max(axis=2)
    if int(difference.max()) <= SAME_LEVELS:
        raise NothingToPropose("the two frames are the same; choose a goal frame in which the task is done")
    progress(0, 2, "finding what changed")
    steps, doubts = _read(initial, goal, float((difference > SAME_LEVELS).mean()))
    progress(1, 2, "writing the checkers")
    return assemble(steps, doubts)


def _read(initial: Frame, goal: Frame, changed_share: float) -> tuple[list[Step], list[str]]:
    tile = _cells.tile_size(initial, goal)
    if tile is not None:
        steps, doubts = _grid.steps(initial, goal, tile)
        if steps and not _grid.has_actor(initial, goal, tile):
            arrived = _sprites.steps(initial, goal)
            steps, doubts = (arrived, []) if arrived else (steps, doubts)
        if steps:
            return steps, doubts
    steps, doubts = _placing.steps(initial, goal)
    steps = steps or _sprites.steps(initial, goal)
    if not steps:
        raise NothingToPropose(NOTHING.format(changed_share))
    if changed_share > CHANGED_MAX:
        doubts.append(f"{changed_share:.0%} of the pixels differ between the two frames; what matters is a guess")
    return steps, doubts
