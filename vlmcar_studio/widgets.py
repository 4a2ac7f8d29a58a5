"""What several pages show the same way: judgements, rates, pictures, background jobs."""

import re
import string
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import streamlit as st

from vlmcar_core import escaping, files, jobs, pipeline, verdicts
from vlmcar_core.errors import DamagedFile
from vlmcar_core.jobs import Job
from vlmcar_core.store import Session
from vlmcar_core.types import Count, Frame, Judgement, Progress

BADGES = {
    "accepted": (":material/check_circle:", "green"),
    "rejected": (":material/cancel:", "red"),
    "undecided": (":material/help:", "orange"),
}
STATES = {
    "waiting": (":material/hourglass_empty:", "gray"),
    "started": (":material/progress_activity:", "blue"),
    "success": (":material/check_circle:", "green"),
    "cancelled": (":material/stop_circle:", "gray"),
    "error": (":material/error:", "red"),
    "lost": (":material/link_off:", "red"),
}
JOINER = "\N{WORD JOINER}"
MADE_OF_TEXT = re.compile(r"(?<=:)(?=[\w+/-])|(?<=www)(?=\.)|(?<=@)(?=\w)|(?<=[<>~-])(?=[->=])", re.IGNORECASE)
"""Where an address, an icon, an emoji or an arrow would be made of plain text."""

STORED_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\d(?:\.\d+)?\+00:00", re.ASCII)
REFRESH_SECONDS = 1.0
REDRAW_SECONDS = 0.1
PAGES = Path(__file__).parent.parent / "pages"


@contextmanager
def progress_bar(text: str) -> Iterator[Progress]:
    """For what takes more than a second on a press of a button: a bar for the length of the block, and who moves it."""
    bar = st.progress(0.0, text=text)
    drawn = time.monotonic()

    def tell(done: int, total: int, message: str) -> None:
        nonlocal drawn
        if done >= total or time.monotonic() - drawn > REDRAW_SECONDS:
            drawn = time.monotonic()
            bar.progress(min(1.0, done / total) if total else 1.0, text=plain(message))

    try:
        yield tell
    finally:
        bar.empty()


def badge(judgement: Judgement) -> None:
    icon, colour = BADGES[judgement]
    st.badge(judgement, icon=icon, color=colour)


def state_badge(state: str) -> None:
    icon, colour = STATES[state]
    st.badge("running" if state == "started" else state, icon=icon, color=colour)


def rate(count: Count) -> str:
    """ "3 of 100, 3 % (1 to 9 %)": never a rate without its count and 95 % interval."""
    if count.rate is None:
        return "none"
    low, high = verdicts.interval(count)
    return f"{count.hits} of {count.total}, {count.rate:.0%} ({low:.0%} to {high:.0%})"


def show_frame(frame: Frame | None, caption: str, width: int = 320, stretch: bool = False) -> None:
    """A frame as PNG, enlarged by a whole number and else bit for bit; or that there is none yet.

    Args:
        width: at most so many pixels on the screen, where the frame is not larger; a wide one, of several views, is
            as wide as its column.
        stretch: as wide as its column instead.
    """
    if frame is None:
        st.caption(f"{plain(caption)}: none yet")
        return
    wide = frame.shape[1] > 1.5 * frame.shape[0]
    zoom = max(1, round(width / frame.shape[1]) if wide else width // frame.shape[1])
    enlarged = np.ascontiguousarray(frame.repeat(zoom, axis=0).repeat(zoom, axis=1))
    fits: int | Literal["stretch", "content"] = "content" if enlarged.shape[1] <= width else width
    shown = "stretch" if stretch or wide else fits
    st.image(files.png(enlarged), caption=plain(caption), width=shown, output_format="PNG", alt=caption)


def show_session_frame(session: Session, which: Literal["initial", "goal"], width: int = 320) -> None:
    """One of a session's two frames, or why it cannot be read: the rest of the page stays usable."""
    try:
        frame = session.initial if which == "initial" else session.goal
    except DamagedFile as error:
        st.warning(plain(str(error)))
    else:
        show_frame(frame, f"{which.capitalize()} frame", width)


def problems(messages: Sequence[str]) -> None:
    """Files that could not be read; the rest of the session stays usable."""
    if messages:
        lines = "\n".join(f"- {plain(message)}" for message in messages)
        st.warning(f"Some files of this session cannot be read; everything else is usable.\n{lines}")


def plain(text: str) -> str:
    """Text from a file, a model or a checker on one line, so that Markdown shows it as it is.

    Backslashes keep Markdown, HTML, LaTeX and Streamlit's directives from being read. Addresses, icons and arrows are
    made out of the text only after that, so an invisible joiner keeps their letters apart.
    """
    apart = MADE_OF_TEXT.sub(JOINER, escaping.one_line(text))
    return "".join(f"\\{letter}" if letter in string.punctuation else letter for letter in apart)


def failed(error: Exception, more: str = "") -> None:
    """What went wrong, in the words of the error."""
    st.error(plain(f"{error} {more}"), icon=":material/error:")


def verbatim(text: str) -> str:
    """A program, an answer or a log for `st.code`: bounded, and in the order in which it is written."""
    return escaping.harmless(escaping.bounded(text))


def duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 5400 else f"{whole / 3600:.1f} h"


def size(count: int) -> str:
    """So many bytes, for people."""
    return f"{count / 1024:.0f} KiB" if count < 2**20 else f"{count / 2**20:.1f} MiB"


def watch_job(session: Session, stage: str) -> Job | None:
    """The newest job of a stage: progress and a stop button while it runs, else how it ended."""
    job = pipeline.current_job(session, stage)
    if job is None:
        return None
    if job.running:
        st.session_state[f"watched-{job.folder}"] = True
        _running(job)
    else:
        _ended(job)
    return job


@st.fragment(run_every=timedelta(seconds=REFRESH_SECONDS))
def _running(job: Job) -> None:
    try:
        now = jobs.read(job.folder)
    except DamagedFile as error:
        failed(error)
        return
    if not now.running:
        st.rerun()
    left = now.seconds_left
    text = plain(now.message) + (f" · about {duration(left)} left" if left is not None else "")
    st.progress(min(1.0, now.done / now.total) if now.total else 0.0, text=text)
    if st.button("Stop", icon=":material/stop:", key=f"stop-{job.folder}"):
        jobs.cancel(job.folder)
        st.toast("Stopping; what was done so far is kept.")


def _ended(job: Job) -> None:
    if job.state == "success":
        if st.session_state.pop(f"watched-{job.folder}", False):
            st.toast(plain(f"{job.kind}: {job.message}"), icon=":material/check:")
        return
    words = {"cancelled": "was stopped", "error": "failed", "lost": "was lost"}[job.state]
    text = plain(f"The last {job.kind} {words}: {job.message}")
    (st.info if job.state == "cancelled" else st.error)(text)
    if job.state != "cancelled" and (said := jobs.log(job.folder, 40)):
        with st.expander("What it printed"):
            st.code(verbatim(said), language=None)


def saving(name: str, kind: str = "svg") -> dict[str, Any]:
    """For a Plotly chart: its own button saves it twice as large as shown.

    Args:
        name: of the file, without its ending.
        kind: "svg" or "png".
    """
    return {"displaylogo": False, "toImageButtonOptions": {"format": kind, "filename": name, "scale": 2}}


def when(stored: str) -> str:
    """ "2026-11-23 14:10 UTC", of a time as sessions store it; anything else as it is."""
    found = STORED_TIME.fullmatch(stored)
    return f"{found[1]} {found[2]} UTC" if found else stored


def author() -> str:
    """The person's name, asked once."""
    return st.text_input(
        "Your name", value=pipeline.default_author(), key="author", persist_state="session", max_chars=60
    )


def next_page(name: str, label: str, icon: str = ":material/arrow_forward:", **query: str) -> None:
    """A link to another page that keeps the session."""
    session = st.query_params.get("session")
    wanted = {"session": session, **query} if session else query
    st.page_link(PAGES / f"{name}.py", label=label, icon=icon, query_params=wanted or None)
