"""The list of trajectories beside the player: narrowed by chips, virtualised, and quick with hundreds of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from vlmcar_core import escaping, files
from vlmcar_core.errors import DamagedFile
from vlmcar_core.recordings import TrajectoryInfo
from vlmcar_core.store import TRAJECTORIES, ZIP, Listing, Session
from vlmcar_core.verdicts import Verification, Wrong
from vlmcar_studio import widgets

WHOLE = ""
"""Stands for the whole proposal where the key of what is wrong is told; no checker is called so."""

LIST_PIXELS = 260


@dataclass(frozen=True)
class Fault:
    """A place that verification calls wrong, and of whom."""

    key: str
    """Of the checker, or `WHOLE`."""

    wrong: Wrong


Stamps = tuple[tuple[str, int, int], ...]
"""Name, time of change in nanoseconds and bytes of every file of trajectories."""


def stamps(session: Session) -> Stamps:
    """What tells whether a file was added, taken away or changed; much quicker than reading them."""
    found = [(path.name, path.lstat()) for path in files.listed(session.inside(TRAJECTORIES), ZIP)]
    return tuple((name, about.st_mtime_ns, about.st_size) for name, about in found)


def infos(session: Session) -> Listing[TrajectoryInfo]:
    """`Session.trajectories`, read again only when a file was added, taken away or changed."""
    try:
        return _infos(str(session.folder), stamps(session), session)
    except (DamagedFile, OSError):
        return session.trajectories()  # which says what is wrong


@st.cache_data(show_spinner=False, max_entries=16)
def _infos(folder: str, stamps: Stamps, _session: Session) -> Listing[TrajectoryInfo]:
    return _session.trajectories()


def faults(verification: Verification | None) -> dict[str, list[Fault]]:
    """What verification calls wrong, by trajectory."""
    found: dict[str, list[Fault]] = {}
    if verification is not None:
        whole = [Fault(WHOLE, wrong) for wrong in verification.wrong]
        for fault in (*whole, *(Fault(item.key, wrong) for item in verification.verdicts for wrong in item.wrong)):
            found.setdefault(fault.wrong.trajectory, []).append(fault)
    return found


def chosen(
    known: Mapping[str, TrajectoryInfo], wrong: Mapping[str, Sequence[Fault]], titles: Mapping[str, str]
) -> list[str]:
    """Chips, and the ids of the trajectories that they leave.

    Where somebody jumps to a trajectory that they would leave out, they are put back.

    Args:
        known: by id.
        wrong: by id, see `faults`.
        titles: of the sub-tasks, by checker key.
    """
    state = st.session_state

    def left(id: str) -> bool:
        found = wrong.get(id, ())
        return (
            (not state.get("sources") or known[id].source in state["sources"])
            and (not state.get("only-wrong") or bool(found))
            and (not state.get("wrong-in") or any(fault.key in state["wrong-in"] for fault in found))
        )

    if "frame" in state and state.get("trajectory") in known and not left(state["trajectory"]):
        state["sources"], state["wrong-in"], state["only-wrong"] = [], [], False
    sources = list(dict.fromkeys(info.source for info in known.values()))
    keys = [key for key in (*titles, WHOLE) if any(fault.key == key for found in wrong.values() for fault in found)]
    names = {WHOLE: "the whole proposal"} | {key: widgets.plain(title) for key, title in titles.items()}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.pills("Recorded by", sources, selection_mode="multi", format_func=widgets.plain, key="sources")
        st.toggle("Only with something wrong", key="only-wrong", disabled=not wrong)
    if keys:
        st.pills("Wrong in", keys, selection_mode="multi", format_func=names.__getitem__, key="wrong-in")
    return [id for id in known if left(id)]


def table(
    ids: Sequence[str],
    known: Mapping[str, TrajectoryInfo],
    wrong: Mapping[str, Sequence[Fault]],
    titles: Mapping[str, str],
    marked: Mapping[str, int],
) -> None:
    """The trajectories as rows of which one can be chosen; only those in view are drawn by the browser.

    Args:
        ids: which, in this order.
        known: by id.
        wrong: by id.
        titles: of the sub-tasks, by checker key.
        marked: by id, how many marks stand there.
    """

    def pick() -> None:
        rows = st.session_state["list"]["selection"]["rows"]
        if rows and rows[0] < len(ids):
            st.session_state["trajectory"], st.session_state["frame"] = ids[rows[0]], _first_wrong(ids[rows[0]], wrong)

    st.dataframe(
        [_row(known[id], wrong.get(id, ()), titles, marked.get(id, 0)) for id in ids],
        hide_index=True,
        height=min(LIST_PIXELS, 38 + 35 * len(ids)),
        on_select=pick,
        selection_mode="single-row",
        key="list",
        alt="Trajectories; choose a row to replay it, by keyboard with Shift and space",
    )


def _first_wrong(id: str, wrong: Mapping[str, Sequence[Fault]]) -> int:
    return min((fault.wrong.frame for fault in wrong.get(id, ())), default=0)


def _row(
    info: TrajectoryInfo, wrong: Sequence[Fault], titles: Mapping[str, str], marked: int
) -> dict[str, str | int | float | None]:
    names = dict.fromkeys(titles.get(fault.key, "the whole proposal") for fault in wrong)
    return {
        "Trajectory": info.id,
        "By": escaping.one_line(f"{info.source}, {info.origin}" if info.origin else info.source),
        "Steps": info.steps,
        "Solved": {True: "yes", False: "no", None: "not known"}[info.success],
        "Return": round(info.ret, 3),
        "Wrong in": ", ".join(names),
        "Marks": marked,
    }


def describe(info: TrajectoryInfo, wrong: bool) -> str:
    """One trajectory in a list of names."""
    solved = {True: "solved", False: "not solved", None: "success not known"}[info.success]
    return f"{info.id}, {info.steps} steps, {solved}" + (", wrong" if wrong else "")
