"""Which session the pages are about: it stands in the URL, so that a link or a reload leads back to it."""

import streamlit as st

from vlmcar_core import pipeline
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.store import Session, sessions
from vlmcar_studio import widgets

PARAMETER = "session"
NONE = "none open"
"""Has a space, which no session's name can have."""


def picker() -> None:
    """The session picker in the sidebar."""
    listing = sessions(pipeline.default_root())
    names = [NONE, *listing.items]
    chosen = st.query_params.get(PARAMETER) or st.session_state.get("session", NONE)
    if chosen not in names:
        if chosen != NONE and st.query_params.get(PARAMETER):
            st.warning(widgets.plain(f"There is no readable session {chosen!r}; choose another in the sidebar."))
        chosen = NONE
    with st.sidebar:
        picked = st.selectbox("Session", names, index=names.index(chosen), key=f"picker-{len(names)}-{chosen}")
    choose(None if picked == NONE else picked)
    if picked != chosen:
        for name in [name for name in st.query_params if name != PARAMETER]:
            del st.query_params[name]
        st.rerun()


def choose(name: str | None) -> None:
    """Make a session the current one."""
    if name is None:
        st.session_state.pop("session", None)
        st.query_params.pop(PARAMETER, None)
    else:
        st.session_state["session"] = name
        if st.query_params.get(PARAMETER) != name:
            st.query_params[PARAMETER] = name


def session_or_none() -> Session | None:
    name = st.session_state.get("session")
    try:
        return Session.open(pipeline.default_root(), name) if name else None
    except (BadInput, DamagedFile) as error:
        widgets.failed(error)
        return None


def session() -> Session:
    """The current session; without one, the page says how to get one and stops."""
    found = session_or_none()
    if found is None:
        st.title("No session is open")
        st.info(
            "This page is about one session. Open one of those there are, or make one.", icon=":material/folder_open:"
        )
        st.page_link(widgets.PAGES / "home.py", label="All sessions", icon=":material/home:")
        st.page_link(widgets.PAGES / "task.py", label="New session", icon=":material/add:")
        st.stop()
    return found
