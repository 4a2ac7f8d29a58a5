"""Wrong versions that survive, in plain words: what nothing recorded would notice, and what to record."""

import re
from collections.abc import Iterable, Sequence

from vlmcar_core.examinations import Survivor, Unnoticed

COMPARISON = re.compile(r"(?P<left>[^<>=!]+?)\s*(?:<=|>=|==|!=|<|>)\s*(?P<right>[^<>=!]+)")
"""A comparison of two sides, as it stands in the code."""

OTHERS = (
    (
        "the comparison turned into",
        "nothing recorded depends on “{where}”",
        "a frame that differs from a done one in “{where}” alone",
    ),
    (
        "the condition",
        "nothing recorded needs {condition} in “{where}”",
        "a frame in which {condition} fails and all else is as when done",
    ),
    (
        "the first frame ignored",
        "nothing recorded tells the first frame from the current one here",
        "an episode of another layout, whose first frame looks different",
    ),
    (
        "the colour",
        "nothing recorded tells {colours} in “{where}”",
        "an episode with something in the other colour: put wrong objects in",
    ),
    ("“not” dropped", "nothing recorded depends on the “not” in “{where}”", "a frame in which it decides"),
)
"""Beginning of what was done, what that shows, and what to record."""


def unnoticed(survivors: Iterable[Survivor]) -> tuple[Unnoticed, ...]:
    """One for each place in the code, in order: all values that a number might have are told together."""
    groups: dict[tuple[int, str, str, str], list[Survivor]] = {}
    for survivor in survivors:
        about = "" if survivor.value else survivor.what
        groups.setdefault((survivor.line, survivor.where, survivor.value, about), []).append(survivor)
    return tuple(_told(group) for group in groups.values())


def _told(group: Sequence[Survivor]) -> Unnoticed:
    first = group[0]
    if first.value:
        changed = [survivor.changed for survivor in group]
        here = f" in “{first.where}”" if first.where else ""
        return Unnoticed(
            first.line, f"nothing recorded tells {first.value} from {_listed(changed)}{here}", _between(first, changed)
        )
    for beginning, told, record in OTHERS:
        if first.what.startswith(beginning):
            condition = first.what.removeprefix("the condition ").removesuffix(" dropped")
            colours = first.what.replace(" becomes ", " from ")
            words = {"where": first.where, "condition": condition, "colours": colours}
            return Unnoticed(first.line, told.format(**words), record.format(**words))
    return Unnoticed(
        first.line, f"nothing recorded notices where {first.what} in “{first.where}”", "a frame in which it decides"
    )


def _between(survivor: Survivor, changed: Sequence[str]) -> str:
    """Where a number is one side of a comparison: between which values the other side would have to lie."""
    values = sorted((float(survivor.value), *map(float, changed)))
    found = COMPARISON.fullmatch(survivor.where)
    sides = (found["left"].strip(), found["right"].strip()) if found else ()
    if survivor.value in sides:
        other = sides[1 - sides.index(survivor.value)]
        return f"a frame in which “{other}” lies between {values[0]:g} and {values[-1]:g}"
    return "a frame that is nearly done, or only just done, by this number"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
