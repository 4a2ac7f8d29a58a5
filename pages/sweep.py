"""A sweep: the same training over a grid of settings, with several seeds in each cell."""

from datetime import timedelta

import streamlit as st

from vlmcar_core import pipeline, runs, sweeps
from vlmcar_core.errors import BadInput, VlmcarError
from vlmcar_core.store import Session
from vlmcar_core.sweeps import Sweep
from vlmcar_studio import current, places, widgets

REFRESH_SECONDS = 3.0
EXAMPLE = "reward = dense, sparse\ngamma = 0.95, 0.99"


def start(session: Session, proposed: bool) -> None:
    text = st.text_area(
        "Settings and their values, one setting a line",
        EXAMPLE if proposed else EXAMPLE.replace("dense, ", ""),
        height=110,
        key="grid",
        help="Fields of a run (reward, pay, scale, undo, env_reward, trainer, steps, evaluations, eval_episodes) and "
        f"settings of the trainer: {', '.join(settings(session))}.",
    )
    left, right = st.columns(2)
    seeds = left.number_input("Seeds a cell", 1, 100, 3, key="seeds")
    steps = right.number_input("Steps a run", 64, runs.STEPS_MAX, runs.RunConfig.steps, step=10_000, key="steps")
    launcher, address = places.choose()
    try:
        grid = sweeps.parse([line.replace(" ", "") for line in text.splitlines() if line.strip()])
        asked = sweeps.plan([session], grid, int(seeds), int(steps))
    except BadInput as error:
        widgets.failed(error)
        return
    cells = len(sweeps.cells(asked))
    st.caption(f"{cells} cells, {cells * asked.seeds} runs of {asked.steps:,} steps.")
    if st.button("Start the sweep", type="primary", icon=":material/play_arrow:"):
        try:
            kept, started = sweeps.start(session, asked, launcher, address)
        except BadInput as error:
            widgets.failed(error)
        else:
            st.session_state["sweep-said"] = (
                f"Sweep {kept.number}: {len(started)} of {cells * asked.seeds} runs started."
            )
            st.rerun()


def settings(session: Session) -> list[str]:
    return sorted({name for known in pipeline.trainers(session).values() for name in known})


def show(session: Session) -> None:
    listing = sweeps.sweeps(session)
    widgets.problems(listing.problems)
    if not listing.items:
        st.info("No sweep yet. Start one: its cells are compared here, each over its seeds.")
        return
    st.header("What they came to")
    found = {one.number: one for one in listing.items}
    number = st.selectbox(
        "Sweep", list(reversed(found)), format_func=lambda number: described(found[number]), key="which-sweep"
    )
    table(session, found[number])


def described(kept: Sweep) -> str:
    grid = "; ".join(f"{name} = {', '.join(map(str, values))}" for name, values in kept.plan.grid.items())
    return f"{kept.number}: {grid or 'one cell'}; seeds: {kept.plan.seeds}; {kept.plan.steps:,} steps"


@st.fragment(run_every=timedelta(seconds=REFRESH_SECONDS))
def table(session: Session, kept: Sweep) -> None:
    outcomes = sweeps.outcomes(session, kept)
    rows = [
        {
            "Cell": sweeps.label(kept.plan, one.cell),
            "Final success, IQM": percent(one.iqm),
            "Median": percent(one.median),
            "Median steps to 80 %": "—" if one.median_steps is None else f"{one.median_steps:,.0f}",
            "Runs": ", ".join(f"{count} {state}" for state, count in sorted(one.states.items())),
        }
        for one in outcomes
    ]
    st.dataframe(rows, hide_index=True, alt="What each cell of the sweep came to")
    st.caption(
        "IQM: the mean of the seeds without the lowest and the highest quarter, rounded down; of fewer than four seeds "
        "the mean. Success is the environment's own word, in each run's last evaluation."
    )
    left = sweeps.missing(outcomes)
    with st.container(horizontal=True, vertical_alignment="center"):
        if left and st.button(f"Start the {left} that are missing", icon=":material/replay:", key="go-on"):
            again(session, kept)
        widgets.next_page("queue", "The queue", ":material/list:")
        widgets.next_page("train", "Its runs", ":material/model_training:")


def percent(share: float | None) -> str:
    return "—" if share is None else f"{share:.0%}"


def again(session: Session, kept: Sweep) -> None:
    """Where it runs is what is chosen above."""
    try:
        sweeps.go_on(session, kept.number, *places.chosen())
    except VlmcarError as error:
        widgets.failed(error)
    else:
        st.rerun()


session = current.session()
st.title("Sweep")
st.caption(
    "The same training over every choice of some settings, with several seeds each. What is asked for is written down; "
    "asked for again, only what is missing is started."
)
if session.task.env_id is None:
    st.info("This session has two frames and no environment, so there is nothing to train in.")
    st.stop()
if said := st.session_state.pop("sweep-said", ""):
    st.toast(said, icon=":material/check:")
proposals = session.proposals()
widgets.problems(proposals.problems)
if not proposals.items:
    st.info("Nothing is proposed yet: only the environment's own reward can be swept over (reward = sparse).")
start(session, bool(proposals.items))
show(session)
