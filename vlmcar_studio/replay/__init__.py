"""The replay player: one trajectory with its checkers' values and what the code sees, in step.

A canvas component: the frames come from `server.ROUTES`, the drawing happens in the browser, and the chosen frame
comes back a moment after the last move. Its code is a few kilobytes and is sent with the page.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from vlmcar_core import chain, recordings
from vlmcar_core.store import Session
from vlmcar_core.types import Answers, Proposal
from vlmcar_core.verdicts import Wrong
from vlmcar_studio.overlay import Outline

FOLDER = Path(__file__).parent


def _part(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


@st.cache_resource
def _component() -> Any:
    return st.components.v2.component(
        "vlmcar_replay", html=_part("replay.html"), css=_part("replay.css"), js=_part("replay.js")
    )


def replay(
    session: Session,
    trajectory: str,
    proposal: Proposal,
    answers: Mapping[str, Answers],
    overlays: Mapping[int, Sequence[Outline]],
    wrong: Sequence[Wrong],
    start: int = 0,
    jump: int = 0,
) -> int:
    """Show a trajectory; returns the frame that the person has come to.

    Args:
        answers: by checker key; lanes are shown for those that are there.
        overlays: what the chosen checkers see, by number of the distinct frame.
        wrong: places in this trajectory that are marked.
        start: the frame to begin at.
        jump: when this changes, the replay goes to `start`.
    """
    order = recordings.read_order(session.trajectory_path(trajectory))
    lanes = _lanes(proposal, answers)
    data = {
        "id": f"{session.name}/{trajectory}",
        "frames": f"/vlmcar/frame/{session.name}/{trajectory}",
        "order": order.tolist(),
        "lanes": lanes,
        "overlays": {str(number): [outline.json() for outline in found] for number, found in overlays.items()},
        "objects": sorted({outline.name for found in overlays.values() for outline in found}),
        "wrong": [{"frame": item.frame, "reason": item.reason} for item in wrong],
        "start": start,
        "jump": jump,
    }
    key = f"replay-{trajectory}"
    result = _component()(key=key, data=data, default={"frame": start}, on_frame_change=lambda: None)
    # The browser reports a jump a moment later; until then its last word is of the place before.
    jumped = st.session_state.get(f"{key}-jump") != jump
    st.session_state[f"{key}-jump"] = jump
    frame = start if jumped or result.frame is None else int(result.frame)
    return max(0, min(frame, len(order) - 1))


def _lanes(proposal: Proposal, answers: Mapping[str, Answers]) -> list[dict[str, Any]]:
    counted: dict[str, int | None] = {}
    if all(step.key in answers for step in proposal.subtasks) and proposal.subtasks:
        done = np.stack([answers[step.key].done for step in proposal.subtasks], axis=1)
        frames = chain.completions(done)
        counted = {step.key: frame for step, frame in zip(proposal.subtasks, frames, strict=True)}
    return [
        {
            "title": step.title if step is not proposal.goal else f"Goal: {step.title}",
            "values": [None if value != value else round(float(value), 3) for value in answers[step.key].values],
            "faults": {str(frame): fault.message for frame, fault in answers[step.key].faults.items()},
            "completed": counted.get(step.key),
        }
        for step in proposal.steps
        if step.key in answers
    ]
