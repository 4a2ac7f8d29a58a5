"""Expert and random trajectories, recorded in the background."""

import streamlit as st

from vlmcar_core import escaping, pipeline
from vlmcar_core.store import Session
from vlmcar_core.types import EPISODES_MAX, RANDOM_STEPS_MAX, Count, Recording
from vlmcar_studio import current, taking, widgets

ENDS = {(True, False): "ended", (False, True): "time limit", (False, False): "cut"}


def controls(session: Session, busy: bool) -> None:
    had = session.header().recording
    left, middle, right = st.columns(3)
    experts = int(left.number_input("Expert episodes", 0, EPISODES_MAX, had.experts, disabled=busy))
    randoms = int(middle.number_input("Random episodes", 0, EPISODES_MAX, had.randoms, disabled=busy))
    label = "Steps of a random episode at most"
    steps = int(right.number_input(label, 1, RANDOM_STEPS_MAX, had.random_steps, disabled=busy))
    wanted = Recording(experts, randoms, steps)
    recorded = any(info.source == "random" for info in session.trajectories().items)
    replace = False
    if recorded and wanted.random_steps != had.random_steps:
        replace = st.checkbox("Forget the recorded episodes and record all anew at the new length", key="replace")
    if st.button("Record what is missing", type="primary", icon=":material/videocam:", disabled=busy):
        arguments = ["--experts", str(experts), "--random", str(randoms), "--random-steps", str(steps)]
        pipeline.launch(session, "record", [*arguments, *(["--replace"] if replace else [])])
        st.rerun()


def table(session: Session, busy: bool) -> None:
    listing = session.trajectories()
    widgets.problems(listing.problems)
    if not listing.items:
        if not busy:
            st.info(
                "Nothing is recorded yet. Experts show how the task is done; random episodes show what is not enough."
            )
        return
    experts = [info for info in listing.items if info.source == "expert"]
    randoms = [info for info in listing.items if info.source == "random"]
    solved = sum(info.success is True for info in randoms)
    columns = st.columns(3)
    columns[0].metric("Expert episodes", len(experts), border=True)
    columns[1].metric("Random episodes", len(randoms), border=True)
    columns[2].metric("All frames", f"{sum(info.steps + 1 for info in listing.items):,}", border=True)
    if randoms:
        length = session.header().recording.random_steps
        st.caption(
            f"The environment calls {widgets.rate(Count(solved, len(randoms)))} of the random episodes solved, "
            f"which end after at most {widgets.plain(str(length))} steps."
        )
    told = any(info.origin for info in listing.items)
    rows = [
        {
            "Trajectory": info.id,
            "Source": info.source,
            **({"Origin": escaping.one_line(info.origin)} if told else {}),
            "Seed": info.seed,
            "Steps": info.steps,
            "Return": round(info.ret, 3),
            "Solved": {True: "yes", False: "no", None: "not known"}[info.success],
            "Ended by": ENDS[info.terminated, info.truncated],
        }
        for info in listing.items
    ]
    st.dataframe(rows, hide_index=True, height=320, alt="The recorded trajectories")


session = current.session()
st.title("Record")
if session.task.env_id is None:
    st.write("No environment: trajectories come from files, such as a camera's.")
    taking.section(session)
    table(session, busy=False)
    taking.out(session)
    if session.initial is not None and session.goal is not None:
        widgets.next_page("propose", "Next: propose sub-tasks and checkers")
    st.stop()
st.write(f"Episodes of **{widgets.plain(str(session.task.env_id))}**: an expert's, from a planner, and random ones.")
job = pipeline.current_job(session, "record")
controls(session, busy=job is not None and job.running)
job = widgets.watch_job(session, "record")
if job is not None and job.state == "success" and job.result.get("note"):
    st.warning(f"Fewer experts than asked for: {widgets.plain(str(job.result['note']))}")
table(session, busy=job is not None and job.running)
widgets.next_page("drive", "Or drive it yourself", icon=":material/sports_esports:")
taking.section(session)
taking.out(session)
if session.goal is not None:
    widgets.next_page("propose", "Next: propose sub-tasks and checkers")
