"""A session as one file to download, and such a file as a new session."""

from collections.abc import Callable

import streamlit as st

from vlmcar_core import packing, pipeline
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.store import Session
from vlmcar_studio import widgets

UPLOAD_MAX_MIB = 500


def download(session: Session) -> None:
    """In an expander: pack, then download."""
    with st.expander("This session as one file", icon=":material/folder_zip:"):
        st.caption(
            "A zip for another machine. Background jobs and remembered answers are left out; answers are made again. "
            f"A large session: `vlmcar pack {session.name}`."
        )
        if st.button("Pack it", key="pack"):
            try:
                with widgets.progress_bar("Packing …") as progress:
                    st.session_state["packed"] = (session.name, packing.pack(session, progress))
            except (BadInput, DamagedFile) as error:
                widgets.failed(error)
        found = st.session_state.get("packed")
        if found is not None and found[0] == session.name:
            st.download_button(
                f"Download {widgets.plain(session.name)}.zip ({widgets.size(len(found[1]))})",
                found[1],
                f"{session.name}.zip",
                "application/zip",
                icon=":material/download:",
                on_click="ignore",
            )


def upload(opened: Callable[[str], None]) -> None:
    """The form for a new session; `opened` is told its name."""
    st.write("A session that was packed, here or elsewhere. Nothing in it is run or imported when it is unpacked.")
    file = st.file_uploader("A packed session", ["zip"], key="unpack", max_upload_size=UPLOAD_MAX_MIB)
    name = st.text_input("Name", key="unpack-name", max_chars=64, placeholder="as it was called")
    if st.button("Unpack it", type="primary", icon=":material/unarchive:", disabled=file is None, key="unpack-it"):
        assert file is not None
        try:
            with widgets.progress_bar("Unpacking …") as progress:
                session = packing.unpack(pipeline.default_root(), file.getvalue(), name.strip() or None, progress)
        except BadInput as error:
            widgets.failed(error)
        else:
            opened(session.name)
