"""Scenes with one more thing in them: the wrong one to take, or one in the target's colour.

It stands, or for Reach hangs, beside the task's own; panda-gym's observation, reward and success do not know of it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from vlmcar_core.envs._extra import Extra
from vlmcar_core.envs.panda import shapes
from vlmcar_core.envs.panda.shapes import Colour
from vlmcar_core.errors import BadInput, NoExpert

if TYPE_CHECKING:
    from vlmcar_core.envs.panda.simulation import Panda

NAME = "extra"
"""Of its body."""

COLOURS: dict[str, Colour] = {
    "red": (0.9, 0.1, 0.1),
    "green": (0.1, 0.9, 0.1),
    "blue": (0.1, 0.2, 0.9),
    "yellow": (0.95, 0.85, 0.05),
    "magenta": (0.9, 0.1, 0.75),
    "cyan": (0.1, 0.8, 0.85),
}


@dataclass(frozen=True)
class Shape:
    """How large it is, metres."""

    half: tuple[float, float, float]
    """Half its width, depth and height; of what is round, the radius comes first."""

    round: str = ""
    """ball or prism; a box where it is neither."""


SHAPES = {
    "cube": Shape((0.02, 0.02, 0.02)),
    "bar": Shape((0.035, 0.012, 0.02)),
    "ball": Shape((0.014, 0.014, 0.014), "ball"),
    "puck": Shape((0.03, 0.03, 0.015), "prism"),
}

REACH = {"Slide": 0.7}
"""Metres from the middle, along x, to where a thing may be; `NEAR` where nothing else is said."""
NEAR, HIGH = 0.3, 0.4

PLACES = 5
"""So many places are tried for one that leaves the task solvable."""
FROM_OBJECT, FROM_TARGET = 0.09, 0.1
"""Metres between its middle and those of an object (or Reach's hand) and a target, at least."""

SLIPPERY = 0.04
"""The friction of Slide's puck, panda-gym's own."""


def create(panda: "Panda", extra: Extra) -> None:
    """Make its body, far away; for Reach one that nothing touches."""
    shape, sim = SHAPES[extra.shape], panda.stock.sim
    ghost = panda.kind == "Reach"
    friction = {"lateral_friction": SLIPPERY} if panda.kind == "Slide" else {}
    common: dict[str, Any] = {
        "mass": 0.0 if ghost else 1.0,
        "ghost": ghost,
        "position": np.array([0.0, 0.0, -5.0]),
        "rgba_color": np.array([*COLOURS[extra.colour], 1.0]),
        **friction,
    }
    if shape.round == "ball":
        sim.create_sphere(NAME, radius=shape.half[0], **common)
    elif shape.round:
        sim.create_cylinder(NAME, radius=shape.half[0], height=2 * shape.half[2], **common)
    else:
        sim.create_box(NAME, half_extents=np.array(shape.half), **common)


def drawn(client: int, extra: Extra) -> int:
    """Its body in the drawing."""
    shape, colour = SHAPES[extra.shape], COLOURS[extra.colour]
    if shape.round == "ball":
        return shapes.ball(client, shape.half[0], colour)
    if shape.round:
        return shapes.prism(client, shape.half[0], 2 * shape.half[2], colour, 16)
    return shapes.box(client, shape.half, colour)


def put(panda: "Panda", extra: Extra) -> None:
    """Put it where it belongs, in a scene that was just reset.

    Raises:
        BadInput: that is out of reach, or something is there.
    """
    at = np.array(extra.at)
    if not _free(panda, at):
        raise BadInput(
            f"there is no room for one more {extra.colour} {extra.shape} at {at.round(3).tolist()} in this layout: it "
            f"has to be within ±{REACH.get(panda.kind, NEAR):g}, ±{NEAR:g} and 0 to {HIGH:g} m, {FROM_OBJECT:g} m from "
            f"objects and {FROM_TARGET:g} m from targets"
        )
    panda.stock.sim.set_base_pose(NAME, at, np.array([0.0, 0.0, 0.0, 1.0]))


def _free(panda: "Panda", at: NDArray[np.float64]) -> bool:
    inside = abs(at[0]) <= REACH.get(panda.kind, NEAR) and abs(at[1]) <= NEAR and 0 <= at[2] <= HIGH
    if panda.kind == "Reach":
        return bool(
            inside and np.linalg.norm(at - panda.hand) >= FROM_OBJECT and np.linalg.norm(at - panda.goal) >= FROM_TARGET
        )
    objects = (panda.place(name)[:2] for name in panda.objects)
    targets = (panda.goal[start : start + 2] for start in range(0, len(panda.goal) // 3 * 3, 3))
    return bool(
        inside
        and all(np.linalg.norm(at[:2] - place) >= FROM_OBJECT for place in objects)
        and all(np.linalg.norm(at[:2] - place) >= FROM_TARGET for place in targets)
    )


def extras(panda: "Panda", seed: int) -> Iterator[tuple[str, Extra]]:
    """What could be put into the scene that was just reset, each with what it is.

    Args:
        panda: it is left as it is.
        seed: chooses the places.
    """
    chance = np.random.default_rng(seed)
    if panda.kind == "Reach":
        yield from _placed(panda, "another ball, same shape, other colour", "ball", "magenta", chance)
        yield from _placed(panda, "not the ball: a distractor in the goal's colour", "cube", "yellow", chance)
        return
    shape, other = ("puck", "cube") if panda.kind == "Slide" else ("cube", "bar")
    colour = "blue" if panda.kind == "Stack" else "green"
    yield from _placed(panda, f"another {shape}, same shape, other colour", shape, "cyan", chance)
    yield from _placed(panda, f"not the {shape}: same colour, other shape", other, colour, chance)
    yield from _placed(panda, "a distractor in the goal's colour", other, "yellow", chance)


def _placed(
    panda: "Panda", what: str, shape: str, colour: str, chance: np.random.Generator
) -> Iterator[tuple[str, Extra]]:
    low, high = np.array([-0.15, -0.15, 0.05]), np.array([0.15, 0.15, 0.25])
    points = (chance.uniform(low, high) for _ in range(500))
    if panda.kind != "Reach":
        points = (np.array([point[0], point[1], SHAPES[shape].half[2]]) for point in points)
    for _, at in zip(range(PLACES), (at for at in points if _free(panda, at)), strict=False):
        x, y, z = (round(float(number), 3) for number in at)
        extra = Extra(shape, colour, (x, y, z))
        if _solved(panda, extra):
            yield what, extra
            return


def _solved(panda: "Panda", extra: Extra) -> bool:
    from vlmcar_core.envs.panda import experts

    other = with_extra(panda, extra)
    try:
        experts.plan(other)
        return True
    except NoExpert:
        return False
    finally:
        other.close()


def with_extra(panda: "Panda", extra: Extra) -> "Panda":
    """Another environment, reset to the same layout with this thing in it; close it."""
    other = type(panda)(panda.env_id, {**panda.settings, "extra": str(extra)})
    other.reset(seed=panda.seed)
    return other


class Instead:
    """An environment in which the one more thing is taken for the task's own."""

    def __init__(self, panda: "Panda") -> None:
        self._panda = panda

    def __getattr__(self, name: str) -> Any:
        return getattr(self._panda, name)

    def place(self, name: str) -> NDArray[np.float64]:
        return self._panda.place(NAME if name in ("object", "object1") else name)

    @property
    def goal(self) -> NDArray[np.float64]:
        return self._panda.place(NAME) if self._panda.kind == "Reach" else self._panda.goal

    @property
    def there(self) -> bool:
        """Whether the wrong thing is done."""
        what = self._panda.hand if self._panda.kind == "Reach" else self.place("object")
        return bool(np.linalg.norm(what - self.goal[:3]) < self._panda.threshold)


def wrong(panda: "Panda") -> list[NDArray[np.float32]]:
    """The actions that do with the one more thing what the task wants done with its own, as far as it gets.

    Args:
        panda: just reset, with one more thing; it is left as it is.
    """
    from vlmcar_core.envs.panda import experts

    controller, paces = experts.CONTROLLERS.get(
        panda.kind, (cast(experts.Controller, partial(experts.hit, aim=0.0)), experts.HIT_PACES)
    )
    taken: list[NDArray[np.float32]] = []
    for pace in paces:
        taken, there = _tried(panda, controller, pace)
        if there:
            break
    return taken


def _tried(
    panda: "Panda", controller: Callable[["Panda", float], Iterator[Any]], pace: float
) -> tuple[list[NDArray[np.float32]], bool]:
    from vlmcar_core.envs.panda.motion import Wish, action

    twin = panda.twin()
    instead = Instead(twin)
    taken: list[NDArray[np.float32]] = []
    for wish in controller(cast("Panda", instead), pace):
        taken.append(action(twin, wish) if isinstance(wish, Wish) else wish)
        _, _, terminated, truncated, _ = twin.step(taken[-1])
        if instead.there:
            return taken, True
        if terminated or truncated:
            break
    return taken, False
