"""Models compared: acceptance against cost, with the built-in proposer as a row."""

from datetime import timedelta

import streamlit as st

from vlmcar_core import compare, comparisons, jobs, pipeline, repair, report, servers
from vlmcar_core.comparisons import Comparison, Plan
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.jobs import Job
from vlmcar_core.store import sessions
from vlmcar_core.types import Count, Recording
from vlmcar_studio import asking, widgets

ROOT = pipeline.default_root()
COSTS = {"US dollars": "money", "tokens": "tokens", "seconds": "seconds"}


def new() -> None:
    """What is to be compared."""
    server = asking.server()
    asking.summary(server)
    names = st.text_area(
        "Models, one a line",
        server.model,
        key="models",
        placeholder="a model's name on this server, or name@http://another-server/v1",
        height=100,
    )
    own = list(sessions(ROOT).items)
    ids = [task.env_id for _, task in pipeline.env_tasks() if task.works and task.expert]
    tasks = st.multiselect(
        "Tasks", [*own, *ids], key="tasks", help="Your sessions, with their frames and trajectories; or environments."
    )
    one, two, three, four = st.columns(4)
    repeats = one.number_input("Repeats", 1, comparisons.REPEATS_MAX, 3)
    rounds = two.number_input("Rounds of mending", 0, 20, repair.ROUNDS)
    randoms = three.number_input("Random episodes", 1, 10_000, Recording.randoms, help="For environments.")
    at_once = four.number_input("At a time", 1, 16, 2)
    builtin = st.checkbox("The built-in proposer, no VLM, as a row", True)
    with st.expander("Budget"):
        budget = asking.budget_fields()
    if st.button("Compare", type="primary", icon=":material/compare_arrows:"):
        models = tuple(line.strip() for line in names.splitlines() if line.strip())
        every = (*models, *((comparisons.BUILTIN,) if builtin and comparisons.BUILTIN not in models else ()))
        plan = Plan(
            every,
            tuple(tasks),
            server,
            int(repeats),
            int(rounds),
            Recording(randoms=int(randoms)),
            int(at_once),
            budget,
        )
        comparison = compare.create(ROOT, plan)
        launch(comparison)


def launch(comparison: Comparison) -> None:
    key = asking.key(comparison.plan.server)
    compare.launch(comparison, servers.secrets(comparison.plan.server, key))
    st.query_params["comparison"] = str(comparison.number)
    st.rerun()


def job_of(comparison: Comparison) -> Job | None:
    try:
        return jobs.read(comparison.folder)
    except DamagedFile:
        return None


@st.fragment(run_every=timedelta(seconds=2.0))
def live(comparison: Comparison) -> None:
    try:
        job = jobs.read(comparison.folder)
        if not job.running:
            st.rerun()
        st.progress(min(1.0, job.done / job.total) if job.total else 0.0, text=widgets.plain(job.message))
        if st.button("Stop", icon=":material/stop:"):
            jobs.cancel(comparison.folder)
            st.toast("Stopping; every finished cell is kept.")
        results(comparisons.read(comparison.folder))
    except DamagedFile as error:
        widgets.failed(error)


def results(comparison: Comparison) -> None:
    widgets.problems(comparison.problems)
    if not comparison.rows:
        st.info("No cell is done yet.")
        return
    totals = comparison.totals
    st.dataframe(
        [
            {
                "Model": comparisons.label(item.model),
                "Whole accepted": widgets.rate(item.whole),
                "Before mending": widgets.rate(item.first),
                "Sub-tasks accepted": widgets.rate(item.subtasks),
                "Rounds": f"{item.rounds:.1f}",
                "Tokens": f"{item.tokens:,.0f}",
                "US dollars": "unknown" if item.money is None else f"{item.money:.4f}",
                "Seconds": f"{item.seconds:.1f}",
                "Failed": item.failed,
            }
            for item in totals
            if item.rows
        ],
        hide_index=True,
        alt="One line per model",
    )
    st.caption("Rates with their 95 % Clopper–Pearson interval; rounds, tokens, dollars and seconds for one proposal.")
    name = st.segmented_control("Cost in", list(COSTS), default="tokens", key="cost") or "tokens"
    points: list[tuple[str, Count, float | None]] = [
        (comparisons.label(item.model), item.whole, getattr(item, COSTS[name])) for item in totals
    ]
    unknown = [label for label, accepted, spent in points if spent is None and accepted.total]
    st.plotly_chart(
        report.acceptance_figure(points, name),
        key="acceptance",
        alt="Acceptance against cost",
        config=widgets.saving("acceptance"),
    )
    if unknown:
        st.caption(f"Not drawn, for their cost is not known: {widgets.plain(', '.join(unknown))}.")
    with st.expander("Every cell"):
        st.dataframe(
            [
                {
                    "Model": comparisons.label(row.model),
                    "Task": row.task,
                    "Repeat": row.repeat,
                    "Whole": row.whole,
                    "At first": row.whole_at_first,
                    "Sub-tasks": f"{row.accepted} of {row.subtasks}",
                    "Rounds": row.rounds,
                    "Why it failed": row.failure,
                    "Session": row.session,
                }
                for row in comparison.rows
            ],
            hide_index=True,
            alt="One line per cell",
        )
        st.caption("Each cell is a session of its own. To open them:")
        st.code(f"vlmcar --root {comparison.folder / comparisons.CELLS} app", language=None, wrap_lines=True)


st.title("Compare models")
st.caption("How weak may a model be? Each model proposes for each task, is verified, and mends what was rejected.")
try:
    with st.expander("A new comparison", expanded=not comparisons.comparisons(ROOT).items):
        new()
except (BadInput, DamagedFile) as error:
    widgets.failed(error)
listing = comparisons.comparisons(ROOT)
widgets.problems(listing.problems)
found = {item.number: item for item in listing.items}
if not found:
    st.info("Nothing is compared yet. Name models above, and a task or several: each row is then one model.")
    st.stop()
asked = st.query_params.get("comparison", "")
numbers = list(reversed(found))
index = numbers.index(int(asked)) if asked.isdecimal() and int(asked) in found else 0
number = st.selectbox(
    "Comparison",
    numbers,
    index=index,
    format_func=lambda n: (
        f"{n}: {', '.join(map(comparisons.label, found[n].plan.models))} on {', '.join(found[n].plan.tasks)}, "
        f"{len(found[n].rows)} of {len(found[n].plan.cells)} cells"
    ),
)
if str(number) != asked:
    st.query_params["comparison"] = str(number)
chosen = found[number]
job = job_of(chosen)
if job is not None and job.running:
    live(chosen)
else:
    if job is not None and job.state != "success":
        (st.info if job.state == "cancelled" else st.error)(widgets.plain(job.message))
    if len(chosen.rows) < len(chosen.plan.cells) and st.button("Go on", icon=":material/play_arrow:"):
        launch(chosen)
    results(chosen)
