"""A fault of the program itself, as a page shows it: enough to report it, and nothing that should not be passed on."""

import sys
import sysconfig
import traceback
from pathlib import Path

import streamlit as st

from vlmcar_core import escaping, pipeline
from vlmcar_studio import asking, widgets

ROOT = Path(__file__).parent.parent


def show(error: Exception) -> None:
    """Say that it is not the person's fault, and give the details to copy."""
    words = widgets.plain(without_secrets(f"{type(error).__name__}: {error}"))
    st.error(
        f"A fault of the program, not yours: {words}. Nothing that was saved is lost; reload the page to go on.",
        icon=":material/bug_report:",
    )
    with st.expander("Details to report"):
        st.code(widgets.verbatim(details(error)), language=None)


def details(error: Exception) -> str:
    """The traceback: lines of code and where they are, no values, no key, and no folder of this machine."""
    return without_secrets("".join(traceback.format_exception(error)))


def without_secrets(text: str) -> str:
    """A text without the keys that are known here, and with paths from the folders that everybody has."""
    text = escaping.without_keys(text, *asking.known_keys())
    for folder, name in folders():
        text = text.replace(folder, name)
    return text


def folders() -> list[tuple[str, str]]:
    """The folders that a path may begin with, the longest first, and what stands for them."""
    libraries = {sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")}
    known = {
        **dict.fromkeys(libraries, "…"),
        str(ROOT): ".",
        str(pipeline.default_root().resolve()): "sessions",
        sys.prefix: "…",
        sys.base_prefix: "…",
        str(Path.home()): "~",
    }
    return sorted(((path, name) for path, name in known.items() if len(path) > 1), key=lambda item: -len(item[0]))
