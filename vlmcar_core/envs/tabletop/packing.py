"""Things into the brown box."""

import numpy as np

from vlmcar_core.envs.tabletop.colours import NAMED
from vlmcar_core.envs.tabletop.goals import LETTER_RADIUS, LETTERS, Goal, Move, Thing, container
from vlmcar_core.envs.tabletop.world import Part, Point, turned

GAP = 0.007
"""Metres that every box has less than its part of the container, on each side."""


class PackingBoxPairs(Goal):
    """ "Pack all the red and blue boxes in the brown box". Scored by the share of their volume that is inside."""

    limit = 20

    def build(self) -> None:
        first, second = self.colours(2)
        self.instruction = f"pack all the {first} and {second} boxes in the brown box"
        half = (float(self.chance.uniform(0.07, 0.1)), float(self.chance.uniform(0.055, 0.075)))
        self.box = container(self, half)
        self.slots: list[Point] = []
        for number, (centre, size) in enumerate(_cut(half, self.chance)):
            self._box((size[0], size[1], 0.018), NAMED[(first, second)[number % 2]], "wanted")
            self.slots.append(centre)
        for colour in self.others(first, second)[:2]:
            self._box((0.022, 0.02, 0.018), NAMED[colour], "other")

    def _box(self, half: tuple[float, float, float], colour: tuple[float, float, float], role: str) -> None:
        at = self.free(float(np.hypot(half[0], half[1])) + 0.006)
        self.add([Part(half, (0, 0, 0))], at, colour, role, self.any_turn())

    def score(self) -> float:
        volumes = np.array([float(np.prod(thing.half)) for thing in self.wanted])
        inside = np.array([self.box.holds(self.world.place(thing.body)) for thing in self.wanted])
        return float(volumes[inside].sum() / volumes.sum())

    def next_move(self) -> Move | None:
        for thing, slot in zip(self.wanted, self.slots, strict=True):
            if not self.box.holds(self.world.place(thing.body)):
                return self.move(thing, self.box.at + turned(slot, self.box.turn), self.box.turn, np.pi)
        return None


def _cut(half: tuple[float, float], chance: np.random.Generator) -> list[tuple[Point, tuple[float, float]]]:
    """A rectangle cut into two columns and each into two: centres and half sizes of what fits."""
    found = []
    across = float(chance.uniform(-0.25, 0.25)) * half[0]
    for low, high in ((-half[0], across), (across, half[0])):
        along = float(chance.uniform(-0.2, 0.2)) * half[1]
        for bottom, top in ((-half[1], along), (along, half[1])):
            centre = np.array([(low + high) / 2, (bottom + top) / 2])
            found.append((centre, ((high - low) / 2 - GAP, (top - bottom) / 2 - GAP)))
    return found


class PackingShapes(Goal):
    """ "Pack the letter M in the brown box", one letter among five. Scored by whether its middle is inside.

    CLIPort gives one action; here five, so that a slip can be mended.
    """

    limit = 5

    def build(self) -> None:
        letters = [str(letter) for letter in self.wish.permutation(list(LETTERS)[1:])[:4]]
        colours = self.colours(5)
        wanted = "M"
        self.instruction = f"pack the {colours[0]} letter {wanted} in the brown box"
        self.box = container(self, (0.075, 0.07))
        for letter, colour in zip((wanted, *letters), colours, strict=True):
            role = "wanted" if letter == wanted else "other"
            self.add(LETTERS[letter], self.free(LETTER_RADIUS), NAMED[colour], role, self.any_turn())

    def score(self) -> float:
        return float(self._inside(self.wanted[0]))

    def next_move(self) -> Move | None:
        letter = self.wanted[0]
        return None if self._inside(letter) else self.move(letter, self.box.at, self.box.turn)

    def _inside(self, thing: Thing) -> bool:
        return self.box.holds(self.world.place(thing.body))
