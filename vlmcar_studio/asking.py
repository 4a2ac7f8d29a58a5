"""Who is asked, and starting to ask: the parts that the Propose, Review and Repair pages share."""

from collections.abc import Mapping, Sequence

import streamlit as st

from vlmcar_core import authoring, dialogues, escaping, pipeline, servers
from vlmcar_core.dialogue import Budget
from vlmcar_core.dialogues import Dialogue
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.servers import Key, Server
from vlmcar_core.store import Session
from vlmcar_core.vlms import clipboard
from vlmcar_studio import widgets

TYPED = "typed-keys"
"""In Streamlit's session state: address to the key that was typed for it. It is nowhere else."""


def server() -> Server:
    """How models are asked, as it was last set."""
    return servers.load(pipeline.default_root())


def typed_key(address: str) -> str:
    return str(st.session_state.get(TYPED, {}).get(address, ""))


def key(chosen: Server) -> Key:
    return authoring.key_for(chosen, typed_key(chosen.base_url))


def known_keys() -> list[str]:
    """Every key that was typed in this browser session, and the one that the chosen server would get."""
    found = [str(typed) for typed in st.session_state.get(TYPED, {}).values()]
    try:
        return [*found, key(server()).value]
    except (BadInput, DamagedFile):
        return found


def summary(chosen: Server) -> bool:
    """Say which model is asked, with which key; False where none is chosen yet."""
    left, right = st.columns([4, 1], vertical_alignment="center")
    with right:
        widgets.next_page("models", "Change", ":material/tune:")
    if not chosen.model:
        left.info("No model is chosen yet. Choose a server and a model, and test whether it sees.")
        return False
    origin = key(chosen).origin
    local = servers.is_local(chosen.base_url)
    key_words = "no key" if origin == "none" else f"key: {origin}"
    left.markdown(f"**{widgets.plain(chosen.model)}** at {widgets.plain(chosen.base_url)} · {key_words}")
    if origin == "none" and not local:
        left.caption(":material/warning: This server is not on this machine, and there is no key for it.")
    return True


def start(session: Session, stage: str, arguments: Sequence[str], chosen: Server) -> None:
    """Begin a job that asks; the key goes to its process alone."""
    argv = [*arguments, "--server", servers.to_json(chosen)]
    needs_key = "replay" not in arguments
    pipeline.launch(session, stage, argv, servers.secrets(chosen, key(chosen)) if needs_key else None)
    st.rerun()


def budget_fields() -> Budget:
    """Two fields; empty is no limit."""
    left, right = st.columns(2)
    money = left.number_input(
        "Budget, US dollars", 0.0, None, None, 0.1, format="%.2f", key="budget-money", placeholder="no limit"
    )
    tokens = right.number_input("Budget, tokens", 0, None, None, 10_000, key="budget-tokens", placeholder="no limit")
    return Budget(float(money) if money else None, int(tokens) if tokens else None)


def budget_arguments(budget: Budget) -> list[str]:
    given: Mapping[str, float | int | None] = {"--budget-money": budget.money, "--budget-tokens": budget.tokens}
    return [part for name, value in given.items() if value is not None for part in (name, str(value))]


def waiting(session: Session, repair: str = "") -> Dialogue | None:
    """The newest conversation that waits for a pasted answer."""
    found = [
        item
        for item in dialogues.dialogues(session).items
        if item.header.vlm == "clipboard" and item.proposal is None and item.header.brief.repair == repair
    ]
    return found[-1] if found else None


def paste(session: Session, dialogue: Dialogue) -> Dialogue | None:
    """The question to copy, its pictures, and a field for the answer; returns the conversation once it is through."""
    question = authoring.due(dialogue)
    last = dialogue.exchanges[-1] if dialogue.exchanges else None
    if last is not None and last.problem:
        st.error(widgets.plain(f"The last answer could not be used: {last.problem}. The question now says so."))
    st.markdown("**1. Copy this into the chat page**")
    st.code(escaping.harmless(clipboard.text(question)), language=None, wrap_lines=True, height=260)
    shown = clipboard.pictures(question)
    if shown:
        st.markdown("**2. Attach these pictures, in this order**")
        columns = st.columns(max(2, len(shown)))
        for column, (name, data) in zip(columns, shown.items(), strict=False):
            column.image(data, caption=widgets.plain(name), width=200, alt=name)
            column.download_button("Download", data, name, "image/png", key=f"download-{dialogue.number}-{name}")
    st.markdown(f"**{3 if shown else 2}. Paste what it answered**")
    place = f"{dialogue.number}-{len(dialogue.exchanges)}"
    text = st.text_area("Pasted answer", key=f"pasted-{place}", height=200, label_visibility="collapsed")
    model = st.text_input(
        "Which model answered (for the history)",
        value=last.reply.model if last is not None else "",
        placeholder=clipboard.SIGNED,
        key=f"pasted-model-{dialogue.number}",
        max_chars=80,
    )
    if st.button("Take this answer", type="primary", icon=":material/content_paste:", key=f"take-{place}"):
        try:
            done = authoring.answer_by_hand(session, dialogue, text, model)
        except BadInput as error:
            widgets.failed(error)
            return None
        if done.proposal is not None:
            return done
        st.rerun()
    return None
