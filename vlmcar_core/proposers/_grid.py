"""What was done between two pictures that are made of equal cells."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from vlmcar_core.proposers import _cells, _code, _colour
from vlmcar_core.proposers._cells import SAME_LOOK, Cell, Place
from vlmcar_core.proposers._steps import Step
from vlmcar_core.types import Frame

ACTOR_SHARE = 0.05
"""So much of a cell in the actor's colour means that the actor is there."""

FILLS = 0.9
"""What spans so much of its cell, across and down, bars the way; a thing that can be taken is smaller."""

Cells = Mapping[Place, Cell]


@dataclass(eq=False)
class Events:
    """What can be told from two pictures, cell by cell."""

    actor: Cell | None = None
    actor_end: Place | None = None
    gone: list[Cell] = field(default_factory=list)
    moved: list[tuple[Cell, Cell]] = field(default_factory=list)
    changed: list[tuple[Cell, Cell]] = field(default_factory=list)
    entered: list[Cell] = field(default_factory=list)
    """What filled the cell in which the actor stands in the end."""
    doubts: list[str] = field(default_factory=list)


def steps(initial: Frame, goal: Frame, tile: int) -> tuple[list[Step], list[str]]:
    """The sub-tasks in order, and what the two pictures did not tell."""
    before, after = _cells.read(initial, tile), _cells.read(goal, tile)
    events = _events(initial, goal, before, after, tile)
    write = _Writer(before, tile)
    found = _ordered(write, events, before)
    if events.actor is not None and events.actor_end is not None:
        found += _arrival(write, events, before, after, bool(found))
    return found, events.doubts


def has_actor(initial: Frame, goal: Frame, tile: int) -> bool:
    """Whether an arrowhead left its place, as grid worlds draw who acts."""
    return _events(initial, goal, _cells.read(initial, tile), _cells.read(goal, tile), tile).actor is not None


def _same(one: Cell, other: Cell) -> bool:
    if one.flat != other.flat:
        return False
    if one.flat:
        return _colour.same_hue(one.hue, other.hue)
    return _looks_same(one, other) and _colour.same_hue(one.hue, other.hue)


def _looks_same(one: Cell, other: Cell) -> bool:
    return _cells.alike(one.look, other.look) > SAME_LOOK


def _events(initial: Frame, goal: Frame, before: Cells, after: Cells, tile: int) -> Events:
    events = Events()
    changed = [place for place in before if not _same(before[place], after[place])]
    gone = [before[place] for place in changed if not before[place].flat]
    arrived = [after[place] for place in changed if not after[place].flat]
    events.actor = _find_actor(gone)
    if events.actor is not None:
        gone.remove(events.actor)
        events.actor_end = _end_of(events.actor, goal, before, arrived, tile)
        arrived = [cell for cell in arrived if cell.place != events.actor_end]
    for cell in gone:
        if cell.place == events.actor_end and _fills_its_cell(_cells.pixels(initial, cell.place, tile), cell.hue):
            events.entered.append(cell)
        else:
            _sort_in(events, cell, after, arrived)
    taken = {new.place for _, new in (*events.moved, *events.changed)}
    rest = [cell for cell in arrived if cell.place not in taken]
    if rest:
        events.doubts.append(f"{len(rest)} things are in the goal frame that the initial frame does not show")
    return events


def _find_actor(gone: list[Cell]) -> Cell | None:
    """Who acts: the arrowhead among what left its place; None where there is none."""
    return next((cell for cell in gone if _cells.shape_of(cell.look) == "triangle"), None)


def _end_of(actor: Cell, goal: Frame, before: Cells, arrived: list[Cell], tile: int) -> Place | None:
    for cell in arrived:
        if _cells.alike_turned(cell.look, actor.look) > SAME_LOOK and _colour.same_hue(cell.hue, actor.hue):
            return cell.place
    shares = {cell.place: _share(_cells.pixels(goal, cell.place, tile), actor.hue) for cell in arrived}
    place = max(shares, key=lambda found: shares[found], default=None)
    return place if place is not None and shares[place] > ACTOR_SHARE else None


def _share(pixels: Frame, hue: int | None) -> float:
    """How much of a picture is colourful and of a hue."""
    return 0.0 if hue is None else float(_of_hue(pixels, hue).mean())


def _of_hue(pixels: Frame, hue: int) -> NDArray[np.bool_]:
    """Which pixels are colourful and of a hue, bool (H, W)."""
    apart = abs(cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)[..., 0].astype(int) - hue)
    near = (apart <= 8) | (apart >= 172)
    return np.asarray(near & (_colour.chroma(pixels) >= _colour.CHROMA_MIN))


def _fills_its_cell(pixels: Frame, hue: int | None) -> bool:
    """Whether what has this hue reaches from side to side and from top to bottom."""
    if hue is None:
        return False
    mask = _of_hue(pixels, hue)
    spans = [np.ptp(np.flatnonzero(mask.any(axis=axis))) + 1 if mask.any() else 0 for axis in (0, 1)]
    return all(span >= FILLS * side for span, side in zip(spans, mask.shape[::-1], strict=True))


def _sort_in(events: Events, cell: Cell, after: Cells, arrived: list[Cell]) -> None:
    """Say what became of something that no longer looks as it did."""
    now = after[cell.place]
    matched = {new.place for _, new in events.moved}
    for new in arrived:
        if new.place != cell.place and new.place not in matched and _same(cell, new):
            events.moved.append((cell, new))
            return
    if cell.place == events.actor_end:
        events.doubts.append("something that changed is hidden behind the actor in the goal frame")
    elif not now.flat:
        events.changed.append((cell, now))
    else:
        events.gone.append(cell)


def _ordered(write: "_Writer", events: Events, before: Cells) -> list[Step]:
    """Clear the way, open what nothing of its colour opens, fetch what opens the rest, open that, enter, take."""
    start = events.actor.place if events.actor is not None else (0, 0)
    colours = [cell.hue for cell in (*(old for old, _ in events.changed), *events.entered)]
    moved = sorted((old for old, _ in events.moved), key=lambda cell: _distance(cell.place, start))
    gone = sorted(events.gone, key=lambda cell: _distance(cell.place, start))
    opens = _first_matching(moved, colours) or _first_matching(gone, colours)
    found = [write.moved(cell) for cell in moved if cell not in opens]
    changed = sorted(events.changed, key=lambda pair: _distance(pair[0].place, start))
    fetched = [write.moved(cell) if cell in moved else write.gone(cell) for cell in opens]
    opened = write.changed(changed)
    freely = [not any(_colour.same_hue(old.hue, cell.hue) for cell in opens) for old, _ in changed]
    found += [step for step, free in zip(opened, freely, strict=True) if free]
    found += fetched
    found += [step for step, free in zip(opened, freely, strict=True) if not free]
    found += [write.entered(cell) for cell in events.entered]
    return found + [write.gone(cell) for cell in gone if cell not in opens]


def _first_matching(cells: list[Cell], colours: list[int | None]) -> list[Cell]:
    """One thing for each colour, the nearest."""
    found: list[Cell] = []
    for colour in colours:
        match = next((cell for cell in cells if cell not in found and _colour.same_hue(cell.hue, colour)), None)
        if match is not None:
            found.append(match)
    return found


def _arrival(write: "_Writer", events: Events, before: Cells, after: Cells, done_something: bool) -> list[Step]:
    """Where the actor, or what it moved, came to be."""
    assert events.actor is not None and events.actor_end is not None
    under = before[events.actor_end]
    if under.flat and under.hue is not None and events.actor.hue is not None:
        return [write.stands_on(under.hue, events.actor.hue)]
    if events.gone or events.changed:
        return []
    if events.moved:
        old, new = events.moved[-1]
        return _beside(write, old, new.place, before, after, corners=True)
    if not done_something:
        return _beside(write, events.actor, events.actor_end, before, after, corners=False)
    return []


def _beside(write: "_Writer", thing: Cell, end: Place, before: Cells, after: Cells, corners: bool) -> list[Step]:
    around = [
        (end[0] + down, end[1] + right)
        for down, right in product((-1, 0, 1), repeat=2)
        if (down or right) and (corners or not (down and right))
    ]
    neighbours = [after[place] for place in around if place in after and not after[place].flat]
    others = [cell for cell in neighbours if cell.place in before and _same(before[cell.place], cell)]
    return [write.beside(thing, other, corners, len(others)) for other in others[:1]]


def _distance(one: Place, other: Place) -> int:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


class _Writer:
    """Writes the checkers for one pair of pictures."""

    def __init__(self, before: Cells, tile: int) -> None:
        self._things = [cell for cell in before.values() if not cell.flat]
        self._tile = tile

    def gone(self, cell: Cell) -> Step:
        noun, finder, doubt = self._finder(cell)
        title = f"Take the {self._called(cell, noun)}"
        return Step(title, self._head(title) + finder + _code.GONE.substitute(noun=noun), doubt)

    def moved(self, cell: Cell) -> Step:
        noun, finder, doubt = self._finder(cell)
        title = f"Pick up the {self._called(cell, noun)}"
        return Step(title, self._head(title) + finder + _code.MOVED.substitute(noun=noun), doubt)

    def entered(self, cell: Cell) -> Step:
        noun, finder, doubt = self._finder(cell, "door")
        title = f"Go through the {self._called(cell, noun)}"
        return Step(title, self._head(title) + finder + _code.ENTERED.substitute(noun=noun, const=noun.upper()), doubt)

    def changed(self, pairs: list[tuple[Cell, Cell]]) -> list[Step]:
        """One step per changed thing; things of one look are counted, so that their colour need not be known."""
        found = []
        for old, new in pairs:
            group = [pair for pair in pairs if _looks_same(pair[0], old)]
            all_of_look = [cell for cell in self._things if _looks_same(cell, old)]
            by_count = len(group) == len(all_of_look)
            count = group.index((old, new)) + 1 if by_count else 1
            noun, finder, doubt = self._finder(old, "door", by_colour=not by_count)
            title = f"Open the {self._called(old, noun)}"
            if by_count and len(group) > 1:
                title = f"Open {count} of {len(group)} doors"
            drawn = _code.DRAWING.substitute(name="OPENED", drawing=_code.drawing(new.look))
            check = _code.CHANGED.substitute(noun=noun, const=noun.upper(), count=count)
            found.append(Step(title, self._head(title) + drawn.lstrip("\n") + finder + check, doubt))
        return found

    def stands_on(self, square_hue: int, actor_hue: int) -> Step:
        title = f"Bring the {_colour.name_of(actor_hue)} triangle onto the {_colour.name_of(square_hue)} square"
        body = _code.STANDS_ON.substitute(square_hue=square_hue, actor_hue=actor_hue)
        return Step(title, self._head(title) + body.lstrip("\n"))

    def beside(self, thing: Cell, other: Cell, corners: bool, candidates: int) -> Step:
        first, find_first, _ = self._finder(thing, turning=not corners)
        second, find_second, doubt = self._finder(other, taken=first)
        title = f"Bring the {self._called(thing, first)} next to the {self._called(other, second)}"
        if candidates > 1:
            doubt = f"it ends beside {candidates} things; which of them matters cannot be seen from two frames"
        doubt = doubt or "that it ends beside this thing may be chance: two frames do not tell"
        check = _code.BESIDE.substitute(
            noun=first,
            other=second,
            distance="max(abs(a - c), abs(b - d))" if corners else "abs(a - c) + abs(b - d)",
            corners=", corners included" if corners else "",
        )
        return Step(title, self._head(title) + find_first + find_second + check, doubt)

    def _head(self, title: str) -> str:
        how = "cv2.INTER_NEAREST" if _cells.nearest(self._tile) else "cv2.INTER_AREA"
        return _code.HEAD.substitute(title=title, tile=self._tile, how=how, margin=_cells.margin(self._tile))

    def _called(self, cell: Cell, noun: str) -> str:
        return f"{noun.replace('_', ' ')} ({_colour.name_of(cell.hue)} here)"

    def _finder(
        self, cell: Cell, noun: str = "", by_colour: bool = True, turning: bool = False, taken: str = ""
    ) -> tuple[str, str, str]:
        """A noun for a thing, the code that finds it, and a doubt."""
        noun = noun or _cells.shape_of(cell.look)
        noun = f"other_{noun}" if noun == taken else noun
        const = noun.upper()
        drawn = _code.DRAWING.substitute(name=const, drawing=_code.drawing(cell.look))
        twins = [other for other in self._things if other is not cell and _looks_same(other, cell)]
        if turning:
            return noun, drawn + _code.FIND_ACTOR.substitute(noun=noun, const=const), ""
        if not twins or not by_colour:
            return noun, drawn + _code.FIND.substitute(noun=noun, const=const), ""
        source = _code.FIND_COLOURED.substitute(noun=noun, const=const, hue=cell.hue)
        doubt = f"{len(twins)} more look like it, so it is told by its colour, which other layouts may not share"
        return noun, drawn + source, doubt
