"""A bare scene for checkers: boxes and balls at the poses of panda-gym's bodies, drawn by a client of its own.

What is drawn differs from the stock scene in what a checker needs: the target has a colour and a shape that no object
has, and where it lies on the table it is a disc as wide as what counts as there; the fingers are red; nothing casts a
shadow. The arm is a handful of prisms: the floor of what a picture costs is the number of vertices, and the stock
arm's meshes have about a hundred thousand.
"""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vlmcar_core.envs import _camera
from vlmcar_core.envs._bullet import pybullet
from vlmcar_core.envs._camera import Light, View
from vlmcar_core.types import Frame

if TYPE_CHECKING:
    from vlmcar_core.envs.panda.simulation import Panda

Colour = tuple[float, float, float]
"""RGB in [0, 1]."""

RED, GREEN, BLUE = (0.9, 0.1, 0.1), (0.1, 0.9, 0.1), (0.1, 0.2, 0.9)
YELLOW, MAGENTA = (0.95, 0.85, 0.05), (0.9, 0.1, 0.75)
TABLE, FLOOR, WHITE, GREY = (0.72, 0.72, 0.74), (0.55, 0.55, 0.57), (0.9, 0.9, 0.9), (0.35, 0.35, 0.38)

OBJECTS: dict[str, Colour] = {"object": GREEN, "object1": BLUE, "object2": GREEN}
TARGETS: dict[str, Colour] = {"target": YELLOW, "target1": YELLOW, "target2": MAGENTA}
FACES = (RED, GREEN, BLUE, YELLOW, MAGENTA, (0.1, 0.8, 0.85))

FINGERS = (9, 10)
HAND = 8
JOINTS = (0, 2, 3, 4, 6, HAND)
"""Links whose origins the arm's prisms join; the base comes before."""

BASE = (-0.6, 0.0, 0.0)
THICK = (0.07, 0.06, 0.06, 0.055, 0.05, 0.045)
"""Radii of the prisms, metres."""

FLIP_TARGET = (-0.05, 0.3, 0.05)
"""Where the cube that shows Flip's goal is drawn, metres: beside where the other can be."""

HAND_HALF = (0.028, 0.06, 0.033)
"""Metres; the real one is 0.1 to each side, and from the side would hide its own fingers."""

BALL = 0.014
"""The radius of a target in the air, metres: small, so that it does not hide what comes to it."""

TABLE_HALF, TABLE_X = (0.5, 0.8, 0.2), -0.1
"""Half its size and where its middle is, metres."""

FALLEN, OUT_OF_SIGHT = -0.05, (0.0, 0.0, -50.0)
"""What is so far below the table's top, metres, fell off it and is not drawn."""

VIEWS = {
    "table": {
        "front": View((0.0, 0.0, 0.05), 1.0, 90, -18, 27),
        "side": View((0.0, 0.0, 0.05), 1.0, 0, -12, 27),
        "overhead": View((0.0, 0.0, 0.0), 1.0, -90, -89.9, 27),
    },
    "air": {
        "front": View((0.0, 0.0, 0.13), 1.1, 90, -18, 28),
        "side": View((0.0, 0.0, 0.13), 1.1, 0, -8, 28),
        "overhead": View((0.0, 0.0, 0.1), 1.1, -90, -89.9, 28),
    },
    "slide": {
        "front": View((0.2, 0.0, 0.03), 1.4, 90, -18, 30),
        "side": View((0.2, 0.0, 0.03), 1.4, 0, -12, 30),
        "overhead": View((0.2, 0.0, 0.0), 1.4, -90, -89.9, 30),
    },
}
"""By what must be seen: the table, the air above it too, or as far as Slide's puck goes.

Front and side look from low down: the hand is wide, and what it pushes is hidden under it from higher up."""

SEES = {"Reach": "air", "PickAndPlace": "air", "Push": "table", "Stack": "table", "Flip": "table", "Slide": "slide"}


class Drawing:
    """Draws the scenes of one environment; `close` it.

    Args:
        kind: "Push", …
        settings: all of the family's.
    """

    def __init__(self, kind: str, settings: dict[str, Any]) -> None:
        self._kind = kind
        self._client = pybullet.connect(pybullet.DIRECT)
        self._views = [_zoomed(VIEWS[SEES[kind]][name], settings["zoom"]) for name in settings["views"].split(" and ")]
        self._height = settings["size"]
        self._light = Light(settings["shadows"], settings["ambient"])
        self._with_arm = settings["arm"]
        self._bodies: dict[str, int] = {}
        self._arm: list[int] = []
        self._behind: list[Frame] = []
        self._box(TABLE_HALF, (TABLE_X, 0.0, -TABLE_HALF[2]), TABLE)
        self._box((3.0, 3.0, 0.05), (0.0, 0.0, -0.45), FLOOR)
        if not self._light.shadows:
            self._behind = _camera.panels_of(self._client, self._views, self._height, self._light)
            pybullet.resetSimulation(physicsClientId=self._client)

    def of(self, panda: "Panda") -> Frame:
        """The scene of an environment now, RGB uint8 (H, W, 3)."""
        if not self._bodies:
            self._build(panda)
        for name, body in self._bodies.items():
            position, orientation = _pose(panda, name)
            if self._kind == "Flip" and name == "target":
                position = FLIP_TARGET
            if name in TARGETS and self._flat:
                position = (position[0], position[1], 0.0005)
            if position[2] < FALLEN:
                position = OUT_OF_SIGHT
            self._put(body, position, orientation)
        if self._with_arm:
            points = _joints(panda)
            for body, (start, end) in zip(self._arm, itertools.pairwise(points), strict=True):
                self._put(body, (start + end) / 2, _along(end - start))
        return _camera.picture(self._client, self._views, self._height, self._light, self._behind)

    def close(self) -> None:
        if pybullet.isConnected(self._client):
            pybullet.disconnect(self._client)

    @property
    def _flat(self) -> bool:
        """Whether targets lie on the table."""
        return self._kind in ("Push", "Slide")

    def _build(self, panda: "Panda") -> None:
        for name in (*OBJECTS, *TARGETS):
            if name in panda.stock.sim._bodies_idx:
                self._bodies[name] = self._thing(name, panda)
        for finger in FINGERS:
            self._bodies[f"link {finger}"] = self._box((0.011, 0.008, 0.027), (0, 0, 0), RED, (0, 0, 0.027))
        if self._with_arm:
            self._bodies[f"link {HAND}"] = self._box(HAND_HALF, (0, 0, 0), GREY, (0, 0, 0.033))
            points = _joints(panda)
            for number, (start, end) in enumerate(itertools.pairwise(points)):
                colour = GREY if number % 2 else WHITE
                self._arm.append(self._prism(THICK[number], float(np.linalg.norm(end - start)), colour))

    def _thing(self, name: str, panda: "Panda") -> int:
        if self._kind == "Flip":
            return self._faces(0.02 if name == "object" else 0.03)
        if name in TARGETS:
            if self._flat:
                return self._prism(panda.threshold, 0.001, TARGETS[name], 24)
            return self._ball(BALL, TARGETS[name])
        if self._kind == "Slide":
            return self._prism(0.03, 0.03, OBJECTS[name], 16)
        return self._box((0.02, 0.02, 0.02), (0, 0, 0), OBJECTS[name])

    def _box(
        self, half: Sequence[float], at: Sequence[float], colour: Colour, offset: Sequence[float] = (0, 0, 0)
    ) -> int:
        shape = pybullet.createVisualShape(
            pybullet.GEOM_BOX,
            halfExtents=half,
            rgbaColor=(*colour, 1),
            visualFramePosition=offset,
            physicsClientId=self._client,
        )
        return self._body(shape, at)

    def _faces(self, half: float) -> int:
        """A cube whose six faces differ in colour."""
        plate, offset = half * 0.999, half
        axes = np.concatenate([np.eye(3), -np.eye(3)])
        shape = pybullet.createVisualShapeArray(
            shapeTypes=[pybullet.GEOM_BOX] * 6,
            halfExtents=[list(np.where(np.abs(axis) > 0, 0.0005, plate)) for axis in axes],
            rgbaColors=[(*colour, 1) for colour in FACES],
            visualFramePositions=[list(axis * offset) for axis in axes],
            physicsClientId=self._client,
        )
        return self._body(shape, (0, 0, 0))

    def _prism(self, radius: float, length: float, colour: Colour, corners: int = 8) -> int:
        """Along z, about its middle."""
        angles = np.arange(corners) * 2 * np.pi / corners
        ring = np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)
        ends = [np.column_stack([ring, np.full(corners, z)]) for z in (-length / 2, length / 2)]
        vertices, faces = np.concatenate(ends), []
        for one in range(corners):
            other = (one + 1) % corners
            faces += [(one, other, corners + other), (one, corners + other, corners + one)]
        for one in range(1, corners - 1):
            faces += [(0, one + 1, one), (corners, corners + one, corners + one + 1)]
        return self._mesh(vertices, faces, colour)

    def _ball(self, radius: float, colour: Colour, bands: int = 8) -> int:
        """As many bands around as twice from pole to pole."""
        polar = np.linspace(0, np.pi, bands + 1)
        around = np.arange(2 * bands) * np.pi / bands
        vertices = np.array(
            [
                (radius * np.sin(p) * np.cos(a), radius * np.sin(p) * np.sin(a), radius * np.cos(p))
                for p in polar
                for a in around
            ]
        )
        faces = []
        for row in range(bands):
            for column in range(2 * bands):
                one, beside = row * 2 * bands + column, row * 2 * bands + (column + 1) % (2 * bands)
                below, across = one + 2 * bands, beside + 2 * bands
                faces += [(one, below, across), (one, across, beside)]
        return self._mesh(vertices, faces, colour)

    def _mesh(self, vertices: NDArray[np.float64], faces: list[tuple[int, int, int]], colour: Colour) -> int:
        """Every face has corners of its own, so that it is shaded flat."""
        corners = vertices[np.array(faces)]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        shape = pybullet.createVisualShape(
            pybullet.GEOM_MESH,
            vertices=corners.reshape(-1, 3).tolist(),
            indices=list(range(3 * len(faces))),
            normals=np.repeat(normals, 3, axis=0).tolist(),
            rgbaColor=(*colour, 1),
            physicsClientId=self._client,
        )
        return self._body(shape, (0, 0, 0))

    def _body(self, shape: int, at: Sequence[float]) -> int:
        return int(pybullet.createMultiBody(baseVisualShapeIndex=shape, basePosition=at, physicsClientId=self._client))

    def _put(self, body: int, position: Any, orientation: Any) -> None:
        pybullet.resetBasePositionAndOrientation(body, position, orientation, physicsClientId=self._client)


def _zoomed(view: View, zoom: float) -> View:
    field = 2 * np.degrees(np.arctan(np.tan(np.radians(view.field) / 2) / zoom))
    return View(view.target, view.distance, view.yaw, view.pitch, float(field), view.aspect)


def _pose(panda: "Panda", name: str) -> tuple[Any, Any]:
    """Where a body or a link of the arm is: metres, and a quaternion x, y, z, w."""
    bodies = panda.stock.sim._bodies_idx
    if name.startswith("link "):
        state = panda.client.getLinkState(bodies["panda"], int(name.removeprefix("link ")))
        return state[4], state[5]
    position, orientation = panda.client.getBasePositionAndOrientation(bodies[name])
    return position, orientation


def _joints(panda: "Panda") -> list[NDArray[np.float64]]:
    """From the base to the hand, metres."""
    robot = panda.stock.sim._bodies_idx["panda"]
    states = panda.client.getLinkStates(robot, JOINTS)
    return [np.array(BASE), *(np.array(state[4]) for state in states)]


def _along(way: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """The quaternion (x, y, z, w) that turns z to point along a way: half-way between the two, as an axis."""
    z = way / max(float(np.linalg.norm(way)), 1e-12)
    half = np.array([-z[1], z[0], 0.0, 1.0 + z[2]])
    if np.linalg.norm(half) < 1e-6:
        return (1.0, 0.0, 0.0, 0.0)
    half /= np.linalg.norm(half)
    return (float(half[0]), float(half[1]), float(half[2]), float(half[3]))
