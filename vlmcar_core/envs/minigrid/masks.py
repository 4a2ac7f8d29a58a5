"""Which actions do something in a state, told from what the agent itself sees: the cell before it, and what it carries.

Only that is used. No action is ruled out because it would be unwise, or leads nowhere in the end: that is for the agent
to learn. Ruled out is what MiniGrid answers with the same state, no reward and no end (tests/test_minigrid_masks.py
tries each of them): a step into a wall, picking up where there is nothing or the hands are full, dropping with empty
hands or onto something, toggling what does not open, and `done`.
"""

import numpy as np
from minigrid.core.world_object import Box, Door
from minigrid.minigrid_env import MiniGridEnv
from numpy.typing import NDArray

KNOWN = (
    *("BlockedUnlockPickup", "DistShift", "DoorKey", "Empty", "Fetch", "FourRooms", "KeyCorridor"),
    *("LavaCrossing", "LavaGap", "LockedRoom", "MultiRoom", "ObstructedMaze", "RedBlueDoors", "SimpleCrossing"),
    "Unlock",
)
"""Environments, by the beginnings of their ids after `MiniGrid-`, where an action without effect has no other one:
GoToDoor ends at `done`, PutNear at a drop that fails, and what moves by itself has to be waited for. Elsewhere every
action may be taken."""


def mask(grid: MiniGridEnv, env_id: str) -> NDArray[np.bool_]:
    """bool (7,): True where the action does something in the state now."""
    if not env_id.removeprefix("MiniGrid-").startswith(KNOWN):
        return np.ones(len(grid.actions), bool)
    front, held = grid.grid.get(*grid.front_pos), grid.carrying
    found = np.zeros(len(grid.actions), bool)
    found[[grid.actions.left, grid.actions.right]] = True
    found[grid.actions.forward] = front is None or front.can_overlap()
    found[grid.actions.pickup] = front is not None and held is None and front.can_pickup()
    found[grid.actions.drop] = front is None and held is not None
    found[grid.actions.toggle] = isinstance(front, Box) or (isinstance(front, Door) and _turns(front, held))
    return found


def _turns(door: Door, held: object) -> bool:
    """A locked one with the key of its colour alone."""
    fits = getattr(held, "type", "") == "key" and getattr(held, "color", "") == door.color
    return not door.is_locked or fits
