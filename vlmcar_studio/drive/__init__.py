"""The page Drive's component: a picture that takes keys and clicks, and a socket behind it (`vlmcar_studio.driving`).

Its code is a few small files, sent with the page as one. Which key does what is kept by the browser, for each family of
environments.
"""

from pathlib import Path
from typing import Any

import streamlit as st

from vlmcar_core.store import Session

FOLDER = Path(__file__).parent
SCRIPTS = ("link.js", "keys.js", "panel.js", "drafts.js", "pad.js", "drive.js")
"""In this order they are one module: each uses those before it."""


def _part(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


@st.cache_resource
def _component() -> Any:
    script = "\n".join(_part(name) for name in SCRIPTS)
    return st.components.v2.component("vlmcar_drive", html=_part("drive.html"), css=_part("drive.css"), js=script)


def drive(session: Session, driver: str) -> None:
    """Show the environment of a session, to be driven; the page runs again whenever something was kept.

    Args:
        session: whose environment it is, and where episodes and frames are kept.
        driver: the person's name, which is kept with them.
    """
    data = {"session": session.name, "family": session.task.family, "driver": driver}
    _component()(key=f"drive-{session.name}", data=data, default={"kept": 0}, on_kept_change=lambda: None)
