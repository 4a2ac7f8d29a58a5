"""The laboratory: what is known about each checker, where it is contradicted, what the evidence would not notice."""

import streamlit as st

from vlmcar_core import examinations, laboratory, pipeline, recordings
from vlmcar_core.errors import DamagedFile
from vlmcar_core.examinations import Case, Examination, Examined, Mutation
from vlmcar_core.lab.unnoticed import unnoticed
from vlmcar_core.store import Session
from vlmcar_core.types import Proposal, SubTask
from vlmcar_studio import current, widgets

GUESSED, NOTHING = "guessed", "nothing that the simulator tells"
STAGES = ("near-misses", "hard-scenes", "attack")
ATTACKS = {
    "reachable": "every state that the layout can reach",
    "cem": "cross-entropy method, 500 episodes",
    "shooting": "random actions, 500 episodes",
    "ppo": "a policy trained on the checkers' pay alone",
}
SHOWN = 20
"""Contradictions, survivors and finds in a list at first."""

OFFERED = 3
"""Facts that a checker may be about, at most."""

OPEN = 5
"""So many finds are shown at once."""


def facts_of(session: Session) -> list[str]:
    """The names of the simulator's facts, from the first trajectory that can be read."""
    for info in session.trajectories().items:
        try:
            return sorted(recordings.read_facts(session.trajectory_path(info.id)))
        except DamagedFile:
            continue
    return []


def begin(session: Session, proposal: Proposal, found: Examination | None) -> None:
    """What each checker is about, and the button."""
    known = facts_of(session)
    job = pipeline.current_job(session, "examine")
    named: list[str] = []
    with st.expander("What each checker is about", expanded=False):
        st.caption(
            "Each checker is held to the simulator's fact that its title names; the goal to what comes true when the "
            "environment calls an episode solved. Where neither tells, it is compared with what comes true where it "
            "fires itself, and not accepted for that: name what it is about."
        )
        before = {item.key: item for item in found.checkers} if found is not None else {}
        for step in proposal.steps:
            chosen = fact_box(step, before.get(step.key), known)
            if chosen != GUESSED:
                named += ["--fact", f"{step.key}={'' if chosen == NOTHING else chosen}"]
        if not known:
            st.caption("The recorded trajectories tell no facts, so only experts and the environment's word are known.")
    with st.container(horizontal=True, vertical_alignment="center"):
        busy = job is not None and job.running
        pressed = st.button("Examine", type="primary", icon=":material/biotech:", disabled=busy)
        mutants = st.toggle("Wrong versions of each checker, too (takes longest)", value=True, key="mutants")
    if pressed:
        more = [] if mutants else ["--no-mutants"]
        pipeline.launch(session, "examine", ["--proposal", str(proposal.number), *named, *more])
        st.rerun()
    widgets.watch_job(session, "examine")


def more_evidence(session: Session, proposal: Proposal) -> None:
    """Near misses, and a search for what fools the checkers."""
    jobs = {stage: pipeline.current_job(session, stage) for stage in STAGES}
    running = {stage: job is not None and job.running for stage, job in jobs.items()}
    with st.container(horizontal=True):
        wanted = {
            "near-misses": st.button(
                "Record near misses",
                icon=":material/directions_walk:",
                disabled=running["near-misses"],
                help="An expert up to each stage of the task, then wandering without ever solving it; and, where the "
                "simulator can go back to a state, sub-tasks in another order, or undone again.",
            ),
            "hard-scenes": st.button(
                "Put wrong objects in",
                icon=":material/category:",
                disabled=running["hard-scenes"] or not laboratory.has_scenes(session),
                help="Records episodes beside one more object: another colour, another shape, or in the goal's colour. "
                "The environment itself never shows these layouts.",
            ),
            "attack": st.button(
                "Attack",
                icon=":material/swords:",
                disabled=running["attack"],
                help="Searches for a way to be paid for nothing. Each find becomes an adversarial trajectory, which "
                "every later verification and examination meets.",
            ),
        }
        kinds = laboratory.attacks(session)
        kind = st.selectbox(
            "How to attack",
            kinds,
            format_func=ATTACKS.__getitem__,
            width=380,
            key="attack-kind",
        )
    arguments = {
        "attack": ["--proposal", str(proposal.number), "--kind", str(kind)],
        "near-misses": [],
        "hard-scenes": [],
    }
    for stage, pressed in wanted.items():
        if pressed:
            pipeline.launch(session, stage, arguments[stage])
            st.rerun()
    for stage in STAGES:
        ended = widgets.watch_job(session, stage)
        if ended is not None and ended.state == "success":
            st.caption(widgets.plain(f"{stage.replace('-', ' ').capitalize()}: {ended.message}"))


def finds(session: Session) -> None:
    """What attacks found, each with a way to its replay."""
    items = session.trajectories().items
    found = [info for info in items if info.source == "adversarial" and "order" not in info.versions]
    if not found:
        return
    with st.expander(f"Found by attacks: {len(found)}", expanded=len(found) <= OPEN):
        st.caption("Each was played again and kept: every verification and examination from then on meets it.")
        for info in found[:SHOWN]:
            told = info.versions.get("reason", "paid and never solved")
            widgets.next_page(
                "verify",
                widgets.plain(f"{info.id}, {info.steps} steps: {told} ({info.origin or 'no search is named'})"),
                ":material/play_circle:",
                trajectory=info.id,
                frame=str(info.steps),
            )
        if len(found) > SHOWN:
            st.caption(f"and {len(found) - SHOWN} more")


def fact_box(step: SubTask, before: Examined | None, known: list[str]) -> str:
    options = [GUESSED, *known, NOTHING]
    start = 0
    if before is not None and before.named:
        start = options.index(before.fact) if before.fact in options else len(options) - 1
    guess = f"{GUESSED}: {before.fact}" if before is not None and not before.named and before.fact else GUESSED
    return st.selectbox(
        widgets.plain(step.title),
        options,
        index=start,
        format_func=lambda name: guess if name == GUESSED else widgets.plain(name),
        key=f"fact-{step.key}",
    )


def checker(step: SubTask, examined: Examined, goal: bool) -> None:
    judged = examinations.judge(examined)
    with st.container(border=True):
        widgets.badge(judged.judgement)
        name = f"Goal: {step.title}" if goal else step.title
        st.markdown(f"**{widgets.plain(name.rstrip('.'))}:** {widgets.plain(judged.reason)}.")
        about = f"“{examined.fact}”" if examined.fact else NOTHING
        how = examinations.ORIGINS[examined.origin]
        st.caption(widgets.plain(f"Compared with {about} ({how}). {offsets(examined)}"))
        candidates(step, examined)
        evidence(examined)
        contradictions(examined.cases, "Contradictions")
        if examined.mutation is not None:
            mutation(examined.mutation)
        if examined.coverage is not None:
            st.caption(f"Branches that a recorded frame takes: {widgets.rate(examined.coverage.taken)}")
        for line in (*examined.lints, *(f"Record {wish}" for wish in examined.lacking)):
            st.caption(f":material/info: {widgets.plain(line)}")
        contradictions(examined.shaken, "Small changes of the picture that change an answer; not judged")


def candidates(step: SubTask, examined: Examined) -> None:
    """What it may be about, each named with one click, where nobody knows."""
    if examined.origin not in ("fires", "none") or not examined.likely:
        return
    job = pipeline.current_job(current.session(), "examine")
    with st.container(horizontal=True):
        for fact in examined.likely[:OFFERED]:
            if st.button(
                widgets.plain(f"It is about “{fact}”"),
                icon=":material/check:",
                key=f"about-{step.key}-{fact}",
                disabled=job is not None and job.running,
                help="Examines again, held to this fact; what has not changed is not asked again.",
            ):
                more = [] if st.session_state.get("mutants", True) else ["--no-mutants"]
                arguments = ["--proposal", str(proposal.number), "--fact", f"{step.key}={fact}", *more]
                pipeline.launch(current.session(), "examine", arguments)
                st.rerun()


def offsets(examined: Examined) -> str:
    words = ""
    if examined.offsets:
        low, high = min(examined.offsets), max(examined.offsets)
        span = f"{low:+d}" if low == high else f"{low:+d} to {high:+d}"
        words = f"First fire against it: {span} frames in {len(examined.offsets)} episodes. "
    return f"{words}Fires and then does not in {examined.flicker.hits} of {examined.flicker.total} episodes."


def evidence(examined: Examined) -> None:
    rows = [
        {
            "Source": row.source,
            "Had to fire, and did": widgets.rate(row.should),
            "Must not fire, and did not": widgets.rate(row.must_not),
            "Not known": row.unknown,
        }
        for row in examined.rows
    ]
    st.dataframe(rows, hide_index=True, alt=f"Evidence about {examined.key}")


def contradictions(cases: tuple[Case, ...], title: str) -> None:
    if not cases:
        return
    with st.expander(f"{title}: {len(cases)}"):
        for case in cases[:SHOWN]:
            st.markdown(f"- {widgets.plain(f'{case.episode}, frame {case.frame}, {case.kind}: {case.reason}')}")
        if len(cases) > SHOWN:
            st.caption(f"and {len(cases) - SHOWN} more")
        recorded = next((case for case in cases if " " not in case.episode), None)
        if recorded is not None:
            widgets.next_page(
                "verify",
                f"Replay {recorded.episode}",
                ":material/play_circle:",
                trajectory=recorded.episode,
                frame=str(recorded.frame),
            )


def mutation(found: Mutation) -> None:
    alike = f"; {found.alike} of the others answer every recorded frame as it does" if found.alike else ""
    st.caption(f"Wrong versions that the evidence tells from it: {widgets.rate(found.killed)}{alike}")
    if found.survivors:
        told = unnoticed(found.survivors)
        with st.expander(f"What nothing recorded would notice: {len(told)}"):
            rows = [
                {"Line": item.line, "What": sentence(item.told), "To tell it, record": sentence(item.record)}
                for item in told
            ]
            st.dataframe(rows, hide_index=True, alt="Wrong versions that survive")


def sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def order(session: Session, found: Examination) -> None:
    """What the chain pays for sub-tasks that are done out of order."""
    steps = {step.key: step for step in proposal.steps}
    rows = [
        {
            "Sub-task": steps[turn.key].title,
            "Done before its turn, of all episodes": widgets.rate(turn.early),
            "Paid before its turn": turn.paid_early,
            "Of these, paid once its turn came": widgets.rate(turn.later),
        }
        for turn in found.turns
        if turn.key in steps
    ]
    early = sum(turn.early.hits for turn in found.turns)
    if len(rows) > 1:
        with st.expander(f"Sub-tasks out of order: {early or 'never seen'}"):
            st.caption(
                "A sub-task counts only once all before it are done. Whatever is done before its turn is paid nothing "
                "until then; where it is still done when its turn comes, it is paid then."
            )
            st.dataframe(rows, hide_index=True, alt="Sub-tasks out of order")


session = current.session()
st.title("Examine")
st.caption(
    "Experts and random walks prove little. Here every checker meets all that is known: the simulator's facts in every "
    "recorded episode, episodes made from them, small changes of the picture, and small wrong versions of its own code."
)
listing = session.proposals()
widgets.problems([*listing.problems, *session.examinations().problems])
if not listing.items:
    st.info("Nothing is proposed yet.")
    widgets.next_page("propose", "Propose sub-tasks and checkers")
    st.stop()
proposal = listing.items[-1]
assert proposal.number is not None
found = session.examination(proposal.number)
if not session.trajectories().items:
    st.info("Nothing is recorded yet, so nothing is known.")
    widgets.next_page("record", "Record trajectories")
    st.stop()
begin(session, proposal, found)
if session.task.env_id is not None:
    more_evidence(session, proposal)
finds(session)
if found is None:
    st.info(
        f"Proposal {proposal.number} is not examined yet. Press Examine: every checker is held to what is known of "
        "every episode. More evidence makes it say more: record near misses and wrong objects first."
    )
    st.stop()
st.caption(
    f"{found.episodes} recorded episodes, {found.made} made from them."
    + (
        f" Learned return and success agree with a Kendall tau-b of {found.alignment:.2f}."
        if found.alignment is not None
        else ""
    )
)
order(session, found)
steps = {step.key: step for step in proposal.steps}
for examined in found.checkers:
    if examined.key in steps:
        checker(steps[examined.key], examined, steps[examined.key] is proposal.goal)
widgets.next_page("repair", "Have a checker mended", ":material/build:")
widgets.next_page("train", "Next: train")
