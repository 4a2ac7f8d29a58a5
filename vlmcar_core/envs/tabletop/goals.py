"""What a tabletop task is, and what the tasks share: finding free places, letters, containers.

A task builds its things on an empty table, scores what it sees, and knows what to do next. What is asked for (the
colours, the letter) comes from `wish`, how things lie from `chance`; both are NumPy generators.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from vlmcar_core.envs.tabletop.colours import BROWN, NAMED, Colour
from vlmcar_core.envs.tabletop.world import CARRY_STEP, DEPTH, TRAVEL_HEIGHT, WIDTH, Part, Point, World, between, turned

EDGE = 0.04
"""Metres from the table's edge that stay free."""

TRIES = 2000

ROLES = ("wanted", "place", "other")
"""What a thing is in a task: to be moved, where to, or neither."""


@dataclass(frozen=True)
class Move:
    """One action in metres and radians: pick here, place there, turned; or sweep from here to there."""

    pick: Point
    place: Point
    turn: float = 0.0


@dataclass
class Thing:
    """A body with a part in the task."""

    body: int
    role: str
    """Of ROLES."""
    grip: tuple[float, float] = (0.0, 0.0)
    """Where to pick it, from its origin."""
    half: tuple[float, float, float] = (0.02, 0.02, 0.02)
    """Half its width, depth and height in its own axes, metres; of a container, of its inside."""


class Goal(ABC):
    """A task. Its things are in the order of their roles, those of one role in the order in which they were made."""

    limit: ClassVar[int]
    """Actions; CLIPort's own number where not said otherwise."""
    sweeps: ClassVar[bool] = False
    not_in_steps: ClassVar[str] = ""
    """Why it cannot be done in end-effector steps; empty where it can."""
    carried: ClassVar[float] = TRAVEL_HEIGHT
    """Metres above the table at which things are carried."""
    stride: ClassVar[float] = CARRY_STEP
    """Metres that they are carried in one step of the simulation."""

    def __init__(self, world: World, wish: np.random.Generator, chance: np.random.Generator) -> None:
        self.world, self.wish, self.chance = world, wish, chance
        self.things: list[Thing] = []
        self.instruction = ""
        """What is asked for, in words; never in a picture."""
        self._taken: list[tuple[float, float, float]] = []
        self.build()
        self.things.sort(key=lambda thing: ROLES.index(thing.role))

    @abstractmethod
    def build(self) -> None:
        """Put the things on the table."""

    @abstractmethod
    def score(self) -> float:
        """How much is done, in [0, 1]."""

    @abstractmethod
    def next_move(self) -> Move | None:
        """What the oracle does now; None where it knows nothing to do."""

    @property
    def taken(self) -> tuple[tuple[float, float, float], ...]:
        """Discs where things were put: x, y and radius, metres."""
        return tuple(self._taken)

    @property
    def wanted(self) -> list[Thing]:
        return [thing for thing in self.things if thing.role == "wanted"]

    def colours(self, count: int) -> list[str]:
        """Names of so many different colours, as the instruction wishes."""
        return [str(name) for name in self.wish.permutation(list(NAMED))[:count]]

    def others(self, *named: str) -> list[str]:
        """The colours that are none of some, in an order by chance."""
        return [str(name) for name in self.chance.permutation([name for name in NAMED if name not in named])]

    def free(self, radius: float) -> Point:
        """A point of the table that has room for a disc, from now on taken.

        Raises:
            RuntimeError: the table is full; the tasks are made so that it is not.
        """
        reach = np.array([WIDTH, DEPTH]) / 2 - EDGE - radius
        for _ in range(TRIES):
            at = self.chance.uniform(-reach, reach)
            if all(np.hypot(at[0] - x, at[1] - y) > radius + other for x, y, other in self._taken):
                self.take(at, radius)
                return at
        raise RuntimeError(f"{type(self).__name__}: no room for {radius} m")

    def take(self, at: Point, radius: float) -> None:
        self._taken.append((float(at[0]), float(at[1]), radius))

    def any_turn(self) -> float:
        return float(self.chance.uniform(-np.pi, np.pi))

    def add(
        self,
        parts: list[Part],
        at: Point,
        colour: Colour,
        role: str,
        turn: float = 0.0,
        height: float = 0.0,
        mass: float = 0.1,
    ) -> Thing:
        """A movable thing that stands on the table, or so high above it; it is picked at its first part."""
        low = min(part.at[2] - part.half[2] for part in parts)
        body = self.world.thing(parts, (at[0], at[1], height - low + 0.0005), colour, turn, mass)
        made = Thing(body, role, (parts[0].at[0], parts[0].at[1]), parts[0].half)
        self.things.append(made)
        return made

    def move(self, thing: Thing, to: Point, turn: float | None = None, symmetry: float = 2 * np.pi) -> Move:
        """The move that brings a thing's origin to a point, and its turn to one, or as it is.

        Args:
            symmetry: turns by so much look the same.
        """
        now = self.world.turn(thing.body)
        by = 0.0 if turn is None else between(turn - now)
        by -= symmetry * np.round(by / symmetry)
        grip = turned(thing.grip, now)
        return Move(self.world.place(thing.body)[:2] + grip, np.asarray(to)[:2] + turned(grip, by), float(by))

    def off_by(self, thing: Thing, to: Point, turn: float, symmetry: float = 2 * np.pi) -> tuple[float, float]:
        """Metres and radians between where a thing is and where it should be."""
        angle = between(self.world.turn(thing.body) - turn)
        angle -= symmetry * np.round(angle / symmetry)
        return float(np.linalg.norm(self.world.place(thing.body)[:2] - np.asarray(to)[:2])), abs(float(angle))


@dataclass(frozen=True)
class Container:
    """A brown box without a lid, fixed to the table."""

    at: Point
    turn: float
    half: tuple[float, float]
    """Of the inside."""

    def local(self, point: Point) -> Point:
        """A point of the table in the container's own axes."""
        return turned(np.asarray(point)[:2] - self.at, -self.turn)

    def holds(self, point: Point) -> bool:
        """A point (3,) is between its walls, and no higher above the table than two walls upon each other."""
        return bool(np.all(np.abs(self.local(point)) <= self.half) and point[2] < 2 * WALL_HEIGHT)


WALL, WALL_HEIGHT = 0.006, 0.03


def container(goal: Goal, half: tuple[float, float]) -> Container:
    """Made at a free place, as a thing of the task."""
    radius = float(np.hypot(half[0] + 2 * WALL, half[1] + 2 * WALL))
    at, turn = goal.free(radius), float(goal.chance.uniform(-np.pi / 2, np.pi / 2))
    high = WALL_HEIGHT / 2
    parts = [Part((half[0] + WALL, half[1] + WALL, 0.001), (0, 0, 0.001))]
    for sign in (-1, 1):
        parts.append(Part((WALL / 2, half[1] + WALL, high), (sign * (half[0] + WALL / 2), 0, high)))
        parts.append(Part((half[0] + WALL, WALL / 2, high), (0, sign * (half[1] + WALL / 2), high)))
    body = goal.world.fixed(parts, (at[0], at[1], 0.0), BROWN, turn)
    goal.things.append(Thing(body, "place", half=(*half, high)))
    return Container(at, turn, half)


STROKE, TALL, BROAD, THICK = 0.009, 0.04, 0.032, 0.012
"""Half the width of a stroke, half a letter's height and width, half its thickness."""


def _upright(x: float, length: float = TALL, y: float = 0.0) -> Part:
    return Part((STROKE, length, THICK), (x, y, 0))


def _level(y: float, length: float = BROAD, x: float = 0.0) -> Part:
    return Part((length, STROKE, THICK), (x, y, 0))


def _slant(start: tuple[float, float], end: tuple[float, float]) -> Part:
    """From one point to another."""
    way = np.array(end) - np.array(start)
    middle = (np.array(start) + np.array(end)) / 2
    return Part(
        (float(np.linalg.norm(way)) / 2, STROKE, THICK),
        (float(middle[0]), float(middle[1]), 0),
        float(np.arctan2(way[1], way[0])),
    )


_SIDE, _TOP = BROAD - STROKE, TALL - STROKE
LETTERS: dict[str, list[Part]] = {
    "M": [
        _upright(-_SIDE),
        _upright(_SIDE),
        _slant((-_SIDE, _TOP), (0.0, -0.005)),
        _slant((0.0, -0.005), (_SIDE, _TOP)),
    ],
    "T": [_upright(0.0), _level(_TOP)],
    "L": [_upright(-_SIDE), _level(-_TOP)],
    "E": [_upright(-_SIDE), _level(_TOP), _level(0.0), _level(-_TOP)],
    "V": [_slant((-_SIDE, _TOP), (0.0, -_TOP)), _slant((0.0, -_TOP), (_SIDE, _TOP))],
    "H": [_upright(-_SIDE), _upright(_SIDE), _level(0.0)],
}
LETTER_RADIUS = 0.052
