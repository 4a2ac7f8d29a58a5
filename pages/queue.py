"""All that runs or waits, over all sessions: how far it is, where, what it uses; stopped and moved up here."""

from datetime import timedelta

import streamlit as st

from vlmcar_core import jobs, pipeline, plugins, queue, work
from vlmcar_core.errors import DamagedFile, VlmcarError
from vlmcar_core.work import Work
from vlmcar_studio import widgets

REFRESH_SECONDS = 2.0


@st.fragment(run_every=timedelta(seconds=REFRESH_SECONDS))
def live() -> None:
    listing = work.under_way(pipeline.default_root())
    widgets.problems(listing.problems)
    if not listing.items:
        empty()
        return
    at_work = [one for one in listing.items if one.job.state == "started"]
    summary(at_work, len(listing.items) - len(at_work))
    for one in listing.items:
        show(one)


def empty() -> None:
    st.info("Nothing runs and nothing waits.", icon=":material/check:")
    st.caption("Trainings, sweeps, recordings and everything else that a page starts in the background show here.")
    widgets.next_page("train", "Start a training", ":material/model_training:")
    widgets.next_page("sweep", "Start a sweep over several settings", ":material/grid_on:")


def summary(at_work: list[Work], waiting: int) -> None:
    used = [found for one in at_work if (found := work.usage(one.job.folder)) is not None]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.metric("At work", len(at_work), border=True, width=140)
        st.metric("Waiting", waiting, border=True, width=140)
        st.metric(
            "Cores in use",
            f"{sum(found.cores for found in used):.1f} of {queue.cores()}",
            border=True,
            width=200,
            help="By the processes below, since the last look. At most so many trainings are at work on this machine "
            "at once: VLMCAR_CORES, or the cores that there are.",
        )
        st.metric("Memory", f"{sum(found.memory_bytes for found in used) / 2**30:.1f} GiB", border=True, width=140)
        with st.popover("Stop all", icon=":material/stop:"):
            st.write("All that runs or waits, in every session. What was done so far is kept.")
            st.button("Stop all of it", type="primary", key="stop-all", on_click=stop_all)


def stop_all() -> None:
    """What waits first, so that none of it starts."""
    for one in reversed(work.under_way(pipeline.default_root()).items):
        stop(one)


def show(one: Work) -> None:
    job = one.job
    name = one.session or "Comparison of models"
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{widgets.plain(name)}** {widgets.plain(one.label)}, {widgets.plain(job.kind)}")
            widgets.state_badge(job.state)
            if job.launcher and (title := launcher_title(job.launcher)):
                st.badge(title, icon=":material/dns:", color="gray")
        if job.state == "started":
            left = f" · about {widgets.duration(job.seconds_left)} left" if job.seconds_left is not None else ""
            st.progress(min(1.0, job.done / job.total) if job.total else 0.0, text=widgets.plain(job.message) + left)
        else:
            st.caption(widgets.plain(job.message))
        if job.state == "started" and (used := work.usage(job.folder)) is not None:
            st.caption(f"{used.cores:.1f} cores, {used.memory_bytes / 2**20:.0f} MiB")
        buttons(one)


def launcher_title(name: str) -> str:
    return str(plugins.load("launchers", name).TITLE) if name in plugins.names("launchers") else ""


def buttons(one: Work) -> None:
    key = f"{one.job.folder}"
    with st.container(horizontal=True, vertical_alignment="center"):
        place = one.place
        if one.entry is not None and place > 1:
            id = one.entry.id
            st.button("Move up", icon=":material/arrow_upward:", key=f"up-{key}", on_click=queue.move_up, args=(id,))
            if place > 2:
                st.button(
                    "To the front",
                    icon=":material/vertical_align_top:",
                    key=f"front-{key}",
                    on_click=queue.move_up,
                    args=(id, True),
                )
        st.button("Stop", icon=":material/stop:", key=f"stop-{key}", on_click=stop, args=(one,))
        if one.session and not one.elsewhere:
            page = "train" if one.job.folder.parent.name == "runs" else "home"
            st.page_link(
                widgets.PAGES / f"{page}.py",
                label="Open its session",
                icon=":material/open_in_new:",
                query_params={"session": one.session},
            )
        elif one.elsewhere:
            st.caption("In another folder of sessions")


def stop(one: Work) -> None:
    try:
        jobs.cancel(one.job.folder)
    except (DamagedFile, FileNotFoundError) as error:
        widgets.failed(error)


st.title("Queue")
st.caption(
    "All that runs or waits, over all sessions. It goes on when the app is closed; trainings wait in line for a core, "
    "first come, first served."
)
try:
    live()
except VlmcarError as error:
    widgets.failed(error)
