"""Blocks into bowls."""

import numpy as np

from vlmcar_core.envs.tabletop.colours import NAMED
from vlmcar_core.envs.tabletop.goals import Goal, Move, Thing
from vlmcar_core.envs.tabletop.world import Part

BLOCK = Part((0.02, 0.02, 0.02), (0, 0, 0))
BOWL_RADIUS, BOWL_HEIGHT, SIDES = 0.05, 0.025, 12
"""Of the middle of the rim; the inside is a little narrower."""


def bowl_parts() -> list[Part]:
    """A bottom and a rim of boxes."""
    half = BOWL_RADIUS * np.tan(np.pi / SIDES) + 0.003
    # Three squares, so turned that their corners lie under the rim and that the table shows nowhere between.
    bottom = (BOWL_RADIUS * 0.78, BOWL_RADIUS * 0.78, 0.002)
    parts = [Part(bottom, (0, 0, 0.002), number * np.pi / 6) for number in range(3)]
    for number in range(SIDES):
        angle = 2 * np.pi * number / SIDES
        at = (BOWL_RADIUS * np.cos(angle), BOWL_RADIUS * np.sin(angle), BOWL_HEIGHT / 2)
        parts.append(Part((0.005, half, BOWL_HEIGHT / 2), at, angle))
    return parts


class PutBlockInBowl(Goal):
    """ "Put the red blocks in a green bowl": each into a bowl of its own. Scored by the share of blocks that are."""

    limit = 10

    def build(self) -> None:
        self.block, self.bowl = self.colours(2)
        self.instruction = f"put the {self.block} blocks in a {self.bowl} bowl"
        bowls = int(self.chance.integers(1, 4))
        blocks = int(self.chance.integers(1, bowls + 1))
        self.bowls = [self._bowl(self.bowl, "place") for _ in range(bowls)]
        for _ in range(blocks):
            self._block(self.block, "wanted")
        others = self.others(self.block, self.bowl)
        for colour in others[:2]:
            self._bowl(colour, "other")
        for colour in others[1:4]:
            self._block(colour, "other")

    def _bowl(self, colour: str, role: str) -> Thing:
        at = self.free(BOWL_RADIUS + 0.012)
        body = self.world.fixed(bowl_parts(), (at[0], at[1], 0.0), NAMED[colour])
        made = Thing(body, role, half=(BOWL_RADIUS, BOWL_RADIUS, BOWL_HEIGHT / 2))
        self.things.append(made)
        return made

    def _block(self, colour: str, role: str) -> None:
        self.add([BLOCK], self.free(0.032), NAMED[colour], role, self.any_turn())

    def score(self) -> float:
        filled = sum(any(self._is_in(block, bowl) for block in self.wanted) for bowl in self.bowls)
        return filled / len(self.wanted)

    def next_move(self) -> Move | None:
        outside = [block for block in self.wanted if not any(self._is_in(block, bowl) for bowl in self.bowls)]
        empty = [bowl for bowl in self.bowls if not any(self._is_in(block, bowl) for block in self.wanted)]
        if not outside or not empty:
            return None
        return self.move(outside[0], self.world.place(empty[0].body))

    def _is_in(self, block: Thing, bowl: Thing) -> bool:
        apart = self.world.place(block.body) - self.world.place(bowl.body)
        return bool(np.hypot(apart[0], apart[1]) < BOWL_RADIUS and apart[2] < 0.05)
