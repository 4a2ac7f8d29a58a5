"""Where runs go: this machine, or a cluster by its address. Asked on each page that starts runs, and kept for the
browser session alone: no session's folder says it, so opening a stranger's cannot."""

import streamlit as st

from vlmcar_core import plugins
from vlmcar_studio import widgets

LAUNCHER, ADDRESS = "launcher", "address"


def choose() -> tuple[str, str]:
    """The launcher, and the cluster's address where it wants one; with what it needs, and what of that is missing."""
    names = plugins.names("launchers")
    launchers = {name: plugins.load("launchers", name) for name in names}
    left, right = st.columns(2)
    launcher = left.selectbox(
        "Where it runs",
        names,
        format_func=lambda name: launchers[name].TITLE,
        key=LAUNCHER,
        persist_state="session",
    )
    place = launchers[launcher]
    if not place.HERE:
        right.text_input(
            "Address of the cluster",
            placeholder="http://head:8265",
            key=ADDRESS,
            persist_state="session",
            max_chars=300,
            help="Of its dashboard, ray://HEAD:10001, or auto. It is kept in no session.",
        )
    st.caption(place.ABOUT)
    if lacking := place.lacking():
        st.warning(widgets.plain(lacking), icon=":material/extension_off:")
    return chosen()


def chosen() -> tuple[str, str]:
    """What was chosen last in this browser session."""
    launcher = str(st.session_state.get(LAUNCHER, "local"))
    if plugins.load("launchers", launcher).HERE:
        return launcher, ""
    return launcher, str(st.session_state.get(ADDRESS, "")).strip()
