"""Scripted experts for panda-gym: they act in a twin of an environment, and what succeeded there is replayed.

Each is a controller that looks at the simulator's state at every step and says where the hand is to go next. It is
tried at several paces until one succeeds; Slide's also learns from where the puck went.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vlmcar_core.envs.panda import flipping
from vlmcar_core.envs.panda.motion import CLOSE, OPEN, REACH, STAY, Vector, Wish, action
from vlmcar_core.envs.panda.simulation import Panda
from vlmcar_core.errors import NoExpert

Controller = Callable[[Panda, float], Iterator[Wish | NDArray[np.float32]]]
"""From a twin and a pace, metres a step, to what to do next; an array is an action as it stands."""

ABOVE = 0.1
"""Metres over the table at which the hand travels."""

OVER = 0.06
"""Metres over an object or its place from which the hand comes down."""

UP = np.array([0.0, 0.0, OVER])

BEHIND = 0.055
"""Metres from an object's middle to where the hand goes before it pushes."""

LOW = 0.02
"""Metres over the table: the height of an object's middle, at which it is pushed."""

LIFTED = 0.08
"""Metres over the table at which the cube begins to be turned."""

FREE_PLACES = (-0.13, -0.06, 0.0, 0.06, 0.13)
"""Metres, along both axes: where Stack's second object may wait."""

HIT_PACES = (0.025, 0.035, 0.05, 0.018)
"""Slide: metres a step that the hand goes ahead of itself when it hits the puck."""

HIT_TRIES = 6
HIT_LENGTH = 0.12
"""Metres along which the hand goes before it lets the puck slide."""


def plan(panda: Panda) -> list[NDArray[np.float32]]:
    """Actions from the state that an environment was last reset to, to success; it is not touched.

    Raises:
        NoExpert: it starts solved, or the controller did not end in success at any pace.
    """
    if panda.starts_solved:
        raise NoExpert(f"{panda.env_id}, seed {panda.seed}: it starts solved, so there is nothing to show")
    found = _slide(panda) if panda.kind == "Slide" else _first(panda, *CONTROLLERS[panda.kind])
    if not found:
        raise NoExpert(f"{panda.env_id}, seed {panda.seed}: the scripted expert did not get there")
    return found


def _first(panda: Panda, controller: Controller, paces: tuple[float, ...]) -> list[NDArray[np.float32]]:
    """What succeeded at the first pace at which the controller does."""
    return next((found for pace in paces if (found := _try(panda, controller, pace)[0])), [])


def _try(panda: Panda, controller: Controller, pace: float) -> tuple[list[NDArray[np.float32]], Panda]:
    """The actions of a controller, empty where it did not succeed in time, and the twin as it was left."""
    twin = panda.twin()
    taken: list[NDArray[np.float32]] = []
    for wish in controller(twin, pace):
        taken.append(action(twin, wish) if isinstance(wish, Wish) else wish)
        _, _, terminated, truncated, _ = twin.step(taken[-1])
        if terminated:
            return taken, twin
        if truncated:
            break
    return [], twin


def _reach(panda: Panda, pace: float) -> Iterator[Wish]:
    while True:
        yield Wish(panda.goal, pace=pace)


def _push(panda: Panda, pace: float) -> Iterator[Wish]:
    """Go behind the cube, seen from its target, and push; go back behind it when it slips aside."""
    while True:
        cube = panda.place("object")
        yield from _lower_to(panda, cube - BEHIND * _unit(panda.goal - cube))
        while _is_behind(panda):
            cube = panda.place("object")
            way = _unit(panda.goal - cube)
            aside = _aside(panda.hand - cube, way)
            ahead = panda.hand + pace * way - 0.8 * aside * np.array([-way[1], way[0], 0.0])
            yield Wish(np.array([ahead[0], ahead[1], LOW]))


def _is_behind(panda: Panda) -> bool:
    offset = panda.hand - panda.place("object")
    way = _unit(panda.goal - panda.place("object"))
    return bool(np.dot(offset, way) < -0.01 and abs(_aside(offset, way)) < 0.02 and panda.hand[2] < 0.045)


def _aside(offset: Vector, way: Vector) -> float:
    """How far to the left of a way, metres."""
    return float(way[0] * offset[1] - way[1] * offset[0])


def _unit(way: Vector) -> Vector:
    """Along the table, of length 1."""
    flat = np.array([way[0], way[1], 0.0])
    return flat / max(float(np.linalg.norm(flat)), 1e-9)


def _lower_to(panda: Panda, place: Vector) -> Iterator[Wish]:
    """Over a place, then down to it, without touching what is beside it."""
    if np.linalg.norm(place[:2] - panda.hand[:2]) > 0.03:
        yield from _go(panda, np.array([place[0], place[1], ABOVE]), tolerance=0.02)
    yield from _go(panda, np.array([place[0], place[1], LOW]), tolerance=0.015)


def _go(
    panda: Panda, place: Vector, fingers: float = STAY, pace: float = REACH, tolerance: float = 0.01
) -> Iterator[Wish]:
    for _ in range(25):
        if np.linalg.norm(place - panda.hand) < tolerance:
            return
        yield Wish(place, fingers, pace)


def _slide(panda: Panda) -> list[NDArray[np.float32]]:
    """Hit the puck, see how far it went aside, and aim so much to the other side, until it gets there."""
    puck, goal = panda.place("object"), panda.goal
    for pace in HIT_PACES:
        aim = 0.0
        for _ in range(HIT_TRIES):
            found, twin = _try(panda, partial(hit, aim=aim), pace)
            if found:
                return found
            went = twin.place("object") - puck
            aim -= 0.7 * _between(went, goal - puck)
    return []


def _between(one: Vector, other: Vector) -> float:
    """By how much a way is to the left of another, radians in (-pi, pi]."""
    return float(np.angle(complex(*one[:2]) / complex(*other[:2]))) if np.any(one[:2]) else 0.0


def hit(panda: Panda, pace: float, aim: float) -> Iterator[Wish]:
    """Hit the puck, so many radians to the left of its target, and let it slide."""
    puck = panda.place("object")
    to_goal = panda.goal - puck
    angle = np.arctan2(to_goal[1], to_goal[0]) + aim
    ahead = np.array([np.cos(angle), np.sin(angle), 0.0])
    start = puck - (BEHIND + 0.02) * ahead
    yield from _lower_to(panda, start)
    while (along := np.dot(panda.hand - start, ahead)) < HIT_LENGTH:
        next_place = start + (along + pace) * ahead
        yield Wish(np.array([next_place[0], next_place[1], LOW]))
    while True:
        yield Wish(panda.hand + np.array([0.0, 0.0, 0.02]))


def _pick_and_place(panda: Panda, pace: float) -> Iterator[Wish]:
    while True:
        yield from _grasp(panda, "object", pace)
        yield from _carry(panda, "object", panda.goal, pace)


def _grasp(panda: Panda, name: str, pace: float) -> Iterator[Wish]:
    """Over an object, down, and close."""
    place = panda.place(name)
    yield from _go(panda, place + UP, OPEN, tolerance=0.02)
    place = panda.place(name)
    yield from _go(panda, place, OPEN, pace, tolerance=0.006)
    for _ in range(2):
        yield Wish(place, CLOSE)


def _carry(panda: Panda, name: str, goal: Vector, pace: float) -> Iterator[Wish]:
    """What is held: up, along, and down to a goal; nothing more once it is lost."""
    if np.linalg.norm(goal[:2] - panda.place(name)[:2]) > 0.03:
        height = max(goal[2], 0.05)
        yield from _bring(panda, name, lambda at: np.array([at[0], at[1], height]), pace, tolerance=0.02)
        yield from _bring(panda, name, lambda _: np.array([goal[0], goal[1], height]), pace, tolerance=0.01)
    yield from _bring(panda, name, lambda _: goal, pace, tolerance=0.005)


def _bring(panda: Panda, name: str, where: Callable[[Vector], Vector], pace: float, tolerance: float) -> Iterator[Wish]:
    """The object, not the hand, to where it is to be: it may have slipped between the fingers."""
    for _ in range(25):
        at = panda.place(name)
        way = where(at) - at
        if np.linalg.norm(way) < tolerance or np.linalg.norm(at - panda.hand) > 0.05:
            return
        yield Wish(panda.hand + way, CLOSE, pace)


def _put(panda: Panda, name: str, goal: Vector, pace: float) -> Iterator[Wish]:
    """An object to a place, coming from above, and let go."""
    yield from _grasp(panda, name, pace)
    above = goal + UP
    yield from _carry(panda, name, above, pace)
    yield from _carry(panda, name, goal, pace)
    still = panda.hand
    for fingers in (CLOSE, OPEN, OPEN):
        yield Wish(still, fingers)
    yield from _go(panda, still + UP, OPEN, tolerance=0.03)


def _stack(panda: Panda, pace: float) -> Iterator[Wish]:
    """The first object to its place on the table, the second upon it; away with the second where it is in the way."""
    goal = panda.goal
    while True:
        first, second = panda.place("object1"), panda.place("object2")
        on_top = np.linalg.norm(first[:2] - second[:2]) < 0.05 and second[2] > first[2] + 0.02
        in_the_way = np.linalg.norm(second[:2] - goal[:2]) < 0.07
        if on_top or in_the_way:
            yield from _put(panda, "object2", _free_place(goal, first, second), pace)
        if np.linalg.norm(panda.place("object1") - goal[:3]) > 0.015:
            yield from _put(panda, "object1", goal[:3], pace)
        yield from _put(panda, "object2", goal[3:], pace)


def _free_place(goal: Vector, first: Vector, second: Vector) -> Vector:
    """The nearest place on the table for the second object that is far from the first and from the goal."""
    places = [np.array([x, y, LOW]) for x in FREE_PLACES for y in FREE_PLACES]
    free = [at for at in places if min(np.linalg.norm(at[:2] - other[:2]) for other in (goal, first)) > 0.1]
    return min(free, key=lambda at: float(np.linalg.norm(at[:2] - second[:2])))


def _flip(panda: Panda, room: float) -> Iterator[Wish | NDArray[np.float32]]:
    """Pick the cube up and turn it in the air."""
    yield from _grasp(panda, "object", 0.045)
    yield from _bring(panda, "object", lambda at: np.array([at[0], at[1], LIFTED]), REACH, tolerance=0.03)
    yield from flipping.turn(panda, room)


CONTROLLERS: dict[str, tuple[Controller, tuple[float, ...]]] = {
    "Reach": (_reach, (REACH,)),
    "Push": (_push, (0.018, 0.014, 0.025, 0.01)),
    "PickAndPlace": (_pick_and_place, (0.03, 0.02, 0.045)),
    "Flip": (_flip, (1.0, 1.7, 5.0)),
    "Stack": (_stack, (0.03, 0.04, 0.02, 0.05)),
}
"""For each kind who acts, and the paces, metres a step, at which it is tried."""
