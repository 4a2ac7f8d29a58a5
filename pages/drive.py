"""Acting in the environment oneself: demonstrations and near misses by keyboard, and frames to propose from."""

import streamlit as st

from vlmcar_core import drafts
from vlmcar_core.recordings import DRIVER
from vlmcar_core.store import Session
from vlmcar_studio import current, trajectories, widgets
from vlmcar_studio.drive import drive


def table(session: Session) -> None:
    """What people have driven so far."""
    listing = trajectories.infos(session)
    rows = [
        {
            "Trajectory": info.id,
            "By": widgets.plain(info.versions[DRIVER]),
            "Seed": info.seed,
            "Steps": info.steps,
            "Return": round(info.ret, 3),
            "Solved": {True: "yes", False: "no", None: "not known"}[info.success],
        }
        for info in listing.items
        if DRIVER in info.versions
    ]
    st.header("Driven so far")
    if rows:
        st.dataframe(rows, hide_index=True, alt="The trajectories that people have driven")
    else:
        st.caption("Nothing yet. What is saved stands here, among the recorded episodes, and counts in verification.")


session = current.session()
st.title("Drive")
if session.task.env_id is None:
    st.info("This session has two frames and no environment, so there is nothing to drive.")
    widgets.next_page("propose", "Next: propose sub-tasks and checkers")
    st.stop()
st.write(
    f"Act in **{widgets.plain(session.task.env_id)}** yourself. All since an episode began is recorded: solved, "
    "it is evidence like any expert's; what only looks like it is a near miss."
)
if left := len(drafts.left_behind(session)):
    what = "An episode that was driven here was" if left == 1 else f"{left} episodes that were driven here were"
    st.caption(f"{what} not saved. *Start driving* offers to go on from there, to save, or to discard.")
drive(session, widgets.author())
left, right = st.columns(2)
with left:
    widgets.show_session_frame(session, "initial", 200)
with right:
    widgets.show_session_frame(session, "goal", 200)
table(session)
widgets.next_page("propose", "Next: propose sub-tasks and checkers")
