"""How the arm is moved: from where the hand is to be next to an action, for both ways of controlling it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vlmcar_core.envs._bullet import pybullet
from vlmcar_core.envs.panda.simulation import Panda

Vector = NDArray[np.float64]

REACH = 0.05
"""Metres, or radians a joint, that an action of 1 asks for (panda-gym's own factor)."""

DOWN = (1.0, 0.0, 0.0, 0.0)
"""The quaternion, x, y, z, w, with which the hand points down."""

OPEN, STAY, CLOSE = 1.0, 0.0, -1.0

DAMPING = 0.02
"""Of the inverse of the Jacobian, so that a stretched arm does not swing."""

HOMING = 0.1
"""The share of the way to the neutral pose that the arm goes back at every step where it has the choice."""


UPRIGHT_TO_GRASP, UPRIGHT_TO_PUSH = 0.03, 0.005
"""Metres of the hand's way that a radian of its tilt counts as much as: little, for straight up is slow to keep."""


@dataclass(frozen=True)
class Wish:
    """Where the hand is to be next."""

    place: Vector
    """Metres, (3,)."""

    fingers: float = STAY
    """Whether they are to open (1), close (-1) or stay (0)."""

    pace: float = REACH
    """Metres that it may go in one step."""


def action(panda: Panda, wish: Wish) -> NDArray[np.float32]:
    """One step towards a wish, straight, float32 (A,) in [-1, 1]."""
    way = wish.place - panda.hand
    way *= min(1.0, wish.pace / max(float(np.linalg.norm(way)), 1e-9))
    arm = way if panda.stock.robot.control_type == "ee" else _turns(panda, way)
    return whole(panda, arm, wish.fingers)


def still(panda: Panda, fingers: float) -> NDArray[np.float32]:
    """The action that moves at most the fingers, float32 (A,) in [-1, 1]."""
    return whole(panda, np.zeros(3 if panda.stock.robot.control_type == "ee" else 7), fingers)


def whole(panda: Panda, arm: Vector, fingers: float) -> NDArray[np.float32]:
    """The action for metres or radians that the arm is to go; all shortened alike where one is too much."""
    arm = arm / max(REACH, float(np.abs(arm).max()))
    parts = arm if panda.stock.robot.block_gripper else np.append(arm, fingers)
    return np.clip(parts, -1.0, 1.0).astype(np.float32)


def angles(panda: Panda) -> Vector:
    """Of the arm's seven joints, radians."""
    return np.array([panda.stock.robot.get_joint_angle(joint) for joint in range(7)])


def _turns(panda: Panda, way: Vector) -> Vector:
    """How far to turn each joint, radians, so that the hand goes a way and points down.

    Damped least squares (Nakamura and Hanafusa 1986); what does not move the hand brings the arm to its neutral pose.
    """
    robot, body = panda.stock.robot, panda.stock.sim._bodies_idx["panda"]
    joints = [robot.get_joint_angle(joint) for joint in (*range(7), 9, 10)]
    still = [0.0] * len(joints)
    linear, angular = panda.client.calculateJacobian(body, robot.ee_link, (0.0, 0.0, 0.0), joints, still, still)
    upright = UPRIGHT_TO_PUSH if robot.block_gripper else UPRIGHT_TO_GRASP
    jacobian = np.concatenate([np.array(linear), upright * np.array(angular)])[:, :7]
    inverse = jacobian.T @ np.linalg.inv(jacobian @ jacobian.T + DAMPING**2 * np.eye(6))
    now = panda.client.getLinkState(body, robot.ee_link)[5]
    turn = pybullet.getAxisAngleFromQuaternion(pybullet.getDifferenceQuaternion(now, DOWN))
    home = HOMING * (robot.neutral_joint_values[:7] - np.array(joints[:7]))
    twist = np.append(way, upright * _shortest(np.array(turn[0]), turn[1]))
    turns: Vector = inverse @ twist + (np.eye(7) - inverse @ jacobian) @ home
    return turns


def _shortest(axis: Vector, angle: float) -> Vector:
    """A rotation as its axis times its angle, radians; never more than half a turn."""
    return axis * (angle - 2 * np.pi if angle > np.pi else angle)
