"""A table, things on it, and a suction gripper: pybullet with primitives only, rebuilt from nothing at every reset.

Lengths are in metres, angles in radians. x runs to the right and y away from a person who stands at the table's long
side; the table's top is z = 0 and reaches WIDTH by DEPTH about the origin.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vlmcar_core.envs import _camera
from vlmcar_core.envs._bullet import pybullet
from vlmcar_core.envs._camera import Light, View
from vlmcar_core.envs.tabletop.colours import TABLE, Colour
from vlmcar_core.errors import BadInput
from vlmcar_core.types import Frame

WIDTH, DEPTH = 1.0, 0.5
STEP_SECONDS = 1 / 240
TRAVEL_HEIGHT = 0.2
"""So high above the table things are carried."""
CARRY_STEP, LOWER_STEP, SWEEP_STEP = 0.006, 0.002, 0.0025
"""Metres that the gripper moves in one step of the simulation."""
SETTLE_STEPS = 240
"""At most so many steps are waited for things to come to rest, one second."""
AT_REST = 0.003
"""Slower than this, in m/s, a thing rests."""
GRIP_FORCE = 100.0
INSIDE = 0.004
"""Metres beyond where a thing is seen that it is taken at: its side is no place to suck at."""
TOOL_HALF = (0.006, 0.006, 0.05)
BLADE_HALF = (0.006, 0.07, 0.03)
"""The spatula that sweeps."""

VIEWS = {
    "overhead": View((0.0, 0.0, 0.0), 3.0, 0, -89.9, 10.4, 2.0),
    "side": View((0.0, 0.05, 0.0), 2.2, 0, -30, 16.0, 2.0),
}
AWAY = (0.0, 0.0, 5.0)
"""Where the gripper waits, out of every picture."""

Point = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """A box of a compound thing."""

    half: tuple[float, float, float]
    at: tuple[float, float, float]
    turn: float = 0.0
    """About the vertical axis."""


class World:
    """One simulated table; `close` it."""

    def __init__(self, views: Sequence[str], height: int, light: Light) -> None:
        self.client = pybullet.connect(pybullet.DIRECT)
        self._views = [VIEWS[name] for name in views]
        self._height, self._light = height, light
        self._behind: list[Frame] = []
        self.movable: list[int] = []
        self.tool = np.array(AWAY)
        self._tool_body = -1
        self._held: tuple[int, int] | None = None

    def reset(self) -> None:
        """An empty table."""
        pybullet.resetSimulation(physicsClientId=self.client)
        pybullet.setPhysicsEngineParameter(
            deterministicOverlappingPairs=1, numSolverIterations=60, physicsClientId=self.client
        )
        pybullet.setTimeStep(STEP_SECONDS, physicsClientId=self.client)
        pybullet.setGravity(0, 0, -9.81, physicsClientId=self.client)
        self.movable, self._held = [], None
        table = self.fixed([Part((WIDTH, DEPTH, 0.1), (0, 0, -0.1))], (0, 0, 0), TABLE)
        self._friction(table, 0.6)
        if not self._behind:
            self._behind = _camera.panels_of(self.client, self._views, self._height, self._light)
        if not self._light.shadows:
            pybullet.changeVisualShape(table, -1, rgbaColor=(*TABLE, 0), physicsClientId=self.client)
        self._tool_body = self._ghost([Part(TOOL_HALF, (0, 0, TOOL_HALF[2]))], AWAY, (0.25, 0.25, 0.28))
        self.tool = np.array(AWAY)

    # Things

    def thing(
        self, parts: Sequence[Part], at: Sequence[float], colour: Colour, turn: float = 0.0, mass: float = 0.1
    ) -> int:
        """Something that can be moved."""
        body = self._body(parts, at, colour, turn, mass)
        self._friction(body, 0.6)
        self.movable.append(body)
        return body

    def fixed(self, parts: Sequence[Part], at: Sequence[float], colour: Colour, turn: float = 0.0) -> int:
        """Something that stays where it is."""
        return self._body(parts, at, colour, turn, 0.0)

    def mark(self, parts: Sequence[Part], at: Sequence[float], colour: Colour, turn: float = 0.0) -> int:
        """Something painted on the table."""
        return self._ghost(parts, at, colour, turn)

    def _body(self, parts: Sequence[Part], at: Sequence[float], colour: Colour, turn: float, mass: float) -> int:
        collision = pybullet.createCollisionShapeArray(
            shapeTypes=[pybullet.GEOM_BOX] * len(parts),
            halfExtents=[part.half for part in parts],
            collisionFramePositions=[part.at for part in parts],
            collisionFrameOrientations=[upright(part.turn) for part in parts],
            physicsClientId=self.client,
        )
        return self._made(collision, self._shape(parts, colour), at, turn, mass)

    def _ghost(self, parts: Sequence[Part], at: Sequence[float], colour: Colour, turn: float = 0.0) -> int:
        return self._made(-1, self._shape(parts, colour), at, turn, 0.0)

    def _shape(self, parts: Sequence[Part], colour: Colour) -> int:
        return int(
            pybullet.createVisualShapeArray(
                shapeTypes=[pybullet.GEOM_BOX] * len(parts),
                halfExtents=[part.half for part in parts],
                visualFramePositions=[part.at for part in parts],
                visualFrameOrientations=[upright(part.turn) for part in parts],
                rgbaColors=[(*colour, 1.0)] * len(parts),
                physicsClientId=self.client,
            )
        )

    def _made(self, collision: int, visual: int, at: Sequence[float], turn: float, mass: float) -> int:
        return int(
            pybullet.createMultiBody(
                baseMass=mass,
                baseCollisionShapeIndex=collision,
                baseVisualShapeIndex=visual,
                basePosition=list(at),
                baseOrientation=upright(turn),
                physicsClientId=self.client,
            )
        )

    def _friction(self, body: int, sideways: float) -> None:
        pybullet.changeDynamics(
            body,
            -1,
            lateralFriction=sideways,
            spinningFriction=0.001,
            rollingFriction=0.0005,
            restitution=0.0,
            physicsClientId=self.client,
        )

    def link(self, one: int, other: int, ahead: Point, back: Point) -> None:
        """Join two things at a point, given in each one's own axes, as beads on a thread."""
        joint = pybullet.createConstraint(
            one, -1, other, -1, pybullet.JOINT_POINT2POINT, (0, 0, 0), ahead, back, physicsClientId=self.client
        )
        pybullet.changeConstraint(joint, maxForce=GRIP_FORCE, physicsClientId=self.client)

    def apart(self, bodies: Sequence[int]) -> None:
        """Let some things pass through each other: those on one thread."""
        for one, other in itertools.combinations(bodies, 2):
            pybullet.setCollisionFilterPair(one, other, -1, -1, 0, physicsClientId=self.client)
        for body in bodies:
            self._friction(body, 1.0)

    # What is where

    def place(self, body: int) -> Point:
        """A thing's origin, (3,)."""
        return np.array(pybullet.getBasePositionAndOrientation(body, physicsClientId=self.client)[0])

    def turn(self, body: int) -> float:
        """About the vertical axis, in (-pi, pi]."""
        quaternion = pybullet.getBasePositionAndOrientation(body, physicsClientId=self.client)[1]
        return float(pybullet.getEulerFromQuaternion(quaternion)[2])

    def under(self, across: float, down: float) -> Point:
        """What is seen at a place of `picture`, given in shares of its width and height: x and y, (2,).

        Raises:
            BadInput: nothing of the table is seen there.
        """
        number, across = _camera.panel(across, [view.aspect for view in self._views], self._height)
        near, far = _camera.ray(self._views[number], across, down)
        ((body, _, _, hit, _),) = pybullet.rayTest(near, far, physicsClientId=self.client)
        inside = np.array(hit[:2]) + INSIDE * (far - near)[:2] / np.linalg.norm(far - near)
        if body < 0 or not (np.abs(inside) <= (WIDTH / 2, DEPTH / 2)).all():
            raise BadInput(f"{across:.0%} across and {down:.0%} down is beside the table; click on it")
        return inside

    # What is done

    def pick_and_place(
        self, pick: Point, place: Point, turn: float, height: float = TRAVEL_HEIGHT, stride: float = CARRY_STEP
    ) -> bool:
        """Suck up what is seen from above at a point, put it down at another, turned; whether there was anything.

        Args:
            height: how high it is carried.
            stride: metres in each step of the simulation.
        """
        if not self.grip(pick):
            return False
        self._carry(np.array([self.tool[0], self.tool[1], height]), 0.0, stride)
        self._carry(np.array([place[0], place[1], height]), turn, stride)
        self._lower(turn)
        self.release()
        self.retract()
        self.settle()
        return True

    def grip(self, at: Point, reach: float | None = None) -> bool:
        """Hold what is under a point of the table (or no more than `reach` under the tool), if it can be moved."""
        low, high = (-0.01, 1.0) if reach is None else (self.tool[2] - reach, self.tool[2] + 0.005)
        ((body, _, _, hit, _),) = pybullet.rayTest(
            (at[0], at[1], high), (at[0], at[1], low), physicsClientId=self.client
        )
        if body not in self.movable:
            return False
        position, orientation = pybullet.getBasePositionAndOrientation(body, physicsClientId=self.client)
        inverse = pybullet.invertTransform(position, orientation)
        local, _ = pybullet.multiplyTransforms(*inverse, hit, (0, 0, 0, 1))
        joint = pybullet.createConstraint(
            body,
            -1,
            -1,
            -1,
            pybullet.JOINT_FIXED,
            (0, 0, 0),
            local,
            hit,
            (0, 0, 0, 1),
            orientation,
            physicsClientId=self.client,
        )
        self._held = (body, joint)
        self._held_turn = self.turn(body)
        self._move_tool(np.array(hit))
        return True

    @property
    def holding(self) -> int | None:
        """The body that is held."""
        return self._held[0] if self._held else None

    def release(self) -> None:
        if self._held:
            pybullet.removeConstraint(self._held[1], physicsClientId=self.client)
        self._held = None

    def retract(self) -> None:
        """The tool leaves the picture."""
        self._move_tool(np.array(AWAY))

    def carry(self, to: Point, turn: float, steps: int) -> None:
        """Move the tool, and what it holds, in a straight line, in so many steps of the simulation."""
        start = self.tool.copy()
        for number in range(1, steps + 1):
            share = number / steps
            self._put_tool(start + share * (to - start), share * turn)
            pybullet.stepSimulation(physicsClientId=self.client)

    def _carry(self, to: Point, turn: float, stride: float) -> None:
        self.carry(to, turn, max(1, int(np.ceil(np.linalg.norm(to - self.tool) / stride)), int(abs(turn) / 0.03)))

    def _lower(self, turn: float) -> None:
        """Down until what is held touches something."""
        while self.tool[2] > 0 and not self._touches():
            self._put_tool(self.tool - np.array([0.0, 0.0, LOWER_STEP]), turn)
            pybullet.stepSimulation(physicsClientId=self.client)

    def _touches(self) -> bool:
        if self._held is None:
            return True
        contacts = pybullet.getContactPoints(bodyA=self._held[0], physicsClientId=self.client)
        return any(contact[8] < 0.0005 for contact in contacts)

    def _put_tool(self, to: Point, turn: float) -> None:
        self._move_tool(to)
        if self._held:
            pybullet.changeConstraint(
                self._held[1],
                jointChildPivot=list(to),
                jointChildFrameOrientation=upright(self._held_turn + turn),
                maxForce=GRIP_FORCE,
                physicsClientId=self.client,
            )

    def _move_tool(self, to: Point) -> None:
        self.tool = np.array(to, float)
        pybullet.resetBasePositionAndOrientation(
            self._tool_body, list(self.tool), (0, 0, 0, 1), physicsClientId=self.client
        )

    def move_tool(self, to: Point) -> None:
        """Where the tool is, with nothing held and nothing simulated."""
        self._move_tool(to)

    def sweep(self, start: Point, end: Point) -> None:
        """Push a blade along the table from one point to another, its broad side ahead."""
        way = end[:2] - start[:2]
        turn = float(np.arctan2(way[1], way[0]))
        height = BLADE_HALF[2] + 0.001
        blade = self._body([Part(BLADE_HALF, (0, 0, 0))], (start[0], start[1], height), (0.25, 0.25, 0.28), turn, 5.0)
        joint = pybullet.createConstraint(
            blade,
            -1,
            -1,
            -1,
            pybullet.JOINT_FIXED,
            (0, 0, 0),
            (0, 0, 0),
            (start[0], start[1], height),
            (0, 0, 0, 1),
            upright(turn),
            physicsClientId=self.client,
        )
        steps = max(1, int(np.ceil(np.linalg.norm(way) / SWEEP_STEP)))
        for number in range(1, steps + 1):
            at = start[:2] + number / steps * way
            pybullet.changeConstraint(
                joint,
                jointChildPivot=[at[0], at[1], height],
                jointChildFrameOrientation=upright(turn),
                maxForce=1000,
                physicsClientId=self.client,
            )
            pybullet.stepSimulation(physicsClientId=self.client)
        pybullet.removeConstraint(joint, physicsClientId=self.client)
        pybullet.removeBody(blade, physicsClientId=self.client)
        self.settle()

    def settle(self) -> None:
        """Wait until everything rests, a second at most."""
        for number in range(SETTLE_STEPS):
            pybullet.stepSimulation(physicsClientId=self.client)
            if number % 10 == 9 and self._at_rest():
                return

    def _at_rest(self) -> bool:
        speeds = (pybullet.getBaseVelocity(body, physicsClientId=self.client)[0] for body in self.movable)
        return all(np.abs(speed).max() < AT_REST for speed in speeds)

    def picture(self) -> Frame:
        """RGB uint8 (height, width, 3)."""
        behind = () if self._light.shadows else self._behind
        return _camera.picture(self.client, self._views, self._height, self._light, behind)

    def close(self) -> None:
        if pybullet.isConnected(self.client):
            pybullet.disconnect(self.client)


def upright(turn: float) -> tuple[float, float, float, float]:
    """The quaternion x, y, z, w of a turn about the vertical axis."""
    return (0.0, 0.0, float(np.sin(turn / 2)), float(np.cos(turn / 2)))


def turned(point: Sequence[float] | Point, turn: float) -> Point:
    """A point (2,) of the table turned about the origin."""
    c, s = np.cos(turn), np.sin(turn)
    return np.array([c * point[0] - s * point[1], s * point[0] + c * point[1]])


def between(turn: float) -> float:
    """The same turn in [-pi, pi)."""
    return float((turn + np.pi) % (2 * np.pi) - np.pi)
