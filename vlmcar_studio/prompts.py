"""The wording of the questions: shown, and changed for one session."""

import streamlit as st

from vlmcar_core import authoring, history, prompts
from vlmcar_core.errors import BadInput
from vlmcar_core.store import Session
from vlmcar_studio import widgets


def edit(session: Session) -> None:
    """Choose a prompt, read it, word it differently in this session, compare, go back."""
    own, shipped = session.own_prompts(), prompts.shipped()
    names = list(prompts.ABOUT)
    st.caption(
        f"Version {prompts.VERSION} of the shipped prompts. A conversation keeps the wording that it used. "
        "`$name` stands for what is filled in."
    )
    name = st.selectbox(
        "Prompt",
        names,
        format_func=lambda name: f"{prompts.ABOUT[name]}{' (own wording)' if name in own else ''}",
        key="prompt-name",
    )
    now = own.get(name, shipped[name])
    version = st.session_state.get(f"prompt-version-{name}", 0)
    text = st.text_area("Wording", now, height=320, key=f"prompt-{session.name}-{name}-{version}")
    fields = ", ".join(f"`${field}`" for field in sorted(prompts.FIELDS.get(name, ()))) or "nothing"
    st.caption(f"Filled in here: {fields}.")
    with st.container(horizontal=True):
        if st.button("Save for this session", icon=":material/save:", disabled=text == now):
            try:
                authoring.set_prompt(session, name, text)
            except BadInput as error:
                widgets.failed(error, "Your text is kept in the field.")
            else:
                st.toast("This session now asks in your words.", icon=":material/check:")
                st.rerun()
        if name in own and st.button("Back to the shipped wording", icon=":material/undo:"):
            authoring.set_prompt(session, name, None)
            st.session_state[f"prompt-version-{name}"] = version + 1
            st.rerun()
    changed = history.text_diff(shipped[name], text, "shipped", "yours")
    if changed:
        st.code(widgets.verbatim(changed), language="diff", wrap_lines=True)
