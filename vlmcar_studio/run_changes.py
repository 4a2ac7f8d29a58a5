"""Runs that go on, and runs beside each other."""

from collections.abc import Sequence

import streamlit as st

from vlmcar_core import continuing
from vlmcar_core.contrast import contrast
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.escaping import one_line
from vlmcar_core.runs import Run
from vlmcar_core.store import Session
from vlmcar_studio import places, widgets
from vlmcar_studio.charts import charts
from vlmcar_studio.monitor import overview_charts

COMPARED_MAX = 12


def resume_asked(session: Session) -> None:
    """Go on with the run whose button was pressed."""
    number = st.session_state.pop("resume", None)
    if number is None:
        return
    try:
        continuing.resume(session, number, *places.chosen())
    except (BadInput, DamagedFile) as error:
        widgets.failed(error)
    else:
        st.toast(f"Run {number} goes on from its checkpoint.", icon=":material/resume:")


def compare(found: Sequence[Run]) -> None:
    """Some runs beside each other, against a baseline that stays chosen."""
    names = {run.number: f"run {run.number}" for run in found}
    numbers = st.multiselect(
        "Runs", list(names), format_func=lambda number: names[number], key="compared", max_selections=COMPARED_MAX
    )
    if len(numbers) < 2:
        st.caption("Choose two or more runs; the first is the baseline, until you pin another.")
        return
    pinned = st.selectbox("Baseline", numbers, format_func=lambda number: names[number], key="baseline")
    chosen = [run for number in numbers for run in found if run.number == number]
    charts("compared-charts", overview_charts(chosen, raw=True))
    against = contrast(chosen, numbers.index(pinned))
    titles = [f"Run {run.number}" + (" (baseline)" if run.number == pinned else "") for run in chosen]
    asked = [
        {"": one_line(name), **{title: one_line(value) for title, value in zip(titles, values, strict=True)}}
        for name, values in against.settings.items()
    ]
    came = [
        {"": outcome.name, **{title: outcome.words(place) for place, title in enumerate(titles)}}
        for outcome in against.outcomes
    ]
    st.dataframe([*came, *asked], hide_index=True, alt="What the runs came to, and what they were asked differently")
    st.caption("In brackets: against the baseline. Below the outcomes: only settings that differ.")
