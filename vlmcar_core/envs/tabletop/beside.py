"""Tables with one more thing on them: the wrong one to take, or one in the colour of where things go.

It is made after the task's own, so the rest of the layout is that of the seed; score, observation and facts do not know
of it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vlmcar_core.envs._bullet import pybullet
from vlmcar_core.envs._extra import Extra
from vlmcar_core.envs.tabletop.bowls import BLOCK
from vlmcar_core.envs.tabletop.colours import BROWN, GREY, NAMED, Colour
from vlmcar_core.envs.tabletop.goals import EDGE, LETTERS, Goal, Move, Thing
from vlmcar_core.envs.tabletop.piles import SMALL
from vlmcar_core.envs.tabletop.world import BLADE_HALF, DEPTH, WIDTH, Part, World
from vlmcar_core.errors import BadInput, NoExpert

if TYPE_CHECKING:
    from vlmcar_core.envs.tabletop.simulation import Tabletop

SHAPES: dict[str, list[Part]] = {
    "block": [BLOCK],
    "bar": [Part((0.04, 0.012, 0.012), (0, 0, 0))],
    "small-block": [SMALL],
    **{f"letter-{name}": parts for name, parts in LETTERS.items()},
}
COLOURS: dict[str, Colour] = {**NAMED, "brown": BROWN, "grey": GREY}
PLACES = 5
"""So many free places are tried for one that leaves the task solvable."""
APART = 0.008
"""Metres between it and the discs around the other things."""
SAME = 1e-3
"""Sizes in metres, and parts of a colour, that differ by no more are the same."""


def put(world: World, goal: Goal, extra: Extra) -> Thing:
    """Put it on the table now.

    Raises:
        BadInput: its place is off the table, or something is there.
    """
    parts = SHAPES[extra.shape]
    at, radius = np.array(extra.at[:2]), radius_of(parts)
    if not free(world, goal, at, radius):
        raise BadInput(
            f"there is no room for one more {extra.colour} {extra.shape} at {at.round(3).tolist()} in this layout; it "
            f"takes a disc of {radius:.3f} m between ±{WIDTH / 2 - EDGE:g} and ±{DEPTH / 2 - EDGE:g} m"
        )
    body = world.thing(parts, extra.at, COLOURS[extra.colour])
    return Thing(body, "other", (parts[0].at[0], parts[0].at[1]), parts[0].half)


def radius_of(parts: list[Part]) -> float:
    """Of the disc that all the parts are in, metres."""
    return max(float(np.hypot(*part.at[:2]) + np.hypot(*part.half[:2])) for part in parts)


def free(world: World, goal: Goal, at: NDArray[np.float64], radius: float) -> bool:
    """Whether a disc of the table is free, before anything was moved."""
    inside = np.abs(at) <= np.array([WIDTH, DEPTH]) / 2 - EDGE - radius
    things = [(*world.place(thing.body)[:2], float(np.hypot(*thing.half[:2]))) for thing in goal.things]
    taken = [*goal.taken, *things]
    return bool(inside.all()) and all(np.hypot(at[0] - x, at[1] - y) > radius + other + APART for x, y, other in taken)


def extras(env: "Tabletop", seed: int) -> Iterator[tuple[str, Extra]]:
    """What could be put on the table that was just reset, each with what it is.

    Args:
        env: it is left as it is.
        seed: chooses the places and colours.
    """
    assert env.goal is not None
    chance = np.random.default_rng(seed)
    world, things = env.world, env.goal.things
    used = {colour for thing in things if (colour := colour_of(world, thing)) is not None}
    wanted, place = env.goal.wanted[0], next((thing for thing in things if thing.role == "place"), None)
    colour, shape = colour_of(world, wanted), shape_of(world, wanted)
    spare = [name for name in NAMED if name not in used]
    if shape is not None and spare:
        yield from _placed(env, f"another {shape}, same shape, other colour", shape, spare[0], chance)
    other = "bar" if shape != "bar" else "block"
    if colour is not None:
        yield from _placed(env, f"not the {shape or 'thing'}: same colour, other shape", other, colour, chance)
    there = colour_of(world, place) if place is not None else None
    if there is not None and there != colour:
        yield from _placed(env, "a distractor in the goal's colour", other, there, chance)


def _placed(
    env: "Tabletop", what: str, shape: str, colour: str, chance: np.random.Generator
) -> Iterator[tuple[str, Extra]]:
    assert env.goal is not None
    parts = SHAPES[shape]
    radius = radius_of(parts)
    reach = np.array([WIDTH, DEPTH]) / 2 - EDGE - radius
    height = max(part.half[2] for part in parts) + 0.0005
    points = (chance.uniform(-reach, reach) for _ in range(500))
    for _, at in zip(range(PLACES), (at for at in points if free(env.world, env.goal, at, radius)), strict=False):
        extra = Extra(shape, colour, (round(float(at[0]), 3), round(float(at[1]), 3), round(height, 4)))
        if _solved(env, extra):
            yield what, extra
            return


def _solved(env: "Tabletop", extra: Extra) -> bool:
    from vlmcar_core.envs.tabletop import oracle

    other = with_extra(env, extra)
    try:
        oracle.plan(other)
        return True
    except NoExpert:
        return False
    finally:
        other.close()


def with_extra(env: "Tabletop", extra: Extra) -> "Tabletop":
    """Another environment, reset to the same layout with this thing in it; close it."""
    other = type(env)(env.name, {**env.settings, "extra": str(extra)})
    other.reset(seed=env.seed)
    return other


def wrong(env: "Tabletop") -> list[NDArray[np.float32]]:
    """The actions that do with the one more thing what the task wants done first with one of its own.

    Args:
        env: just reset, with one more thing; it is left as it is.
    """
    from vlmcar_core.envs.tabletop import oracle
    from vlmcar_core.envs.tabletop.simulation import action_of

    twin = env.twin()
    assert twin.goal is not None and twin.extra is not None
    move = twin.goal.next_move()
    if move is None:
        return []
    at = twin.world.place(twin.extra.body)[:2]
    if twin.goal.sweeps:
        way = (move.place - at) / np.linalg.norm(move.place - at)
        return [action_of(Move(at - (BLADE_HALF[0] + radius_of(SHAPES[twin.extra_shape])) * way, move.place))]
    instead = Move(at + np.array(twin.extra.grip), move.place)
    if not twin.stepping:
        return [action_of(instead)]
    taken = []
    for action in oracle.one(twin, instead):
        taken.append(action)
        twin.step(action)
    return taken


def colour_of(world: World, thing: Thing) -> str | None:
    """Its name among `COLOURS`."""
    shown = pybullet.getVisualShapeData(thing.body, physicsClientId=world.client)[0][7][:3]
    for name, colour in COLOURS.items():
        if np.allclose(shown, colour, atol=SAME):
            return name
    return None


def shape_of(world: World, thing: Thing) -> str | None:
    """Its name among `SHAPES`."""
    shown = pybullet.getVisualShapeData(thing.body, physicsClientId=world.client)
    sizes = np.array([part[3] for part in shown])
    for name, parts in SHAPES.items():
        whole = 2 * np.array([part.half for part in parts])
        if whole.shape == sizes.shape and np.allclose(whole, sizes, atol=SAME):
            return name
    return None
