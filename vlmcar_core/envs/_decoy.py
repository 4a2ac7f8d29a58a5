"""Meta-World scenes with a decoy: something that is drawn and that nothing can touch, in the wrong colour or shape.

The suite's own models are left as they are: the decoy is one more shape in what is drawn.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlmcar_core.envs._extra import Extra
from vlmcar_core.errors import BadInput

SHAPES = {"cube": (0.02, 0.02, 0.02), "ball": (0.02, 0.02, 0.02), "puck": (0.03, 0.03, 0.01)}
"""Half their sizes, metres; of what is round, the radius comes first."""

COLOURS = {
    "red": (0.9, 0.1, 0.1),
    "green": (0.1, 0.8, 0.1),
    "blue": (0.1, 0.2, 0.9),
    "yellow": (0.95, 0.85, 0.05),
    "magenta": (0.9, 0.1, 0.75),
    "cyan": (0.1, 0.8, 0.85),
    "black": (0.1, 0.1, 0.1),
    "white": (0.95, 0.95, 0.95),
}

UNSAID = 0.5
"""The parts of MuJoCo's colour of a geom whose material is to be looked at."""
COLOURED = 0.15
"""Between the largest and the smallest part of a colour: less is grey."""

LOW, HIGH = np.array([-0.3, 0.4, 0.0]), np.array([0.3, 0.85, 0.3])
"""Where the hand gets to, metres."""
PLACES = np.array([-0.2, 0.5]), np.array([0.2, 0.8])
"""Where one is put, metres."""
APART = 0.1
"""Metres from the object and the goal, at least."""

OBJECT, GOAL = slice(4, 7), slice(36, 39)
"""Where an observation has their places, metres."""

TOWARDS = 10.0
"""A hand's action for a metre that is still to go."""
THERE, OVER, CLOSING, STEPS = 0.02, 0.07, 10, 80
"""Metres beside and over its middle at which the hand, which is longer than it is told, begins to close; steps that it
closes for; steps in all."""


def check(extra: Extra, observation: NDArray[np.float64]) -> None:
    """Raises `BadInput`: its place is out of the hand's reach, or something is there."""
    at = np.array(extra.at)
    if not free(at, observation):
        raise BadInput(
            f"there is no room for one more {extra.colour} {extra.shape} at {at.round(3).tolist()} in this layout: it "
            f"has to be from {LOW.tolist()} to {HIGH.tolist()} m, and {APART:g} m from the object and the goal"
        )


def free(at: NDArray[np.float64], observation: NDArray[np.float64]) -> bool:
    """Whether a decoy may be there, in the state of a first observation, (39,)."""
    apart = (float(np.linalg.norm(at[:2] - observation[where][:2])) for where in (OBJECT, GOAL))
    return bool((at >= LOW).all() and (at <= HIGH).all()) and all(distance >= APART for distance in apart)


def draw(mujoco: Any, scene: Any, extra: Extra) -> None:
    """Add it to what is drawn next."""
    kind = {"cube": mujoco.mjtGeom.mjGEOM_BOX, "ball": mujoco.mjtGeom.mjGEOM_SPHERE}.get(
        extra.shape, mujoco.mjtGeom.mjGEOM_CYLINDER
    )
    half = np.array(SHAPES[extra.shape])
    size = half if kind == mujoco.mjtGeom.mjGEOM_BOX else np.array([half[0], half[0], half[2]])
    colour = np.array([*COLOURS[extra.colour], 1.0], np.float32)
    mujoco.mjv_initGeom(scene.geoms[scene.ngeom], kind, size, np.array(extra.at), np.eye(3).ravel(), colour)
    scene.ngeom += 1


def extras(model: Any, data: Any, observation: NDArray[np.float64], seed: int) -> Iterator[tuple[str, Extra]]:
    """What could be drawn into the scene that was just reset, each with what it is.

    Args:
        model, data: MuJoCo's.
        observation: the first, (39,).
        seed: chooses the places.
    """
    chance = np.random.default_rng(seed)
    thing = _nearest(model, data, observation[OBJECT])
    colour = _named(_colour(model, thing))
    shape = {2: "ball", 5: "puck", 6: "cube"}.get(int(model.geom_type[thing]))
    other = "ball" if shape != "ball" else "cube"
    site = int(np.argmin(np.linalg.norm(data.site_xpos - observation[GOAL], axis=1)))
    goal = _named(model.site_rgba[site][:3])
    spare = next(name for name in COLOURS if name not in (colour, goal))
    wanted = [(f"another {shape}, same shape, other colour", shape, spare)] if shape is not None else []
    wanted += [("not the object: same colour, other shape", other, colour)]
    wanted += [("a distractor in the goal's colour", other, goal)] if goal != colour else []
    for what, of_shape, of_colour in wanted:
        height = SHAPES[of_shape][2]
        points = (np.append(chance.uniform(*PLACES), height).round(3) for _ in range(500))
        at = next((at for at in points if free(at, observation)), None)
        if at is not None:
            yield what, Extra(of_shape, of_colour, (float(at[0]), float(at[1]), float(at[2])))


def _nearest(model: Any, data: Any, place: NDArray[np.float64]) -> int:
    """The geom that can be seen nearest to a place."""
    drawn = (np.asarray(model.geom_group) <= 2) & (np.asarray(model.geom_rgba)[:, 3] > 0)
    seen = drawn & (np.asarray(model.geom_type) != 0)  # planes are the ground
    distances = np.where(seen, np.linalg.norm(data.geom_xpos - place, axis=1), np.inf)
    return int(np.argmin(distances))


def _colour(model: Any, geom: int) -> NDArray[np.float64]:
    """As it is drawn, on average: its own colour, or its material's where it has none, times the texture's."""
    own, material = np.asarray(model.geom_rgba[geom][:3], np.float64), int(model.geom_matid[geom])
    if material < 0:
        return own
    base = np.asarray(model.mat_rgba[material][:3], np.float64) if np.allclose(own, UNSAID) else own
    texture = int(np.max(model.mat_texid[material]))
    if texture < 0:
        return base
    start, channels = int(model.tex_adr[texture]), int(model.tex_nchannel[texture])
    size = int(model.tex_height[texture]) * int(model.tex_width[texture]) * channels
    pixels = np.asarray(model.tex_data[start : start + size]).reshape(-1, channels)[:, :3]
    return np.asarray(base * pixels.mean(axis=0) / 255)


def _named(colour: Any) -> str:
    """The nearest of `COLOURS`; dark red is red."""
    seen = np.asarray(colour, np.float64)[:3]
    if np.ptp(seen) > COLOURED:
        seen = seen * (0.9 / seen.max())
    return min(COLOURS, key=lambda name: float(np.linalg.norm(np.array(COLOURS[name]) - seen)))


def at_it(place: NDArray[np.float64], hand: NDArray[np.float64]) -> bool:
    """Whether the hand is low over a place."""
    return bool(np.linalg.norm(place[:2] - hand[:2]) < THERE and hand[2] < place[2] + OVER)


def towards(place: NDArray[np.float64], hand: NDArray[np.float64], close: bool) -> NDArray[np.float32]:
    """The action that brings the hand to a place, open or closing: float32 (4,)."""
    return np.append(np.clip(TOWARDS * (place - hand), -1.0, 1.0), 1.0 if close else -1.0).astype(np.float32)
