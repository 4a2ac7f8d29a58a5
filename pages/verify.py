"""Every checker on every recorded trajectory: the verdicts, when each fired, and the replay."""

from collections import Counter
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
import streamlit as st

from vlmcar_core import marks, pipeline, recordings, report, verdicts
from vlmcar_core.errors import VlmcarError
from vlmcar_core.lab import truth
from vlmcar_core.recordings import TrajectoryInfo
from vlmcar_core.store import Session
from vlmcar_core.types import Answers, Proposal
from vlmcar_core.verdicts import Verification, Wrong
from vlmcar_studio import current, marking, overlay, trajectories, widgets
from vlmcar_studio.replay import Track, replay

ALL = "*"
"""Stands for every checker where one is chosen; no key looks like it."""

NOTHING = ""
"""Stands for no second trajectory; no id looks like it."""


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


def answers_of(session: Session, proposal: Proposal, info: TrajectoryInfo) -> dict[str, Answers]:
    said = {step.key: session.answers(step.checker.digest, info.id, info.steps + 1) for step in proposal.steps}
    return {key: answers for key, answers in said.items() if answers is not None}


def seen_by(session: Session, proposal: Proposal, id: str, key: str) -> dict[int, list[overlay.Outline]]:
    """What one checker's code identifies in each distinct frame of a trajectory, or what all of them do."""
    chosen = [step.checker for step in proposal.steps if key in (step.key, ALL)]
    return overlay.together(
        {one.key: overlay.of_trajectory(str(session.folder), id, session, one.source) for one in chosen}
    )


@st.cache_data(show_spinner="Reading what every checker said …", max_entries=8)
def firing_figure(
    folder: str,
    verification: int,
    digests: Sequence[str],
    stamps: trajectories.Stamps,
    _session: Session,
    _proposal: Proposal,
    _infos: Mapping[str, TrajectoryInfo],
) -> go.Figure:
    """Drawn anew after another verification, or where a trajectory was added or changed."""
    rows = {id: answers_of(_session, _proposal, info) for id, info in _infos.items()}
    return report.firing_figure(_proposal, _infos, rows)


def firing(
    session: Session, proposal: Proposal, verification: Verification, infos: Mapping[str, TrajectoryInfo]
) -> None:
    st.header("When each checker fired")
    digests = [step.checker.digest for step in proposal.steps]
    stamps = trajectories.stamps(session)
    number = verification.number or 0
    figure = firing_figure(str(session.folder), number, digests, stamps, session, proposal, infos)
    chosen = st.plotly_chart(
        figure,
        on_select="rerun",
        selection_mode="points",
        key="firing",
        alt="When checkers fired",
        config=widgets.saving("fires"),
    )
    st.caption(
        "A click on a mark shows its frame in the replay below. By keyboard: choose the trajectory there, and step "
        "from change to change; *Signs and keys* names the keys."
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
    st.header("Replay")
    infos = {info.id: info for info in trajectories.infos(session).items}
    wrong = trajectories.faults(verification)
    titles = marking.titles(proposal)
    ids = trajectories.chosen(infos, wrong, titles)
    if not ids:
        st.info("No trajectory is like that.")
        return
    standing = marks.standing(session.marks().items)
    trajectories.table(ids, infos, wrong, titles, Counter(mark.trajectory for mark in standing))
    shown, seen_key = pickers(ids, infos, wrong, titles)
    start = start_of(shown[0], max(infos[id].steps for id in shown))
    tracks = [track_of(session, proposal, infos[id], seen_key, wrong.get(id, []), standing) for id in shown]
    marked = len(session.marks().items)
    place = replay(session, proposal, tracks, start, st.session_state.get("replay-jump", 0), marked)
    st.query_params.update({"trajectory": shown[0], "frame": str(place.frame)})
    if len(shown) > 1:
        st.query_params["beside"] = shown[1]
    else:
        st.query_params.pop("beside", None)
    marking.panel(session, proposal, shown[0], infos[shown[0]].steps, place)


def pickers(
    ids: Sequence[str],
    infos: Mapping[str, TrajectoryInfo],
    wrong: Mapping[str, Sequence[trajectories.Fault]],
    titles: Mapping[str, str],
) -> tuple[list[str], str]:
    """Which one or two trajectories are shown, and by whose eyes."""
    wanted = st.session_state.get("trajectory") or st.query_params.get("trajectory")
    st.session_state["trajectory"] = wanted if wanted in ids else ids[0]
    beside = st.session_state.get("beside", st.query_params.get("beside"))
    st.session_state["beside"] = beside if beside in infos else NOTHING
    names = titles | {ALL: "all checkers"}
    one, two, eyes = st.columns(3)

    def words(id: str) -> str:
        return trajectories.describe(infos[id], id in wrong) if id in infos else "nothing"

    id = one.selectbox("Trajectory", ids, format_func=words, key="trajectory")
    other = two.selectbox("Beside it", [NOTHING, *infos], format_func=words, key="beside")
    key = eyes.selectbox("What the code sees, by", list(names), format_func=names.__getitem__, key="seen-by")
    return [id, other] if other not in (NOTHING, id) else [id], key


def track_of(
    session: Session,
    proposal: Proposal,
    info: TrajectoryInfo,
    seen_key: str,
    wrong: Sequence[trajectories.Fault],
    standing: Sequence[marks.Mark],
) -> Track:
    """One trajectory as the player shows it, with what is expected: what people marked, else what is known."""
    answers = answers_of(session, proposal, info)
    known = known_of(session, proposal, info)
    expected = {
        key: [
            told if said is None else said
            for said, told in zip(marks.expected(standing, info.id, key, info.steps + 1), known[key], strict=True)
        ]
        for key in answers
    }
    places = [fault.wrong for fault in wrong]
    return Track(info.id, answers, seen_by(session, proposal, info.id, seen_key), places, expected)


def known_of(session: Session, proposal: Proposal, info: TrajectoryInfo) -> dict[str, list[bool | None]]:
    """By checker key, in which frames it must not be done, by the simulator's fact that the newest examination compares
    it with, or since the environment never calls the episode solved."""
    examination = session.examination(proposal.number or 0)
    about = {found.key: found.fact for found in examination.checkers} if examination is not None else {}
    facts = recordings.read_facts(session.trajectory_path(info.id))
    episode = truth.Episode(info.id, info.source, info.success, facts)
    found = {}
    for step in proposal.steps:
        known = truth.expected(step.key, episode, about.get(step.key))
        if about.get(step.key) is None and known.fires:
            known = truth.UNKNOWN  # that an expert's first frame is not yet the end says nothing here
        found[step.key] = truth.by_frame(known, info.steps + 1)
    return found


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


session = current.session()
st.title("Verify")
proposals = session.proposals()
widgets.problems([*proposals.problems, *trajectories.infos(session).problems, *session.verifications().problems])
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
    f"{limits.confidence:.0%} confidence. No negative may: an unsolved episode that an attack found or a run kept."
)
if st.button("Verify", type="primary", icon=":material/fact_check:", disabled=job is not None and job.running):
    pipeline.launch(session, "verify", ["--proposal", str(proposal.number)])
    st.rerun()
widgets.watch_job(session, "verify")
verification = session.verification(proposal.number)
infos = {info.id: info for info in trajectories.infos(session).items}
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
        firing(session, proposal, verification, {id: infos[id] for id in verification.trajectories if id in infos})
if infos:
    show_replay(session, proposal, verification)
    widgets.next_page("train", "Next: train")
    widgets.next_page("review", "Or back: edit the checkers")
