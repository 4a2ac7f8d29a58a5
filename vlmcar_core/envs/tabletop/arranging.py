"""A rope laid along a line, and letters laid on their marks."""

import itertools

import numpy as np

from vlmcar_core.envs.tabletop.building import NEAR, TURN_NEAR
from vlmcar_core.envs.tabletop.colours import BROWN, GREY, NAMED
from vlmcar_core.envs.tabletop.goals import BROAD, LETTER_RADIUS, LETTERS, TALL, TRIES, Goal, Move, Thing
from vlmcar_core.envs.tabletop.world import Part, Point, turned

BEADS, BEAD_SPACING = 16, 0.02
BEAD = Part((0.008, 0.008, 0.008), (0, 0, 0))
ROPE = BEADS * BEAD_SPACING
BEAD_NEAR = 0.025
"""Metres: a bead is in its place; CLIPort's zone about each place on the line is about as wide."""


class AlignRope(Goal):
    """A rope of beads along the open side of a square. Scored by the share of beads that are in their places."""

    limit = 20
    carried = 0.04
    stride = 0.0015

    def build(self) -> None:
        rope, square = self.colours(2)
        self.instruction = f"align the {rope} rope with the open side of the {square} square"
        self.turn = float(self.chance.uniform(-0.3, 0.3)) + np.pi * int(self.chance.integers(2))
        half = ROPE / 2
        high = 0.07
        self.corner = np.array([self.chance.uniform(-0.2, 0.2), self.chance.uniform(-0.04, 0.04)])
        parts = [
            Part((half, 0.004, 0.0005), (0, high, 0.0005)),
            Part((0.004, high, 0.0005), (-half, 0, 0.0005)),
            Part((0.004, high, 0.0005), (half, 0, 0.0005)),
        ]
        mark = self.world.mark(parts, (self.corner[0], self.corner[1], 0.0), NAMED[square], self.turn)
        self.line = [
            self.corner + turned(((number - (BEADS - 1) / 2) * BEAD_SPACING, -high), self.turn)
            for number in range(BEADS)
        ]
        self._thread(self._off_the_line(), rope)
        self.things.append(Thing(mark, "place", half=(half, high, 0.0)))

    def _off_the_line(self) -> Point:
        """Places for the beads, none of them near the one that it shall come to, from whichever end; (BEADS, 2).

        Raises:
            RuntimeError: the table is too small for that; it is not.
        """
        ways = np.array([self.line, self.line[::-1]])
        for _ in range(TRIES):
            places = self._waves()
            if np.linalg.norm(ways - places, axis=2).min() > 2 * BEAD_NEAR:
                return places
        raise RuntimeError("no room for a rope that is off its line")

    def _waves(self) -> Point:
        """Places for the beads, in waves, anywhere on the table; (BEADS, 2)."""
        middle = np.array([self.chance.uniform(-0.25, 0.25), self.chance.uniform(-0.1, 0.1)])
        heading = self.any_turn()
        at = np.zeros(2)
        places = []
        for number in range(BEADS):
            places.append(at.copy())
            bend = 0.9 * np.sin(number * 0.55 + heading)
            at = at + BEAD_SPACING * np.array([np.cos(heading + bend), np.sin(heading + bend)])
        shifted = np.array(places) - np.mean(places, axis=0)
        reach = np.array([0.46, 0.21])
        middle = np.clip(middle, -reach - shifted.min(axis=0), reach - shifted.max(axis=0))
        return np.asarray(middle + shifted)

    def _thread(self, places: Point, colour: str) -> None:
        for place in places:
            self.add([BEAD], place, NAMED[colour], "wanted", mass=0.02)
        half = BEAD_SPACING / 2
        beads = [thing.body for thing in self.things]
        self.world.apart(beads)
        for one, other in itertools.pairwise(beads):
            way = self.world.place(other) - self.world.place(one)
            ahead = half * way / np.linalg.norm(way)
            self.world.link(one, other, ahead, -ahead)

    def _off(self) -> list[float]:
        """How far each bead is from its place, taken from the end that fits better."""
        places = [self.world.place(thing.body)[:2] for thing in self.wanted]
        ways = [
            [float(np.linalg.norm(at - to)) for at, to in zip(places, line, strict=True)]
            for line in (self.line, self.line[::-1])
        ]
        return min(ways, key=sum)

    def _target(self, number: int) -> Point:
        places = [self.world.place(thing.body)[:2] for thing in self.wanted]
        straight, back = (
            sum(float(np.linalg.norm(at - to)) for at, to in zip(places, line, strict=True))
            for line in (self.line, self.line[::-1])
        )
        return (self.line if straight <= back else self.line[::-1])[number]

    def score(self) -> float:
        return float(np.mean([off < BEAD_NEAR for off in self._off()]))

    def next_move(self) -> Move | None:
        """The bead that is furthest from its place goes there, the ends first."""
        off = self._off()
        if max(off) < BEAD_NEAR:
            return None
        ends = [number for number in (0, BEADS - 1) if off[number] >= BEAD_NEAR]
        number = max(ends, key=lambda end: off[end]) if ends else int(np.argmax(off))
        return self.move(self.wanted[number], self._target(number))


SLOTS = ((-0.09, 0.052), (0.0, 0.052), (0.09, 0.052), (-0.045, -0.052), (0.045, -0.052))


class AssemblingKits(Goal):
    """Five letters onto their marks on a brown plate. Scored by the share that lie right, within 1.5 cm and 15°."""

    limit = 10
    not_in_steps = "its letters have to be turned, and steps do not turn"

    def build(self) -> None:
        letters = [str(letter) for letter in self.wish.permutation(list(LETTERS))[: len(SLOTS)]]
        colours = self.colours(len(SLOTS))
        self.instruction = "put every letter on its mark"
        self.plate = np.array([self.chance.choice([-0.3, 0.3]), self.chance.uniform(-0.1, 0.1)])
        self.plate_turn = float(self.chance.uniform(-0.3, 0.3))
        self.take(self.plate, 0.18)
        plate = [Part((0.15, 0.11, 0.0004), (0, 0, 0.0004))]
        self.world.mark(plate, (self.plate[0], self.plate[1], 0.0), BROWN, self.plate_turn)
        for letter, slot in zip(letters, SLOTS, strict=True):
            flat = [
                Part((part.half[0], part.half[1], 0.0003), (*part.at[:2], 0.0012), part.turn)
                for part in LETTERS[letter]
            ]
            at = self._slot(slot)
            mark = self.world.mark(flat, (at[0], at[1], 0.0), GREY, self.plate_turn)
            self.things.append(Thing(mark, "place", half=(BROAD, TALL, 0.0)))
        for letter, colour in zip(letters, colours, strict=True):
            self.add(LETTERS[letter], self.free(LETTER_RADIUS), NAMED[colour], "wanted", self.any_turn())
        self._letters = letters

    def _slot(self, slot: tuple[float, float]) -> Point:
        return self.plate + turned(slot, self.plate_turn)

    def _right(self) -> list[bool]:
        found = []
        for thing, letter, slot in zip(self.wanted, self._letters, SLOTS, strict=True):
            metres, radians = self.off_by(thing, self._slot(slot), self.plate_turn, symmetry_of(letter))
            found.append(metres < NEAR and radians < TURN_NEAR)
        return found

    def score(self) -> float:
        return float(np.mean(self._right()))

    def next_move(self) -> Move | None:
        for thing, letter, slot, right in zip(self.wanted, self._letters, SLOTS, self._right(), strict=True):
            if not right:
                return self.move(thing, self._slot(slot), self.plate_turn, symmetry_of(letter))
        return None


def symmetry_of(letter: str) -> float:
    """Turned by so much, radians, a letter looks the same."""
    return np.pi if letter == "H" else 2 * np.pi
