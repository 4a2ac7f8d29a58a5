"""What `identify_*` found, as outlines that can be drawn on a frame."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from vlmcar_core import recordings
from vlmcar_core.pictures import Outline, drawn, outline
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.store import Session
from vlmcar_core.types import Checker, Frames

__all__ = ["Outline", "drawn", "of_file", "of_trajectory", "outline", "together"]


@st.cache_data(show_spinner="Asking what the code sees …", max_entries=64)
def of_trajectory(folder: str, trajectory: str, _session: Session, source: str) -> dict[int, list[Outline]]:
    """What a checker's `identify_*` find in every distinct frame of a trajectory, by the frame's number."""
    return _seen(recordings.distinct_frames(_session.trajectory(trajectory).frames).frames, source)


@st.cache_data(show_spinner="Asking what the code sees …", max_entries=64)
def of_file(path: str, stamp: int, source: str) -> dict[int, list[Outline]]:
    """The same for a trajectory in a file, which has changed when its stamp has."""
    return _seen(recordings.read_distinct(Path(path)).frames, source)


def _seen(distinct: Frames, source: str) -> dict[int, list[Outline]]:
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
