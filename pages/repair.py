"""Mending a rejected checker: what the model is shown, what came back, and whether it is better."""

import dataclasses

import streamlit as st

from vlmcar_core import authoring, candidates, files, pipeline, repair, verdicts
from vlmcar_core.dialogue import Case
from vlmcar_core.errors import BadInput, DamagedFile, SandboxError
from vlmcar_core.repair import Round
from vlmcar_core.store import Session
from vlmcar_core.types import Frame, Proposal, SubTask
from vlmcar_core.verdicts import Verification
from vlmcar_studio import asking, conversation, current, widgets

WAYS = {"openai": "The model", "clipboard": "Clipboard", "replay": "Recorded answers"}


def step_of(proposal: Proposal, key: str) -> SubTask:
    return next(step for step in proposal.steps if step.key == key)


def choose(proposal: Proposal, verification: Verification) -> str:
    """The checker to mend: the rejected ones first."""
    wanting = repair.wanting(proposal, verification)
    keys = [*wanting, *(step.key for step in proposal.steps if step.key not in wanting)]

    def label(key: str) -> str:
        verdict = verification.verdict(key)
        return f"{step_of(proposal, key).title}: {verdicts.judge_checker(verdict, verification).judgement}"

    asked = st.query_params.get("checker", "")
    key = st.selectbox("Checker", keys, index=keys.index(asked) if asked in keys else 0, format_func=label)
    if key != asked:
        st.query_params["checker"] = key
    return key


@st.cache_data(show_spinner="Asking what the code sees …", max_entries=64)
def cases(
    folder: str, number: int | None, key: str, _session: Session, _proposal: Proposal, _verification: Verification
) -> tuple[list[Case], dict[str, Frame]]:
    """What a verification found wrong with a checker, in pictures; a verification never changes."""
    return repair.cases(_session, _proposal, _verification, key)


def counterexamples(session: Session, proposal: Proposal, verification: Verification, key: str) -> None:
    """The frames that go into the request."""
    found, shown = cases(str(session.folder), verification.number, key, session, proposal, verification)
    if not found:
        st.info("Verification found no frame on which it is wrong. Say below what should change.")
        return
    st.markdown("What the model is shown:")
    for column, case in zip(st.columns(max(2, len(found))), found, strict=False):
        column.image(
            files.png(shown[case.picture]),
            caption=widgets.plain(f"{case.trajectory}, frame {case.frame}"),
            alt=case.expected,
        )
        column.markdown(f"Answered **{widgets.plain(case.answered)}**")
        column.caption(f"Expected: {widgets.plain(case.expected)}")
        if case.seen:
            column.caption(f"It saw: {widgets.plain(case.seen)}")


def ask(session: Session, key: str, number: int, busy: bool) -> None:
    """One round, from the standing checker or from the last try."""
    way = (
        st.segmented_control("Who mends it", list(WAYS), default="openai", format_func=lambda name: WAYS[name])
        or "openai"
    )
    feedback = st.text_area(
        "What you want to say (optional)",
        key=f"feedback-{key}-{number}",
        max_chars=authoring.HINT_LIMIT,
        height=80,
        placeholder="such as: the door is the brown thing on the left",
    )
    if way == "clipboard":
        by_hand(session, key, number, feedback)
        return
    server = asking.server()
    ready = way == "replay" or asking.summary(server)
    if way == "openai":
        with st.expander("Budget"):
            budget = asking.budget_arguments(asking.budget_fields())
    else:
        budget, server = [], dataclasses.replace(server, model="")
    arguments = [key, "--proposer", way, "--proposal", str(number), "--feedback", feedback, *budget]
    with st.container(horizontal=True):
        if st.button("Ask for a mended checker", type="primary", icon=":material/build:", disabled=busy or not ready):
            asking.start(session, "repair", arguments, server)
        unattended = [key, "--auto", "--proposer", way, "--feedback", feedback, *budget]
        help = f"At most {repair.ROUNDS} rounds; what mends it and breaks nothing is adopted."
        if st.button("Unattended", icon=":material/autorenew:", disabled=busy or not ready, help=help):
            asking.start(session, "repair", unattended, server)


def by_hand(session: Session, key: str, number: int, feedback: str) -> None:
    dialogue = asking.waiting(session, key)
    if dialogue is None:
        if st.button("Begin", type="primary", icon=":material/content_copy:"):
            repair.begin(session, asking.server(), key, "clipboard", number, feedback)
            st.rerun()
        return
    with st.container(border=True):
        done = asking.paste(session, dialogue)
    if done is not None:
        repair.judge(session, done)
        st.rerun()


def show_round(session: Session, number: int, one: Round, key: str, last: bool) -> None:
    compared = one.compared
    with st.container(border=True):
        icon = ":material/check_circle:" if compared.offered else ":material/cancel:"
        st.markdown(f"{icon} **Round {number}**, proposal {one.proposal}: {widgets.plain(compared.summary)}.")
        st.dataframe(
            [
                {
                    "": "Wrong before, right now",
                    "Trajectories": len(compared.mended),
                    "Which": ", ".join(compared.mended),
                },
                {"": "Wrong before and now", "Trajectories": len(compared.still), "Which": ", ".join(compared.still)},
                {
                    "": "Right before, wrong now",
                    "Trajectories": len(compared.broken),
                    "Which": ", ".join(compared.broken),
                },
                {"": "Right before and now", "Trajectories": compared.kept, "Which": ""},
            ],
            hide_index=True,
            alt="Before and after",
        )
        st.caption(f"Before: {compared.before.judgement}, {widgets.plain(compared.before.reason)}.")
        st.caption(f"After: {compared.after.judgement}, {widgets.plain(compared.after.reason)}.")
        st.caption(f"The whole: {compared.whole_before.judgement} before, {compared.whole_after.judgement} after.")
        proposal = session.proposal(one.proposal)
        with st.expander("Its code"):
            st.code(widgets.verbatim(step_of(proposal, key).checker.source), language="python")
        if last:
            decide(session, one, proposal, key)


def decide(session: Session, one: Round, proposal: Proposal, key: str) -> None:
    with st.container(horizontal=True):
        help = None if one.compared.offered else "It does not mend everything, or breaks what was right."
        if st.button(
            "Accept it", type="primary", icon=":material/check:", disabled=not one.compared.offered, help=help
        ):
            stored = candidates.adopt(session, one.proposal, f"mends {key}")
            st.toast(f"It stands as proposal {stored.number}.", icon=":material/check:")
            st.query_params.pop("checker", None)
            st.rerun()
        drafted = session.draft is not None
        why = "Save or discard your draft on the Review page first." if drafted else "Takes this code into the editor."
        if st.button("Edit it by hand", icon=":material/edit:", disabled=drafted, help=why):
            standing = session.proposal()
            mended = step_of(proposal, key)
            session.save_draft(pipeline.with_step(standing, mended))
            st.switch_page(widgets.PAGES / "review.py", query_params={"session": session.name, "checker": key})


session = current.session()
st.title("Repair")
proposals = session.proposals()
widgets.problems([*proposals.problems, *session.verifications().problems])
if not proposals.items:
    st.info("Nothing is proposed yet.")
    widgets.next_page("propose", "Propose sub-tasks and checkers")
    st.stop()
standing = session.proposal()
assert standing.number is not None
verification = session.verification(standing.number)
if verification is None:
    st.info(f"Proposal {standing.number} is not verified yet, so nothing is known to be wrong with it.")
    widgets.next_page("verify", "Verify it first")
    st.stop()
st.caption(f"Proposal {standing.number} by {widgets.plain(standing.author)}.")
if not repair.wanting(standing, verification):
    st.success("Verification rejects none of its checkers. You may still have one changed.")
job = pipeline.current_job(session, "repair")
busy = job is not None and job.running
try:
    key = choose(standing, verification)
    tried = repair.rounds(session, standing.number, key)
    if tried:
        with st.expander("Where the standing checker is wrong"):
            counterexamples(session, standing, verification, key)
    for number, one in enumerate(tried, 1):
        show_round(session, number, one, key, last=number == len(tried))
    base = session.proposal(tried[-1].proposal) if tried else standing
    seen = session.verification(base.number or 0)
    if tried:
        st.header("Another round")
        if len(tried) >= repair.ROUNDS:
            st.warning(f"{len(tried)} rounds have not mended it. Editing by hand may be quicker.")
        fresh = st.toggle("Begin again from the standing checker, not from the last try")
        base, seen = (standing, verification) if fresh else (base, seen)
    if seen is not None and base.number is not None:
        counterexamples(session, base, seen, key)
        ask(session, key, base.number, busy)
except (BadInput, DamagedFile, SandboxError) as error:
    widgets.failed(error)
if busy:
    conversation.live(session, "repair")
else:
    widgets.watch_job(session, "repair")
    if session.dialogue_folders():
        st.header("Conversations")
        if conversation.history(session, "repair-conversation", repair=True) is None:
            st.caption("None yet.")
