"""Words of a stranger (a checker, a model, somebody else's session), made harmless for the place where they are shown.

What a terminal gets is `harmless`; a Plotly figure, `for_plotly`; a report file, `for_html`; what Streamlit draws as
Markdown, `vlmcar_studio.widgets.plain`. Nothing is hidden by it: what cannot be shown is shown as a sign.
"""

import os
import unicodedata
from html import escape

LINE_CHARS = 2000
TEXT_CHARS = 200_000
KEY_CHARS_MIN = 6
"""What is shorter is no key; taking it out would garble words."""


def harmless(text: str) -> str:
    """Text that steers no terminal and reads in no other order than it is written; with its line ends and tabs."""
    return "".join(map(_shown, text))


def _shown(letter: str) -> str:
    if letter.isprintable() or letter in "\n\t":
        return letter
    return " " if unicodedata.category(letter) == "Zs" else "\N{REPLACEMENT CHARACTER}"


def bounded(text: str, chars: int = TEXT_CHARS) -> str:
    """The same, or its beginning with a word on how much is left out."""
    return text if len(text) <= chars else f"{text[:chars]}\n… and {len(text) - chars:,} more characters"


def one_line(text: str, chars: int = LINE_CHARS) -> str:
    """Harmless, bounded, and on one line."""
    line = harmless(" ".join(text[: 2 * chars].split()))
    return line if len(line) <= chars else f"{line[: chars - 1]}…"


def without_keys(text: str, *keys: str) -> str:
    """A text without these keys, and without those of the environment (`VLMCAR_API_KEY`, `OPENAI_API_KEY`, …)."""
    named = (value for name, value in os.environ.items() if name.endswith("_API_KEY"))
    for key in {*keys, *named}:
        text = text.replace(key.strip(), "[key]") if len(key.strip()) >= KEY_CHARS_MIN else text
    return text


def for_html(value: object) -> str:
    """For an HTML page, between tags or in an attribute in quotation marks."""
    return escape(harmless(bounded(str(value))))


def for_plotly(text: str) -> str:
    """For names and labels of a figure: Plotly reads tags and links in them, and no entity but the named ones."""
    return escape(one_line(text), quote=False)
