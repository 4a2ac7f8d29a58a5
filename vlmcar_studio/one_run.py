"""One run looked into: its own charts, videos of its policy on the way, what it was paid for and did not solve."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import streamlit as st

from vlmcar_core import boards, chain, continuing, films, recordings, remedies, runs, verify
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.recordings import TrajectoryInfo
from vlmcar_core.runs import Run
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.store import Session
from vlmcar_core.types import Answers, Checker, Proposal
from vlmcar_studio import overlay, remedy, widgets
from vlmcar_studio.charts import charts
from vlmcar_studio.monitor import REFRESH_SECONDS, run_charts
from vlmcar_studio.replay import Track, replay

VIDEO, HACK = "On the way", remedy.EPISODES
KINDS = {VIDEO: films.VIDEOS, HACK: films.HACKS}


def one_run(session: Session, found: Sequence[Run]) -> None:
    """Choose a run and look into it."""
    names = {run.number: f"run {run.number}, {run.config.reward}, seed {run.config.seed}" for run in reversed(found)}
    if st.session_state.get("one-run") not in names:
        st.session_state["one-run"] = next(iter(names))
    number = st.selectbox("Run", list(names), format_func=lambda number: names[number], key="one-run")
    run = next(run for run in found if run.number == number)
    proposal = _proposal(session, run)
    titles = {step.key: step.title for step in proposal.steps} if proposal is not None else {}
    if run.job.running:
        _live_charts(run, titles)
    else:
        _charts(run, titles)
    _episodes(session, run)
    _tables(run)


@st.fragment(run_every=timedelta(seconds=REFRESH_SECONDS))
def _live_charts(run: Run, titles: Mapping[str, str]) -> None:
    _charts(run, titles)


def _charts(run: Run, titles: Mapping[str, str]) -> None:
    rows = runs.read_progress(run.folder)
    if rows:
        charts(f"run-{run.number}", run_charts(rows, titles))
    else:
        st.caption("It has told nothing yet.")


# Episodes that it kept


@st.fragment
def _episodes(session: Session, run: Run) -> None:
    listings = {kind: films.kept(run.folder, folder) for kind, folder in KINDS.items()}
    widgets.problems([problem for listing in listings.values() for problem in listing.problems])
    st.markdown("**What it does**")
    there = [kind for kind, listing in listings.items() if listing.items]
    if not there:
        st.caption("No episode is kept yet; the first is at its first evaluation.")
        return
    key = f"kind-{run.number}"
    if st.session_state.get(key) not in there:
        st.session_state[key] = there[0]
    kind = st.segmented_control("Episodes", there, key=key, required=True)
    infos = {info.id: info for info in listings[kind].items}
    words = {id: _words(info, kind) for id, info in infos.items()}
    id = st.selectbox(
        "After", list(infos), index=len(infos) - 1, format_func=lambda id: words[id], key=f"film-{run.number}-{kind}"
    )
    try:
        _play(session, run, KINDS[kind], id)
    except DamagedFile as error:
        widgets.failed(error)
    if kind == HACK:
        _keep(session, run)


def _words(info: TrajectoryInfo, kind: str) -> str:
    steps = int(info.id.partition("-")[0])
    solved = "solved" if info.success else "not solved"
    paid = f", paid {films.paid(info):.2f}" if kind == HACK else ""
    return f"{steps:,} steps of training: {info.steps} steps, {solved}{paid}"


def _play(session: Session, run: Run, folder: str, id: str) -> None:
    proposal = _proposal(session, run)
    if proposal is None:
        st.caption("Its proposal cannot be read, so there is nothing to show beside the frames.")
        return
    path = films.path(run.folder, folder, id)
    stamp = path.lstat().st_mtime_ns if path.is_file() else 0
    said = {step.key: _said(str(path), stamp, step.checker.source) for step in proposal.steps}
    seen = overlay.together(
        {step.key: overlay.of_file(str(path), stamp, step.checker.source) for step in proposal.steps}
    )
    frames = f"/vlmcar/run-frame/{session.name}/{run.number}/{folder}/{id}"
    replay(session, proposal, [Track(f"run-{run.number}-{folder}-{id}", said, seen, path=path, frames=frames)])
    if st.button("Make a GIF of it", icon=":material/gif_box:", key=f"gif-{run.number}-{folder}"):
        st.download_button(
            "Download the GIF",
            _gif(path, said, proposal),
            f"{session.name}-run-{run.number}-{id}.gif",
            "image/gif",
            icon=":material/download:",
            on_click="ignore",
        )


def _proposal(session: Session, run: Run) -> Proposal | None:
    """Whose checkers are shown: the run's, or for a sparse run the newest."""
    try:
        return session.proposal(run.config.proposal)
    except (BadInput, DamagedFile):
        return None


@st.cache_data(show_spinner="Asking the checkers …", max_entries=256)
def _said(path: str, stamp: int, source: str) -> Answers:
    """What a checker says about every frame of a file."""
    checker = Checker("seen", source)
    with CheckerProcess([checker]) as process:
        return verify.ask(process, checker, recordings.read_distinct(Path(path)))


def _gif(path: Path, said: dict[str, Answers], proposal: Proposal) -> bytes:
    frames = recordings.read(path).frames
    steps = proposal.subtasks
    done = np.stack([said[step.key].done for step in steps], axis=1) if steps else np.zeros((len(frames), 0), np.bool_)
    first = [frame for frame in chain.completions(done) if frame is not None]
    completed = [sum(frame <= number for frame in first) for number in range(len(frames))]
    return films.gif(frames, completed, len(steps))


def _keep(session: Session, run: Run) -> None:
    """Where there is an alarm, what to do about it stands above, with the button that does it."""
    st.caption(
        "The checkers paid these episodes in full and the environment does not call them solved. As negatives they are "
        "met by every later verification: it tells a wrong checker from a reward that is only farmed."
    )
    if remedies.alarmed([run]):
        st.caption("What to do next stands above, with the alarm.")
    elif remedies.negatives(session, run):
        st.caption("They are negatives of this session.")
        widgets.next_page("verify", "Verify", ":material/fact_check:")
    elif st.button("Keep as negatives", icon=":material/flag:", key=f"keep-{run.number}"):
        ids = continuing.keep_hacks(session, run.number)
        st.toast(widgets.plain(f"Kept: {', '.join(ids)}"), icon=":material/check:")
        st.rerun()


# For other tools


def _tables(run: Run) -> None:
    with st.expander("For other tools"):
        progress, evaluations = runs.read_progress(run.folder), runs.read_evaluations(run.folder)
        with st.container(horizontal=True):
            for name, rows in (("progress", progress), ("evaluation", evaluations)):
                st.download_button(
                    f"{name}.csv",
                    boards.table(rows),
                    f"run-{run.number}-{name}.csv",
                    "text/csv",
                    icon=":material/download:",
                    on_click="ignore",
                    disabled=not rows,
                    key=f"csv-{run.number}-{name}",
                )
        st.caption("Event files for TensorBoard are in the run's folder, where TensorBoard is installed:")
        st.code(f"tensorboard --logdir runs/{run.folder.name}/{boards.FOLDER}", language=None)
