"""MiniGrid's observation and full render, exactly as it gives them, in a fraction of the time.

Nearly all of a stock step is the 7 × 7 observation (a copy of a part of the grid, turned up to four times), and nearly
all of a stock frame is that once more and a look at every tile. Here cells are looked up where they are, and only tiles
that changed since the last frame are painted, by MiniGrid's own painter.
"""

import hashlib
from functools import cache
from typing import Any

import numpy as np
from minigrid.core.constants import DIR_TO_VEC, OBJECT_TO_IDX
from minigrid.core.grid import Grid
from minigrid.core.world_object import Wall
from minigrid.minigrid_env import MiniGridEnv
from numpy.typing import NDArray

OUTSIDE = Wall()
"""What is seen beyond the grid."""
EMPTY = (OBJECT_TO_IDX["empty"], 0, 0)
FLOOR, GREY_WALL = bytes(EMPTY), bytes(Wall().encode())
REPLACED = ("gen_obs", "gen_obs_grid", "get_full_render", "get_frame")
"""Where an environment has one of these of its own, it is left alone."""


def quicken(env: MiniGridEnv) -> None:
    """Make an environment quick, in place; what it gives stays the same to the last bit."""
    kind = type(env)
    if all(getattr(kind, name) is getattr(MiniGridEnv, name) for name in REPLACED):
        if kind not in _KINDS:
            names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
            _KINDS[kind] = type(kind.__name__, (Quick, kind), names)
        env.__class__ = _KINDS[kind]


@cache
def _offsets(direction: int, size: int) -> list[tuple[int, int]]:
    """From the agent's cell to each cell of its view, row by row: the furthest row first, the left one first."""
    ahead = (int(DIR_TO_VEC[direction][0]), int(DIR_TO_VEC[direction][1]))
    right = (-ahead[1], ahead[0])
    return [
        (
            ahead[0] * (size - 1 - row) + right[0] * (column - size // 2),
            ahead[1] * (size - 1 - row) + right[1] * (column - size // 2),
        )
        for row in range(size)
        for column in range(size)
    ]


_KINDS: dict[type[MiniGridEnv], type[MiniGridEnv]] = {}
"""From an environment's class to the quick one."""


def _code(cell: Any) -> bytes:
    """What a cell holds, as MiniGrid encodes it; most hold the same wall."""
    return GREY_WALL if type(cell) is Wall and cell.color == "grey" else bytes(cell.encode())


class Quick(MiniGridEnv):
    """What is put before an environment's own class."""

    _painted: list[Any]
    """What each tile of the last frame shows."""
    _frame: NDArray[np.uint8] | None = None
    _frame_tile = 0

    def gen_obs(self) -> dict[str, Any]:
        size = self.agent_view_size
        cells = self._cells()
        seen = self._seen(cells)
        cells[size * (size - 1) + size // 2] = self.carrying
        image = bytearray(3 * size * size)
        for place, cell in enumerate(cells):
            if seen[place]:
                row, column = divmod(place, size)
                start = 3 * (column * size + row)
                image[start : start + 3] = bytes(EMPTY if cell is None else cell.encode())
        view = np.frombuffer(image, np.uint8).reshape(size, size, 3)
        return {"image": view, "direction": self.agent_dir, "mission": self.mission}

    def _cells(self) -> list[Any]:
        """What is in each cell of the agent's view, row by row."""
        grid, width, height = self.grid.grid, self.grid.width, self.grid.height
        x, y = int(self.agent_pos[0]), int(self.agent_pos[1])
        return [
            grid[(y + dy) * width + x + dx] if 0 <= x + dx < width and 0 <= y + dy < height else OUTSIDE
            for dx, dy in _offsets(self.agent_dir, self.agent_view_size)
        ]

    def _seen(self, cells: list[Any]) -> list[bool]:
        """Which cells of the view can be seen: as `Grid.process_vis`, row by row from the agent on."""
        size = self.agent_view_size
        if self.see_through_walls:
            return [True] * len(cells)
        seen = [False] * len(cells)
        clear = [cell is None or bool(cell.see_behind()) for cell in cells]
        seen[size * (size - 1) + size // 2] = True
        for row in range(size - 1, -1, -1):
            start = row * size
            for place in range(start, start + size - 1):
                if seen[place] and clear[place]:
                    seen[place + 1] = True
                    if row:
                        seen[place + 1 - size] = seen[place - size] = True
            for place in range(start + size - 1, start, -1):
                if seen[place] and clear[place]:
                    seen[place - 1] = True
                    if row:
                        seen[place - 1 - size] = seen[place - size] = True
        return seen

    def get_full_render(self, highlight: bool, tile_size: int) -> NDArray[np.uint8]:
        grid, width, height = self.grid.grid, self.grid.width, self.grid.height
        x, y = int(self.agent_pos[0]), int(self.agent_pos[1])
        lit = self._lit(x, y) if highlight else set()
        tiles: list[Any] = [(None if cell is None else cell.encode(), place in lit) for place, cell in enumerate(grid)]
        here = y * width + x
        tiles[here] = (*tiles[here], self.agent_dir)
        shape = (height * tile_size, width * tile_size, 3)
        if self._frame is None or self._frame.shape != shape or self._frame_tile != tile_size:
            self._frame, self._frame_tile, self._painted = np.zeros(shape, np.uint8), tile_size, [()] * len(grid)
        for place, (tile, painted) in enumerate(zip(tiles, self._painted, strict=True)):
            if tile != painted:
                row, column = divmod(place, width)
                self._frame[row * tile_size : (row + 1) * tile_size, column * tile_size : (column + 1) * tile_size] = (
                    Grid.render_tile(
                        grid[place],
                        agent_dir=self.agent_dir if place == here else None,
                        highlight=place in lit,
                        tile_size=tile_size,
                    )
                )
        self._painted = tiles
        return self._frame.copy()

    def frame_key(self, highlight: bool, tile_size: int) -> bytes:
        """Short, and equal only where the full render is: what the agent sees follows from where it is among what."""
        agent = (self.agent_dir, int(self.agent_pos[0]), int(self.agent_pos[1]), self.agent_view_size)
        shown = (tile_size, self.grid.width, highlight, self.see_through_walls)
        cells = [FLOOR if cell is None else _code(cell) for cell in self.grid.grid]
        whole = b"%d %d %d %d %d %d %d %d " % (*agent, *shown) + b"".join(cells)
        return hashlib.sha1(whole, usedforsecurity=False).digest()

    def _lit(self, x: int, y: int) -> set[int]:
        """Places in the grid that the agent sees."""
        width, height = self.grid.width, self.grid.height
        offsets = _offsets(self.agent_dir, self.agent_view_size)
        return {
            (y + dy) * width + x + dx
            for (dx, dy), seen in zip(offsets, self._seen(self._cells()), strict=True)
            if seen and 0 <= x + dx < width and 0 <= y + dy < height
        }
