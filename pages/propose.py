"""From the two frames to a goal, sub-tasks and a checker for each."""

import dataclasses

import streamlit as st

from vlmcar_core import authoring, pipeline, plugins
from vlmcar_core.authoring import Wish
from vlmcar_core.errors import BadInput, DamagedFile, UnknownName
from vlmcar_core.servers import Server
from vlmcar_core.store import Session
from vlmcar_core.types import Proposal
from vlmcar_core.vlms import replay
from vlmcar_studio import asking, conversation, current, prompts, widgets

WAYS = {
    "builtin": "Built-in, no VLM",
    "openai": "A model",
    "clipboard": "Clipboard",
    "replay": "Recorded answers",
    "hand": "By hand",
}


def show(proposal: Proposal) -> None:
    st.header(f"Proposal {proposal.number}")
    reason = f" · {widgets.plain(proposal.reason)}" if proposal.reason else ""
    st.caption(f"by {widgets.plain(proposal.author)} · {widgets.plain(widgets.when(proposal.created))}{reason}")
    st.markdown(f"**Goal.** {widgets.plain(proposal.goal.title)}")
    for doubt in proposal.doubts:
        st.warning(f"Doubt: {widgets.plain(doubt)}", icon=":material/help:")
    for number, step in enumerate(proposal.subtasks, 1):
        with st.expander(f"{number}. {widgets.plain(step.title)}", icon=":material/help:" if step.doubt else None):
            if step.doubt:
                st.warning(f"Doubt: {widgets.plain(step.doubt)}", icon=":material/help:")
            st.code(widgets.verbatim(step.checker.source), language="python")
    with st.expander("How the goal is checked", icon=":material/help:" if proposal.goal.doubt else None):
        if proposal.goal.doubt:
            st.warning(f"Doubt: {widgets.plain(proposal.goal.doubt)}", icon=":material/help:")
        st.code(widgets.verbatim(proposal.goal.checker.source), language="python")


def hint() -> str:
    return st.text_area(
        "Hint (optional)",
        key="hint",
        max_chars=authoring.HINT_LIMIT,
        placeholder="what the two frames may not tell, such as: the door is the brown thing on the left",
        height=80,
    )


def builtin(session: Session, busy: bool) -> None:
    st.caption("Compares the pixels of the two frames. It uses no model, no key and no network.")
    if st.button("Propose", type="primary", icon=":material/lightbulb:", disabled=busy):
        pipeline.launch(session, "propose", ["--proposer", "builtin"])
        st.rerun()


def model(session: Session, busy: bool, vlm: str = "openai") -> None:
    server = asking.server()
    ready = asking.summary(server)
    said = hint()
    left, right = st.columns(2)
    count = left.number_input("Candidates", 1, 64, 1, help="Several are verified and ranked; the best is then adopted.")
    at_once = right.number_input("At a time", 1, 16, 2, disabled=count == 1)
    with st.expander("Budget"):
        budget = asking.budget_fields()
    with st.expander("Prompts"):
        prompts.edit(session)
    if st.button("Ask the model", type="primary", icon=":material/forum:", disabled=busy or not ready):
        arguments = ["--proposer", vlm, "--hint", said, *asking.budget_arguments(budget)]
        if count > 1:
            arguments += ["--candidates", str(int(count)), "--concurrency", str(int(at_once))]
        asking.start(session, "propose", arguments, server)
    if session.candidates():
        widgets.next_page("candidates", "Compare the candidates", ":material/leaderboard:")


def clipboard(session: Session, _busy: bool) -> None:
    st.caption("You carry the questions to any chat page that takes pictures, and paste its answers back.")
    dialogue = asking.waiting(session)
    if dialogue is None:
        said = hint()
        with st.expander("Prompts"):
            prompts.edit(session)
        if st.button("Begin", type="primary", icon=":material/content_copy:"):
            authoring.begin(session, Wish(local_settings(), "clipboard", hint=said))
            st.rerun()
        return
    with st.container(border=True):
        done = asking.paste(session, dialogue)
    if done is not None:
        st.toast(f"Proposal {done.proposal} is there.", icon=":material/check:")
        st.rerun()
    conversation.show(dialogue)
    if st.button("Begin anew", icon=":material/restart_alt:", help="The answers so far are kept."):
        authoring.begin(session, Wish(local_settings(), "clipboard", hint=dialogue.header.brief.hint))
        st.rerun()


def local_settings() -> Server:
    """How pictures are scaled and so on; without a server where the settings cannot be read."""
    try:
        return asking.server()
    except DamagedFile:
        return Server()


def recorded(session: Session, busy: bool) -> None:
    st.caption("Answers again with what was answered once in this session: a demo without a key and without a model.")
    found = {item.number: item for item in replay.recordings(session)}
    if not found:
        st.info("Nothing is recorded in this session yet. Ask a model once, or paste answers of a chat page.")
        return
    number = st.selectbox("Recording", list(reversed(found)), format_func=lambda n: conversation.label(found[n]))
    if st.button("Replay", type="primary", icon=":material/replay:", disabled=busy):
        server = dataclasses.replace(local_settings(), model=str(number))
        asking.start(session, "propose", ["--proposer", "replay"], server)


def resume(session: Session, busy: bool) -> None:
    """The conversations that were had, and going on with one that was stopped."""
    shown = conversation.history(session, "conversation")
    if shown is None or shown.proposal is not None or shown.header.vlm == "clipboard":
        return
    server = local_settings()
    words = "Go on from there" if shown.exchanges else "Ask again"
    if st.button(words, icon=":material/play_arrow:", disabled=busy, help="What is answered is not asked again."):
        way = shown.header.vlm
        asking.start(session, "propose", ["--proposer", way, "--resume", str(shown.number)], server)


def by_hand(session: Session, _busy: bool) -> None:
    st.caption("You name the goal, and write its checker and the sub-tasks on the page Review.")
    if session.proposals().items:
        st.info("There is a proposal already: change it, or add sub-tasks to it.")
        widgets.next_page("review", "Review")
        return
    goal = st.text_input("Goal", max_chars=200, key="goal-by-hand", placeholder="the agent is at the green square")
    name = widgets.author()
    if st.button("Begin", type="primary", icon=":material/edit:", key="begin-by-hand"):
        pipeline.begin_by_hand(session, goal, name)
        st.switch_page(widgets.PAGES / "review.py", query_params={"session": session.name})


session = current.session()
st.title("Propose")
left, right = st.columns(2)
with left:
    widgets.show_session_frame(session, "initial", 300)
with right:
    widgets.show_session_frame(session, "goal", 300)
if session.goal is None:
    st.info("There is no goal frame yet. Record an expert, or choose a goal frame on the task page.")
    widgets.next_page("record", "Record an expert")
    widgets.next_page("task", "Choose a goal frame")
    st.stop()
job = pipeline.current_job(session, "propose")
busy = job is not None and job.running
added = {name: plugins.load("vlms", name).TITLE for name in plugins.names("vlms") if name not in WAYS}
names = WAYS | added
ways = list(names)
asked = st.query_params.get("by", "")
way = st.segmented_control(
    "Who proposes", ways, default=asked if asked in ways else "builtin", format_func=lambda name: names[name], key="way"
)
way = way or "builtin"
if asked != way:
    st.query_params["by"] = way
try:
    shown = {"builtin": builtin, "openai": model, "clipboard": clipboard, "replay": recorded, "hand": by_hand}.get(way)
    shown(session, busy) if shown else model(session, busy, way)
except (BadInput, UnknownName, DamagedFile) as error:
    widgets.failed(error)
if busy:
    conversation.live(session, "propose")
else:
    widgets.watch_job(session, "propose")
listing = session.proposals()
widgets.problems(listing.problems)
if not listing.items:
    st.info("Nothing is proposed yet.")
else:
    show(listing.items[-1])
    widgets.next_page("review", "Next: review and edit")
    widgets.next_page("verify", "Or straight on: verify")
if not busy and session.dialogue_folders():
    st.header("Conversations")
    resume(session, busy)
