"""The replay player: one or two trajectories with their checkers' values and what the code sees, in step.

A canvas component: frames come from `server.ROUTES` as they are needed, the drawing happens in the browser, and the
chosen frame comes back a moment after the last move. Its code is `vlmcar_core.player`, sent with the page as one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

from vlmcar_core import player, recordings
from vlmcar_core.store import Session
from vlmcar_core.types import Answers, Proposal
from vlmcar_core.verdicts import Wrong
from vlmcar_studio.overlay import Outline

ENTRY = Path(__file__).with_name("replay.js")
"""What Streamlit calls; the rest is the core's."""


@dataclass(frozen=True)
class Track:
    """One trajectory in the player."""

    trajectory: str
    answers: Mapping[str, Answers]
    """By checker key; lanes are shown for those that are there."""

    overlays: Mapping[int, Sequence[Outline]] = field(default_factory=dict)
    """What the chosen checkers see, by number of the distinct frame."""

    wrong: Sequence[Wrong] = ()
    """Places in this trajectory that are marked."""

    expected: Mapping[str, Sequence[bool | None]] = field(default_factory=dict)
    """By checker key, what it should say about each of the T + 1 frames, wherever that is known from: done or not;
    None where nothing is known."""

    path: Path | None = None
    """Its file; None where it is one of the session's trajectories."""

    frames: str = ""
    """The address of its frames; empty where it is one of the session's trajectories."""


@dataclass(frozen=True)
class Place:
    """Where the person has come to."""

    frame: int
    """On the common time axis."""

    span: tuple[int, int] | None
    """First and last frame that were marked in the player, both included."""


@st.cache_resource
def _component() -> Any:
    script = f"{player.script()}\n{ENTRY.read_text(encoding='utf-8')}"
    return st.components.v2.component("vlmcar_replay", html=player.html(), css=player.css(), js=script)


def replay(
    session: Session, proposal: Proposal, tracks: Sequence[Track], start: int = 0, jump: int = 0, marked: int = 0
) -> Place:
    """Show one trajectory, or two in step.

    Args:
        session: whose trajectories they are.
        proposal: whose checkers answered.
        tracks: one or two; a span that is marked is about the first.
        start: the frame to begin at.
        jump: when this changes, the replay goes to `start`.
        marked: when this changes, a span that was being marked is dropped.
    """
    shown = [_track(session, proposal, track) for track in tracks]
    last = max(len(track["order"]) for track in shown) - 1
    key = "replay-" + "+".join(track.trajectory for track in tracks)
    data = {"id": f"{session.name}/{key}", "tracks": shown, "start": start, "jump": jump, "marked": marked}
    result = _component()(
        key=key,
        data=data,
        default={"frame": start, "span": None},
        on_frame_change=lambda: None,
        on_span_change=lambda: None,
    )
    # The browser reports a jump a moment later; until then its last word is of the place before.
    jumped = st.session_state.get(f"{key}-jump") != jump
    st.session_state[f"{key}-jump"] = jump
    frame = start if jumped or result.frame is None else int(result.frame)
    return Place(max(0, min(frame, last)), _span(result.span, last))


def _span(told: Any, last: int) -> tuple[int, int] | None:
    """A span as the browser tells it."""
    if not isinstance(told, list) or len(told) != 2 or not all(isinstance(frame, int) for frame in told):
        return None
    first, end = (max(0, min(frame, last)) for frame in told)
    return first, max(first, end)


def _track(session: Session, proposal: Proposal, track: Track) -> dict[str, Any]:
    order = recordings.read_order(track.path or session.trajectory_path(track.trajectory))
    return {
        "name": track.trajectory,
        "frames": track.frames or f"/vlmcar/frame/{session.name}/{track.trajectory}",
        "order": order.tolist(),
        **player.said(proposal, track.answers, track.overlays, track.wrong, track.expected),
    }
