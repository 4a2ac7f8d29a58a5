"""Many small blocks, swept."""

import numpy as np

from vlmcar_core.envs.tabletop.colours import NAMED
from vlmcar_core.envs.tabletop.goals import Goal, Move, Thing
from vlmcar_core.envs.tabletop.world import BLADE_HALF, Part, Point, turned

SMALL = Part((0.009, 0.009, 0.009), (0, 0, 0))
ROWS, COLUMNS, SPACING = 4, 5, 0.024
ZONE_HALF = 0.085
INSIDE = 0.015
"""Metres that the blade goes into the square: what it pushes lies before it, in several rows at first."""


class SeparatingPiles(Goal):
    """ "Push the pile of red blocks into the green square". Scored by the share of blocks whose middle is inside."""

    limit = 20
    sweeps = True
    not_in_steps = "its blocks are swept, not carried"

    def build(self) -> None:
        pile, zone, other = self.colours(3)
        self.instruction = f"push the pile of {pile} blocks into the {zone} square"
        self.zone, self.zone_turn = self._zone(zone, "place")
        self._zone(other, "other")
        middle, turn = self.free(0.09), self.any_turn()
        for number in range(ROWS * COLUMNS):
            row, column = divmod(number, COLUMNS)
            at = SPACING * np.array([column - (COLUMNS - 1) / 2, row - (ROWS - 1) / 2])
            at += self.chance.uniform(-0.002, 0.002, 2)
            self.add([SMALL], middle + turned(at, turn), NAMED[pile], "wanted", self.any_turn())

    def _zone(self, colour: str, role: str) -> tuple[Point, float]:
        at, turn = self.free(ZONE_HALF * 1.2), float(self.chance.uniform(-np.pi / 4, np.pi / 4))
        body = self.world.mark(
            [Part((ZONE_HALF, ZONE_HALF, 0.0004), (0, 0, 0.0004))], (at[0], at[1], 0.0), NAMED[colour], turn
        )
        self.things.append(Thing(body, role, half=(ZONE_HALF, ZONE_HALF, 0.0)))
        return at, turn

    def score(self) -> float:
        return float(np.mean(self._inside()))

    def _inside(self) -> list[bool]:
        places = [self.world.place(thing.body)[:2] for thing in self.wanted]
        return [bool(np.abs(turned(at - self.zone, -self.zone_turn)).max() < ZONE_HALF) for at in places]

    def next_move(self) -> Move | None:
        """Sweep the block that is furthest out, and what lies before it, towards the middle of the square."""
        outside = [
            self.world.place(thing.body)[:2]
            for thing, inside in zip(self.wanted, self._inside(), strict=True)
            if not inside
        ]
        if not outside:
            return None
        furthest = max(outside, key=lambda at: float(np.linalg.norm(at - self.zone)))
        way = (self.zone - furthest) / np.linalg.norm(self.zone - furthest)
        return Move(furthest - (BLADE_HALF[0] + 0.022) * way, self._entry(furthest, way) + INSIDE * way)

    def _entry(self, start: Point, way: Point) -> Point:
        """Where a straight way from outside comes into the square."""
        lengths = np.arange(0.0, float(np.linalg.norm(self.zone - start)), 0.002)
        points = start + lengths[:, None] * way
        local = np.array([turned(point - self.zone, -self.zone_turn) for point in points])
        inside = np.abs(local).max(axis=1) < ZONE_HALF
        return np.asarray(points[int(np.argmax(inside))] if inside.any() else self.zone)
