"""The few shapes that bare scenes are made of; each becomes one body without mass on a pybullet client."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlmcar_core.envs._bullet import pybullet

Colour = tuple[float, float, float]
"""RGB in [0, 1]."""


def box(client: int, half: Sequence[float], colour: Colour, offset: Sequence[float] = (0, 0, 0)) -> int:
    """Half its size, and where its middle is from the body's origin, metres."""
    shape = pybullet.createVisualShape(
        pybullet.GEOM_BOX,
        halfExtents=half,
        rgbaColor=(*colour, 1),
        visualFramePosition=offset,
        physicsClientId=client,
    )
    return _body(client, shape)


def faced_cube(client: int, half: float, colours: Sequence[Colour]) -> int:
    """A cube whose faces differ in colour: towards x, y, z, -x, -y, -z."""
    axes = np.concatenate([np.eye(3), -np.eye(3)])
    shape = pybullet.createVisualShapeArray(
        shapeTypes=[pybullet.GEOM_BOX] * 6,
        halfExtents=[list(np.where(np.abs(axis) > 0, 0.0005, half * 0.999)) for axis in axes],
        rgbaColors=[(*colour, 1) for colour in colours],
        visualFramePositions=[list(axis * half) for axis in axes],
        physicsClientId=client,
    )
    return _body(client, shape)


def prism(client: int, radius: float, length: float, colour: Colour, corners: int = 8) -> int:
    """Along z, about its middle; metres."""
    angles = np.arange(corners) * 2 * np.pi / corners
    ring = np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)
    ends = [np.column_stack([ring, np.full(corners, z)]) for z in (-length / 2, length / 2)]
    faces = []
    for one in range(corners):
        other = (one + 1) % corners
        faces += [(one, other, corners + other), (one, corners + other, corners + one)]
    for one in range(1, corners - 1):
        faces += [(0, one + 1, one), (corners, corners + one, corners + one + 1)]
    return _mesh(client, np.concatenate(ends), faces, colour)


def ball(client: int, radius: float, colour: Colour, bands: int = 8) -> int:
    """As many bands from pole to pole, and twice as many around."""
    polar, around = np.meshgrid(np.linspace(0, np.pi, bands + 1), np.arange(2 * bands) * np.pi / bands, indexing="ij")
    unit = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=-1)
    faces = []
    for row in range(bands):
        for column in range(2 * bands):
            one, beside = row * 2 * bands + column, row * 2 * bands + (column + 1) % (2 * bands)
            below, across = one + 2 * bands, beside + 2 * bands
            faces += [(one, below, across), (one, across, beside)]
    return _mesh(client, radius * unit.reshape(-1, 3), faces, colour)


def _mesh(client: int, vertices: NDArray[np.float64], faces: list[tuple[int, int, int]], colour: Colour) -> int:
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
        physicsClientId=client,
    )
    return _body(client, shape)


def _body(client: int, shape: int) -> int:
    return int(pybullet.createMultiBody(baseVisualShapeIndex=shape, physicsClientId=client))


def put(client: int, body: int, position: Any, orientation: Any = (0.0, 0.0, 0.0, 1.0)) -> None:
    """Metres, and a quaternion x, y, z, w."""
    pybullet.resetBasePositionAndOrientation(body, position, orientation, physicsClientId=client)
