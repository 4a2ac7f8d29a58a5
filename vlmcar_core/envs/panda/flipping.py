"""Turning a cube in the hand, for Flip with joint control.

Once the cube is held, how the hand is turned is how the cube is turned. Which joint angles turn it enough, with the
fewest steps and the hand well over the table, is searched for with the arm's kinematics alone.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vlmcar_core.envs._bullet import pybullet
from vlmcar_core.envs.panda.drawing import BASE
from vlmcar_core.envs.panda.motion import CLOSE, Vector, angles, whole
from vlmcar_core.envs.panda.simulation import Panda

LENGTHS = np.array([0.333, 0.0, 0.316, 0.0, 0.384, 0.0, 0.0, 0.212])
"""Along each joint's axis, and from the last to between the fingers' tips, metres."""

OFFSETS = np.array([0.0, 0.0, 0.0, 0.0825, -0.0825, 0.0, 0.088, 0.0])
TWISTS = np.array([0.0, -1.0, 1.0, 1.0, -1.0, 1.0, 1.0, 0.0]) * np.pi / 2
FLANGE = -np.pi / 4
"""Denavit and Hartenberg's parameters (Craig's form) of the arm, as its maker publishes them; metres, radians."""

LOWEST = np.array([-2.90, -1.76, -2.90, -3.07, -2.90, -0.02, -2.90])
HIGHEST = np.array([2.90, 1.76, 2.90, -0.07, 2.90, 3.75, 2.90])
"""The joints' limits, radians."""

STEP = 0.043
"""Radians that a joint turns in a step at the most."""

NEAR_ENOUGH = 0.85
"""The squared product of two quaternions that the search is content with; panda-gym wants 0.8."""

PASSED, CLEAR = np.array([0.3, 0.6]), 0.08
"""Where on its way the height is looked at, too, and the least that it may be there, metres."""

MIDDLE, HALF = np.array([0.0, 0.0, 0.25]), np.array([0.22, 0.22, 0.12])
"""Metres: the middle, and half the size, of the space where the cube is to be at the end: over the table, in sight."""

SAMPLES, BEST, ROUNDS = 400, 40, 25
"""Of the cross-entropy search."""


def turn(panda: Panda, room: float) -> Iterator[NDArray[np.float32]]:
    """What is held, to the goal's orientation, along a straight line of the joints.

    Args:
        room: how many times as wide and high the space is that the cube is to be in at the end.
    """
    goal = panda.goal
    held = np.array(panda.client.getBasePositionAndOrientation(panda.stock.sim._bodies_idx["object"])[1])
    there = posture(angles(panda), rotation(goal) @ rotation(held).T, room)
    while True:
        yield whole(panda, there - angles(panda), CLOSE)


def posture(start: Vector, wanted: Vector, room: float) -> Vector:
    """Joint angles, (7,) radians, that turn the hand by a rotation, (3, 3), as seen from the table; nearly.

    The cross-entropy method (Rubinstein 1999): draw, keep the best, draw around these.
    """
    generator = np.random.default_rng(0)
    _, first = hand(start[None])
    mean, spread = start, np.full(7, 0.6)
    for _ in range(ROUNDS):
        drawn = np.clip(mean + spread * generator.standard_normal((SAMPLES, 7)), LOWEST, HIGHEST)
        drawn[0] = mean
        best = drawn[np.argsort(_cost(drawn, start, wanted @ first[0], room))[:BEST]]
        mean, spread = best.mean(axis=0), best.std(axis=0) + 0.005
    found: Vector = best[0]
    return found


def _cost(drawn: Vector, start: Vector, wanted: Vector, room: float) -> Vector:
    """Steps, and much for what is short of the wanted rotation, outside of the picture or too low."""
    places, turned = hand(drawn)
    cosine = (np.einsum("nij,ij->n", turned, wanted) - 1) / 2
    alike = (1 + cosine) / 2  # the squared product of the two quaternions
    turns = np.abs(drawn - start)
    effort = turns.max(axis=1) / STEP + turns.sum(axis=1)
    passed, _ = hand((start + PASSED[:, None, None] * (drawn - start)).reshape(-1, 7))
    low = np.maximum(0, CLEAR - passed[:, 2]).reshape(len(PASSED), -1).sum(axis=0)
    middle = MIDDLE + np.array([0.0, 0.0, (room - 1) * HALF[2]])
    outside = np.maximum(0, np.abs(places - middle) - room * HALF).sum(axis=1)
    cost: Vector = effort + 1000 * np.maximum(0, NEAR_ENOUGH - alike) + 500 * (low + outside)
    return cost


def hand(joints: Vector) -> tuple[Vector, Vector]:
    """Between the fingers' tips, (N, 3) metres, and how the hand is turned, (N, 3, 3), for N postures (N, 7)."""
    turned = np.broadcast_to(np.eye(3), (len(joints), 3, 3))
    place = np.broadcast_to(np.array(BASE), (len(joints), 3))
    with_flange = np.column_stack([joints, np.full(len(joints), FLANGE)])
    for number, (offset, length, twist) in enumerate(zip(OFFSETS, LENGTHS, TWISTS, strict=True)):
        cosine, sine = np.cos(twist), np.sin(twist)
        tilt = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
        place = place + turned @ np.array([offset, -sine * length, cosine * length])
        turned = turned @ tilt @ _about_z(with_flange[:, number])
    return place, turned


def _about_z(radians: Vector) -> Vector:
    cosine, sine, nought = np.cos(radians), np.sin(radians), np.zeros_like(radians)
    rows = [[cosine, -sine, nought], [sine, cosine, nought], [nought, nought, nought + 1]]
    return np.moveaxis(np.array(rows), -1, 0)


def rotation(quaternion: Vector) -> Vector:
    """The matrix, (3, 3), of a quaternion x, y, z, w."""
    return np.reshape(pybullet.getMatrixFromQuaternion(quaternion), (3, 3))
