"""Trajectories from files into a session: chosen, looked at, given a meaning; and out again."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import streamlit as st

from vlmcar_core import intake, pipeline, readers
from vlmcar_core.errors import BadInput
from vlmcar_core.intake import Preview
from vlmcar_core.meaning import NONE, SOURCES, Meaning, numbers
from vlmcar_core.store import Session
from vlmcar_studio import widgets

UPLOAD, HERE = "Upload", "A file or folder of this machine"
AS_SAID, USUAL = "as the file says", "the usual one"
SOLVED = {
    "auto": AS_SAID,
    "yes": "yes",
    "no": "no",
    "unknown": "not known",
    "key": "an array says so",
    "return": "by its return",
}
PICTURES = "pictures"
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
SHOWN_MAX = 12
"""Arrays and files of which a preview tells."""


def section(session: Session) -> None:
    """The whole of it, in an expander."""
    empty = session.task.env_id is None and not session.trajectory_count
    with st.expander("Take trajectories from files", expanded=empty, icon=":material/upload_file:"):
        st.caption(
            "NPZ, pictures (one episode, in natural order), GIF, video, or a Minari dataset. Nothing is kept before "
            "you have seen what it holds and said what it means."
        )
        how = st.segmented_control("From", [UPLOAD, HERE], default=UPLOAD, key="taking-how")
        if how == HERE:
            named = st.text_input(
                "Path, or id of a local Minari dataset", key="taking-path", placeholder="/data/push/episode-1"
            )
            if named.strip():
                path = Path(named.strip()).expanduser()
                offered(session, [path], (str(path), _changed(path)))
            return
        number = st.session_state.setdefault("taken", 0)
        files = st.file_uploader("Files", readers.endings(), accept_multiple_files=True, key=f"taking-{number}")
        if files:
            with unpacked(files) as paths:
                offered(session, paths, tuple(file.file_id for file in files))


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


@contextmanager
def unpacked(files: Sequence[Any]) -> Iterator[list[Path]]:
    """Uploaded files as files of this machine: each one a path, all pictures together a folder."""
    with tempfile.TemporaryDirectory(prefix="vlmcar-taking-") as folder:
        paths: dict[str, Path] = {}
        for place, file in enumerate(files):
            name = re.sub(r"[^\w. -]", "_", Path(file.name).name)[-100:].lstrip(".") or "file"
            if name.lower().endswith(PICTURE_ENDINGS):
                path = Path(folder) / PICTURES / f"{name}"
                paths[PICTURES] = path.parent
            else:
                path = paths[str(place)] = Path(folder) / str(place) / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(file.getbuffer())
        yield list(paths.values())


def offered(session: Session, paths: Sequence[Path], key: tuple[Any, ...]) -> None:
    """What the files hold, what it is to mean, and the button."""
    number = st.session_state.setdefault("taken", 0)
    frames = st.session_state.get(f"taking-frames-{number}", USUAL)
    try:
        found = looked((*key, frames), list(paths), "" if frames == USUAL else str(frames))
    except BadInput as error:
        widgets.failed(error)
        return
    for preview in found[:SHOWN_MAX]:
        shown(preview)
    meaning = meant(session, found, number)
    count = sum(len(meaning.episodes) or preview.episodes for preview in found)
    label = f"Take in {count} episode{'s' if count != 1 else ''}"
    if st.button(label, type="primary", icon=":material/download_done:", key="taking-in"):
        taken(session, paths, meaning)


@st.cache_data(show_spinner="Looking at the files …", max_entries=8)
def looked(key: tuple[Any, ...], _paths: list[Path], frames: str) -> list[Preview]:
    return [intake.preview(path, Meaning(frames=frames)) for path in _paths]


def shown(preview: Preview) -> None:
    episodes = f"{preview.episodes} episode{'s' if preview.episodes != 1 else ''}"
    holds = "no frames"
    if preview.first is not None:
        height, width = preview.first.shape[:2]
        holds = f"{preview.count} frames of {width} × {height} pixels"
    st.markdown(f"**{widgets.plain(preview.name)}**: {preview.title}, {episodes}; the first has {holds}.")
    left, middle, _ = st.columns(3)
    if preview.first is not None:
        with left:
            widgets.show_frame(preview.first, "First frame", 240)
        with middle:
            widgets.show_frame(preview.last, "Last frame", 240)
    for note in preview.notes:
        (st.warning if note.startswith("Lossy") else st.caption)(widgets.plain(note))


def meant(session: Session, found: Sequence[Preview], number: int) -> Meaning:
    """What the person says that the parts mean. Raises nothing: what cannot be is said when it is taken in."""
    names = list(dict.fromkeys(name for preview in found for name in preview.arrays))
    left, right = st.columns(2)
    source = left.selectbox("Who acted", [AS_SAID, *SOURCES], key=f"taking-source-{number}")
    solved = right.selectbox("Solved", list(SOLVED), format_func=SOLVED.__getitem__, key=f"taking-solved-{number}")
    success = str(solved)
    if solved == "key":
        key = right.selectbox("Which array, true at any step", names, key=f"taking-key-{number}", format_func=plainly)
        success = f"key:{key}" if key is not None else "unknown"
    elif solved == "return":
        success = f"return:{right.number_input('A return of at least', value=1.0, key=f'taking-return-{number}')}"
    arrays = {}
    for column, what in zip(st.columns(3), ("frames", "actions", "rewards"), strict=True):
        chosen = column.selectbox(
            what.capitalize(), [USUAL, NONE, *names], key=f"taking-{what}-{number}", format_func=plainly
        )
        arrays[what] = "" if chosen == USUAL else str(chosen)
    episodes = ()
    if any(preview.episodes > 1 for preview in found):
        text = st.text_input("Only these episodes", key=f"taking-episodes-{number}", placeholder="all, or: 0-9, 20")
        try:
            episodes = numbers(text)
        except BadInput as error:
            widgets.failed(error)
    return Meaning(
        source=None if source == AS_SAID else source,
        success=success,
        resize=resized(session, found, number),
        episodes=episodes,
        **arrays,
    )


def plainly(name: str) -> str:
    """A stranger's name of an array, in a list of choices."""
    return widgets.verbatim(name)[:80]


def resized(session: Session, found: Sequence[Preview], number: int) -> bool:
    """Whether frames of another size are to be made as large as the session's."""
    initial = session.initial
    other = [preview for preview in found if preview.first is not None and initial is not None]
    other = [preview for preview in other if preview.first.shape != initial.shape]  # type: ignore[union-attr]
    if not other or initial is None:
        return False
    return st.checkbox(
        f"Make frames as large as this session's, {initial.shape[1]} × {initial.shape[0]} pixels; this changes pixels",
        key=f"taking-resize-{number}",
    )


def taken(session: Session, paths: Sequence[Path], meaning: Meaning) -> None:
    """Take them in, and say how it went."""
    try:
        with widgets.progress_bar("Reading …") as progress:
            ids = intake.take(session, paths, meaning, progress)
    except BadInput as error:
        widgets.failed(error, "Nothing was kept.")
        return
    st.session_state["taken"] += 1
    st.toast(widgets.plain(f"{len(ids)} trajectories taken in."), icon=":material/check:")
    st.rerun()


def out(session: Session) -> None:
    """Trajectories for other programs, in an expander."""
    if not session.trajectory_count:
        return
    with st.expander("Write trajectories for other programs", icon=":material/upload:"):
        left, right = st.columns([1, 2])
        form = left.segmented_control("Form", ["npz", "minari"], default="npz", key="out-form") or "npz"
        place = right.text_input(
            "A new folder of this machine", str(Path.home() / f"{session.name}-{form}"), key=f"out-{form}"
        )
        st.caption("Frames are kept to the bit. In a Minari dataset they are the observations.")
        job = pipeline.current_job(session, "export-trajectories")
        if st.button("Write them", key="out-write", disabled=job is not None and job.running):
            folder = str(Path(place).expanduser().absolute())
            pipeline.launch(session, "export-trajectories", ["--to", form, "--out", folder])
            st.rerun()
        done = widgets.watch_job(session, "export-trajectories")
        if done is not None and done.state == "success":
            st.caption(widgets.plain(f"Last written: {done.message}"))
