"""Every checker on every recorded trajectory: the verdicts, when each fired, and the replay."""

from collections.abc import Mapping

import streamlit as st

from vlmcar_core import pipeline, report, verdicts
from vlmcar_core.errors import VlmcarError
from vlmcar_core.recordings import TrajectoryInfo
from vlmcar_core.store import Session
from vlmcar_core.types import Answers, Proposal
from vlmcar_core.verdicts import Verification, Wrong
from vlmcar_studio import current, overlay, widgets
from vlmcar_studio.replay import replay

ALL = "*"
"""Stands for every checker where one is chosen; no key looks like it."""


def open_at(wrong: Wrong, key: str) -> None:
    """Go to a place in the replay."""
    st.session_state["trajectory"] = wrong.trajectory
    st.session_state["frame"] = wrong.frame
    st.session_state["seen-by"] = key


def verdict_table(proposal: Proposal, verification: Verification) -> None:
    whole = verdicts.judge_whole(verification)
    with st.container(border=True):
        widgets.badge(whole.judgement)
        st.markdown(f"**The whole proposal:** {widgets.plain(whole.reason)}.")
        if verification.wrong:
            first = verification.wrong[0]
            st.caption(widgets.plain(f"{len(verification.wrong)} wrong; first: {first.trajectory}, {first.reason}"))
            st.button("First wrong frame", key="wrong-whole", on_click=open_at, args=(first, ALL))
    for step in proposal.steps:
        verdict = verification.verdict(step.key)
        judged = verdicts.judge_checker(verdict, verification)
        name = f"Goal: {step.title}" if step is proposal.goal else step.title
        with st.container(border=True):
            widgets.badge(judged.judgement)
            st.markdown(f"**{widgets.plain(name.rstrip('.'))}:** {widgets.plain(judged.reason)}.")
            st.caption(
                f"Fires in {widgets.rate(verdict.random)} of the random episodes of at most "
                f"{verification.random_steps} steps" + ("; shown, not judged." if step is not proposal.goal else ".")
            )
            if verdict.wrong:
                first = verdict.wrong[0]
                words = f"{len(verdict.wrong)} trajectories are wrong; first: {first.trajectory}, frame {first.frame}"
                st.caption(widgets.plain(f"{words}: {first.reason}"))
                with st.container(horizontal=True, vertical_alignment="center"):
                    st.button("First wrong frame", key=f"wrong-{step.key}", on_click=open_at, args=(first, step.key))
                    widgets.next_page("repair", "Have it mended", ":material/build:", checker=step.key)


def answers_of(session: Session, proposal: Proposal, id: str) -> dict[str, Answers]:
    said = {step.key: session.answers(step.checker.digest, id) for step in proposal.steps}
    return {key: answers for key, answers in said.items() if answers is not None}


def seen_by(session: Session, proposal: Proposal, id: str, key: str) -> dict[int, list[overlay.Outline]]:
    """What one checker's code identifies in each distinct frame of a trajectory, or what all of them do."""
    chosen = [step.checker for step in proposal.steps if key in (step.key, ALL)]
    return overlay.together(
        {one.key: overlay.of_trajectory(str(session.folder), id, session, one.source) for one in chosen}
    )


def firing(session: Session, proposal: Proposal, infos: Mapping[str, TrajectoryInfo]) -> None:
    st.subheader("When each checker fired")
    rows = {id: answers_of(session, proposal, id) for id in infos}
    figure = report.firing_figure(proposal, infos, rows)
    chosen = st.plotly_chart(
        figure, on_select="rerun", selection_mode="points", key="firing", alt="When checkers fired"
    )
    points = chosen["selection"]["points"] if chosen else []
    place = (points[0].get("y"), points[0].get("x")) if points else None
    if place is not None and place != st.session_state.get("firing-at"):
        st.session_state["firing-at"] = place
        st.session_state["trajectory"] = str(place[0])
        st.session_state["frame"] = int(place[1])


@st.fragment
def show_replay(session: Session, proposal: Proposal, verification: Verification | None) -> None:
    """A fragment: coming to another frame draws nothing else anew. Nothing outside catches what goes wrong in one."""
    try:
        replay_of_one(session, proposal, verification)
    except VlmcarError as error:
        widgets.failed(error)


def replay_of_one(session: Session, proposal: Proposal, verification: Verification | None) -> None:
    st.subheader("Replay")
    infos = {info.id: info for info in session.trajectories().items}
    wrongs = wrong_places(verification)
    ids = filtered(infos, wrongs)
    if not ids:
        st.info("No trajectory is like that.")
        return
    wanted = st.session_state.get("trajectory") or st.query_params.get("trajectory")
    if wanted not in ids:
        wanted = ids[0]
    st.session_state["trajectory"] = wanted
    left, right = st.columns(2)
    id = left.selectbox("Trajectory", ids, format_func=lambda id: describe(infos[id], id in wrongs), key="trajectory")
    titles = {step.key: step.title for step in proposal.steps} | {ALL: "all checkers"}
    key = right.selectbox("What the code sees, by", list(titles), format_func=lambda key: titles[key], key="seen-by")
    seen = seen_by(session, proposal, id, key)
    start = start_of(id, infos[id].steps)
    here = wrongs.get(id, [])
    frame = replay(
        session,
        id,
        proposal,
        answers_of(session, proposal, id),
        seen,
        here,
        start,
        st.session_state.get("replay-jump", 0),
    )
    st.query_params.update({"trajectory": id, "frame": str(frame)})


def filtered(infos: Mapping[str, TrajectoryInfo], wrongs: Mapping[str, list[Wrong]]) -> list[str]:
    """The trajectories that are wanted; where somebody jumps to another one, the wish is given up."""
    sources = list(dict.fromkeys(info.source for info in infos.values()))
    jumped = infos.get(st.session_state.get("trajectory", "")) if "frame" in st.session_state else None
    if jumped is not None:
        st.session_state["sources"] = []
        st.session_state["only-wrong"] = bool(st.session_state.get("only-wrong")) and jumped.id in wrongs
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.pills("Recorded by", sources, selection_mode="multi", format_func=widgets.plain, key="sources")
        only_wrong = st.toggle("Only with something wrong", key="only-wrong", disabled=not wrongs)
    return [
        id for id, info in infos.items() if (not only_wrong or id in wrongs) and (not wanted or info.source in wanted)
    ]


def start_of(id: str, last: int) -> int:
    """Where the replay of a trajectory begins; stays the same until somebody jumps, or the trajectory changes."""
    asked = st.session_state.pop("frame", None)
    if asked is not None:
        st.session_state["replay-jump"] = st.session_state.get("replay-jump", 0) + 1
    elif st.session_state.get("replay-start", ("", 0))[0] != id:
        text = st.query_params.get("frame", "0") if st.query_params.get("trajectory") == id else "0"
        asked = int(text) if text.isdecimal() else 0
    if asked is not None:
        st.session_state["replay-start"] = (id, min(int(asked), last))
    return int(st.session_state["replay-start"][1])


def describe(info: TrajectoryInfo, wrong: bool) -> str:
    solved = {True: "solved", False: "not solved", None: "success not known"}[info.success]
    return f"{info.id}, {info.steps} steps, {solved}" + (", wrong" if wrong else "")


def wrong_places(verification: Verification | None) -> dict[str, list[Wrong]]:
    found: dict[str, list[Wrong]] = {}
    if verification is not None:
        for wrong in (*verification.wrong, *(item for verdict in verification.verdicts for item in verdict.wrong)):
            found.setdefault(wrong.trajectory, []).append(wrong)
    return found


session = current.session()
st.title("Verify")
proposals = session.proposals()
widgets.problems([*proposals.problems, *session.trajectories().problems, *session.verifications().problems])
if not proposals.items:
    st.info("Nothing is proposed yet.")
    widgets.next_page("propose", "Propose sub-tasks and checkers")
    st.stop()
proposal = proposals.items[-1]
assert proposal.number is not None
job = pipeline.current_job(session, "verify")
limits = session.header().thresholds
st.caption(
    f"Proposal {proposal.number} by {widgets.plain(proposal.author)}. Accepted: every expert completes all sub-tasks "
    f"in order and the goal, and fewer than {limits.random_limit:.0%} of the random episodes do, with "
    f"{limits.confidence:.0%} confidence."
)
if st.button("Verify", type="primary", icon=":material/fact_check:", disabled=job is not None and job.running):
    pipeline.launch(session, "verify", ["--proposal", str(proposal.number)])
    st.rerun()
widgets.watch_job(session, "verify")
verification = session.verification(proposal.number)
infos = {info.id: info for info in session.trajectories().items}
if verification is None:
    st.info(f"Proposal {proposal.number} is not verified yet. Press Verify to ask its checkers about every trajectory.")
    if not infos and session.task.env_id is None:
        st.caption("A session of two frames has no trajectories, so its verdicts will stay undecided.")
    elif not infos:
        st.caption("Nothing is recorded yet; without trajectories every verdict stays undecided.")
        widgets.next_page("record", "Record trajectories")
else:
    unseen = len(set(infos) - set(verification.trajectories))
    if unseen:
        st.warning(f"{unseen} trajectories were recorded since; verify again to count them.")
    verdict_table(proposal, verification)
    if not infos:
        st.info("There are no trajectories, so nothing can be decided. A session of two frames has none.")
    elif verification.trajectories:
        firing(session, proposal, {id: infos[id] for id in verification.trajectories if id in infos})
if infos:
    show_replay(session, proposal, verification)
    widgets.next_page("train", "Next: train")
    widgets.next_page("review", "Or back: edit the checkers")
