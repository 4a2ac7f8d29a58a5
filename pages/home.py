"""All sessions, and for a first visit what this is."""

import streamlit as st

from vlmcar_core import pipeline, verdicts
from vlmcar_core.errors import VlmcarError
from vlmcar_core.sandbox.layers import Health, health
from vlmcar_core.store import Session, sessions
from vlmcar_studio import current, widgets

NAME_WIDTH = 200
"""Pixels: a longer name is cut, so that a task and its verdict are seen beside it."""

STEPS = (
    ("Two frames", "Choose an environment, or upload how a task begins and how it looks when it is done."),
    ("Programs", "Sub-tasks are proposed, and for each a small program that sees from pixels whether it is done."),
    ("Verified", "Every program runs on recorded experts and random episodes. You see where it is wrong, and why."),
    ("Trained", "The verified programs pay an agent at every step, beside the environment's own reward."),
)


def row(name: str) -> dict[str, str]:
    session = Session(pipeline.default_root() / name)
    task, proposals = session.task, session.proposals().items
    verification = session.verification(proposals[-1].number or 0) if proposals else None
    return {
        "Session": name,
        "Task": task.env_id or "two frames",
        "Verdict": verdicts.judge_whole(verification).judgement if verification else "not verified",
        "Runs": str(len(session.run_folders())),
        "Trajectories": str(session.trajectory_count),
        "Proposal": f"{proposals[-1].number} by {proposals[-1].author}" if proposals else "none yet",
    }


def next_step(session: Session) -> tuple[str, str]:
    """The page that goes on with a session, and what to do there."""
    proposals = session.proposals().items
    if not proposals:
        return (
            ("record", "record trajectories") if session.goal is None else ("propose", "propose sub-tasks and checkers")
        )
    verification = session.verification(proposals[-1].number or 0)
    if verification is None:
        return "verify", "verify the checkers"
    judgement = verdicts.judge_whole(verification).judgement
    if judgement != "accepted":
        return "verify", f"see why the checkers are {judgement}"
    return ("report", "see the report") if session.run_folders() else ("train", "train")


def go_on(session: Session) -> None:
    """A link to the page that goes on with the open session."""
    try:
        page, words = next_step(session)
    except VlmcarError:
        page, words = "task", "see what can be read of it"
    st.caption(f"Open: **{widgets.plain(session.name)}**")
    widgets.next_page(page, f"Next: {words}")


def safe_row(name: str) -> dict[str, str]:
    try:
        return row(name)
    except VlmcarError as error:
        return {"Session": name, "Task": f"cannot be read: {error}"}


@st.cache_resource(show_spinner=False)
def contained() -> Health:
    return health()


def containment() -> None:
    """What contains checkers on this machine, for whoever wants to know, and loudly where nothing does."""
    found = contained()
    if found.refused:
        st.error(widgets.plain(found.refused), icon=":material/gpp_bad:")
    elif not found.sealed:
        st.warning(
            "Checkers run with your rights here: this machine cannot seal them in, and you said that they are trusted. "
            "Run only code that you have read.",
            icon=":material/gpp_maybe:",
        )
    with st.expander("What contains the checkers on this machine", icon=":material/shield:"):
        st.caption("Every checker runs in a process of its own that seals itself before it reads the code.")
        st.dataframe(
            [
                {
                    "Layer": layer.name,
                    "Holds": "yes" if layer.holds else "no, and it is needed" if layer.needed else "no",
                    "What it does": layer.does,
                    "What is lacking": layer.lacking,
                }
                for layer in found.layers
            ],
            hide_index=True,
            alt="The layers of the seal, and which of them hold",
        )


def open_selected() -> None:
    rows = st.session_state["sessions"]["selection"]["rows"]
    if rows:
        current.choose(listing.items[rows[0]])


st.title("VLM-CaR Studio")
st.write("Write reward code from two frames, see it verified, train on it. No API key and no GPU needed.")
for number, (column, (title, text)) in enumerate(zip(st.columns(4), STEPS, strict=True), 1):
    with column.container(border=True, height="stretch"):
        st.markdown(f"**{number}. {title}**")
        st.caption(text)
listing = sessions(pipeline.default_root())
if listing.problems:
    lines = "\n".join(f"- {widgets.plain(problem)}" for problem in listing.problems)
    st.warning(f"Some sessions cannot be read; the others are listed.\n{lines}")
with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
    st.header("Sessions")
    if st.button("New session", type="primary", icon=":material/add:"):
        current.choose(None)
        st.switch_page(widgets.PAGES / "task.py")
if listing.items:
    st.dataframe(
        [safe_row(name) for name in listing.items],
        hide_index=True,
        on_select=open_selected,
        selection_mode="single-row",
        key="sessions",
        column_config={"Session": st.column_config.Column(width=NAME_WIDTH)},
        alt="The sessions with their task, newest proposal and verdict",
    )
    st.caption("Select a row to open its session (by keyboard: Shift and space); the numbered pages then show it.")
    opened = current.session_or_none()
    if opened is not None:
        go_on(opened)
else:
    st.info("There are no sessions yet. Make the first one: it takes a minute to a verified reward.")
containment()
