"""A run made from another: its settings, some of them changed."""

from typing import Any

import streamlit as st

from vlmcar_core import continuing, payments, runs
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.runs import Run
from vlmcar_core.store import Session
from vlmcar_core.trainers import _defaults
from vlmcar_studio import places, widgets

ASKED = "clone"
"""In the session state: the number of the run whose form is open."""


def form(session: Session, run: Run) -> None:
    """The settings of a run, to be changed and started as a run of their own."""
    with st.container(border=True):
        st.markdown(f"**Clone run {run.number}**: change what is to be different.")
        changes = {**_own(session, run), **_settings(run)}
        there = runs.checkpoint(run.folder)
        go_on = there is not None and st.toggle(
            f"Go on from its checkpoint after {there[1]:,} steps", key=f"go-on-{run.number}"
        )
        with st.container(horizontal=True):
            start = st.button("Start the clone", type="primary", icon=":material/play_arrow:")
            leave = st.button("Leave it", icon=":material/close:")
        if start:
            try:
                continuing.clone(session, run.number, changes, go_on, *places.chosen())
            except (BadInput, DamagedFile) as error:
                widgets.failed(error)
                return
        if start or leave:
            del st.session_state[ASKED]
            st.rerun()


def _own(session: Session, run: Run) -> dict[str, Any]:
    """Fields of the config that are to differ."""
    config, key = run.config, f"clone-{run.number}"
    left, middle, right = st.columns(3)
    asked: dict[str, Any] = {
        "steps": int(left.number_input("Steps", 1, runs.STEPS_MAX, config.steps, step=10_000, key=f"{key}-steps")),
        "seed": int(middle.number_input("Seed", 0, 2**31 - 1, config.seed, key=f"{key}-seed")),
        "evaluations": int(right.number_input("Evaluations", 1, 1000, config.evaluations, key=f"{key}-evaluations")),
    }
    if config.reward == "dense":
        ways = list(payments.WAYS)
        numbers = [proposal.number for proposal in session.proposals().items]
        asked["pay"] = left.selectbox("How completions are paid", ways, ways.index(config.pay), key=f"{key}-pay")
        asked["scale"] = float(
            middle.number_input(
                "Paid in all", 0.01, runs.SCALE_MAX, float(config.scale), format="%g", key=f"{key}-scale"
            )
        )
        if config.proposal in numbers:
            place = numbers.index(config.proposal)
            asked["proposal"] = right.selectbox("Proposal", numbers, place, key=f"{key}-proposal")
    return {name: value for name, value in asked.items() if value != getattr(config, name)}


def _settings(run: Run) -> dict[str, Any]:
    """Settings of the trainer that are to differ."""
    defaults = _defaults.DEFAULTS.get(run.config.trainer, {})
    now = {**defaults, **{name: run.config.settings[name] for name in defaults if name in run.config.settings}}
    changed = {}
    with st.expander("Settings of the trainer"):
        columns = st.columns(3)
        for place, (name, value) in enumerate(now.items()):
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                continue
            kind: dict[str, Any] = {"format": "%g"} if isinstance(defaults[name], float) else {"step": 1}
            shown = float(value) if isinstance(defaults[name], float) else value
            chosen = columns[place % 3].number_input(name, value=shown, key=f"clone-{run.number}-{name}", **kind)
            if chosen != value:
                changed[name] = chosen
    return changed
