"""Goal, sub-tasks and code: read, edited, tried on a frame, saved as the next proposal."""

import dataclasses

import streamlit as st

from vlmcar_core import authoring, history, pipeline, recordings
from vlmcar_core.authoring import Wish
from vlmcar_core.errors import BadInput, ChangedElsewhere, DamagedFile
from vlmcar_core.sandbox import CheckerProcess, diagnose
from vlmcar_core.store import Session
from vlmcar_core.types import Checker, Frame, Inspection, Proposal, SubTask, slug
from vlmcar_studio import asking, conversation, current, editor, importer, overlay, widgets

TITLE_WIDTH = 560
"""Pixels: beside a title its buttons have room, and on a phone they come beneath it."""

TEMPLATE = '''def identify_thing(image):
    """What this is about: a mask, a box (x, y, width, height), a point (x, y) or None."""
    return image.max(axis=2) > 200


def check(initial, current):
    """Done when much of what was there at first is gone."""
    return identify_thing(current).sum() < 0.5 * identify_thing(initial).sum()
'''


@st.cache_data(show_spinner=False, max_entries=256)
def inspected(source: str, initial: Frame, frame: Frame) -> Inspection:
    with CheckerProcess([Checker("tried", source)]) as process:
        return process.inspect("tried", initial, frame)


def working_copy(session: Session, newest: Proposal) -> Proposal:
    """The draft, or the newest proposal where there is none."""
    try:
        draft = session.draft
    except DamagedFile as error:
        st.warning(widgets.plain(str(error)))
        return newest
    return newest if draft is None else draft


def keep(session: Session, edited: Proposal) -> None:
    """Keep an edit on disk at once, and show it."""
    session.save_draft(edited)
    st.rerun()


def outline(session: Session, edited: Proposal) -> None:
    """Titles and order. A field's key holds its title, so that it never shows another than the one on disk."""
    sentence = st.text_input("Goal", edited.goal.title, key=f"goal-title-{edited.goal.title}", max_chars=300)
    if sentence != edited.goal.title and sentence.strip():
        keep(session, pipeline.with_step(edited, dataclasses.replace(edited.goal, title=sentence)))
    for index, step in enumerate(edited.subtasks):
        last = len(edited.subtasks) - 1
        with st.container(horizontal=True, vertical_alignment="bottom"):
            key = f"title-{step.key}-{step.title}"
            name = st.text_input(f"Sub-task {index + 1}", step.title, key=key, max_chars=200, width=TITLE_WIDTH)
            up = st.button(
                "", icon=":material/arrow_upward:", key=f"up-{step.key}", disabled=index == 0, help="Earlier"
            )
            down_key, at_end = f"down-{step.key}", index == last
            down = st.button("", icon=":material/arrow_downward:", key=down_key, disabled=at_end, help="Later")
            remove = st.button("", icon=":material/delete:", key=f"remove-{step.key}", help="Remove this sub-task")
        if name != step.title and name.strip():
            keep(session, pipeline.with_step(edited, dataclasses.replace(step, title=name)))
        if up or down:
            keep(session, pipeline.moved_step(edited, step.key, index - 1 if up else index + 1))
        if remove:
            keep(session, pipeline.without_step(edited, step.key))
        if step.doubt:
            st.caption(f":material/help: Doubt: {widgets.plain(step.doubt)}")
    if st.button("Add a sub-task", icon=":material/add:"):
        title = f"New sub-task {len(edited.subtasks) + 1}"
        key = slug(title, [step.key for step in edited.steps])
        keep(session, pipeline.added_step(edited, SubTask(title, Checker(key, TEMPLATE)), len(edited.subtasks)))


def frame_to_try(session: Session) -> tuple[Frame, Frame, str] | None:
    """An episode's first frame, a frame of it, and its name."""
    infos = session.trajectories().items
    ids = [*(["the session's two frames"] if session.goal is not None else []), *(info.id for info in infos)]
    if not ids:
        return None
    left, right = st.columns(2)
    id = left.selectbox("Try it on", ids, key="try-on")
    if id == "the session's two frames":
        initial, goal = session.initial, session.goal
        if initial is None or goal is None:
            return None
        chosen = right.segmented_control("Frame", ["initial", "goal"], default="goal", key="try-which") or "goal"
        return initial, initial if chosen == "initial" else goal, f"{chosen} frame"
    path = session.trajectory_path(id)
    last = next(info.steps for info in infos if info.id == id)
    index = right.slider("Frame", 0, last, last, key=f"try-frame-{id}") if last else 0
    return recordings.read_frame(path, 0), recordings.read_frame(path, index), f"{id}, frame {index}"


def tried(source: str, initial: Frame, frame: Frame, name: str) -> None:
    """What the checker answers, prints and sees."""
    found = inspected(source, initial, frame)
    outcome = found.outcome
    if outcome.kind == "ok":
        said = "done" if outcome.done else "not done"
        place = widgets.plain(name)
        (st.success if outcome.done else st.info)(f"On {place}: **{said}** (it returned {outcome.value:g})")
    else:
        where = f" in line {outcome.line}" if outcome.line else ""
        st.error(widgets.plain(f"On {name} the checker failed{where} ({outcome.kind}): {outcome.message}"))
    wide = initial.shape[1] > 1.5 * initial.shape[0]
    places = [st.container(), st.container()] if wide else st.columns(2)
    for column, label, picture, seen in zip(
        places, ("first frame", name), (initial, frame), (found.initial, found.current), strict=True
    ):
        outlines = [overlay.outline(item) for item in seen]
        with column:
            widgets.show_frame(overlay.drawn(picture, outlines), f"What it sees: {label}", stretch=True)
            for item in outlines:
                st.caption(f"{widgets.plain(item.name)}: {widgets.plain(item.text)}")
    if not found.initial and outcome.kind != "rejected":
        st.caption("It has no identify_… function, so nothing is drawn.")
    if found.printed:
        st.caption("It printed")
        st.code(widgets.verbatim(found.printed), language=None)


def edited_source(checker: Checker) -> str:
    """The editor. It is made anew where its text was written elsewhere: a draft discarded, or another tab."""
    shown: dict[str, tuple[str, int]] = st.session_state.setdefault("editors", {})
    text, version = shown.get(checker.key, (checker.source, 0))
    if text != checker.source:
        version += 1
    source = editor.edit(checker.source, f"editor-{checker.key}-{version}", diagnose(checker.source))
    shown[checker.key] = (source, version)
    return source


def code(session: Session, edited: Proposal) -> None:
    titles = {step.key: step.title if step is not edited.goal else f"Goal: {step.title}" for step in edited.steps}
    wanted = st.query_params.get("checker")
    keys = list(titles)
    index = keys.index(wanted) if wanted in keys else 0
    key = st.selectbox("Checker", keys, index=index, format_func=lambda key: titles[key], key=f"checker-{len(keys)}")
    step = next(step for step in edited.steps if step.key == key)
    left, right = st.columns([3, 2])
    with left:
        source = edited_source(step.checker)
        if source != step.checker.source:
            session.save_draft(pipeline.with_step(edited, dataclasses.replace(step, checker=Checker(key, source))))
            st.rerun()
        editor.problems(diagnose(source))
    with right:
        chosen = frame_to_try(session)
        if chosen is None:
            st.info("There is no frame to try it on yet; record a trajectory or set a goal frame.")
        else:
            tried(source, *chosen)


def first_import(session: Session) -> None:
    """A program as the first proposal of a session that has none."""
    name = widgets.author()
    program = importer.upload(session, None)
    if program is None:
        return
    try:
        pipeline.save_edit(session, program, name, "imported a program")
    except BadInput as error:
        widgets.failed(error)
        return
    st.rerun()


def save(session: Session, edited: Proposal, newest: Proposal) -> None:
    if session.draft is None:
        st.caption("Nothing is changed. What you change is kept as a draft until you save it.")
        return
    if edited.number != newest.number:
        st.warning(
            f"This draft was made from proposal {edited.number}; meanwhile there is proposal {newest.number}. "
            "Save it as the next one all the same, or discard it."
        )
    left, right = st.columns(2)
    with left:
        name = widgets.author()
    reason = right.text_input("Reason (optional)", key="reason", max_chars=300)
    errors = [
        step.key for step in edited.steps if any(item.severity == "error" for item in diagnose(step.checker.source))
    ]
    if errors:
        st.caption(f":material/warning: These checkers cannot run as they are: {', '.join(errors)}")
    saved, discarded, _ = st.columns([1, 1, 3])
    if saved.button("Save as the next proposal", type="primary", icon=":material/save:"):
        try:
            stored = pipeline.save_edit(session, edited, name, reason, expected_latest=newest.number)
        except (BadInput, ChangedElsewhere) as error:
            widgets.failed(error, "Your draft is kept.")
            return
        session.save_draft(None)
        st.toast(f"Proposal {stored.number} is saved.", icon=":material/check:")
        st.rerun()
    if discarded.button("Discard the draft", icon=":material/undo:"):
        session.save_draft(None)
        st.rerun()


def next_round(session: Session, newest: Proposal) -> None:
    """What a person says goes into the next round of the four questions."""
    feedback = st.text_area(
        "What should change?",
        key=f"feedback-{newest.number}",
        max_chars=authoring.HINT_LIMIT,
        placeholder="such as: the door is the brown thing on the left",
        height=80,
    )
    st.caption(f"The four questions are asked again, with proposal {newest.number} and your words.")
    ready = asking.summary(asking.server())
    job = pipeline.current_job(session, "propose")
    busy = job is not None and job.running
    said = bool(feedback.strip())
    with st.container(horizontal=True):
        if st.button("Ask for a next round", icon=":material/forum:", disabled=busy or not ready or not said):
            session_arguments = ["--proposer", "openai", "--feedback", feedback]
            asking.start(session, "propose", session_arguments, asking.server())
        if st.button("By the clipboard", icon=":material/content_copy:", disabled=not said):
            authoring.begin(session, Wish(asking.server(), "clipboard", feedback=feedback, previous=newest.number))
            st.switch_page(widgets.PAGES / "propose.py", query_params={"session": session.name, "by": "clipboard"})
    if busy:
        conversation.live(session, "propose")
    else:
        widgets.watch_job(session, "propose")


def versions(session: Session, edited: Proposal) -> None:
    items = session.proposals().items
    rows = [
        {
            "Proposal": item.number,
            "From": item.parent,
            "Author or model": item.author,
            "When": widgets.when(item.created),
            "Why": item.reason,
            "Conversation": item.dialogue,
        }
        for item in reversed(items)
    ]
    st.dataframe(rows, hide_index=True, alt="All proposals of this session")
    if len(items) < 2:
        return
    numbers = [item.number for item in items]
    left, middle, right = st.columns(3, vertical_alignment="bottom")
    before = left.selectbox("Compare", numbers, index=len(numbers) - 2)
    after = middle.selectbox("with", numbers, index=len(numbers) - 1)
    drafted = session.draft is not None
    why = "Save or discard your draft first." if drafted else "Makes it the newest again, as a new proposal."
    if right.button(f"Restore proposal {before}", icon=":material/history:", disabled=drafted, help=why):
        stored = pipeline.restore(
            session, int(before or 0), st.session_state.get("author") or pipeline.default_author()
        )
        st.toast(f"Proposal {stored.number} is a copy of proposal {before}.", icon=":material/check:")
        st.rerun()
    text = history.diff(session.proposal(before), session.proposal(after))
    st.code(widgets.verbatim(text) or "The two are the same.", language="diff")


session = current.session()
st.title("Review and edit")
listing = session.proposals()
widgets.problems(listing.problems)
if not listing.items:
    st.info("Nothing is proposed yet.")
    widgets.next_page("propose", "Propose sub-tasks and checkers")
    with st.expander("Import a program"):
        first_import(session)
    st.stop()
newest = listing.items[-1]
edited = working_copy(session, newest)
by = "your draft, from proposal" if session.draft is not None else "proposal"
st.caption(f"Shown: {by} {edited.number}, by {widgets.plain(edited.author)}")
with st.expander("Goal and sub-tasks", expanded=True):
    outline(session, edited)
code(session, edited)
with st.expander("Import a program"):
    program = importer.upload(session, edited)
if program is not None:
    keep(session, program)
save(session, edited, newest)
with st.expander("Tell the model"):
    next_round(session, newest)
with st.expander("Versions"):
    versions(session, edited)
widgets.next_page("verify", "Next: verify")
