"""Saying by eye what a checker should answer: the form under the player, the marks so far, people against checkers."""

from collections.abc import Mapping, Sequence

import streamlit as st

from vlmcar_core import marks
from vlmcar_core.errors import VlmcarError
from vlmcar_core.marks import Confusion, Mark
from vlmcar_core.store import Session
from vlmcar_core.types import Answers, Proposal
from vlmcar_studio import widgets
from vlmcar_studio.replay import Place

DONE, NOT_DONE = "should be done", "should not be done"
SHOWN = 20
"""Marks in the list at first, the newest."""


def titles(proposal: Proposal) -> dict[str, str]:
    """By key, the sub-tasks and the goal."""
    return {step.key: f"Goal: {step.title}" if step is proposal.goal else step.title for step in proposal.steps}


def panel(session: Session, proposal: Proposal, trajectory: str, last: int, place: Place) -> None:
    """Everything about marks, for the trajectory that is shown.

    Args:
        session: where they are kept.
        proposal: whose sub-tasks are marked.
        trajectory: its id.
        last: the number of its last frame.
        place: where the player is; a span that was marked there fills the form.
    """
    listing = session.marks()
    standing = marks.standing(listing.items)
    st.markdown("**What you see**")
    st.caption(
        "Say what should be so in a frame or a span: choose it here, or in the player with m at its beginning and "
        "again at its end. It stands in the lanes as expected, and counts in the table of people against checkers."
    )
    widgets.problems(listing.problems)
    author = widgets.author()
    _form(session, titles(proposal), trajectory, last, place, author)
    if refused := st.session_state.pop("mark-refused", None):
        st.error(widgets.plain(refused), icon=":material/error:")
    _list(session, titles(proposal), standing, author)
    _agreement(session, proposal, standing)


def _begins_with(trajectory: str, place: Place, last: int) -> tuple[int, int]:
    """What the form begins with: the player's span, else its frame; what it had where somebody has typed since."""
    typed = st.session_state.get("mark-typed")
    if typed is not None and typed[:2] == (trajectory, place.span):
        return int(typed[2][0]), int(typed[2][1])
    first, end = place.span or (place.frame, place.frame)
    return min(first, last), min(end, last)


def _form(session: Session, names: Mapping[str, str], trajectory: str, last: int, place: Place, author: str) -> None:
    # The fields are others for every place: a run that the next key press interrupts then leaves nothing half filled.
    span = _begins_with(trajectory, place, last)
    fields = [f"mark-{end}-{trajectory}-{span[0]}-{span[1]}" for end in ("first", "last")]

    def typed() -> None:
        st.session_state["mark-typed"] = (trajectory, place.span, span)

    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox("Sub-task", list(names), format_func=names.__getitem__, key="mark-key", width=280)
        for label, value, key in zip(("First frame", "Last frame"), span, fields, strict=True):
            st.number_input(label, 0, last, value, step=1, key=key, on_change=typed, width=130)
        st.segmented_control("It", [DONE, NOT_DONE], default=DONE, required=True, key="mark-done")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("Why", max_chars=marks.REASON_CHARS_MAX, key="mark-reason")
        icon = ":material/add_location_alt:"
        arguments = (session, trajectory, author, fields)
        st.button("Keep this mark", icon=icon, key="mark-keep", on_click=_keep, args=arguments)


def _keep(session: Session, trajectory: str, author: str, fields: Sequence[str]) -> None:
    """Store what the form says."""
    state = st.session_state
    try:
        first, last = (state[field] for field in fields)
        done, reason = state["mark-done"] == DONE, state["mark-reason"].strip()
        session.add_mark(Mark(trajectory, first, last, state["mark-key"], done, author.strip(), reason))
    except VlmcarError as error:
        state["mark-refused"] = str(error)
        return
    state["mark-reason"], state["mark-typed"] = "", None


def _undo(session: Session, mark: Mark, author: str) -> None:
    try:
        session.add_mark(marks.undoing(mark, author.strip()))
    except VlmcarError as error:
        st.session_state["mark-refused"] = str(error)


def _list(session: Session, names: Mapping[str, str], standing: Sequence[Mark], author: str) -> None:
    if not standing:
        st.caption("Nobody has marked anything yet.")
        return
    with st.expander(f"Marks that stand: {len(standing)}"):
        for mark in reversed(standing[-SHOWN:]):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(widgets.plain(words(mark, names)))
                button = f"Undo mark {mark.number}"
                st.button(button, key=f"mark-undo-{mark.number}", on_click=_undo, args=(session, mark, author))
        if len(standing) > SHOWN:
            st.caption(f"and {len(standing) - SHOWN} older ones")


def words(mark: Mark, names: Mapping[str, str]) -> str:
    """One mark as a sentence."""
    span = f"frame {mark.first}" if mark.first == mark.last else f"frames {mark.first} to {mark.last}"
    name = names.get(mark.key, f"{mark.key} (not in this proposal)")
    why = f": {mark.reason}" if mark.reason else ""
    who = f"({mark.author}, {widgets.when(mark.created)})"
    return f"{mark.trajectory}, {span}, {name}: {DONE if mark.done else NOT_DONE}{why} {who}"


def _agreement(session: Session, proposal: Proposal, standing: Sequence[Mark]) -> None:
    """People against checkers: a row per sub-task that somebody has marked, and all of them together."""
    rows = {}
    for step in proposal.steps:
        about = [mark for mark in standing if mark.key == step.key]
        if about:
            rows[titles(proposal)[step.key]] = marks.agreement(about, _said(session, step.checker.digest, about))
    if not rows:
        return
    if len(rows) > 1:
        rows["All"] = sum(rows.values(), Confusion())
    table = [_row(name, confusion) for name, confusion in rows.items()]
    st.dataframe(table, hide_index=True, alt="People against checkers: counts of marked frames")
    st.caption(
        "The last six columns count marked frames by who calls them done; one that was marked twice counts once, by "
        "the newer mark. Intervals are 95 % Clopper–Pearson; go by that of the marks: the frames of a span are much "
        "alike, so theirs is too narrow."
    )


def _said(session: Session, digest: str, about: Sequence[Mark]) -> dict[tuple[str, str], Answers]:
    """What one checker answered about the trajectories that are marked."""
    found = {(mark.trajectory, mark.key): session.answers(digest, mark.trajectory) for mark in about}
    return {pair: answers for pair, answers in found.items() if answers is not None}


def _row(name: str, confusion: Confusion) -> dict[str, str | int]:
    return {
        "Sub-task": name,
        "Marks that agree": widgets.rate(confusion.spans),
        "Frames that agree": widgets.rate(confusion.frames),
        "Both done": confusion.both_done,
        "Only person": confusion.only_person,
        "Only checker": confusion.only_checker,
        "Neither": confusion.neither,
        "Failed": confusion.failed,
        "Never asked": confusion.unknown,
    }
