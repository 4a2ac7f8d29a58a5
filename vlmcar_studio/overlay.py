"""What `identify_*` found, as outlines that can be drawn on a frame."""

from pathlib import Path

import streamlit as st

from vlmcar_core import recordings
from vlmcar_core.pictures import Outline, drawn, outline
from vlmcar_core.player import seen, together
from vlmcar_core.recordings import Distinct
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.store import Session
from vlmcar_core.types import Checker

__all__ = ["Outline", "drawn", "of_file", "of_trajectory", "outline", "together"]


@st.cache_data(show_spinner="Asking what the code sees …", max_entries=64)
def of_trajectory(folder: str, trajectory: str, _session: Session, source: str) -> dict[int, list[Outline]]:
    """What a checker's `identify_*` find in every distinct frame of a trajectory, by the frame's number."""
    return _seen(_session.frames(trajectory), source)


@st.cache_data(show_spinner="Asking what the code sees …", max_entries=64)
def of_file(path: str, stamp: int, source: str) -> dict[int, list[Outline]]:
    """The same for a trajectory in a file, which has changed when its stamp has."""
    return _seen(recordings.read_distinct(Path(path)), source)


def _seen(episode: Distinct, source: str) -> dict[int, list[Outline]]:
    checker = Checker("seen", source)
    with CheckerProcess([checker]) as process:
        return seen(process, checker, episode)
