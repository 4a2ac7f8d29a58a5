"""Training as it goes: charts of all runs, each run with what can be done about it, and one run looked into."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import streamlit as st

from vlmcar_core import alarm, continuing, jobs, runs, seeds
from vlmcar_core.escaping import one_line
from vlmcar_core.report import COLOURS, FIRES
from vlmcar_core.runs import Run
from vlmcar_core.seeds import experiment
from vlmcar_core.store import Session
from vlmcar_studio import cloning, measures, remedy, widgets
from vlmcar_studio.charts import Chart, Line, charts

REFRESH_SECONDS = 2.0
PIXELS = {
    "sparse": (6, 4),
    **{"once": (), "remaining": (2, 3), "potential": (6, 3, 2, 3), "progress": (10, 4)},
    **{"edge": (10, 3, 2, 3), "level": (2, 6)},
}
"""Dashes by how a run is paid, as in the report's figures."""

ROWS_DRAWN = 4000
PACE_ROWS = 10
SHOWN = 4
"""The newest runs, and all that run, are shown at once; the others are folded away."""

Rows = Sequence[Mapping[str, Any]]


def overview(session: Session) -> None:
    """All runs, refreshed by itself while one of them runs."""
    if any(run.job.running for run in runs.runs(session).items):
        _live_overview(session)
    else:
        _overview(session)


@st.fragment(run_every=timedelta(seconds=REFRESH_SECONDS))
def _live_overview(session: Session) -> None:
    _overview(session)
    if not any(run.job.running for run in runs.runs(session).items):
        st.rerun()


def _overview(session: Session) -> None:
    found = runs.runs(session).items
    running = [run for run in found if run.job.running]
    with st.container(horizontal=True, vertical_alignment="center"):
        raw = st.toggle("Every seed", key="raw-seeds", help="Off: one line for all seeds of an experiment.")
        if len(running) > 1 and st.button("Stop all", icon=":material/stop:", key="stop-all"):
            for run in running:
                jobs.cancel(run.folder)
    remedy.alarms(session, found)
    charts("overview", overview_charts(found, raw))
    rows = seeds.table(seeds.groups(found))
    if rows:
        st.dataframe(
            [{name: one_line(text) for name, text in row.items()} for row in rows],
            hide_index=True,
            alt="Experiments: all seeds of each together",
        )
        st.caption(seeds.TABLE_NOTE)
    shown = [run for number, run in enumerate(reversed(found)) if number < SHOWN or run.job.running]
    for run in shown:
        _show_run(session, run)
    rest = [run for run in reversed(found) if run not in shown]
    if rest:
        with st.expander(f"{len(rest)} more runs"):
            for run in rest:
                _show_run(session, run)


# Charts


def overview_charts(found: Sequence[Run], raw: bool) -> list[Chart]:
    """What the environment says, and what the checkers paid, each in a chart of its own.

    Args:
        found: the runs.
        raw: a line for every run; else one for all seeds of an experiment, in its band.
    """
    told = [(run, sampled(runs.read_progress(run.folder))) for run in found]
    dense = [(run, rows) for run, rows in told if run.config.reward == "dense"]
    held_out = [(run, _evaluated(run)) for run in found]
    window = "Of the last 100 training episodes."
    return [
        _chart("success", "Environment success, training", told, "success_rate", "%", window, raw),
        _chart("held-out", "Environment success, held-out layouts", held_out, "rate", "%", "Evaluations.", raw),
        _chart("env-return", "Environment return an episode", told, "env_return", "", window, raw),
        _chart("learned-return", "Learned return an episode", dense, "learned_return", "", "Paid by checkers.", raw),
        _chart("length", "Episode length in steps", told, "episode_length", "", window, raw),
    ]


def _evaluated(run: Run) -> Rows:
    return [{"steps": steps, "rate": rate} for steps, rate in runs.success_rates(runs.read_evaluations(run.folder))]


def _chart(key: str, title: str, told: Sequence[tuple[Run, Rows]], name: str, unit: str, note: str, raw: bool) -> Chart:
    together: dict[tuple[Any, ...], list[tuple[Run, Rows]]] = {}
    for run, rows in told:
        known = [row for row in rows if row[name] is not None]
        if known:
            together.setdefault(experiment(run.config), []).append((run, known))
    lines: list[Line] = []
    for members in together.values():
        if raw or len(members) == 1:
            lines += [_line(run, rows, name, thin=len(members) > 1) for run, rows in members]
        else:
            lines += _together(members, name)
    return Chart(key, title, lines, unit, note)


def _line(run: Run, rows: Rows, name: str, thin: bool = False) -> Line:
    paid = seeds.paid_by(run.config)
    label = f"{seeds.describe(run.config)}, run {run.number}, seed {run.config.seed}"
    return Line(label, *_numbers(rows, name), COLOURS[paid], PIXELS[paid], thin)


def _together(members: Sequence[tuple[Run, Rows]], name: str) -> list[Line]:
    """The interquartile mean of some seeds, where all of them are, in its band."""
    config = members[0][0].config
    grid, values = seeds.on_grid([_numbers(rows, name) for _, rows in members])
    if not len(grid):
        return [_line(run, rows, name, thin=True) for run, rows in members]
    middle, low, high = seeds.band(values)
    paid = seeds.paid_by(config)
    label = f"{seeds.describe(config)}, {len(members)} seeds"
    return [Line(label, grid, middle, COLOURS[paid], PIXELS[paid], band=(low, high))]


def _numbers(rows: Rows, name: str) -> tuple[list[float], list[float]]:
    values = [np.nan if row.get(name) is None else row[name] for row in rows]
    return [row["steps"] for row in rows], values


def run_charts(rows: Rows, titles: Mapping[str, str] | None = None) -> list[Chart]:
    """One run's: what each sub-task was paid, what the learner measured, how fast it goes, what was remembered.

    Args:
        rows: of its progress; at least one.
        titles: of the sub-tasks, by checker key.
    """
    rows = sampled(rows)
    steps = [row["steps"] for row in rows]
    pace = Line("this run", steps, _paces(rows), FIRES[0])
    remembered = [row["remembered"] / row["asked"] if row["asked"] else np.nan for row in rows]
    return [
        _parts("shares", "Sub-tasks: episodes that completed them", rows, "completions", "%", titles=titles or {}),
        _parts("paid", "Sub-tasks: paid for each, an episode", rows, "paid", titles=titles or {}),
        *measures.learner_charts(rows),
        Chart("pace", "Steps a second", [pace], note=f"Over the last {PACE_ROWS} rows, with evaluations in between."),
        Chart("memory", "Answers of checkers from memory", [Line("this run", steps, remembered, FIRES[0])], "%"),
    ]


def _paces(rows: Rows) -> list[float]:
    """Steps a second up to each row, over some rows before it: evaluations take the time of single ones."""
    found = []
    for number, row in enumerate(rows):
        since = rows[max(0, number - PACE_ROWS)]
        steps, seconds = (row[name] - since[name] for name in ("steps", "seconds"))
        found.append(steps / seconds if seconds > 0 else row["steps_per_second"])
    return found


def sampled(rows: Rows) -> Rows:
    """No more rows than can be drawn at every refresh: of very long runs every so many-th, and the last."""
    return rows if len(rows) <= ROWS_DRAWN else [*rows[: -1 : len(rows) // ROWS_DRAWN + 1], rows[-1]]


def _names(rows: Rows, name: str) -> dict[str, None]:
    """The parts of a mapping in the rows, as some of them tell: they hardly change within a run."""
    some = [*rows[:: max(1, len(rows) // 100)], rows[-1]]
    return dict.fromkeys(part for row in some for part in row[name])


def _parts(key: str, title: str, rows: Rows, name: str, unit: str = "", titles: Mapping[str, str] = {}) -> Chart:
    """A line for each part of a mapping in the rows."""
    parts = _names(rows, name)
    steps = [row["steps"] for row in rows]
    lines = []
    for number, part in enumerate(parts):
        values = [row[name].get(part, np.nan) for row in rows]
        dash = () if number < len(FIRES) else (6, 3)
        lines.append(Line(titles.get(part, part), steps, values, FIRES[number % len(FIRES)], dash))
    return Chart(key, title, lines, unit)


# A run and what can be done about it


def _show_run(session: Session, run: Run) -> None:
    rows, evaluations = runs.read_progress(run.folder), runs.read_evaluations(run.folder)
    found = runs.summary(evaluations)
    latest: Mapping[str, Any] = rows[-1] if rows else {}
    with st.container(border=True):
        first, second, third = st.columns([3, 2, 3])
        with first:
            st.markdown(f"**Run {run.number}**, {widgets.plain(seeds.describe(run.config))}, seed {run.config.seed}")
            widgets.state_badge(run.job.state)
            if run.config.cloned_from is not None:
                st.caption(f"Cloned from run {run.config.cloned_from}")
        solved = latest.get("success_rate")
        second.metric("Success, last 100 episodes", "—" if solved is None else f"{solved:.0%}")
        learned = f"{found.steps_to_learned:,} steps" if found.steps_to_learned is not None else "not yet"
        final = (
            f"{found.final_success:.0%} of {found.episodes} episodes" if found.final_success is not None else "none yet"
        )
        third.caption(f"80 % success after: {learned}  \nLast evaluation: {final}  \n{_pace(run, rows)}")
        for key, fault in (latest.get("faults") or {}).items():
            st.warning(
                widgets.plain(f"The checker {key} pays nothing where it fails: {fault}"), icon=":material/error:"
            )
        _alarm(run, evaluations)
        if run.job.running:
            text = widgets.plain(run.job.message)
            st.progress(min(1.0, run.job.done / run.job.total) if run.job.total else 0.0, text=text)
        elif run.job.state != "success":
            st.caption(widgets.plain(run.job.message))
        _buttons(run)
        if st.session_state.get(cloning.ASKED) == run.number:
            cloning.form(session, run)


def _pace(run: Run, rows: Rows) -> str:
    """Steps a second and time left, by the latest stretches; and from where it went on."""
    if not rows:
        return "no step yet"
    recent = [row["steps_per_second"] for row in rows[-10:] if row["steps_per_second"] > 0]
    pace = float(np.median(recent)) if recent else 0.0
    told = f"{pace:,.0f} steps a second"
    if run.job.running and pace > 0:
        left = max(0, run.config.steps - rows[-1]["steps"]) / pace
        told += f", about {widgets.duration(min(left, 1e7))} left"
    resumed = [row["resumed"] for row in rows if row["resumed"] is not None]
    return told + (f"  \nResumed from step {resumed[-1]:,}" if resumed else "")


def _alarm(run: Run, evaluations: Rows) -> None:
    seen = alarm.look(run.config, evaluations)
    if seen is None or seen.level == "quiet":
        return
    if seen.level == "alarm":
        st.caption(":material/notification_important: Hack alarm; what to do about it stands above the charts.")
    else:
        st.info(widgets.plain(f"{seen.words[0].upper()}{seen.words[1:]}."), icon=":material/visibility:")


def _buttons(run: Run) -> None:
    with st.container(horizontal=True):
        if run.job.running:
            if st.button("Stop", key=f"stop-run-{run.number}", icon=":material/stop:"):
                jobs.cancel(run.folder)
        elif not continuing.why_not_resumed(run) and st.button(
            "Resume", key=f"resume-run-{run.number}", icon=":material/resume:", help="Go on from its last checkpoint."
        ):
            st.session_state["resume"] = run.number
            st.rerun()
        if st.button("Look into it", key=f"look-run-{run.number}", icon=":material/search:"):
            st.session_state["one-run"], st.session_state["train-view"] = run.number, "One run"
            st.rerun()
        if st.button("Clone …", key=f"clone-run-{run.number}", icon=":material/content_copy:"):
            st.session_state[cloning.ASKED] = run.number
            st.rerun()
