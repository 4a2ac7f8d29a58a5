"""From the two frames to a goal, sub-tasks and a checker for each."""

import streamlit as st

from vlmcar_core import pipeline, plugins
from vlmcar_core.types import BUILT_IN, Proposal
from vlmcar_studio import current, widgets

TITLES = {"builtin": BUILT_IN}


def show(proposal: Proposal) -> None:
    st.subheader(f"Proposal {proposal.number}")
    reason = f" · {widgets.plain(proposal.reason)}" if proposal.reason else ""
    st.caption(f"by {widgets.plain(proposal.author)} · {proposal.created}{reason}")
    st.markdown(f"**Goal.** {widgets.plain(proposal.goal.title)}")
    for doubt in proposal.doubts:
        st.warning(f"Doubt: {widgets.plain(doubt)}", icon=":material/help:")
    for number, step in enumerate(proposal.subtasks, 1):
        with st.expander(f"{number}. {widgets.plain(step.title)}", icon=":material/help:" if step.doubt else None):
            if step.doubt:
                st.warning(f"Doubt: {widgets.plain(step.doubt)}", icon=":material/help:")
            st.code(step.checker.source, language="python")
    with st.expander("How the goal is checked"):
        st.code(proposal.goal.checker.source, language="python")


session = current.session()
st.title("Propose")
left, right = st.columns(2)
with left:
    widgets.show_frame(session.initial, "Initial frame", 300)
with right:
    widgets.show_frame(session.goal, "Goal frame", 300)
if session.goal is None:
    st.info("There is no goal frame yet. Record an expert, or choose a goal frame on the task page.")
    widgets.next_page("record", "Record an expert")
    widgets.next_page("task", "Choose a goal frame")
    st.stop()
job = pipeline.current_job(session, "propose")
busy = job is not None and job.running
proposer = st.selectbox("Proposer", plugins.names("proposers"), format_func=lambda name: TITLES.get(name, name))
if proposer == "builtin":
    st.caption("Compares the pixels of the two frames. It uses no model, no key and no network.")
if st.button("Propose", type="primary", icon=":material/lightbulb:", disabled=busy):
    pipeline.launch(session, "propose", ["--proposer", proposer])
    st.rerun()
widgets.watch_job(session, "propose")
listing = session.proposals()
widgets.problems(listing.problems)
if not listing.items:
    st.info("Nothing is proposed yet.")
    st.stop()
show(listing.items[-1])
widgets.next_page("review", "Next: review and edit")
widgets.next_page("verify", "Or straight on: verify")
