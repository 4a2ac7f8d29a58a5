"""One more object beside a task's own, for the families whose places are metres."""

import math
from collections.abc import Collection
from dataclasses import dataclass

from vlmcar_core.errors import BadInput

FURTHEST = 10.0
"""Metres from the origin: more is a mistake."""

HELP = "SHAPE COLOUR X Y Z, metres, such as `{example}`: put beside the task's own; facts and success ignore it."


@dataclass(frozen=True)
class Extra:
    """What it looks like, and where its middle is at first, metres."""

    shape: str
    colour: str
    at: tuple[float, float, float]

    def __str__(self) -> str:
        return " ".join([self.shape, self.colour, *(f"{number:.3f}" for number in self.at)])


def read(text: str, shapes: Collection[str], colours: Collection[str]) -> Extra | None:
    """What a setting asks for; None for an empty one.

    Raises:
        BadInput: it is not SHAPE COLOUR X Y Z of these shapes and colours.
    """
    words = text.split()
    if not words:
        return None
    place = _numbers(words[2:])
    if len(words) != 5 or words[0] not in shapes or words[1] not in colours or place is None:
        known = f"{', '.join(shapes)} and {', '.join(colours)}"
        raise BadInput(f"one more object is SHAPE COLOUR X Y Z, of {known}, and three numbers in metres: {text!r}")
    return Extra(words[0], words[1], (place[0], place[1], place[2]))


def _numbers(words: list[str]) -> list[float] | None:
    try:
        found = [float(word) for word in words]
    except ValueError:
        return None
    return found if all(math.isfinite(number) and abs(number) < FURTHEST for number in found) else None
