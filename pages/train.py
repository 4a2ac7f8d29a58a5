"""Training runs on the checkers' reward and on the environment's own, live."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from vlmcar_core import payments, pipeline, runs, verdicts
from vlmcar_core.errors import BadInput
from vlmcar_core.runs import Run, RunConfig
from vlmcar_core.store import Session
from vlmcar_core.types import Proposal
from vlmcar_studio import algorithm, current, monitor, one_run, places, run_changes, widgets
from vlmcar_studio.replay import Track, replay


def verdict_line(session: Session, proposal: Proposal) -> None:
    assert proposal.number is not None
    verification = session.verification(proposal.number)
    if verification is None:
        st.warning(f"Proposal {proposal.number} is not verified: nobody knows yet whether its checkers are right.")
        return
    judged = verdicts.judge_whole(verification)
    if judged.judgement != "accepted":
        st.warning(f"Proposal {proposal.number} is {judged.judgement}: {widgets.plain(judged.reason)}.")
    else:
        widgets.badge(judged.judgement)
        st.caption(f"Proposal {proposal.number} by {widgets.plain(proposal.author)}")


def start(session: Session, proposal: Proposal | None) -> None:
    left, middle, right = st.columns(3)
    choices = ["dense", "sparse"] if proposal else ["sparse"]
    rewards = left.pills("Rewards", choices, selection_mode="multi", default=choices, help="One run of each per seed.")
    seeds = middle.number_input("Seeds", 1, 20, pipeline.DEFAULT_SEEDS)
    steps = right.number_input("Steps a run", 1_000, runs.STEPS_MAX, RunConfig.steps, step=10_000, key=algorithm.STEPS)
    with st.expander("More settings"):
        pay = paid(session, proposal)
        env_reward = st.toggle("Dense runs keep the environment's own reward beside the checkers'", value=True)
        scale = st.number_input(
            "The checkers pay in a whole episode, in all",
            0.01,
            runs.SCALE_MAX,
            RunConfig.scale,
            format="%g",
            help="Beside an environment that takes 1 a step (panda-gym), 1 is hardly felt; try 10.",
        )
        stop = st.toggle("Stop a run when a checker's process had to be ended three times", value=False)
    with st.expander("The algorithm and its settings"):
        learner = algorithm.algorithm(session)
    launcher, address = places.choose()
    if st.button("Start training", type="primary", icon=":material/play_arrow:", disabled=not rewards):
        try:
            pipeline.start_training(
                session,
                list(rewards),
                range(int(seeds)),
                env_reward=env_reward,
                scale=float(scale),
                **pay,
                when_disabled="stop" if stop else "go-on",
                steps=int(steps),
                launcher=launcher,
                address=address,
                **learner,
            )
        except BadInput as error:
            widgets.failed(error)
        else:
            st.rerun()
    st.caption(
        "Each run is a process of its own: it goes on when this page, or the app, is closed. Runs that are resumed or "
        "cloned below go to the same place."
    )


def paid(session: Session, proposal: Proposal | None) -> dict[str, Any]:
    """How completions become a reward, as fields of `RunConfig`."""
    ways = list(payments.WAYS)
    way = st.selectbox(
        "How completions are paid",
        ways,
        index=ways.index(pipeline.default_pay(session)),
        format_func=payments.WAYS.__getitem__,
        key="pay",
        help="docs/training.md has each formula, where it comes from, and what it promises.",
    )
    if way in payments.FARMED:
        st.warning(
            f"“{way}” pays for going round in circles: with it agents learned to do and undo one sub-task instead of "
            "solving the task. It is here to be studied, not to train with."
        )
    undo = 0.0
    if way in ("once", "progress"):
        undo = st.number_input(
            "Undoing a completed sub-task costs this share of its pay, once",
            0.0,
            payments.UNDO_MAX,
            0.0,
            step=0.1,
            help="Only where a sub-task must stay done: a key that is no longer seen after it opened the door is not "
            "undone work, but a checker that looks for it would say so.",
        )
    weights = {}
    if proposal is not None and len(proposal.paid) > 1:
        st.caption("Weights of the sub-tasks, relative to each other")
        columns = st.columns(3)
        for number, step in enumerate(proposal.paid):
            column = columns[number % len(columns)]
            weight = column.number_input(
                widgets.plain(step.title),
                0.0,
                payments.WEIGHT_MAX,
                1.0,
                format="%g",
                step=0.5,
                key=f"weight-{step.key}",
            )
            if weight != 1.0:
                weights[step.key] = float(weight)
    return {"pay": way, "undo": float(undo), "weights": weights}


def watch(session: Session, found: Sequence[Run]) -> None:
    ready = [run for run in found if (run.folder / runs.MODEL).is_file()]
    if not ready:
        st.caption("A policy can be watched from its first evaluation on.")
        return
    left, right = st.columns(2)
    names = {run.number: f"run {run.number}, {run.config.reward}, seed {run.config.seed}" for run in ready}
    number = left.selectbox("Policy", list(names), format_func=lambda number: names[number])
    episodes = right.number_input("Episodes", 1, 100, 3)
    job = pipeline.current_job(session, "watch")
    busy = job is not None and job.running
    if st.button("Record its episodes", icon=":material/videocam:", disabled=busy):
        pipeline.launch(session, "watch", [str(number), "--episodes", str(int(episodes))])
        st.rerun()
    widgets.watch_job(session, "watch")
    recorded = {info.id: info for info in session.trajectories().items if info.source == "policy"}
    if recorded and session.proposals().items:
        id = st.selectbox(
            "Episode",
            list(reversed(recorded)),
            format_func=lambda id: (
                f"{id}, {recorded[id].steps} steps, {'solved' if recorded[id].success else 'not solved'}"
            ),
        )
        proposal = session.proposal()
        said = {step.key: session.answers(step.checker.digest, id) for step in proposal.steps}
        track = Track(id, {key: answers for key, answers in said.items() if answers is not None})
        replay(session, proposal, [track])
        if not any(said.values()):
            st.caption("Verify again to see what the checkers say about it.")


session = current.session()
st.title("Train")
if session.task.env_id is None:
    st.info("This session has two frames and no environment, so there is nothing to train in.")
    st.stop()
run_changes.resume_asked(session)
proposals = session.proposals().items
if proposals:
    verdict_line(session, proposals[-1])
else:
    st.info("Nothing is proposed yet, so only the environment's own, sparse reward can be trained on.")
start(session, proposals[-1] if proposals else None)
listing = runs.runs(session)
widgets.problems(listing.problems)
if not listing.items:
    st.info("No run yet. Start a dense and a sparse one: their curves are drawn beside each other.")
    st.stop()
st.header("Runs")
monitor.overview(session)
st.session_state.setdefault("train-view", "One run")
view = st.segmented_control("More", ["One run", "Compare", "Watch a policy"], required=True, key="train-view")
if view == "One run":
    one_run.one_run(session, listing.items)
elif view == "Compare":
    run_changes.compare(listing.items)
else:
    watch(session, listing.items)
widgets.next_page("report", "Next: the report")
