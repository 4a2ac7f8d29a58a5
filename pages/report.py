"""One page per session: the frames, the sub-tasks, the code, the verdicts, the learning curves."""

import streamlit as st

from vlmcar_core import report, runs, seeds, verdicts
from vlmcar_core.escaping import one_line
from vlmcar_studio import current, take_away, widgets

session = current.session()
st.title(f"Report: {widgets.plain(session.name)}")
left, middle = st.columns(2)
with left:
    widgets.show_session_frame(session, "initial")
with middle:
    widgets.show_session_frame(session, "goal")
proposals = session.proposals()
listing = runs.runs(session)
widgets.problems([*proposals.problems, *session.trajectories().problems, *listing.problems])
with st.container(border=True):
    take_away.report_file(session)
if proposals.items:
    with st.container(border=True):
        take_away.bundle(session, proposals.items[-1])
st.header("Sub-tasks")
if not proposals.items:
    st.info("Nothing is proposed yet.")
    widgets.next_page("propose", "Propose sub-tasks and checkers")
else:
    proposal = proposals.items[-1]
    assert proposal.number is not None
    verification = session.verification(proposal.number)
    st.markdown(f"**Goal.** {widgets.plain(proposal.goal.title)}")
    st.caption(f"Proposal {proposal.number} by {widgets.plain(proposal.author)}")
    for number, step in enumerate(proposal.steps, 1):
        name = f"Goal: {step.title}" if step is proposal.goal else f"{number}. {step.title}"
        with st.expander(widgets.plain(name)):
            if verification is not None:
                judged = verdicts.judge_checker(verification.verdict(step.key), verification)
                widgets.badge(judged.judgement)
                st.write(f"{widgets.plain(judged.reason)}.")
            st.code(widgets.verbatim(step.checker.source), language="python")
    if verification is None:
        st.info("Not verified yet.")
        widgets.next_page("verify", "Verify")
    else:
        whole = verdicts.judge_whole(verification)
        widgets.badge(whole.judgement)
        st.markdown(f"**The whole proposal:** {widgets.plain(whole.reason)}.")
st.header("Training")
curves = [(run, runs.read_progress(run.folder)) for run in listing.items]
if not curves:
    st.info("Not trained yet.")
    widgets.next_page("train", "Train")
else:
    kind = st.segmented_control("The camera on a figure saves", ["svg", "png"], default="svg", required=True)
    left, right = st.columns(2)
    left.plotly_chart(
        report.success_figure(curves),
        key="success",
        alt="Success rate by environment steps",
        config=widgets.saving(f"{session.name}-success", kind),
    )
    right.plotly_chart(
        report.return_figure(curves),
        key="return",
        alt="Learned return by environment steps",
        config=widgets.saving(f"{session.name}-return", kind),
    )
    st.caption(f"All figures at once: `vlmcar figures {session.name} --to DIR`.")
    rows = seeds.table(seeds.groups(listing.items))
    if rows:
        st.dataframe([{name: one_line(text) for name, text in row.items()} for row in rows], hide_index=True)
        st.caption(seeds.TABLE_NOTE)
