"""A pyramid of blocks, and the towers of Hanoi."""

import itertools

import numpy as np

from vlmcar_core.envs.tabletop.bowls import BLOCK
from vlmcar_core.envs.tabletop.colours import BROWN, NAMED
from vlmcar_core.envs.tabletop.goals import Goal, Move, Thing
from vlmcar_core.envs.tabletop.world import Part, Point, turned

SIDE = 2 * BLOCK.half[0]
SPACING = SIDE + 0.003
LAYERS = ((-1, 0, 1), (-0.5, 0.5), (0,))
"""Where the blocks of each layer are along the base, in spacings."""

NEAR, TURN_NEAR = 0.015, np.radians(15)
"""CLIPort's tolerances: a pose is right within 1 cm and 15°; here 1.5 cm."""


class StackBlockPyramid(Goal):
    """Six blocks, three, two and one, on a brown base. Scored by the share of blocks that are in their places."""

    limit = 12

    def build(self) -> None:
        names = self.colours(6)
        layers = (names[:3], names[3:5], names[5:])
        self.instruction = "make a pyramid, from the bottom: " + "; ".join(", ".join(layer) for layer in layers)
        self.base, self.base_turn = self.free(0.09), float(self.chance.uniform(-np.pi / 2, np.pi / 2))
        base = [Part((0.075, 0.028, 0.0006), (0, 0, 0.0006))]
        mark = self.world.mark(base, (self.base[0], self.base[1], 0.0), BROWN, self.base_turn)
        self.things.append(Thing(mark, "place", half=base[0].half))
        for name in names:
            self.add([BLOCK], self.free(0.034), NAMED[name], "wanted", self.any_turn())

    def _places(self) -> list[Point]:
        """(x, y, z) of every block's middle."""
        found = []
        for layer, offsets in enumerate(LAYERS):
            for offset in offsets:
                flat = self.base + turned((offset * SPACING, 0.0), self.base_turn)
                found.append(np.array([flat[0], flat[1], SIDE * (layer + 0.5)]))
        return found

    def _right(self) -> list[bool]:
        places = [self.world.place(thing.body) for thing in self.wanted]
        return [
            bool(np.linalg.norm(at[:2] - to[:2]) < NEAR and abs(at[2] - to[2]) < 0.01)
            for at, to in zip(places, self._places(), strict=True)
        ]

    def score(self) -> float:
        return float(np.mean(self._right()))

    def next_move(self) -> Move | None:
        for thing, to, right in zip(self.wanted, self._places(), self._right(), strict=True):
            if not right:
                return self.move(thing, to, self.base_turn, np.pi / 2)
        return None


PEGS = (-0.13, 0.0, 0.13)
PEG = Part((0.006, 0.006, 0.035), (0, 0, 0.038))
RINGS = (0.05, 0.041, 0.032)
"""Radii of the middle of each ring's band, the largest at the bottom."""
BAND, RING_HALF = 0.009, 0.008


def ring_parts(radius: float, sides: int = 10) -> list[Part]:
    half = radius * np.tan(np.pi / sides) + 0.003
    angles = [2 * np.pi * number / sides for number in range(sides)]
    return [
        Part((BAND, half, RING_HALF), (radius * np.cos(angle), radius * np.sin(angle), 0), angle) for angle in angles
    ]


class TowersOfHanoi(Goal):
    """Three rings from one outer peg to the other, never a larger upon a smaller.

    Scored by how many of the seven moves that it takes at least are no longer needed; by nothing while a ring is on no
    peg, or a larger one upon a smaller.
    """

    limit = 14

    def build(self) -> None:
        names = self.colours(3)
        self.start, self.end = (0, 2) if self.chance.integers(2) else (2, 0)
        self.instruction = f"move the rings to the {('left', 'right')[self.end == 2]} peg"
        self.base = np.array([self.chance.uniform(-0.25, 0.25), self.chance.uniform(-0.12, 0.12)])
        self.base_turn = float(self.chance.uniform(-0.2, 0.2))
        stand = [Part((0.2, 0.06, 0.003), (0, 0, 0.003))]
        self.world.fixed(stand, (self.base[0], self.base[1], 0.0), BROWN, self.base_turn)
        for number in range(len(PEGS)):
            at = self._peg(number)
            peg = self.world.fixed([PEG], (at[0], at[1], 0.0), BROWN, self.base_turn)
            self.things.append(Thing(peg, "place" if number == self.end else "other", half=PEG.half))
        for number, (name, radius) in enumerate(zip(names, RINGS, strict=True)):
            height = 0.006 + number * 2 * RING_HALF
            self.add(ring_parts(radius), self._peg(self.start), NAMED[name], "wanted", self.base_turn, height)

    def _peg(self, number: int) -> Point:
        return self.base + turned((PEGS[number], 0.0), self.base_turn)

    def _pegs(self) -> list[int]:
        """On which peg each ring is; the nearest."""
        places = [self.world.place(thing.body)[:2] for thing in self.wanted]
        return [int(np.argmin([np.linalg.norm(at - self._peg(number)) for number in range(3)])) for at in places]

    def score(self) -> float:
        return 1.0 - len(hanoi(self._pegs(), self.end)) / 7 if self._allowed() else 0.0

    def _allowed(self) -> bool:
        places, pegs = [self.world.place(thing.body) for thing in self.wanted], self._pegs()
        on = all(np.linalg.norm(at[:2] - self._peg(peg)) < 0.03 for at, peg in zip(places, pegs, strict=True))
        pairs = itertools.combinations(zip(places, pegs, strict=True), 2)
        return on and all(larger[2] < smaller[2] for (larger, one), (smaller, other) in pairs if one == other)

    def next_move(self) -> Move | None:
        moves = hanoi(self._pegs(), self.end)
        if not moves:
            return None
        ring, peg = moves[0]
        return self.move(self.wanted[ring], self._peg(peg))


def hanoi(pegs: list[int], end: int) -> list[tuple[int, int]]:
    """The fewest moves (ring, peg) that bring all rings to a peg; `pegs` says where each is, the largest first.

    Where the largest is elsewhere, all smaller ones must first be on the third peg.
    """
    if not pegs:
        return []
    largest, smaller = pegs[0], pegs[1:]
    if largest == end:
        return _above(hanoi(smaller, end))
    spare = 3 - largest - end
    return [*_above(hanoi(smaller, spare)), (0, end), *_above(hanoi([spare] * len(smaller), end))]


def _above(moves: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(ring + 1, peg) for ring, peg in moves]
