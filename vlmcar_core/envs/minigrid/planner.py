"""An expert for MiniGrid that knows no task: it searches for the environment's own reward.

Dijkstra over macro actions: walk up to an object and pick it up, toggle it, say "done" to it or step onto it; or
walk to a free cell and drop what is carried. A macro is played with the real `step` on a state that is put back
afterwards; only the observation, 85 % of a step's time and of no use here, is left out.

Three searches, each wider than the one before, until one pays:
  exact, dropping only nearby;  by the grid alone (any position counts as the same state), dropping only nearby;
  by the grid alone, dropping beside every object as well (for tasks that want things put somewhere).
"""

import heapq
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from minigrid.core.actions import Actions
from minigrid.core.world_object import Door, WorldObj
from minigrid.minigrid_env import MiniGridEnv

Cell = tuple[int, int]
Pose = tuple[int, int, int]
"""x, y and heading: 0 right, 1 down, 2 left, 3 up."""

HEADINGS = ((1, 0), (0, 1), (-1, 0), (0, -1))
NEAR_DROPS = 4
LEFT, RIGHT, FORWARD = int(Actions.left), int(Actions.right), int(Actions.forward)
PICKUP, DROP, TOGGLE, DONE = int(Actions.pickup), int(Actions.drop), int(Actions.toggle), int(Actions.done)


@dataclass(frozen=True)
class Search:
    """How one search tells states apart, what it may drop where, and when it gives up."""

    exact: bool
    drop_anywhere: bool
    expansions: int


SEARCHES = (Search(True, False, 600), Search(False, False, 3000), Search(False, True, 3000))


def plan(env: MiniGridEnv) -> list[int] | None:
    """Actions from the state now to a positive reward, or None; `env` is left as it was."""
    start = Snapshot(env)
    with _without_observations(env):
        try:
            for search in SEARCHES:
                found = _dijkstra(env, start, search)
                if found is not None:
                    return found
            return None
        finally:
            start.restore(env)


def fetch(env: MiniGridEnv, place: Cell) -> list[int] | None:
    """The shortest way to face a cell, and picking up what is there; None where nothing leads there as doors stand."""
    way = _Paths(env).facing(place)
    return None if way is None else [*way, PICKUP]


def _dijkstra(env: MiniGridEnv, start: "Snapshot", search: Search) -> list[int] | None:
    counter = itertools.count()
    queue: list[tuple[int, int, list[int], Snapshot | None]] = [(0, next(counter), [], start)]
    start.restore(env)
    settled: set[Any] = set()
    expanded = 0
    while queue and expanded < search.expansions:
        _, _, actions, state = heapq.heappop(queue)
        if state is None:
            return actions
        state.restore(env)
        key = _key(env, search.exact)
        if key in settled:
            continue
        settled.add(key)
        expanded += 1
        for macro in _macros(env, search.drop_anywhere):
            outcome, played = _play(env, macro)
            total = [*actions, *played]
            if outcome == "paid":
                heapq.heappush(queue, (len(total), next(counter), total, None))
            elif outcome == "open" and _key(env, search.exact) not in settled:
                heapq.heappush(queue, (len(total), next(counter), total, Snapshot(env)))
            state.restore(env)
    return None


def _play(env: MiniGridEnv, actions: list[int]) -> tuple[str, list[int]]:
    """Play a macro: "paid" where the environment pays, "lost" where the episode ends otherwise, else "open"."""
    for number, action in enumerate(actions, 1):
        _, reward, terminated, truncated, _ = env.step(action)
        if float(reward) > 0:
            return "paid", actions[:number]
        if terminated or truncated:
            return "lost", actions[:number]
    return "open", actions


def _macros(env: MiniGridEnv, drop_anywhere: bool) -> Iterator[list[int]]:
    """Everything worth doing in this state, each as its shortest list of actions."""
    paths = _Paths(env)
    objects = [
        ((index % env.grid.width, index // env.grid.width), cell)
        for index, cell in enumerate(env.grid.grid)
        if cell is not None and cell.type not in ("wall", "lava")
    ]
    for place, cell in objects:
        to_face = paths.facing(place)
        if to_face is not None:
            yield from ([*to_face, action] for action in _uses(env, cell))
            if cell.can_overlap():
                yield [*to_face, FORWARD]
    if env.carrying is not None:
        yield from ([*path, DROP] for path in _drops(env, paths, objects, drop_anywhere))


def _uses(env: MiniGridEnv, cell: WorldObj) -> Iterator[int]:
    if cell.can_pickup() and env.carrying is None:
        yield PICKUP
    if cell.type == "box":
        yield TOGGLE
    if isinstance(cell, Door) and not cell.is_open and (not cell.is_locked or _has_key_for(env, cell)):
        yield TOGGLE
    yield DONE


def _has_key_for(env: MiniGridEnv, door: WorldObj) -> bool:
    return env.carrying is not None and env.carrying.type == "key" and env.carrying.color == door.color


def _drops(
    env: MiniGridEnv, paths: "_Paths", objects: list[tuple[Cell, WorldObj]], anywhere: bool
) -> Iterator[list[int]]:
    free = [cell for cell in paths.faced if env.grid.get(*cell) is None and cell != tuple(env.agent_pos)]
    near = sorted(free, key=lambda cell: len(paths.facing(cell) or ()))[:NEAR_DROPS]
    beside = {(x + dx, y + dy) for (x, y), _ in objects for dx in (-1, 0, 1) for dy in (-1, 0, 1)}
    chosen = dict.fromkeys([*near, *(cell for cell in free if cell in beside)] if anywhere else near)
    return (path for cell in chosen if (path := paths.facing(cell)) is not None)


class _Paths:
    """Shortest walks from the agent's pose, by breadth-first search over cells and headings.

    A walk keeps off goal squares and lava, which end the episode, and off nothing else that can be walked on.
    """

    def __init__(self, env: MiniGridEnv) -> None:
        self._grid = env.grid
        x, y = (int(value) for value in env.agent_pos)
        start: Pose = (x, y, int(env.agent_dir))
        self._came: dict[Pose, tuple[Pose, int] | None] = {start: None}
        self.faced: dict[Cell, Pose] = {}
        """A cell to the nearest pose that faces it."""
        frontier = [start]
        for pose in frontier:
            ahead = _ahead(pose)
            self.faced.setdefault(ahead, pose)
            for reached, action in self._neighbours(pose, ahead):
                if reached not in self._came:
                    self._came[reached] = (pose, action)
                    frontier.append(reached)

    def facing(self, cell: Cell) -> list[int] | None:
        """The actions that end with this cell straight ahead; None where there is no way."""
        pose = self.faced.get(cell)
        if pose is None:
            return None
        actions: list[int] = []
        while (step := self._came[pose]) is not None:
            pose, action = step
            actions.append(action)
        return actions[::-1]

    def _neighbours(self, pose: Pose, ahead: Cell) -> Iterator[tuple[Pose, int]]:
        x, y, heading = pose
        yield (x, y, (heading - 1) % 4), LEFT
        yield (x, y, (heading + 1) % 4), RIGHT
        if self._walkable(ahead):
            yield (*ahead, heading), FORWARD

    def _walkable(self, cell: Cell) -> bool:
        inside = 0 <= cell[0] < self._grid.width and 0 <= cell[1] < self._grid.height
        if not inside:
            return False
        there = self._grid.get(*cell)
        return there is None or (there.type not in ("goal", "lava") and bool(there.can_overlap()))


def _ahead(pose: Pose) -> Cell:
    x, y, heading = pose
    return x + HEADINGS[heading][0], y + HEADINGS[heading][1]


def _key(env: MiniGridEnv, exact: bool) -> Any:
    """What makes two states the same to a search."""
    cells = tuple(
        None if cell is None else (cell.type, cell.color, *_mutable(cell)[:2], id(cell) if cell.can_pickup() else 0)
        for cell in env.grid.grid
    )
    pose = (*(int(value) for value in env.agent_pos), int(env.agent_dir)) if exact else ()
    return cells, id(env.carrying) if env.carrying is not None else None, pose


def _mutable(cell: WorldObj) -> tuple[Any, Any, Any, Any]:
    return getattr(cell, "is_open", None), getattr(cell, "is_locked", None), cell.contains, cell.cur_pos


class Snapshot:
    """The part of a MiniGrid state that a step can change; cheap to take and to put back."""

    def __init__(self, env: MiniGridEnv) -> None:
        self._cells = list(env.grid.grid)
        shown = [cell for cell in (*self._cells, env.carrying) if cell is not None and cell.type != "wall"]
        objects = {id(cell): cell for cell in (*shown, *(cell.contains for cell in shown)) if cell is not None}
        self._objects = [(cell, *_mutable(cell)) for cell in objects.values()]
        self._agent = (env.agent_pos, env.agent_dir, env.carrying, env.step_count)

    def restore(self, env: MiniGridEnv) -> None:
        env.grid.grid = list(self._cells)
        for cell, is_open, is_locked, contains, cur_pos in self._objects:
            if isinstance(cell, Door):
                cell.is_open, cell.is_locked = is_open, is_locked
            cell.contains, cell.cur_pos = contains, cur_pos
        env.agent_pos, env.agent_dir, env.carrying, env.step_count = self._agent


@contextmanager
def _without_observations(env: MiniGridEnv) -> Iterator[None]:
    env.gen_obs = dict  # type: ignore[method-assign]
    try:
        yield
    finally:
        del env.gen_obs
