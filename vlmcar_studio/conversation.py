"""A conversation with a model, as pages show it: stage by stage, the answer that is arriving, what went wrong."""

from collections.abc import Sequence
from datetime import timedelta

import streamlit as st

from vlmcar_core import dialogues, jobs, pipeline, questions
from vlmcar_core.dialogue import Exchange, Spent
from vlmcar_core.dialogues import Dialogue
from vlmcar_core.errors import BadInput, DamagedFile, Unreadable, VlmcarError
from vlmcar_core.jobs import Job
from vlmcar_core.store import Session
from vlmcar_studio import widgets

REFRESH_SECONDS = 1.0
SHOWN_LIVE = 6
"""Of the conversations that run side by side, so many are shown."""


def show(dialogue: Dialogue, live: bool = False) -> None:
    """Every question and answer, word for word; of a running one also what is arriving."""
    titles = questions.titles(dialogue.exchanges)
    came = f"became proposal {dialogue.proposal}" if dialogue.proposal is not None else waits_for(dialogue, live)
    st.caption(
        widgets.plain(f"{dialogue.model} · {widgets.when(dialogue.header.created)} · {came} · {dialogue.spent.words}")
    )
    for done in dialogue.exchanges:
        _exchange(done, titles)
    if live:
        arriving(dialogue, titles)
    elif dialogue.partial:
        with st.expander("What had come of the next answer when it broke off", icon=":material/link_off:"):
            st.code(widgets.verbatim(dialogue.partial), language=None, wrap_lines=True)


def waits_for(dialogue: Dialogue, live: bool = False) -> str:
    """What a conversation that has not come to a proposal is about to do."""
    try:
        question = dialogue.question
    except Unreadable:
        return "stopped: no answer could be used"
    except (BadInput, DamagedFile) as error:
        return f"cannot go on: {widgets.plain(str(error))}"
    if question is None:
        return "answered"
    name = questions.title(question.stage, questions.titles(dialogue.exchanges))
    return f"{'asks' if live else 'stopped before'}: {name}"


def arriving(dialogue: Dialogue, titles: Sequence[str]) -> None:
    """The answer as far as it has come."""
    try:
        question = dialogue.question
    except Unreadable:
        return
    if question is None:
        return
    name = questions.title(question.stage, titles)
    again = f", try {question.attempt}" if question.attempt > 1 else ""
    st.markdown(f":material/progress_activity: **{widgets.plain(name)}**{again}")
    text = dialogue.partial
    if text:
        height = 240 if text.count("\n") > 8 else "content"
        st.code(widgets.verbatim(text), language=None, wrap_lines=True, height=height)
    else:
        st.caption("Nothing has come yet.")


def _exchange(done: Exchange, titles: Sequence[str]) -> None:
    name = widgets.plain(questions.title(done.stage, titles))
    again = f", try {done.attempt}" if done.attempt > 1 else ""
    icon = ":material/error:" if done.problem else ":material/check_circle:"
    with st.expander(f"{name}{again}", icon=icon):
        if done.problem:
            st.error(f"This answer could not be used: {widgets.plain(done.problem)}")
        tries = f" · {done.reply.tries} requests" if done.reply.tries > 1 else ""
        words = f"{done.reply.model} · {Spent.of(done.reply).words}{tries} · {widgets.when(done.created)}"
        st.caption(widgets.plain(words))
        answer, question, whole = st.tabs(["Answer", "Question", "All that was sent"])
        answer.code(widgets.verbatim(done.reply.text) or "(nothing)", language=None, wrap_lines=True)
        question.code(widgets.verbatim(done.messages[-1].text), language=None, wrap_lines=True)
        sent = "\n\n".join(
            f"[{message.role}]{''.join(f' [{picture}]' for picture in message.pictures)}\n{message.text}"
            for message in done.messages
        )
        whole.code(widgets.verbatim(sent), language=None, wrap_lines=True, height=420)


def current(session: Session, job: Job) -> list[Dialogue]:
    """The conversations that a job began, the newest last."""
    found = []
    for folder in session.dialogue_folders():
        try:
            dialogue = dialogues.read(folder)
        except DamagedFile:
            continue
        if dialogue.changed >= job.started - 1.0:
            found.append(dialogue)
    return found


@st.fragment(run_every=timedelta(seconds=REFRESH_SECONDS))
def live(session: Session, stage: str) -> None:
    """The running job of a stage with the conversations that it holds, refreshed by itself."""
    try:
        job = pipeline.current_job(session, stage)
        if job is None or not job.running:
            st.rerun()
            return
        left, right = st.columns([5, 1], vertical_alignment="center")
        left.progress(min(1.0, job.done / job.total) if job.total else 0.0, text=widgets.plain(job.message))
        if right.button("Stop", icon=":material/stop:", key=f"stop-{job.folder}"):
            jobs.cancel(job.folder)
            st.toast("Stopping; every answer so far is kept.")
        shown = current(session, job)
        for dialogue in shown[-SHOWN_LIVE:]:
            with st.container(border=len(shown) > 1):
                show(dialogue, live=dialogue.proposal is None)
    except VlmcarError as error:
        widgets.failed(error)


def history(session: Session, key: str, repair: bool = False) -> Dialogue | None:
    """Choose one of the session's conversations and show it; the choice stands in the URL. A new one goes first."""
    listing = dialogues.dialogues(session)
    widgets.problems(listing.problems)
    items = {item.number: item for item in listing.items if bool(item.header.brief.repair) == repair}
    if not items:
        return None
    numbers = list(reversed(items))
    known = st.session_state.get(f"{key}-{session.name}", len(numbers))
    st.session_state[f"{key}-{session.name}"] = len(numbers)
    asked = st.query_params.get("dialogue", "") if len(numbers) == known else ""
    index = numbers.index(int(asked)) if asked.isdecimal() and int(asked) in items else 0
    number = st.selectbox(
        "Conversation", numbers, index=index, format_func=lambda n: label(items[n]), key=f"{key}-{len(numbers)}"
    )
    if str(number) != asked:
        st.query_params["dialogue"] = str(number)
    show(items[number])
    return items[number]


def label(dialogue: Dialogue) -> str:
    state = f"proposal {dialogue.proposal}" if dialogue.proposal is not None else waits_for(dialogue)
    group = f", {dialogue.header.group}" if dialogue.header.group else ""
    return f"{dialogue.number}: {dialogue.model}, {state}{group}"
