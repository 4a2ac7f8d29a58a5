"""What `identify_*` found, as outlines that can be drawn on a frame."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import streamlit as st
from PIL import Image, ImageDraw, ImageFont

from vlmcar_core import recordings
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.store import Session
from vlmcar_core.types import Checker, Frame, Seen

POINTS_MAX = 400
POLYGONS_MAX = 40
LABEL_PIXELS = 20
COLOURS = ((228, 87, 46), (23, 190, 187), (255, 201, 20), (157, 107, 219), (118, 176, 65), (242, 95, 156))


@dataclass(frozen=True)
class Outline:
    """One object in one frame."""

    name: str
    polygons: tuple[tuple[tuple[float, float], ...], ...]
    """Closed, in pixels."""
    text: str
    """What was found, in words."""

    def json(self) -> dict[str, Any]:
        return {"name": self.name, "polygons": self.polygons, "text": self.text}


def outline(seen: Seen) -> Outline:
    """The outline of what one `identify_*` found; empty where it found nothing."""
    if seen.kind == "mask" and seen.mask is not None:
        return Outline(seen.name, _contours(seen.mask), f"mask of {int(seen.mask.sum())} pixels")
    if seen.kind == "box" and seen.box is not None:
        x, y, w, h = seen.box
        corners = ((x, y), (x + w, y), (x + w, y + h), (x, y + h))
        return Outline(seen.name, (corners,), f"box at {x:g}, {y:g}, {w:g} × {h:g}")
    if seen.kind == "point" and seen.point is not None:
        x, y = seen.point
        return Outline(seen.name, (((x - 4, y), (x, y - 4), (x + 4, y), (x, y + 4)),), f"point at {x:g}, {y:g}")
    return Outline(seen.name, (), f"failed: {seen.message}" if seen.kind == "fault" else "nothing")


def _contours(mask: np.ndarray) -> tuple[tuple[tuple[float, float], ...], ...]:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_TC89_L1)
    largest = sorted(contours, key=cv2.contourArea, reverse=True)[:POLYGONS_MAX]
    return tuple(tuple((float(x) + 0.5, float(y) + 0.5) for x, y in line[:, 0][:POINTS_MAX]) for line in largest)


@st.cache_data(show_spinner="Asking what the code sees …", max_entries=64)
def of_trajectory(folder: str, trajectory: str, _session: Session, source: str) -> dict[int, list[Outline]]:
    """What a checker's `identify_*` find in every distinct frame of a trajectory, by the frame's number."""
    found = _session.trajectory(trajectory)
    distinct, _ = recordings.distinct_frames(found.frames)
    checker = Checker("seen", source)
    with CheckerProcess([checker]) as process:
        return {
            number: [outline(seen) for seen in process.inspect("seen", distinct[0], frame).current]
            for number, frame in enumerate(distinct)
        }


def together(parts: Mapping[str, Mapping[int, Sequence[Outline]]]) -> dict[int, list[Outline]]:
    """What several checkers see, by the frame's number: the same thing once, another by the same name with its checker.

    Args:
        parts: by checker key.
    """
    merged: dict[int, list[Outline]] = {}
    owners: dict[str, str] = {}
    for key, part in parts.items():
        for number, found in part.items():
            there = merged.setdefault(number, [])
            for item in found:
                if item in there:
                    continue
                taken = owners.setdefault(item.name, key) != key
                there.append(dataclasses.replace(item, name=f"{item.name} ({key})") if taken else item)
    return merged


def drawn(frame: Frame, outlines: Sequence[Outline], side: int = 420) -> Frame:
    """A frame, enlarged by a whole number, with outlines and names on it."""
    zoom = max(1, side // frame.shape[1])
    image = Image.fromarray(frame).resize((frame.shape[1] * zoom, frame.shape[0] * zoom), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(LABEL_PIXELS)
    for number, item in enumerate(outlines):
        colour = COLOURS[number % len(COLOURS)]
        for polygon in item.polygons:
            points = [(x * zoom, y * zoom) for x, y in polygon]
            if len(points) > 1:
                pen.line([*points, points[0]], fill=(0, 0, 0), width=5)
                pen.line([*points, points[0]], fill=colour, width=3)
        if item.polygons:
            x, y = min(item.polygons[0], key=lambda point: point[1])
            wide = pen.textlength(item.name, font)
            at = (min(max(2.0, x * zoom), max(2.0, image.width - wide - 4)), max(0.0, y * zoom - LABEL_PIXELS - 6))
            pen.rectangle(pen.textbbox(at, item.name, font), fill=(0, 0, 0), outline=(0, 0, 0), width=2)
            pen.text(at, item.name, fill=(255, 255, 255), font=font)
    return np.asarray(image)
