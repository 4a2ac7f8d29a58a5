"""The code editor: streamlit-ace behind one function, with what is wrong in the gutter."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit_ace import st_ace

from vlmcar_core.types import Diagnostic
from vlmcar_studio import widgets

FONT_SIZE = 15
"""At 14, its default, underscores cannot be seen on Linux."""


KEYS = Path(__file__).with_name("editor.js")
HINT = "<p>Tab indents; <kbd>Esc</kbd>, then <kbd>Tab</kbd>, leaves the editor.</p>"
HINT_STYLE = (
    "p { margin: 0; font-family: var(--st-font); font-size: 0.8rem; color: var(--st-text-color); opacity: 0.8; }"
)


@st.cache_resource
def _keys() -> Any:
    script = KEYS.read_text(encoding="utf-8")
    return st.components.v2.component("vlmcar_editor_keys", html=HINT, css=HINT_STYLE, js=script)


def edit(
    source: str, key: str, diagnostics: Sequence[Diagnostic], height: int = 460, label: str = "Source of the checker"
) -> str:
    """Show source to be edited; returns it as it is now.

    Args:
        key: another key gives another editor; the text of an editor that is shown is not replaced by `source`.
    """
    dark = st.context.theme.type == "dark"
    changed = st_ace(
        value=source,
        language="python",
        theme="tomorrow_night" if dark else "chrome",
        font_size=FONT_SIZE,
        tab_size=4,
        height=height,
        wrap=False,
        auto_update=True,
        annotations=[annotation(found) for found in diagnostics],
        key=key,
    )
    _keys()(key=f"{key}-keys", data={"label": label})
    return source if changed is None else str(changed)


def annotation(found: Diagnostic) -> dict[str, object]:
    hint = f" ({found.hint})" if found.hint else ""
    text = f"{found.message}{hint} [{found.rule}]"
    return {"row": found.line - 1, "column": found.column, "type": found.severity, "text": text}


def problems(diagnostics: Sequence[Diagnostic]) -> None:
    """The same findings as a list, for those who do not see the gutter."""
    for found in diagnostics:
        hint = f" — {found.hint}" if found.hint else ""
        sign = ":material/error:" if found.severity == "error" else ":material/warning:"
        text = widgets.plain(f"{found.message}{hint} [{found.rule}]")
        st.caption(f"{sign} line {found.line}, column {found.column + 1}: {text}")
