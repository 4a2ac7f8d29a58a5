"""The hack alarm of some runs: what was seen, and the next step with the button that takes it."""

from collections.abc import Sequence

import streamlit as st

from vlmcar_core import continuing, pipeline, remedies
from vlmcar_core.alarm import Found
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.remedies import Remedy
from vlmcar_core.runs import Run
from vlmcar_core.store import Session
from vlmcar_studio import places, widgets

EPISODES = "Paid and not solved"
"""What a run's kept episodes of that kind are called on the page Train."""


VERIFYING = "alarm-verifies"
"""In the session state: a verification was under way when this was drawn last."""


def alarms(session: Session, found: Sequence[Run]) -> None:
    """A box for each run that raises the alarm; nothing where none does."""
    raised = remedies.alarmed(found)
    for run, seen in raised:
        with st.container(border=True, key=f"alarm-{run.number}"):
            try:
                _one(session, run, seen)
            except DamagedFile as error:
                widgets.failed(error)
    if raised:
        _watch(session)


def _watch(session: Session) -> None:
    """The verification that was asked for; once it is over, all of the page is drawn anew, not this part alone."""
    busy = _verifying(session)
    if st.session_state.get(VERIFYING) and not busy:
        del st.session_state[VERIFYING]
        st.rerun()
    if busy:
        st.session_state[VERIFYING] = True
    widgets.watch_job(session, "verify")


def _one(session: Session, run: Run, seen: Found) -> None:
    found = remedies.remedy(session, run)
    done = found is not None and found.step == "done"
    words = widgets.plain(f"{seen.words[0].upper()}{seen.words[1:]}.")
    tell = st.info if done else st.error
    tell(f"**Hack alarm, run {run.number}.** {words}", icon=":material/notification_important:")
    if found is None:
        st.caption("It has kept none of these episodes. Watch its policy, and look at what each sub-task was paid.")
        return
    st.markdown(f"{'**Done.**' if done else '**Next:**'} {widgets.plain(found.words)}")
    with st.container(horizontal=True, vertical_alignment="center"):
        _button(session, run, found)
    st.caption(f"From a shell: {widgets.plain(found.command)}")


def _button(session: Session, run: Run, found: Remedy) -> None:
    number, busy = run.number, _verifying(session)
    if found.step == "keep":
        if st.button("Keep as negatives", type="primary", icon=":material/flag:", key=f"keep-{number}"):
            ids = continuing.keep_hacks(session, number)
            st.toast(widgets.plain(f"Kept: {', '.join(ids)}"), icon=":material/check:")
            st.rerun()
        if st.button("Look at them", icon=":material/search:", key=f"look-hacks-{number}"):
            st.session_state["one-run"], st.session_state["train-view"] = number, "One run"
            st.session_state[f"kind-{number}"] = EPISODES
            st.toast("They are shown below the charts, under One run.", icon=":material/arrow_downward:")
            st.switch_page(widgets.PAGES / "train.py", query_params={"session": session.name})
    elif found.step == "verify":
        label = f"Verify proposal {found.proposal}"
        if st.button(label, type="primary", icon=":material/fact_check:", key=f"verify-{number}", disabled=busy):
            pipeline.launch(session, "verify", ["--proposal", str(found.proposal)])
            st.rerun()
    elif found.step == "mend":
        widgets.next_page("review", "Edit it by hand", ":material/edit:")
        widgets.next_page("repair", "Have it mended", ":material/build:", checker=found.checker)
        widgets.next_page("verify", "See where it is wrong", ":material/fact_check:")
    elif found.step == "decide":
        widgets.next_page("record", "Record more episodes", ":material/videocam:")
    elif found.step == "clone":
        _clone(session, run, found)


def _clone(session: Session, run: Run, found: Remedy) -> None:
    label = ", ".join(f"{name} {value}" for name, value in found.changes.items())
    if st.button(f"Train anew: {label}", type="primary", icon=":material/play_arrow:", key=f"anew-{run.number}"):
        try:
            continuing.clone(session, run.number, found.changes, False, *places.chosen())
        except (BadInput, DamagedFile) as error:
            widgets.failed(error)
        else:
            st.rerun()


def _verifying(session: Session) -> bool:
    job = pipeline.current_job(session, "verify")
    return job is not None and job.running
