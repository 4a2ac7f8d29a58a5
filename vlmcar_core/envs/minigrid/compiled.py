"""MiniGrid's rules over arrays of N copies, compiled by numba; kept on disk, so that only a first run waits for it.

A cell is one number: type, colour and state as MiniGrid encodes them, and whether it is what the task is about.
Every function follows one of minigrid's (named in its docstring), and tests/test_minigrid_arrays.py plays both side by
side.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlmcar_core.compiling import compiled

Cells = NDArray[np.uint16]
"""(N, height, width), each type + 16 colour + 256 state, + `TARGET`."""

EMPTY, WALL, FLOOR, DOOR, KEY, BALL, BOX, GOAL, LAVA = range(1, 10)
"""Types, as `minigrid.core.constants.OBJECT_TO_IDX`."""

OPEN, CLOSED, LOCKED = range(3)
TARGET = 4096
"""Added to the object that the environment's own rule asks about."""

LIT, AGENT = 4096, 8192
"""Added to what a tile shows: it is highlighted, and the agent is there (1 to 4 times, by its direction)."""

OUTSIDE = WALL + 16 * 5
"""What is seen beyond the grid: grey walls."""

NO_RULE, TAKE_TARGET, OPEN_TARGET = range(3)
"""How an environment ends beside the goal and lava: the target is picked up, or is a door and open after a toggle."""

LEFT, RIGHT, FORWARD, PICK_UP, DROP, TOGGLE, DONE = range(7)

TYPES, COLOURS, STATES = 11, 6, 3
PER_CELL = TYPES + COLOURS + STATES
DIRECTIONS = 4

AHEAD = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
"""By direction: right, down, left, up; (x, y)."""

Number = int | np.signedinteger[Any]
"""A cell, or a part of one, wide enough to be computed with."""


@compiled
def _kind(cell: Number) -> Number:
    return cell & 15


@compiled
def _colour(cell: Number) -> Number:
    return (cell >> 4) & 15


@compiled
def _state(cell: Number) -> Number:
    return (cell >> 8) & 15


@compiled
def _through(cell: Number) -> bool:
    """Neither a wall nor a door that is not open: `WorldObj.see_behind`."""
    kind = cell & 15
    return kind != WALL and (kind != DOOR or _state(cell) == OPEN)


@compiled
def _toggled(cell: Number, held: Number) -> Number:
    """What a cell is after `WorldObj.toggle`."""
    if _kind(cell) == BOX:
        return EMPTY  # what it held; a box that holds something is not made into arrays
    if _kind(cell) != DOOR:
        return cell
    bare = cell & ~(15 << 8)
    if _state(cell) == LOCKED:
        fits = _kind(held) == KEY and _colour(held) == _colour(cell)
        return bare | (OPEN << 8) if fits else cell
    return bare | ((CLOSED if _state(cell) == OPEN else OPEN) << 8)


@compiled
def step(
    cells: Cells,
    agents: NDArray[np.int32],
    held: NDArray[np.uint16],
    steps: NDArray[np.int32],
    actions: NDArray[np.int64],
    limit: int,
    rule: int,
    solved: NDArray[np.bool_],
    terminated: NDArray[np.bool_],
    truncated: NDArray[np.bool_],
) -> None:
    """One action in every copy: `MiniGridEnv.step`, and what environments add to it.

    Args:
        cells: changed in place, as are the next three.
        agents: (N, 3), x, y and direction.
        held: (N,), the cell that is carried; 0 for nothing.
        steps: (N,), since the reset.
        actions: (N,), 0 to 6.
        limit: steps until the time is up.
        rule: one of the three above.
        solved: (N,), written: whether the environment pays.
        terminated: (N,), written.
        truncated: (N,), written.
    """
    for n in range(len(cells)):
        solved[n], terminated[n] = _acted(cells[n], agents[n], held[n : n + 1], actions[n], rule)
        steps[n] += 1
        truncated[n] = steps[n] >= limit


@compiled
def _acted(
    cells: NDArray[np.uint16], agent: NDArray[np.int32], held: NDArray[np.uint16], action: int, rule: int
) -> tuple[bool, bool]:
    """One action in one copy: whether the environment pays, and whether the episode ends."""
    x, y = agent[0] + AHEAD[agent[2], 0], agent[1] + AHEAD[agent[2], 1]
    if action == LEFT:
        agent[2] = (agent[2] + 3) % 4
    elif action == RIGHT:
        agent[2] = (agent[2] + 1) % 4
    elif action == FORWARD:
        return _walked(np.int64(cells[y, x]), agent, x, y)
    elif action == PICK_UP:
        if held[0] == 0 and KEY <= _kind(np.int64(cells[y, x])) <= BOX:
            held[0], cells[y, x] = cells[y, x], EMPTY
        taken = rule == TAKE_TARGET and held[0] & TARGET != 0
        return taken, taken
    elif action == DROP:
        if held[0] != 0 and cells[y, x] == EMPTY:
            cells[y, x], held[0] = held[0], 0
    elif action == TOGGLE:
        cells[y, x] = _toggled(np.int64(cells[y, x]), np.int64(held[0]))
        opened = rule == OPEN_TARGET and _target_open(cells)
        return opened, opened
    return False, False


@compiled
def _walked(ahead: Number, agent: NDArray[np.int32], x: int, y: int) -> tuple[bool, bool]:
    """Forward, to a cell that lets one in: `WorldObj.can_overlap`."""
    kind = _kind(ahead)
    free = kind in (EMPTY, FLOOR, GOAL, LAVA)
    if free or (kind == DOOR and _state(ahead) == OPEN):
        agent[0], agent[1] = x, y
    return kind == GOAL, kind in (GOAL, LAVA)


@compiled
def _target_open(cells: NDArray[np.uint16]) -> bool:
    for row in cells:
        for cell in row:
            if cell & TARGET:
                return _state(np.int64(cell)) == OPEN
    return False


@compiled
def _view(
    cells: NDArray[np.uint16], agent: NDArray[np.int32], size: int, through: bool, view: NDArray[np.uint16]
) -> None:
    """What one agent sees: `MiniGridEnv.gen_obs_grid` and `Grid.process_vis`.

    Args:
        cells: (height, width).
        agent: x, y and direction.
        size: cells of the view's side.
        through: see through walls.
        view: (size, size), written, row by row, the furthest first, the left one first; 0 where nothing is seen.
    """
    height, width = cells.shape
    for row in range(size):
        for column in range(size):
            x, y = _place(agent, size, row, column)
            inside = 0 <= x < width and 0 <= y < height
            view[row, column] = cells[y, x] if inside else OUTSIDE
    if not through:
        seen = np.zeros((size, size), np.bool_)
        seen[size - 1, size // 2] = True
        for row in range(size - 1, -1, -1):
            for column in range(size - 1):
                _spread(view, seen, row, column, 1)
            for column in range(size - 1, 0, -1):
                _spread(view, seen, row, column, -1)
        for row in range(size):
            for column in range(size):
                view[row, column] *= seen[row, column]


@compiled
def _place(agent: NDArray[np.int32], size: int, row: int, column: int) -> tuple[int, int]:
    """Where in the grid a cell of the view lies; (x, y), also outside."""
    ahead, right = size - 1 - row, column - size // 2
    forward_x, forward_y = AHEAD[agent[2], 0], AHEAD[agent[2], 1]
    return agent[0] + forward_x * ahead - forward_y * right, agent[1] + forward_y * ahead + forward_x * right


@compiled
def _spread(view: NDArray[np.uint16], seen: NDArray[np.bool_], row: int, column: int, side: int) -> None:
    """From a cell that is seen and does not hide what is behind, sight goes to its side and to the row before it."""
    if seen[row, column] and _through(np.int64(view[row, column])):
        seen[row, column + side] = True
        if row:
            seen[row - 1, column + side] = seen[row - 1, column] = True


@compiled
def images(
    cells: Cells, agents: NDArray[np.int32], held: NDArray[np.uint16], through: bool, found: NDArray[np.uint8]
) -> None:
    """The symbolic observations: `MiniGridEnv.gen_obs`.

    Args:
        found: (N, size, size, 3), written: type, colour, state; the view's columns first.
    """
    size = found.shape[1]
    view = np.empty((size, size), np.uint16)
    for n in range(len(cells)):
        _view(cells[n], agents[n], size, through, view)
        view[size - 1, size // 2] = held[n] if held[n] else EMPTY
        for row in range(size):
            for column in range(size):
                cell = np.int64(view[row, column])
                found[n, column, row, 0] = _kind(cell)
                found[n, column, row, 1] = _colour(cell)
                found[n, column, row, 2] = _state(cell)


@compiled
def one_hot(images: NDArray[np.uint8], agents: NDArray[np.int32], found: NDArray[np.float32]) -> None:
    """As `OneHotView` gives it.

    Args:
        images: (N, size, size, 3).
        agents: (N, 3).
        found: (N, size * size * 20 + 4), all 0; written.
    """
    count, size = images.shape[0], images.shape[1]
    for n in range(count):
        place = 0
        for column in range(size):
            for row in range(size):
                found[n, place + images[n, column, row, 0]] = 1
                found[n, place + TYPES + images[n, column, row, 1]] = 1
                found[n, place + TYPES + COLOURS + images[n, column, row, 2]] = 1
                place += PER_CELL
        found[n, place + agents[n, 2]] = 1


@compiled
def lit(cells: NDArray[np.uint16], agent: NDArray[np.int32], size: int, through: bool) -> NDArray[np.bool_]:
    """Which cells one agent sees, (height, width): the highlight of `MiniGridEnv.get_full_render`."""
    height, width = cells.shape
    view = np.empty((size, size), np.uint16)
    _view(cells, agent, size, through, view)
    found = np.zeros((height, width), np.bool_)
    for row in range(size):
        for column in range(size):
            x, y = _place(agent, size, row, column)
            if view[row, column] and 0 <= x < width and 0 <= y < height:
                found[y, x] = True
    return found


@compiled
def draw(
    cells: NDArray[np.uint16],
    agent: NDArray[np.int32],
    lit_up: NDArray[np.bool_],
    numbers: NDArray[np.int32],
    tiles: NDArray[np.uint8],
    frame: NDArray[np.uint8],
) -> int:
    """One full frame from painted tiles: `MiniGridEnv.get_full_render`.

    Args:
        lit_up: which cells are highlighted, (height, width).
        numbers: from what a tile shows to its place in `tiles`, -1 where it was not painted yet.
        tiles: (M, side, side * 3).
        frame: (height * side, width * side * 3), written.

    Returns:
        -1, or what the first tile shows that has to be painted before.
    """
    side, wide = tiles.shape[1:]
    for y in range(cells.shape[0]):
        for x in range(cells.shape[1]):
            shown = np.int64(cells[y, x] & 4095)
            if lit_up[y, x]:
                shown += LIT
            if x == agent[0] and y == agent[1]:
                shown += AGENT * (1 + agent[2])
            place = numbers[shown]
            if place < 0:
                return int(shown)
            for line in range(side):
                for byte in range(wide):  # a plain loop: a slice would be copied byte by byte
                    frame[y * side + line, x * wide + byte] = tiles[place, line, byte]
    return -1


STRIDE = np.uint64(0x9E3779B97F4A7C15)
"""Of SplitMix64: what is added before each mixing, so that zeros count, too."""


@compiled
def _mixed(value: np.uint64) -> np.uint64:
    """SplitMix64's last steps (Steele, Lea, Flood 2014): every bit of the input moves every bit of the output."""
    value ^= value >> np.uint64(30)
    value *= np.uint64(0xBF58476D1CE4E5B9)
    value ^= value >> np.uint64(27)
    value *= np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@compiled
def keys(cells: Cells, agents: NDArray[np.int32], salt: NDArray[np.uint64], found: NDArray[np.uint64]) -> None:
    """A key of 128 bits of each copy's full frame, which follows from the cells and the agent.

    Two keys of different frames are equal with a probability of 2⁻¹²⁸; among a hundred million frames some two are
    with one of 1.5 · 10⁻²³.

    Args:
        salt: (2,), of what is the same in all of them.
        found: (N, 2), written.
    """
    places = cells[0].size
    for n in range(len(cells)):
        flat = cells[n].ravel()
        for lane in range(2):
            key = salt[lane]
            for part in agents[n]:
                key = _mixed(key + STRIDE + np.uint64(part))
            for start in range(0, places, 4):
                word = np.uint64(0)
                for place in range(start, min(start + 4, places)):
                    word = (word << np.uint64(16)) | np.uint64(flat[place] & 4095)
                key = _mixed(key + STRIDE + word)
            found[n, lane] = key
