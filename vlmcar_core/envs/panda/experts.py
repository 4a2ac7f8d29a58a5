"""Scripted experts for panda-gym: they act in a twin of an environment, and what succeeded there is replayed.

Each is a controller that looks at the simulator's state at every step and says where the hand is to go next. With
end-effector control that is the action; with joint control the arm's inverse kinematics says which joints to turn.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vlmcar_core.envs.panda.simulation import Panda
from vlmcar_core.errors import NoExpert

Vector = NDArray[np.float64]
Wish = tuple[Vector, float]
"""Where the hand is to be next, metres, and whether the fingers are to open (1), close (-1) or stay (0)."""

REACH = 0.05
"""Metres, or radians a joint, that an action of 1 asks for (panda-gym's own factor)."""

DOWN = np.array([1.0, 0.0, 0.0, 0.0])
"""The quaternion with which the hand points down."""

OPEN, STAY, CLOSE = 1.0, 0.0, -1.0
ABOVE = 0.1
"""Metres over the table at which the hand travels."""

BEHIND = 0.055
"""Metres from an object's middle to where the hand goes before it pushes."""

PUSH = 0.025
"""Metres ahead of the hand that it is sent to while it pushes: faster, the cube would slide away from it."""

AT = 0.015
"""Metres: the hand is where it was to be."""

HIT_SPEEDS = (0.5, 0.7, 1.0, 0.35)
"""Slide: how fast the puck is hit, as shares of the greatest action; the first that gets there is taken."""

HIT_TRIES = 6
HIT_LENGTH = 0.12
"""Metres along which the hand goes before it lets the puck slide."""


def plan(panda: Panda) -> list[NDArray[np.float32]]:
    """Actions from the state that an environment was last reset to, to success; it is not touched.

    Raises:
        NoExpert: the controller did not end in success.
    """
    found = _slide(panda) if panda.kind == "Slide" else _try(panda, CONTROLLERS[panda.kind])[0]
    if not found:
        raise NoExpert(f"{panda.env_id}, seed {panda.seed}: the scripted expert did not get there")
    return found


def _try(panda: Panda, controller: Callable[[Panda], Iterator[Wish]]) -> tuple[list[NDArray[np.float32]], Panda]:
    """The actions of a controller, empty where it did not succeed in time, and the twin as it was left."""
    twin = panda.twin()
    taken: list[NDArray[np.float32]] = []
    for wish in controller(twin):
        action = _action(twin, *wish)
        taken.append(action)
        _, _, terminated, truncated, _ = twin.step(action)
        if terminated:
            return taken, twin
        if truncated:
            break
    return [], twin


def _slide(panda: Panda) -> list[NDArray[np.float32]]:
    """Hit the puck, see how far it went aside, and aim so much to the other side, until it gets there."""
    puck, goal = panda.place("object"), panda.goal
    for speed in HIT_SPEEDS:
        aim = 0.0
        for _ in range(HIT_TRIES):
            found, twin = _try(panda, partial(_hit, aim=aim, speed=speed))
            if found:
                return found
            went = twin.place("object") - puck
            aim -= 0.7 * (np.arctan2(went[1], went[0]) - np.arctan2(*(goal - puck)[1::-1]))
    return []


def _action(panda: Panda, target: Vector, fingers: float) -> NDArray[np.float32]:
    robot = panda.stock.robot
    if robot.control_type == "ee":
        arm = (target - panda.hand) / REACH
        longest = float(np.abs(arm).max())
        arm = arm / longest if longest > 1 else arm
    else:
        angles = np.array([robot.get_joint_angle(joint) for joint in range(7)])
        wanted = np.asarray(robot.inverse_kinematics(robot.ee_link, target, DOWN))[:7]
        arm = (wanted - angles) / REACH
    whole = arm if robot.block_gripper else np.append(arm, fingers)
    return np.clip(whole, -1.0, 1.0).astype(np.float32)


def _reach(panda: Panda) -> Iterator[Wish]:
    while True:
        yield panda.goal, STAY


def _push(panda: Panda) -> Iterator[Wish]:
    """Go behind the cube, seen from its target, and push; go back behind it when it slips aside."""
    while True:
        cube, goal = panda.place("object"), panda.goal
        way = _unit(goal - cube)
        start = cube - BEHIND * way
        yield from _lower_to(panda, start)
        while _is_behind(panda):
            cube = panda.place("object")
            way = _unit(panda.goal - cube)
            aside = _aside(panda.hand - cube, way)
            ahead = panda.hand + PUSH * way - 1.5 * aside * np.array([-way[1], way[0], 0.0])
            yield np.array([ahead[0], ahead[1], 0.02]), STAY


def _is_behind(panda: Panda) -> bool:
    cube = panda.place("object")
    offset = panda.hand - cube
    way = _unit(panda.goal - cube)
    return bool(np.dot(offset, way) < -0.01 and abs(_aside(offset, way)) < 0.02 and panda.hand[2] < 0.045)


def _aside(offset: Vector, way: Vector) -> float:
    """How far to the left of a way, metres."""
    return float(way[0] * offset[1] - way[1] * offset[0])


def _unit(way: Vector) -> Vector:
    """Along the table, of length 1."""
    flat = np.array([way[0], way[1], 0.0])
    return flat / max(float(np.linalg.norm(flat)), 1e-9)


def _lower_to(panda: Panda, place: Vector, height: float = 0.02) -> Iterator[Wish]:
    """Over a place, then down to it, without touching what is beside it."""
    yield from _go(panda, np.array([place[0], place[1], ABOVE]), STAY, tolerance=0.02)
    yield from _go(panda, np.array([place[0], place[1], height]), STAY)


def _go(panda: Panda, place: Vector, fingers: float, tolerance: float = AT, steps: int = 14) -> Iterator[Wish]:
    for _ in range(steps):
        if np.linalg.norm(place - panda.hand) < tolerance:
            return
        yield place, fingers


def _hit(panda: Panda, aim: float, speed: float) -> Iterator[Wish]:
    """Hit the puck, so many radians to the left of its target, and let it slide."""
    puck = panda.place("object")
    to_goal = panda.goal - puck
    angle = np.arctan2(to_goal[1], to_goal[0]) + aim
    ahead = np.array([np.cos(angle), np.sin(angle), 0.0])
    start = puck - (BEHIND + 0.02) * ahead
    yield from _lower_to(panda, start)
    while (along := np.dot(panda.hand - start, ahead)) < HIT_LENGTH:
        ahead_of_hand = start + (along + speed * REACH) * ahead
        yield np.array([ahead_of_hand[0], ahead_of_hand[1], 0.02]), STAY
    while True:
        yield panda.hand + np.array([0.0, 0.0, 0.02]), STAY


def _pick_and_place(panda: Panda) -> Iterator[Wish]:
    while True:
        yield from _carry(panda, "object", panda.goal, release=False)


def _carry(panda: Panda, name: str, goal: Vector, release: bool) -> Iterator[Wish]:
    """Over the object, down, close, over the goal, down to it, and let go if wished."""
    place = panda.place(name)
    over = np.array([place[0], place[1], place[2] + 0.08])
    yield from _go(panda, over, OPEN, tolerance=0.02)
    yield from _go(panda, place, OPEN, tolerance=0.01)
    for _ in range(3):
        yield place, CLOSE
    if release:
        yield from _go(panda, np.array([panda.hand[0], panda.hand[1], goal[2] + 0.07]), CLOSE)
        yield from _go(panda, np.array([goal[0], goal[1], goal[2] + 0.07]), CLOSE)
    yield from _go(panda, goal, CLOSE, tolerance=0.008)
    if release:
        for _ in range(2):
            yield goal, OPEN
        yield from _go(panda, np.array([goal[0], goal[1], goal[2] + 0.1]), OPEN, tolerance=0.03)


def _stack(panda: Panda) -> Iterator[Wish]:
    """The first object to its place on the table, the second upon it; away with the second where it is in the way."""
    goal = panda.goal
    while True:
        first, second = panda.place("object1"), panda.place("object2")
        on_top = np.linalg.norm(first[:2] - second[:2]) < 0.05 and second[2] > first[2] + 0.02
        in_the_way = np.linalg.norm(second[:2] - goal[:2]) < 0.07
        if on_top or in_the_way:
            yield from _carry(panda, "object2", _aside_place(goal, first), release=True)
        yield from _carry(panda, "object1", goal[:3], release=True)
        yield from _carry(panda, "object2", goal[3:], release=True)


def _aside_place(goal: Vector, first: Vector) -> Vector:
    """A free place on the table, far from both."""
    corners = [np.array([x, y, 0.02]) for x in (-0.12, 0.12) for y in (-0.12, 0.12)]
    return max(corners, key=lambda at: min(np.linalg.norm(at[:2] - goal[:2]), np.linalg.norm(at[:2] - first[:2])))


CONTROLLERS: dict[str, Callable[[Panda], Iterator[Wish]]] = {
    "Reach": _reach,
    "Push": _push,
    "PickAndPlace": _pick_and_place,
    "Stack": _stack,
}
