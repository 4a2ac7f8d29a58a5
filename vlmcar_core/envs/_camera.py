"""Cameras for checkers, on a pybullet client: small pictures, even light, no shadows unless wished for.

Several views of one scene make one frame: side by side, with black columns between them that nothing else is made of.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vlmcar_core.envs._bullet import pybullet
from vlmcar_core.errors import BadInput
from vlmcar_core.types import Frame

GAP = 2
"""Black columns between two views."""

NEAR, FAR = 0.05, 10.0
"""Metres: nothing nearer or farther is drawn."""


@dataclass(frozen=True)
class View:
    """Where a camera stands, looking at a point."""

    target: tuple[float, float, float]
    """Metres."""
    distance: float
    """Metres from the target."""
    yaw: float
    """Degrees about the vertical axis; at 0 it looks along +y, at 90 along -x (pybullet's convention)."""
    pitch: float
    """Degrees; -90 looks straight down."""
    field: float = 40.0
    """The vertical field of view, degrees."""
    aspect: float = 1.0
    """Width over height."""


@dataclass(frozen=True)
class Light:
    """How a scene is lit."""

    shadows: bool = False
    """Costs about as much again as the picture."""
    ambient: float = 0.6
    """In [0, 1]: the share of light that comes from everywhere; 1 leaves no shading."""
    direction: tuple[float, float, float] = (0.5, -0.7, 2.0)
    """Towards the light."""


def picture(
    client: int, views: Sequence[View], height: int, light: Light = Light(), behind: Sequence[Frame] = ()
) -> Frame:
    """The views side by side, RGB uint8, (height, sum of widths and gaps, 3); drawn in software, no display needed.

    Args:
        client: a pybullet connection.
        height: of every view, pixels.
        behind: for each view what is shown where no body is, such as the table without anything on it. What a picture
            costs is mostly the pixels that bodies cover: a table need not be drawn again for every frame.
    """
    panels = panels_of(client, views, height, light, behind)
    gap = np.zeros((height, GAP, 3), np.uint8)
    parts = [part for panel in panels for part in (gap, panel)][1:]
    return np.concatenate(parts, axis=1)


def panels_of(
    client: int, views: Sequence[View], height: int, light: Light = Light(), behind: Sequence[Frame] = ()
) -> list[Frame]:
    """Each view for itself, RGB uint8, (height, width, 3)."""
    backs = [*behind, *[None] * (len(views) - len(behind))]
    return [_view(client, view, height, light, back) for view, back in zip(views, backs, strict=True)]


def _view(client: int, view: View, height: int, light: Light, behind: Frame | None) -> Frame:
    width = round(height * view.aspect)
    look = pybullet.computeViewMatrixFromYawPitchRoll(view.target, view.distance, view.yaw, view.pitch, 0.0, 2)
    lens = pybullet.computeProjectionMatrixFOV(view.field, width / height, NEAR, FAR)
    _, _, colours, _, bodies = pybullet.getCameraImage(
        width,
        height,
        look,
        lens,
        lightDirection=light.direction,
        shadow=int(light.shadows),
        lightAmbientCoeff=light.ambient,
        lightDiffuseCoeff=1.0 - light.ambient,
        lightSpecularCoeff=0.0,
        renderer=pybullet.ER_TINY_RENDERER,
        physicsClientId=client,
    )
    drawn = np.asarray(colours, np.uint8).reshape(height, width, 4)[..., :3]
    if behind is None:
        return drawn.copy()
    seen, covered = behind.copy(), np.asarray(bodies).reshape(height, width) >= 0
    seen[covered] = drawn[covered]
    return seen


def panel(across: float, aspects: Sequence[float], height: int) -> tuple[int, float]:
    """Which view of a `picture` is at a share of its width, and the share of that view's own width.

    Raises:
        BadInput: it is between two views.
    """
    widths = [round(height * aspect) for aspect in aspects]
    column = across * (sum(widths) + GAP * (len(widths) - 1))
    for number, width in enumerate(widths):
        if 0 <= column <= width:
            return number, column / width
        column -= width + GAP
    raise BadInput(f"{across:.0%} across is between two views; click inside one")


def ray(view: View, across: float, down: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The two ends of what is seen at a place of a view, given in shares of its width and height: metres, (3,) each."""
    look = pybullet.computeViewMatrixFromYawPitchRoll(view.target, view.distance, view.yaw, view.pitch, 0.0, 2)
    lens = pybullet.computeProjectionMatrixFOV(view.field, view.aspect, NEAR, FAR)
    both = np.reshape(lens, (4, 4)).T @ np.reshape(look, (4, 4)).T  # OpenGL's matrices are told column by column
    ends = [np.linalg.solve(both, (2 * across - 1, 1 - 2 * down, depth, 1.0)) for depth in (-1.0, 1.0)]
    near, far = (end[:3] / end[3] for end in ends)
    return near, far
