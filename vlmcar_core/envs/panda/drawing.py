"""A bare scene for checkers: boxes and balls at the poses of panda-gym's bodies, drawn by a client of its own.

What is drawn differs from the stock scene in what a checker needs: the target has a colour and a shape that no object
has, and where it lies on the table it is a disc as wide as what counts as there; the fingers are red; nothing casts a
shadow. The arm is a handful of prisms: the floor of what a picture costs is the number of vertices, and the stock
arm's meshes have about a hundred thousand.
"""

import itertools
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vlmcar_core.envs import _camera
from vlmcar_core.envs._bullet import pybullet, quietly
from vlmcar_core.envs._camera import Light, View
from vlmcar_core.envs.panda import beside, shapes
from vlmcar_core.envs.panda.shapes import Colour
from vlmcar_core.types import Frame

if TYPE_CHECKING:
    from vlmcar_core.envs.panda.simulation import Panda

RED, GREEN, BLUE = (0.9, 0.1, 0.1), (0.1, 0.9, 0.1), (0.1, 0.2, 0.9)
YELLOW, MAGENTA = (0.95, 0.85, 0.05), (0.9, 0.1, 0.75)
TABLE, FLOOR, WHITE, GREY = (0.72, 0.72, 0.74), (0.55, 0.55, 0.57), (0.9, 0.9, 0.9), (0.35, 0.35, 0.38)

OBJECTS: dict[str, Colour] = {"object": GREEN, "object1": BLUE, "object2": GREEN}
TARGETS: dict[str, Colour] = {"target": YELLOW, "target1": YELLOW, "target2": MAGENTA}
FACES = (RED, GREEN, BLUE, YELLOW, MAGENTA, (0.1, 0.8, 0.85))

FINGERS = (9, 10)
FINGER_HALF, FINGER_AT = (0.011, 0.008, 0.027), (0.0, 0.0, 0.027)
HAND = 8
HAND_HALF, HAND_AT = (0.028, 0.06, 0.033), (0.0, 0.0, 0.033)
"""Metres; the real one is 0.1 to each side, and from the side would hide its own fingers."""

JOINTS = (0, 2, 3, 4, 6, HAND)
"""Links whose origins the arm's prisms join; the base comes before."""

BASE = (-0.6, 0.0, 0.0)
THICK = (0.07, 0.06, 0.06, 0.055, 0.05, 0.045)
"""Radii of the prisms, metres."""

FLIP_TARGET, FLIP_TARGET_HALF = (0.2, 0.22, 0.055), 0.03
"""Where, and half how large, the cube that shows Flip's goal is drawn, metres: beside where the other can be."""

BALL = 0.014
"""The radius of a target in the air, metres: small, so that it does not hide what comes to it."""

WIDTH, HEIGHT = 0.7, 0.4
LENGTHS = {"Slide": (1.4, -0.1)}
"""The table's size, metres; of it the length and where its middle is, as panda-gym has it, where it is not as usual."""

USUAL = (1.1, -0.3)

FALLEN, OUT_OF_SIGHT = -0.05, (0.0, 0.0, -50.0)
"""What is so far below the table's top, metres, fell off it and is not drawn."""

VIEWS = {
    "table": {
        "front": View((0.0, 0.0, 0.05), 1.0, 90, -18, 29),
        "side": View((0.0, 0.0, 0.05), 1.0, 0, -12, 29),
        "overhead": View((0.0, 0.0, 0.0), 1.0, -90, -89.9, 27),
    },
    "air": {
        "front": View((0.0, 0.0, 0.13), 1.1, 90, -18, 28),
        "side": View((0.0, 0.0, 0.13), 1.1, 0, -8, 28),
        "overhead": View((0.0, 0.0, 0.1), 1.1, -90, -89.9, 28),
    },
    "slide": {
        "front": View((0.2, 0.0, 0.03), 1.4, 90, -18, 30),
        "side": View((0.21, 0.0, 0.03), 1.4, 0, -12, 26, aspect=1.4),
        "overhead": View((0.21, 0.0, 0.0), 1.4, -90, -89.9, 34),
    },
    "turning": {
        "front": View((0.0, 0.0, 0.16), 1.3, 90, -28, 30),
        "side": View((0.0, 0.0, 0.16), 1.3, 0, -22, 30),
        "overhead": View((0.0, 0.0, 0.1), 1.3, -90, -89.9, 32),
    },
}
"""By what must be seen: the table, the air above it too, as far as Slide's puck goes, or where Flip's cube is turned.

Front and side look from low down: the hand is wide, and what it pushes is hidden under it from higher up."""

SEES = {"Reach": "air", "PickAndPlace": "air", "Push": "table", "Stack": "table", "Flip": "turning", "Slide": "slide"}


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
        self._arm_as: str = settings["arm"]
        self._bodies: dict[str, int] = {}
        self._arm: list[int] = []
        self._stock_arm: int | None = None
        self._behind: list[Frame] = []
        self._furniture()
        if not self._light.shadows:
            self._behind = _camera.panels_of(self._client, self._views, self._height, self._light)
            pybullet.resetSimulation(physicsClientId=self._client)

    def of(self, panda: "Panda") -> Frame:
        """The scene of an environment now, RGB uint8 (H, W, 3)."""
        if not self._bodies:
            self._build(panda)
        for name, body in self._bodies.items():
            shapes.put(self._client, body, *self._pose(panda, name))
        if self._arm:
            points = _joints(panda)
            for body, (start, end) in zip(self._arm, itertools.pairwise(points), strict=True):
                shapes.put(self._client, body, (start + end) / 2, _along(end - start))
        if self._stock_arm is not None:
            self._copy_joints(panda, self._stock_arm)
        return _camera.picture(self._client, self._views, self._height, self._light, self._behind)

    def close(self) -> None:
        if pybullet.isConnected(self._client):
            pybullet.disconnect(self._client)

    @property
    def _flat(self) -> bool:
        """Whether targets lie on the table."""
        return self._kind in ("Push", "Slide")

    def _furniture(self) -> None:
        length, middle = LENGTHS.get(self._kind, USUAL)
        table = shapes.box(self._client, (length / 2, WIDTH / 2, HEIGHT / 2), TABLE)
        shapes.put(self._client, table, (middle, 0.0, -HEIGHT / 2))
        floor = shapes.box(self._client, (3.0, 3.0, 0.05), FLOOR)
        shapes.put(self._client, floor, (0.0, 0.0, -HEIGHT - 0.05))

    def _build(self, panda: "Panda") -> None:
        for name in (*OBJECTS, *TARGETS):
            if name in panda.stock.sim._bodies_idx:
                self._bodies[name] = self._thing(name, panda)
        if panda.extra is not None:
            self._bodies[beside.NAME] = beside.drawn(self._client, panda.extra)
        if self._arm_as == "stock meshes":
            self._stock_arm = self._load_arm()
            return
        for finger in FINGERS:
            self._bodies[f"link {finger}"] = shapes.box(self._client, FINGER_HALF, RED, FINGER_AT)
        if self._arm_as == "low-polygon":
            self._bodies[f"link {HAND}"] = shapes.box(self._client, HAND_HALF, GREY, HAND_AT)
            for number, (start, end) in enumerate(itertools.pairwise(_joints(panda))):
                length, colour = float(np.linalg.norm(end - start)), GREY if number % 2 else WHITE
                self._arm.append(shapes.prism(self._client, THICK[number], length, colour))

    def _thing(self, name: str, panda: "Panda") -> int:
        if self._kind == "Flip":
            return shapes.faced_cube(self._client, 0.02 if name == "object" else FLIP_TARGET_HALF, FACES)
        if name in TARGETS and self._flat:
            return shapes.prism(self._client, panda.threshold, 0.001, TARGETS[name], 24)
        if name in TARGETS:
            return shapes.ball(self._client, BALL, TARGETS[name])
        if self._kind == "Slide":
            return shapes.prism(self._client, 0.03, 0.03, OBJECTS[name], 16)
        return shapes.box(self._client, (0.02, 0.02, 0.02), OBJECTS[name])

    def _load_arm(self) -> int:
        """panda-gym's own arm, its fingers red."""
        with quietly():
            file = resources.files("pybullet_data") / "franka_panda" / "panda.urdf"
            arm = int(pybullet.loadURDF(str(file), BASE, useFixedBase=True, physicsClientId=self._client))
        for finger in FINGERS:
            pybullet.changeVisualShape(arm, finger, rgbaColor=(*RED, 1), physicsClientId=self._client)
        return arm

    def _copy_joints(self, panda: "Panda", arm: int) -> None:
        for joint in (*range(7), *FINGERS):
            angle = panda.stock.robot.get_joint_angle(joint)
            pybullet.resetJointState(arm, joint, angle, physicsClientId=self._client)

    def _pose(self, panda: "Panda", name: str) -> tuple[Any, Any]:
        """Where a body or a link of the arm is to be drawn: metres, and a quaternion x, y, z, w."""
        bodies = panda.stock.sim._bodies_idx
        if name.startswith("link "):
            state = panda.client.getLinkState(bodies["panda"], int(name.removeprefix("link ")))
            return state[4], state[5]
        position, orientation = panda.client.getBasePositionAndOrientation(bodies[name])
        if name in TARGETS and self._kind == "Flip":
            return FLIP_TARGET, orientation
        if name in TARGETS and self._flat:
            return (position[0], position[1], 0.0005), orientation
        return (OUT_OF_SIGHT if position[2] < FALLEN else position), orientation


def _zoomed(view: View, zoom: float) -> View:
    field = 2 * np.degrees(np.arctan(np.tan(np.radians(view.field) / 2) / zoom))
    return View(view.target, view.distance, view.yaw, view.pitch, float(field), view.aspect)


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
