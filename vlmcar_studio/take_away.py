"""On the page Report: what a person takes away, made on a press of a button and kept until the next one."""

from collections.abc import Callable

import streamlit as st

from vlmcar_core import export, pipeline
from vlmcar_core.errors import VlmcarError
from vlmcar_core.export import Bundle
from vlmcar_core.store import Session
from vlmcar_core.types import Proposal
from vlmcar_studio import widgets


def report_file(session: Session) -> None:
    """The report as one HTML file."""
    st.markdown("**The report as one file.** It needs no network and no server, and decisive episodes can be replayed.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        room = st.number_input(
            "Room for the replay, MiB",
            0.0,
            pipeline.REPLAY_MEBIBYTES_MAX,
            pipeline.REPLAY_MEBIBYTES,
            step=1.0,
            help="Of the episodes' frames. 0 leaves the player out.",
            width=220,
        )
        pressed = st.button("Write the report file", type="primary", icon=":material/description:")
    if pressed:
        with widgets.progress_bar("Writing the report …") as progress:
            _make("report", session, lambda: pipeline.report(session, room, progress).encode())
    data = _made("report", session)
    if data is not None:
        label = f"Download {widgets.plain(session.name)}.html ({len(data) / 2**20:.1f} MiB)"
        st.download_button(label, data, f"{session.name}.html", "text/html", **DOWNLOAD)


def bundle(session: Session, proposal: Proposal) -> None:
    """The newest proposal as a bundle that runs without the studio."""
    st.markdown("**The reward as a bundle.** Wrappers, a card, a manifest, and tests of the decisive recorded frames.")
    st.caption(export.WARNING)
    if session.verification(proposal.number or 0) is None:
        st.info("A bundle proves what was verified, and this proposal is not verified yet.")
        widgets.next_page("verify", "Verify it")
        return
    if st.button("Make the bundle", icon=":material/package_2:"):
        with widgets.progress_bar("Making the bundle …") as progress:
            _make("bundle", session, lambda: _zipped(pipeline.export(session, proposal.number, progress=progress)))
    data = _made("bundle", session)
    if data is not None:
        name = f"{session.name}-reward.zip"
        label = f"Download {widgets.plain(name)} ({len(data) / 2**20:.1f} MiB)"
        st.download_button(label, data, name, "application/zip", **DOWNLOAD)
        st.caption(f"Verification: {widgets.plain(pipeline.judged(session, proposal.number))}.")


DOWNLOAD = {"icon": ":material/download:", "on_click": "ignore"}


def _zipped(made: Bundle) -> bytes:
    for note in made.notes:
        st.caption(widgets.plain(note))
    return export.zipped(made)


def _make(kind: str, session: Session, make: Callable[[], bytes]) -> None:
    """Keep what is made, or say why it cannot be."""
    st.session_state.pop(kind, None)
    try:
        st.session_state[kind] = (session.name, make())
    except VlmcarError as error:
        widgets.failed(error)


def _made(kind: str, session: Session) -> bytes | None:
    """What was made of this session, if anything was."""
    name, data = st.session_state.get(kind, ("", b""))
    return data if name == session.name else None
