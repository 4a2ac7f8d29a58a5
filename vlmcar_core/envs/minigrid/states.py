"""Going back to a state of a grid, so that all that can be reached from one can be looked at."""

from typing import Any, NamedTuple

from minigrid.core.world_object import Door
from minigrid.minigrid_env import MiniGridEnv

ACTIONS = 6
"""Left, right, forward, pick up, drop, toggle; the seventh, done, does nothing in these environments."""


class State(NamedTuple):
    """All of a grid that its actions change, but for the steps that are left. Objects are told apart by identity, as
    some environments do when they decide whether they are solved."""

    place: tuple[int, int]
    direction: int
    carrying: Any
    cells: tuple[Any, ...]
    doors: tuple[tuple[bool, bool], ...]
    """Open, locked, of the doors in `cells`, in order."""


def save(grid: MiniGridEnv) -> State:
    """The state now."""
    cells = tuple(grid.grid.grid)
    doors = tuple((cell.is_open, cell.is_locked) for cell in cells if isinstance(cell, Door))
    column, row = (int(value) for value in grid.agent_pos)
    return State((column, row), int(grid.agent_dir), grid.carrying, cells, doors)


def restore(grid: MiniGridEnv, state: State) -> None:
    """Make a state that was saved the state now, with all steps left."""
    grid.agent_pos, grid.agent_dir, grid.carrying = state.place, state.direction, state.carrying
    grid.grid.grid = list(state.cells)
    doors = (cell for cell in state.cells if isinstance(cell, Door))
    for door, (is_open, is_locked) in zip(doors, state.doors, strict=True):
        door.is_open, door.is_locked = is_open, is_locked
    for place, cell in enumerate(state.cells):
        if cell is not None and cell.can_pickup():
            cell.cur_pos = (place % grid.grid.width, place // grid.grid.width)
    grid.step_count = 0


def step(grid: MiniGridEnv, action: int) -> tuple[float, bool]:
    """One action from the state now: the reward, and whether the episode ends.

    The observation, which nobody looks at here, is most of a step's cost, and is left out.
    """
    grid.__dict__["gen_obs"] = dict
    try:
        _, reward, terminated, _, _ = grid.step(action)
    finally:
        del grid.__dict__["gen_obs"]
    return float(reward), bool(terminated)
