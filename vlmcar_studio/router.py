"""Every page runs through here: the session picker, the page, and one boundary for what goes wrong."""

from pathlib import Path

import streamlit as st

from vlmcar_core.errors import VlmcarError
from vlmcar_studio import current, faults, widgets

ROOT = Path(__file__).parent.parent
ICON = Path(__file__).with_name("icon.svg")

PAGES = (
    ("home", "Sessions", ":material/home:"),
    ("task", "1 Task", ":material/flag:"),
    ("record", "2 Record", ":material/videocam:"),
    ("drive", "2a Drive", ":material/sports_esports:"),
    ("propose", "3 Propose", ":material/lightbulb:"),
    ("candidates", "3b Candidates", ":material/leaderboard:"),
    ("review", "4 Review", ":material/edit_note:"),
    ("verify", "5 Verify", ":material/fact_check:"),
    ("examine", "5a Examine", ":material/biotech:"),
    ("repair", "5b Repair", ":material/build:"),
    ("train", "6 Train", ":material/model_training:"),
    ("study", "6a Farmed rewards", ":material/agriculture:"),
    ("sweep", "6b Sweep", ":material/grid_on:"),
    ("report", "7 Report", ":material/summarize:"),
    ("queue", "Queue", ":material/list:"),
    ("models", "Models", ":material/tune:"),
    ("compare", "Compare models", ":material/compare_arrows:"),
)


STYLE = """<style>
[data-testid^="stBaseButton-primary"]:not(:disabled) { color: light-dark(#ffffff, #0b141d); }
</style>"""
"""Streamlit writes white on the primary colour, whichever it is: on the dark theme's that is read at 2.3 to 1 only."""


def main() -> None:
    st.set_page_config(page_title="VLM-CaR Studio", page_icon=str(ICON), layout="wide")
    st.html(STYLE)
    pages = [
        st.Page(ROOT / "pages" / f"{name}.py", title=title, icon=icon, url_path=name, default=name == "home")
        for name, title, icon in PAGES
    ]
    page = st.navigation(pages, expanded=True)
    try:
        current.picker()
        page.run()
    except VlmcarError as error:
        widgets.failed(error)
    except Exception as error:  # noqa: BLE001 (the outermost boundary)
        faults.show(error)


main()
