"""Layouts with one more object in them: the wrong one to take, or one in the goal's colour.

The object is put in after the reset, so the rest of the layout is that of the seed. What the simulator tells of
("key held") stays about the task's own objects.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from minigrid.core.constants import COLOR_NAMES
from minigrid.core.world_object import Ball, Box, Key, WorldObj
from minigrid.minigrid_env import MiniGridEnv

from vlmcar_core.envs.minigrid import planner
from vlmcar_core.errors import BadInput

KINDS: dict[str, type[WorldObj]] = {"key": Key, "ball": Ball, "box": Box}
PLACES = 8
"""So many free cells are tried for one that leaves the task solvable."""


@dataclass(frozen=True)
class Extra:
    """One more object."""

    kind: str
    colour: str
    column: int
    row: int

    def __str__(self) -> str:
        return f"{self.kind} {self.colour} {self.column} {self.row}"

    @classmethod
    def read(cls, text: str) -> "Extra":
        """Raises `BadInput`: it is not KIND COLOUR COLUMN ROW."""
        words = text.split()
        if len(words) != 4 or words[0] not in KINDS or words[1] not in COLOR_NAMES or not _whole(words[2:]):
            known = f"{', '.join(KINDS)} and {', '.join(COLOR_NAMES)}"
            raise BadInput(f"one more object is KIND COLOUR COLUMN ROW, of {known}, such as 'ball green 3 1': {text!r}")
        return cls(words[0], words[1], int(words[2]), int(words[3]))


def _whole(words: list[str]) -> bool:
    return all(word.isascii() and word.isdigit() and len(word) < 4 for word in words)


class WithExtra(gym.Wrapper[Any, Any, Any, Any]):
    """Puts one more object into every layout; `reset` raises `BadInput` where its cell is not free."""

    def __init__(self, env: gym.Env[Any, Any], extra: Extra) -> None:
        super().__init__(env)
        self._extra = extra

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        _, info = self.env.reset(seed=seed, options=options)
        grid = self.env.unwrapped
        assert isinstance(grid, MiniGridEnv)
        put(grid, self._extra)
        return grid.gen_obs(), info  # type: ignore[no-untyped-call]


def put(grid: MiniGridEnv, extra: Extra) -> WorldObj:
    """Put it into the layout now.

    Raises:
        BadInput: its cell is outside, or not free.
    """
    place = (extra.column, extra.row)
    inside = extra.column < grid.width and extra.row < grid.height
    if not inside or grid.grid.get(*place) is not None or tuple(int(at) for at in grid.agent_pos) == place:
        raise BadInput(f"there is no free cell at {place} for one more {extra.colour} {extra.kind} in this layout")
    found = KINDS[extra.kind](extra.colour)  # type: ignore[call-arg]
    found.extra = True  # type: ignore[attr-defined]
    found.init_pos = found.cur_pos = place
    grid.grid.set(*place, found)
    return found


def is_extra(found: WorldObj | None) -> bool:
    """Whether this object was put in beside the task's own."""
    return getattr(found, "extra", False)


def extras(grid: MiniGridEnv, seed: int) -> Iterator[tuple[str, Extra]]:
    """What could be put into the layout now, each with what it is: a distractor that leaves the task solvable.

    Args:
        grid: as it was just reset; it is left as it was.
        seed: chooses the cells and colours.
    """
    chance = np.random.default_rng(seed)
    objects = [cell for cell in grid.grid.grid if cell is not None and cell.type in (*KINDS, "goal")]
    taken = {(cell.type, cell.color) for cell in objects}
    for kind, colour in sorted(taken):
        for what, wanted in _wanted(kind, colour, taken, chance):
            extra = _placed(grid, *wanted, chance)
            if extra is not None:
                yield what, extra


def _wanted(
    kind: str, colour: str, taken: set[tuple[str, str]], chance: np.random.Generator
) -> Iterator[tuple[str, tuple[str, str]]]:
    others = [(other, colour) for other in KINDS if (other, colour) not in taken]
    if kind == "goal":
        if others:
            yield "a distractor in the goal's colour", others[int(chance.integers(len(others)))]
        return
    colours = [(kind, other) for other in COLOR_NAMES if (kind, other) not in taken]
    if colours:
        yield f"another {kind}, same shape, other colour", colours[int(chance.integers(len(colours)))]
    if others:
        yield f"not the {kind}: same colour, other shape", others[int(chance.integers(len(others)))]


def _placed(grid: MiniGridEnv, kind: str, colour: str, chance: np.random.Generator) -> Extra | None:
    agent = tuple(int(at) for at in grid.agent_pos)
    free = [
        place
        for index, cell in enumerate(grid.grid.grid)
        if cell is None and (place := (index % grid.width, index // grid.width)) != agent
    ]
    for number in chance.permutation(len(free))[:PLACES]:
        extra = Extra(kind, colour, *free[int(number)])
        put(grid, extra)
        solvable = wrong(grid, extra) is not None and planner.plan(grid) is not None
        grid.grid.set(extra.column, extra.row, None)
        if solvable:
            return extra
    return None


def wrong(grid: MiniGridEnv, extra: Extra) -> list[int] | None:
    """The actions that go to the object and take it, from the state now; None where there is no way to it."""
    return planner.fetch(grid, (extra.column, extra.row))
