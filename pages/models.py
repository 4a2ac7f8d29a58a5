"""Which model is asked, on which server, with which key; whether it sees; what it costs."""

import dataclasses
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from vlmcar_core import pipeline, prices, servers
from vlmcar_core.errors import BadInput, DamagedFile, VlmError
from vlmcar_core.servers import PRESETS, Server
from vlmcar_studio import asking, widgets

LISTED, TESTED, WISHED = "listed-models", "tested-models", "tests-wished-for"
ROOT = pipeline.default_root()


def keep(changed: Server) -> None:
    """Keep settings on disk, without any key, and draw the page anew."""
    servers.save(ROOT, changed)
    st.rerun()


def where(server: Server) -> None:
    left, right = st.columns(2)
    names = list(PRESETS)
    preset = left.selectbox(
        "Kind of server", names, names.index(server.preset), format_func=lambda name: PRESETS[name].title
    )
    if preset != server.preset:
        keep(servers.with_preset(server, preset))
    url = right.text_input("Address", server.base_url, key=f"url-{server.base_url}", max_chars=300)
    st.caption(widgets.plain(PRESETS[server.preset].about))
    if url.strip() != server.base_url:
        try:
            changed = dataclasses.replace(server, base_url=url.strip(), preset=servers.preset_of(url.strip()))
        except BadInput as error:
            widgets.failed(error)
            return
        keep(changed)
    if url.startswith("http://") and not servers.is_local(url):
        st.warning("This address is not encrypted and not on this machine: key and frames can be read on their way.")


def secret(server: Server) -> None:
    found = asking.key(server)
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    typed = left.text_input(
        "Key, for this browser session only",
        type="password",
        key=f"key-{server.base_url}",
        placeholder="typed keys are kept in memory, never on disk",
        autocomplete="off",
    )
    if typed != asking.typed_key(server.base_url) and typed:
        st.session_state.setdefault(asking.TYPED, {})[server.base_url] = typed
        st.rerun()
    if asking.typed_key(server.base_url) and right.button("Forget it", icon=":material/key_off:"):
        del st.session_state[asking.TYPED][server.base_url]
        del st.session_state[f"key-{server.base_url}"]
        st.rerun()
    if found:
        st.caption(f"Used: the key from: {found.origin}.")
    else:
        variable = PRESETS[server.preset].variable
        also = f", as `{variable}`" if variable else ""
        st.caption(
            f"No key. A server on this machine mostly wants none. It may be set as `{servers.KEY_VARIABLE}`{also}, or "
            "kept in the system's keyring: `vlmcar key set`."
        )


def model(server: Server) -> None:
    listed: dict[str, list[str]] = st.session_state.setdefault(LISTED, {})
    names = listed.get(server.base_url, [])
    options = names if server.model in names or not server.model else [server.model, *names]
    left, middle, right = st.columns([3, 1, 1], vertical_alignment="bottom")
    chosen = left.selectbox(
        "Model",
        options,
        index=options.index(server.model) if server.model else None,
        accept_new_options=True,
        placeholder="choose of the server's list, or enter a name",
        key=f"model-{server.base_url}-{len(names)}-{server.model}",
    )
    if chosen and str(chosen).strip() != server.model:
        keep(dataclasses.replace(server, model=str(chosen).strip()))
    if middle.button("Load the list", icon=":material/list:", width="stretch"):
        from vlmcar_core.vlms import openai

        try:
            with st.spinner("Asking the server for its models …"):
                listed[server.base_url] = openai.models(server, asking.key(server))
        except (VlmError, BadInput) as error:
            widgets.failed(error)
            return
        if not listed[server.base_url]:
            st.info("The server lists no models; enter one by its name.")
            return
        st.rerun()
    # What is wished for stays wished for until it is done: a run that another one cuts short loses its button's press.
    wished: set[Server] = st.session_state.setdefault(WISHED, set())
    right.button(
        "Test connection",
        icon=":material/visibility:",
        width="stretch",
        disabled=not server.model,
        on_click=wished.add,
        args=(server,),
    )
    tested: dict[Server, tuple[bool, str]] = st.session_state.setdefault(TESTED, {})
    if server in wished:
        with st.spinner("Sending a tiny picture of four colours …"):
            tested[server] = test(server)
            wished.discard(server)
    if server in tested:
        sees, words = tested[server]
        (st.success if sees else st.error)(widgets.plain(words))


def test(server: Server) -> tuple[bool, str]:
    """Does it answer, and does it see? And in words."""
    from vlmcar_core import eyes
    from vlmcar_core.vlms import openai

    patient = dataclasses.replace(server, silence_seconds=min(server.silence_seconds, 60.0))
    try:
        found = eyes.eye_test(openai.OpenAiVlm(patient, asking.key(server), prices.load(ROOT)))
    except (VlmError, BadInput) as error:
        return False, str(error)
    return found.sees, eyes.verdict(found, server)


def _pictures(server: Server, column: DeltaGenerator) -> dict[str, Any]:
    details = ("auto", "low", "high")
    return {
        "side": column.number_input("Longer side of the pictures, pixels", 64, 4096, server.side, 64),
        "detail": column.selectbox("Image detail", details, details.index(server.detail)),
        "side_by_side": column.checkbox(
            "Both frames in one picture", server.side_by_side, help="For models that take one picture only."
        ),
    }


def _answers(server: Server, column: DeltaGenerator) -> dict[str, Any]:
    forms = {"auto": "JSON, where the server can", "off": "text with blocks of code"}
    return {
        "structured": column.selectbox(
            "Form of answers", list(forms), list(forms).index(server.structured), format_func=lambda form: forms[form]
        ),
        "max_tokens": column.number_input("Longest answer, tokens", 16, 1_000_000, server.max_tokens, 500),
        "temperature": column.number_input(
            "Temperature", 0.0, 2.0, server.temperature, 0.1, placeholder="the server's own"
        ),
        "tries": column.number_input(
            "Tries to get a readable answer", 1, 20, server.tries, help="It is told why the last one could not be read."
        ),
        "short": column.checkbox(
            "Leave earlier checkers out", server.short, help="For models that cannot read much; done by itself, too."
        ),
    }


def _patience(server: Server, column: DeltaGenerator) -> dict[str, Any]:
    return {
        "silence_seconds": column.number_input("Longest silence, seconds", 1.0, 3600.0, server.silence_seconds, 10.0),
        "answer_seconds": column.number_input(
            "Longest time for one answer, seconds", 1.0, 36_000.0, server.answer_seconds, 60.0
        ),
        "retries": column.number_input(
            "Tries after a fault that may pass", 0, 50, server.retries, help="Overload, lost connections and the like."
        ),
        "stream": column.checkbox("Answers arrive word by word", server.stream),
    }


def settings(server: Server) -> None:
    with st.form("settings", border=False):
        pictures, answers, patience = st.columns(3)
        changed = {**_pictures(server, pictures), **_answers(server, answers), **_patience(server, patience)}
        if st.form_submit_button("Save the settings", icon=":material/save:"):
            try:
                servers.save(ROOT, dataclasses.replace(server, **changed))
            except BadInput as error:
                widgets.failed(error)
            else:
                st.toast("The settings are saved.", icon=":material/check:")


def table() -> None:
    st.caption(
        "US dollars per million tokens. Prices change: correct them, and their day. What an answer cost is kept with "
        "the answer, by the table of its day. A model without a price counts as unknown, not as free."
    )
    rows = [dataclasses.asdict(row) for row in prices.load(ROOT)]
    edited = st.data_editor(
        rows or [{"model": "", "prompt": None, "answer": None, "known": ""}],
        num_rows="dynamic",
        key="prices",
        column_config={
            "model": st.column_config.TextColumn("Model, or a pattern with *", required=True),
            "prompt": st.column_config.NumberColumn("Prompt", min_value=0.0, format="%.3f"),
            "answer": st.column_config.NumberColumn("Answer", min_value=0.0, format="%.3f"),
            "known": st.column_config.TextColumn("True on (YYYY-MM-DD)"),
        },
    )
    if st.button("Save the prices", icon=":material/save:"):
        try:
            prices.save(ROOT, prices.from_rows(edited))
        except BadInput as error:
            widgets.failed(error)
        else:
            st.toast("The prices are saved.", icon=":material/check:")


st.title("Models")
st.caption(
    "Which vision-language model is asked, for all sessions on this machine. Without one, the built-in proposer, a "
    "chat page through the clipboard, and recorded answers are still there."
)
try:
    server = asking.server()
except DamagedFile as error:
    widgets.failed(error)
    if st.button("Begin with new settings"):
        keep(Server())
    st.stop()
where(server)
secret(server)
model(server)
with st.expander("How it is asked"):
    settings(server)
with st.expander("Prices"):
    table()
if st.query_params.get("session"):
    widgets.next_page("propose", "Next: propose")
