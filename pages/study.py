"""What happens to a badly assembled reward: the same checkers paid once, at every rising edge, at every frame."""

from collections.abc import Sequence
from datetime import timedelta

import streamlit as st

from vlmcar_core import jobs, pipeline, report, runs, study
from vlmcar_core.errors import BadInput
from vlmcar_core.runs import Run
from vlmcar_core.store import Session
from vlmcar_studio import current, places, remedy, widgets

REFRESH_SECONDS = 2.0
STEPS = 60_000


def start(session: Session) -> None:
    left, right = st.columns(2)
    seeds = left.number_input("Seeds", 1, 20, 1, help="One run of each way per seed.")
    steps = right.number_input("Steps a run", 1_000, runs.STEPS_MAX, STEPS, step=10_000)
    launcher, address = places.choose()
    if st.button("Train once, edge and level", type="primary", icon=":material/play_arrow:"):
        try:
            for pay in study.WAYS:
                where = {"launcher": launcher, "address": address}
                pipeline.start_training(session, ["dense"], range(int(seeds)), steps=int(steps), pay=pay, **where)
        except BadInput as error:
            widgets.failed(error)
        else:
            st.rerun()


def of_the_study(found: Sequence[Run]) -> list[Run]:
    return [run for run in found if run.config.reward == "dense" and run.config.pay in study.WAYS]


@st.fragment(run_every=timedelta(seconds=REFRESH_SECONDS))
def live(session: Session) -> None:
    found = of_the_study(runs.runs(session).items)
    show(session, found)
    if not any(run.job.running for run in found):
        st.rerun()


def show(session: Session, found: Sequence[Run]) -> None:
    running = [run for run in found if run.job.running]
    for run in running:
        text = widgets.plain(f"Run {run.number}, {run.config.pay}: {run.job.message}")
        st.progress(min(1.0, run.job.done / run.job.total) if run.job.total else 0.0, text=text)
    if running and st.button("Stop all", icon=":material/stop:", key="stop-all"):
        for run in running:
            jobs.cancel(run.folder)
    remedy.alarms(session, found)
    curves = [(run, runs.read_progress(run.folder)) for run in found]
    left, right = st.columns(2)
    left.plotly_chart(report.success_figure(curves), key="success", alt="Success rate by environment steps")
    right.plotly_chart(report.return_figure(curves), key="return", alt="Learned return by environment steps")
    rows = [
        {
            "Paid": row.pay,
            "Runs": row.runs,
            "Solved, last evaluations": widgets.rate(row.solved),
            "Learned return an episode": "—" if row.learned_return is None else f"{row.learned_return:.1f}",
            "Hack alarms": f"{row.alarms} of {row.runs} runs",
            "Its most frequent actions": row.habit,
        }
        for row in study.compared(session, found)
    ]
    st.dataframe(rows, hide_index=True, alt="What each way to pay came to")


def record(session: Session, found: Sequence[Run]) -> None:
    """Episodes of the policies, for what they do."""
    ready = [run for run in found if (run.folder / runs.MODEL).is_file()]
    if not ready:
        return
    job = pipeline.current_job(session, "watch")
    names = {run.number: f"run {run.number}, {run.config.pay}, seed {run.config.seed}" for run in ready}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        number = st.selectbox("Policy", list(names), format_func=lambda number: names[number], width=320)
        busy = job is not None and job.running
        if st.button("Record 3 of its episodes", icon=":material/videocam:", disabled=busy):
            pipeline.launch(session, "watch", [str(number), "--episodes", "3"])
            st.rerun()
    widgets.watch_job(session, "watch")
    widgets.next_page("train", "Replay recorded episodes", ":material/play_circle:")


session = current.session()
st.title("Farmed rewards")
st.caption(
    "The same checkers, paid in three ways. Once: each sub-task a share, the first time. Edge: a share whenever a "
    "checker turns true, again and again. Level: a share in every frame in which it is true. With the last two an "
    "agent can be paid far more for going round in circles than for solving the task: compare the two figures. Right "
    "checkers are not enough; how they are paid matters."
)
if session.task.env_id is None:
    st.info("This session has two frames and no environment, so there is nothing to train in.")
    st.stop()
proposals, listing = session.proposals(), runs.runs(session)
widgets.problems([*proposals.problems, *listing.problems])
if not proposals.items:
    st.info("Nothing is proposed yet.")
    widgets.next_page("propose", "Propose sub-tasks and checkers")
    st.stop()
start(session)
found = of_the_study(listing.items)
if not found:
    st.info("No run yet. A DoorKey-5x5 shows it best: there, picking the key up and dropping it is what is farmed.")
    st.stop()
if any(run.job.running for run in found):
    live(session)
else:
    show(session, found)
record(session, found)
