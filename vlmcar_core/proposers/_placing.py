"""From what a scene's two frames show to sub-tasks: what went into, next to, away or elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vlmcar_core.proposers import _scene, _scene_code
from vlmcar_core.proposers._scene import Area, Kind
from vlmcar_core.proposers._steps import Step
from vlmcar_core.types import Frame

INSIDE_MIN = 0.5
"""Of things that went into another at least this share of what is seen lies within its outlines."""

COUNT_MAX = 6
"""More things than these are asked for in thirds."""

WHOLE_MIN, WHOLE_MAX, MISSED = 0.85, 0.95, 0.4
"""All are there when no more than so much of the smallest of them is missing; but at least, and at most, so much of
what the goal frame has within the outlines."""

EDGE = 5
"""Half so many pixels, rounded down, outside an outline still count."""

UNEVEN = 2.5
"""Areas of one colour whose sizes differ by more than so many times are several things that touch each other."""

CLOSE_SLACK = 1.2
"""Times the distance in the goal frame, and a pixel: an episode that ends on success ends at the edge of it."""

CLOSE_MAX = 1.65
"""Two things are close where their middles are nearer than this many times their mean extent."""

ON = 1.05
"""What stands on a wider thing has its middle no further out than its edge, which is 1."""

MOVED_MIN = 0.02
"""Of the picture's diagonal; less is jitter."""

LINE_MAX, LINE_CHANGE = 0.15, 0.5
"""Many things lie in a line where they are so narrow for their length, and were no half so narrow at first."""

CHANGES_MAX = 8

FINGERS = 2
"""A hand is one thing, or two of one colour."""


def steps(initial: Frame, goal: Frame) -> tuple[list[Step], list[str]]:
    """The sub-tasks in order, and what the two pictures did not tell."""
    columns = _scene.views(initial, goal)
    kinds = _scene.kinds(initial, goal, columns)
    write = _Writer(kinds, columns)
    gone = [kind for kind in kinds if _scene.gone(kind, initial, goal, columns)]
    moved = [kind for kind in kinds if kind.moved and kind not in gone]
    still = [kind for kind in kinds if kind.seen_first and kind not in moved and kind not in gone]
    new = [kind for kind in kinds if not kind.seen_first and kind.seen_last]
    actor = _actor(moved, initial, columns)
    found, doubts = _placed(write, [kind for kind in moved if kind is not actor], still)
    if actor is not None:
        found = _reach(write, actor, [kind for kind in moved if kind is not actor], still, bool(found)) + found
    found = [write.gone(kind) for kind in gone] + found + [write.appeared(kind) for kind in new]
    hidden = [kind.name for kind in still if not kind.seen_last]
    if hidden:
        doubts.append(f"hidden in the goal frame, so nothing is known of it: {', '.join(hidden)}")
    if len(found) > CHANGES_MAX:
        doubts.append(f"{len(found)} things differ between the two frames; only the first {CHANGES_MAX} are proposed")
    return found[:CHANGES_MAX], doubts


def _actor(moved: Sequence[Kind], initial: Frame, columns: Sequence[tuple[int, int]]) -> Kind | None:
    """What moved and is held by something, such as the hand of an arm."""
    held = {kind.hue: _scene.held(kind, initial, columns) for kind in moved}
    kinds = [kind for kind in moved if kind.count <= FINGERS and held[kind.hue] > _scene.ATTACHED]
    return max(kinds, key=lambda kind: held[kind.hue], default=None)


@dataclass(frozen=True)
class Group:
    """Kinds that went into one place."""

    place: Kind
    things: tuple[Kind, ...]

    @property
    def count(self) -> int:
        return sum(thing.count for thing in self.things)


def _placed(write: "_Writer", moved: Sequence[Kind], still: Sequence[Kind]) -> tuple[list[Step], list[str]]:
    found: list[Step] = []
    doubts: list[str] = []
    homes = {thing.hue: _home(thing, still) for thing in moved}
    for place in still:
        things = tuple(thing for thing in moved if homes[thing.hue] is place)
        if things:
            found += write.into(Group(place, things))
    for thing in moved:
        if homes[thing.hue] is None:
            found += _elsewhere(write, thing, [other for other in (*moved, *still) if other is not thing])
    return found, doubts


def _home(thing: Kind, still: Sequence[Kind]) -> Kind | None:
    """The smallest place within whose outlines a kind came to lie."""
    places = [place for place in still if _went_into(thing, place)]
    return min(places, key=lambda place: sum(area.size for area in place.before), default=None)


def _went_into(thing: Kind, place: Kind) -> bool:
    """One view: by its outlines. Several: it came to stand over or in a place that is wider than it is."""
    if len(place.before) > 1 and thing.count == 1:
        return _came_over(thing, place)
    return _came_within(thing, place)


def _came_over(thing: Kind, place: Kind) -> bool:
    if _width(place.before) <= _width(thing.after) or not all(area.count for area in (*thing.after, *place.before)):
        return False
    at_first = all(area.count for area in thing.before) and _off(thing.before, place.before) <= ON
    return _off(thing.after, place.before) <= ON and not at_first


def _off(things: Sequence[Area], places: Sequence[Area]) -> float:
    """How far the middle of a thing is from a place's, across in all views: 1 at the edge."""
    shares = []
    for thing, place in zip(things, places, strict=True):
        columns = np.flatnonzero(place.mask.any(axis=0))
        half = (columns[-1] - columns[0] + 1) / 2
        shares.append((thing.centre[0] - (columns[0] + columns[-1]) / 2) / half)
        if abs(thing.centre[1] - place.centre[1]) > _tall(thing, place):
            return float("inf")
    return float(np.linalg.norm(shares))


def _tall(thing: Area, place: Area) -> float:
    """Half the heights of two things, one of which stands on the other, and two pixels; pixels."""
    return float(np.ptp(np.nonzero(thing.mask)[0]) + np.ptp(np.nonzero(place.mask)[0])) / 2 + 2


def _width(areas: Sequence[Area]) -> float:
    """Across, the mean of all views, pixels."""
    widths = [float(np.ptp(np.nonzero(area.mask)[1])) + 1 for area in areas if area.count]
    return sum(widths) / len(widths) if widths else 0.0


def _came_within(thing: Kind, place: Kind) -> bool:
    """In a view by its pixels, and not so at first."""
    if any(_is_within(place, thing.before, view) for view in _scene.both(place.before, thing.before)):
        return False
    return any(_is_within(place, thing.after, view) for view in _scene.both(place.before, thing.after))


def _is_within(place: Kind, things: Sequence[Area], view: int) -> bool:
    return _scene.share_inside(place.before[view], things[view]) >= INSIDE_MIN


def _reach(
    write: "_Writer", actor: Kind, moved: Sequence[Kind], still: Sequence[Kind], done_something: bool
) -> list[Step]:
    """What the actor itself came to: what it moved, or, where it moved nothing, where it stands."""
    near = _nearest(actor, moved)
    if near is not None:
        return [write.close(actor, *near)]
    if done_something or moved:
        return []
    resting = _nearest(actor, still)
    return [write.close(actor, *resting) if resting is not None else write.moved(actor)]


def _nearest(thing: Kind, others: Sequence[Kind]) -> tuple[Kind, float] | None:
    """What it came close to, the nearest first, and how near in the goal frame, pixels.

    What moved is where the goal frame shows it; the rest where it was at first, even if it is covered in the end.
    """
    found: list[tuple[float, int]] = []
    for number, other in enumerate(others):
        ends = _ends(other)
        distance, at_first = _scene.apart(thing.after, ends), _scene.apart(thing.before, other.before)
        extent = _extent(thing.after, ends)
        if distance is None or distance > CLOSE_MAX * extent:
            continue
        if at_first is None or at_first > _close_limit(distance, extent):
            found.append((distance, number))
    return (others[min(found)[1]], min(found)[0]) if found else None


def _ends(kind: Kind) -> tuple[Area, ...]:
    return kind.after if kind.moved else kind.before


def _close_limit(distance: float, extent: float) -> float:
    """Pixels: a little more than the goal frame has, and no less than what is near for things of their size."""
    return max(CLOSE_SLACK * distance + 1, CLOSE_MAX * extent)


def _extent(ones: Sequence[Area], others: Sequence[Area]) -> float:
    """The mean extent of two things, pixels."""
    return float(np.mean([area.extent for area in (*ones, *others) if area.count]))


def _elsewhere(write: "_Writer", thing: Kind, others: Sequence[Kind]) -> list[Step]:
    """Where a thing is that went into nothing."""
    if write.is_line(thing):
        return [write.lined_up(thing)]
    if thing.count == 1:
        near = _nearest(thing, others)
        if near is not None:
            return [write.close(thing, *near)]
        if write.way(thing) is not None:
            return [write.moved(thing)]
    return []


class _Writer:
    """Writes the checkers for one pair of pictures."""

    def __init__(self, kinds: Sequence[Kind], columns: Sequence[tuple[int, int]]) -> None:
        self._columns = tuple(columns)
        sizes = [area.size / area.count for kind in kinds for area in (*kind.before, *kind.after) if area.count]
        self._speck = max(4, int(0.2 * min(sizes, default=20)))

    def into(self, group: Group) -> list[Step]:
        """One step for one thing; for more, one for each number of them, or for each third of many."""
        if group.count == 1 and len(self._columns) > 1:
            return [self._over(group.things[0], group.place)]
        uneven = any(_uneven(thing.before[0]) for thing in group.things)
        missing = (
            MISSED
            * min(_smallest(thing.before[0]) for thing in group.things)
            / sum(thing.before[0].size for thing in group.things)
        )
        whole = self._inside(group) * (WHOLE_MAX if uneven else min(WHOLE_MAX, max(WHOLE_MIN, 1 - missing)))
        if group.count == 1:
            return [self._counted(group, whole, "the", "")]
        if group.count > COUNT_MAX or uneven:
            parts = [(f"{part} of 3 parts of the", whole * part / 3) for part in (1, 2, 3)]
        else:
            parts = [
                (f"{number} of {group.count}", whole * number / group.count) for number in range(1, group.count + 1)
            ]
        return [self._counted(group, share, words, "s") for words, share in parts]

    def _over(self, thing: Kind, place: Kind) -> Step:
        title = f"Bring the {_called(thing)} thing onto the {_called(place)} one"
        tall = max(_tall(one, other) for one, other in zip(thing.after, place.before, strict=True))
        body = _scene_code.OVER.substitute(noun=thing.name, other=place.name, tall=round(tall))
        head = self._head(title, self._all()) + self._identify(thing) + self._identify(place)
        return Step(title, head + _scene_code.MIDDLE + body)

    def _counted(self, group: Group, share: float, words: str, plural: str) -> Step:
        names = " and ".join(_called(thing) for thing in group.things)
        title = f"Bring {words} {names} thing{plural} into the {_called(group.place)}{'' if plural else ' one'}"
        source = (
            self._head(title, [0])
            + "".join(self._identify(kind) for kind in (*group.things, group.place))
            + _scene_code.OUTLINES
            + _scene_code.COUNTED.substitute(
                other=group.place.name,
                things="".join(f"identify_{thing.name}, " for thing in group.things).rstrip(),
                share=f"{share:.3f}",
                why=f"the goal frame has {self._inside(group):.2f} of it there",
            )
        )
        return Step(title, source, "told by their area, not by their number; what is hidden is not counted")

    def _inside(self, group: Group) -> float:
        """Which share of a group's area the goal frame has in its place, told as the checker will tell it."""
        filled = _scene.outline(group.place.before[0].mask).astype(np.uint8)
        region = cv2.dilate(filled, np.ones((EDGE, EDGE), np.uint8)).astype(bool)
        befores, afters = ([getattr(thing, when)[0].mask for thing in group.things] for when in ("before", "after"))
        gained = sum(
            float((now & region).sum()) - float((old & region).sum()) for old, now in zip(befores, afters, strict=True)
        )
        return gained / max(sum(float(old.sum()) for old in befores), 1.0)

    def close(self, thing: Kind, other: Kind, distance: float) -> Step:
        shown = _scene.both(thing.after, _ends(other))
        title = f"Bring the {_called(thing)} thing to the {_called(other)} one"
        found = f"identify_{other.name}(current)"
        body = _scene_code.CLOSE.substitute(
            noun=thing.name,
            close=round(_close_limit(distance, _extent(thing.after, _ends(other))), 1),
            measured=round(distance, 1),
            there=found if other.moved else f"identify_{other.name}(initial) | {found}",
            where="" if other.moved else "; the other stays where it is: what either frame shows of it counts",
        )
        source = (
            self._head(title, self._all()) + self._identify(thing) + self._identify(other) + _scene_code.MIDDLE + body
        )
        doubt = "how close is close enough is a guess from the goal frame"
        return Step(title, source, self._unseen(shown) or doubt)

    def gone(self, kind: Kind) -> Step:
        title = f"Remove the {_called(kind)} thing"
        body = _scene_code.GONE.substitute(noun=kind.name)
        doubt = "it may also be hidden by something that moved"
        return Step(title, self._head(title, self._all()) + self._identify(kind) + body, self._twins(kind) or doubt)

    def appeared(self, kind: Kind) -> Step:
        title = f"Bring a {_called(kind)} thing into view"
        size = sum(area.size for area in kind.after)
        body = _scene_code.APPEARED.substitute(noun=kind.name, enough=max(1, size // 2))
        doubt = "the initial frame does not show it, so only its colour is looked for, wherever it is"
        return Step(title, self._head(title, self._all()) + self._identify(kind) + body, doubt)

    def way(self, kind: Kind) -> tuple[int, int] | None:
        """Right and down, in the first view; None where that view does not show it go anywhere."""
        old, now = kind.before[0], kind.after[0]
        if not old.count or not now.count:
            return None
        right, down = (round(end - start) for start, end in zip(old.centre, now.centre, strict=True))
        return (right, down) if np.hypot(right, down) > MOVED_MIN * np.hypot(*old.mask.shape) else None

    def moved(self, kind: Kind) -> Step:
        right, down = self.way(kind) or (0, 0)
        title = f"Move the {_called(kind)} thing"
        body = _scene_code.MOVED.substitute(noun=kind.name, right=right, down=down)
        source = self._head(title, self._all()) + self._identify(kind) + _scene_code.MIDDLE + body
        doubt = "it ends beside nothing that could say where it should be: the way itself is asked for"
        return Step(title, source, self._twins(kind) or doubt)

    def is_line(self, kind: Kind) -> bool:
        before, after = _narrow(kind.before[0]), _narrow(kind.after[0])
        return kind.count > COUNT_MAX and after < LINE_MAX and after < LINE_CHANGE * before

    def lined_up(self, kind: Kind) -> Step:
        title = f"Line up the {_called(kind)} things"
        narrow = _narrow(kind.after[0])
        body = _scene_code.LINED_UP.substitute(
            noun=kind.name, narrow=round(CLOSE_SLACK * narrow, 3), measured=round(narrow, 3)
        )
        doubt = "where the line should be cannot be seen from two frames"
        return Step(title, self._head(title, self._all()) + self._identify(kind) + body, doubt)

    def _head(self, title: str, shown: Sequence[int]) -> str:
        views = tuple(self._columns[view] for view in shown)
        return _scene_code.HEAD.substitute(title=title, views=views, speck=self._speck)

    def _all(self) -> list[int]:
        return list(range(len(self._columns)))

    def _identify(self, kind: Kind) -> str:
        return _scene_code.IDENTIFY.substitute(noun=kind.name, hue=kind.hue, near=kind.near)

    def _unseen(self, shown: Sequence[int]) -> str:
        missing = len(self._columns) - len(shown)
        return f"{missing} of {len(self._columns)} views do not show it in the goal frame" if missing else ""

    def _twins(self, kind: Kind) -> str:
        return f"{kind.count} things have its colour; they are looked at as one" if kind.count > 1 else ""


def _called(kind: Kind) -> str:
    """Its name for people."""
    return kind.name.replace("_", " ")


def _sizes(area: Area) -> list[int]:
    stats = cv2.connectedComponentsWithStats(area.mask.astype(np.uint8))[2]
    return [int(size) for size in stats[1:, cv2.CC_STAT_AREA]]


def _smallest(area: Area) -> int:
    return min(_sizes(area), default=0)


def _uneven(area: Area) -> bool:
    sizes = _sizes(area)
    return len(sizes) > 1 and max(sizes) > UNEVEN * min(sizes)


def _narrow(area: Area) -> float:
    """How wide what is seen lies, over how long: the ratio of the standard deviations across and along."""
    if area.size < 3:
        return 1.0
    along, across = np.sqrt(np.linalg.svd(np.cov(np.argwhere(area.mask).T))[1])
    return float(across / max(along, 1e-9))
