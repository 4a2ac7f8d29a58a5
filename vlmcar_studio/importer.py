"""A program in the released VLM-CaR style, from an uploaded file into the draft, once a person has confirmed it."""

import dataclasses

import streamlit as st

from vlmcar_core import importing
from vlmcar_core.errors import BadInput
from vlmcar_core.importing import Understood
from vlmcar_core.programs import Reading
from vlmcar_core.store import Session
from vlmcar_core.types import Proposal
from vlmcar_studio import editor, widgets

SUBTASK, GOAL_CHECKER = "a new sub-task", "the goal's checker"


@st.cache_data(show_spinner="Reading the program …", max_entries=16)
def understood(text: str) -> Understood:
    return importing.understand(text)


@st.cache_data(show_spinner="Trying the program …", max_entries=16)
def tried(folder: str, _session: Session, source: str, _trajectories: int) -> str:
    return importing.trial_of(_session, source)


def upload(session: Session, edited: Proposal | None) -> Proposal | None:
    """The form; returns the proposal with the program in it once the person has added it."""
    st.caption(
        "A class with `check_and_progress(path)` or `reward(path)`, which reads each frame with `cv2.imread`. "
        "It is shown the frames of an episode in order, from memory, and a new instance is made for each episode."
    )
    number = st.session_state.setdefault("programs", 0)
    file = st.file_uploader("A Python file", type=["py"], key=f"program-{number}", max_upload_size=1)
    if file is None:
        return None
    try:
        text = importing.read(file.getvalue())
    except BadInput as error:
        widgets.failed(error)
        return None
    found = understood(text)
    lines = importing.table(found)
    st.markdown("\n".join("    " * line.startswith(" ") + f"- {widgets.plain(line.strip())}" for line in lines))
    editor.problems(found.problems)
    try:
        importing.chosen(found)
    except BadInput as error:
        widgets.failed(error)
        return None
    reading = confirmed(found)
    source = importing.as_source(text, reading)
    try:
        importing.check(source)
    except BadInput as error:
        widgets.failed(error)
        return None
    st.info(widgets.plain(f"Read as: {reading.told}"))
    said = tried(str(session.folder), session, source, len(session.trajectories().items))
    (st.warning if "failed" in said else st.caption)(widgets.plain(f"Tried {said}" if said else "Nothing is recorded."))
    title = st.text_input(
        "What it checks", reading.class_name, key=f"program-title-{reading.class_name}", max_chars=200
    )
    places = [SUBTASK, GOAL_CHECKER] if edited is not None else [GOAL_CHECKER]
    place = st.radio("It becomes", places, horizontal=True, key="program-place")
    if not st.button("That is right: add it", icon=":material/check:", disabled=not title.strip()):
        return None
    st.session_state["programs"] = number + 1
    return importing.with_program(edited, source, title.strip(), place == GOAL_CHECKER)


def confirmed(found: Understood) -> Reading:
    """How it is to be read, as the person says; as suggested at first."""
    owners = {owner.name: owner for owner in found.classes if owner.methods}
    first = importing.chosen(found)
    left, middle, right = st.columns(3)
    name = left.selectbox("Class", list(owners), index=list(owners).index(first.class_name), key="program-class")
    methods = {method.name: method for method in owners[name].methods}
    start = list(methods).index(first.method) if name == first.class_name else 0
    method = methods[middle.selectbox("Method, given a path", list(methods), index=start)]
    reading = importing.chosen(found, name, method.name)
    if any(item.kind == "tuple" for item in method.returns):
        width = max(len(item.items) for item in method.returns)
        place = right.selectbox(
            "Which item of the tuple", range(width), index=min(reading.item or 0, width - 1), key="program-item"
        )
        reading = dataclasses.replace(reading, item=place)
    left, middle, _ = st.columns(3)
    kinds = ["True or False", "a number"]
    kind = left.radio("It returns", kinds, index=int(reading.done_at is not None), key=f"kind-{reading.line}")
    if kind == kinds[0]:
        return dataclasses.replace(reading, done_at=None)
    value = middle.number_input(
        "Done from this number on", 1e-6, 1e8, reading.done_at or 1.0, key=f"done-{reading.line}", format="%g"
    )
    return dataclasses.replace(reading, done_at=float(value))
