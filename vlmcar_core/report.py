"""Figures of a session, and the session as one HTML page. No Streamlit.

Colours are from the Okabe–Ito palette, which colour-blind readers can tell apart; dash and symbol say the same.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from vlmcar_core import chain, report_html, report_replay, runs, seeds
from vlmcar_core.escaping import for_plotly
from vlmcar_core.recordings import TrajectoryInfo
from vlmcar_core.report_replay import Asked
from vlmcar_core.runs import Run
from vlmcar_core.store import Session
from vlmcar_core.types import Answers, Count, Progress, Proposal
from vlmcar_core.verdicts import interval
from vlmcar_core.verify import first_fire

COLOURS = {
    "sparse": "#D55E00",
    **{"once": "#0072B2", "remaining": "#009E73", "potential": "#E69F00", "progress": "#56B4E9"},
    **{"edge": "#CC79A7", "level": "#888888"},
}
DASHES = {
    "sparse": "dash",
    **{"once": "solid", "remaining": "dot", "potential": "dashdot", "progress": "longdash"},
    **{"edge": "longdashdot", "level": "2px,6px"},
}
SYMBOLS = ("circle", "diamond", "square", "cross", "x", "triangle-up", "star", "hexagon", "pentagon", "bowtie")
FIRES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
ROW_PIXELS, ROWS_PIXELS_MAX = 16, 900
BLUES = ((0.0, "rgba(128,128,128,0.10)"), (1.0, "rgba(0,114,178,0.55)"))

Curves = Sequence[tuple[Run, Sequence[Mapping[str, Any]]]]
"""Runs with their rows of progress."""


def html(session: Session, mebibytes: float, progress: Progress) -> str:
    """The session as one self-contained HTML page.

    Args:
        session: which.
        mebibytes: room for the frames of episodes that can be replayed in it; 0 leaves the player out.
        progress: told while checkers are asked what they see.
    """
    listing = runs.runs(session)
    curves = [(run, runs.read_progress(run.folder)) for run in listing.items]
    figures = [success_figure(curves), return_figure(curves)] if any(rows for _, rows in curves) else []
    asked = Asked.read(session)
    fires = fired(asked) if asked else None
    replay = report_replay.replay(asked, mebibytes, progress) if asked else report_replay.Replay()
    for figure in (*figures, *([fires] if fires else [])):
        _on_any_ground(figure)
    return report_html.page(session, listing, figures, fires, replay)


def _on_any_ground(figure: go.Figure) -> None:
    """Readable on white and on black."""
    figure.update_layout(paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(128,128,128,0.08)", font_color="#888888")
    lines = {"gridcolor": "rgba(128,128,128,0.25)", "zerolinecolor": "rgba(128,128,128,0.5)"}
    figure.update_xaxes(**lines)
    figure.update_yaxes(**lines)


def fired(asked: Asked) -> go.Figure | None:
    """`firing_figure` of what was verified and is still known; None where that is nothing."""
    every = len(asked.proposal.steps)
    known = {id: info for id, info in asked.infos.items() if len(asked.said[id]) == every}
    return firing_figure(asked.proposal, known, asked.said) if known else None


def firing_figure(
    proposal: Proposal, infos: Mapping[str, TrajectoryInfo], said: Mapping[str, Mapping[str, Answers]]
) -> go.Figure:
    """Trajectory × time: how many sub-tasks count as done, and where each checker fires first.

    Args:
        proposal: whose checkers were asked.
        infos: the trajectories, by id; a row each, in this order.
        said: by trajectory id and checker key.
    """
    ids = [id for id in infos if all(step.key in said.get(id, {}) for step in proposal.steps)]
    figure = go.Figure()
    if ids:
        figure.add_trace(_progress_rows(proposal, ids, said))
    for number, step in enumerate(proposal.steps):
        fires = {id: first_fire(said[id][step.key]) for id in ids}
        shown = [(id, frame) for id, frame in fires.items() if frame is not None]
        figure.add_trace(
            go.Scatter(
                x=[frame for _, frame in shown],
                y=[for_plotly(id) for id, _ in shown],
                mode="markers",
                name="Goal" if step is proposal.goal else for_plotly(step.title),
                marker={
                    "symbol": SYMBOLS[number % len(SYMBOLS)],
                    "color": FIRES[number % len(FIRES)],
                    "size": 10,
                    "line": {"width": 1, "color": "white"},
                },
                hovertemplate="%{y}, frame %{x}<extra>%{fullData.name}</extra>",
            )
        )
    rows = [for_plotly(id) for id in reversed(ids)]
    figure.update_yaxes(categoryorder="array", categoryarray=rows, tickfont={"size": 10})
    figure.update_xaxes(title="frame", rangemode="tozero")
    return _plain(figure, min(ROWS_PIXELS_MAX, 180 + ROW_PIXELS * len(ids)))


def _progress_rows(proposal: Proposal, ids: Sequence[str], said: Mapping[str, Mapping[str, Answers]]) -> go.Heatmap:
    length = max(len(said[id][proposal.goal.key].values) for id in ids)
    done = np.full((len(ids), length), np.nan, np.float32)  # half of what Plotly sends
    for row, id in enumerate(ids):
        steps = [said[id][step.key].done for step in proposal.subtasks]
        frames = len(said[id][proposal.goal.key].values)
        done[row, :frames] = 0
        for frame in chain.completions(np.stack(steps, axis=1)) if steps else []:
            if frame is not None:
                done[row, frame:frames] += 1
    return go.Heatmap(
        z=done,
        y=[for_plotly(id) for id in ids],
        zmin=0,
        zmax=max(1, len(proposal.subtasks)),
        colorscale=[list(stop) for stop in BLUES],
        colorbar={"title": {"text": "sub-tasks<br>done in order"}, "dtick": 1, "len": 0.6},
        hovertemplate="%{y}, frame %{x}: %{z} done in order<extra></extra>",
        ygap=1,
    )


def success_figure(curves: Curves, raw: bool = False) -> go.Figure:
    """The environment's own success rate over the last 100 training episodes, by environment steps."""
    figure = _curves(curves, "success_rate", raw)
    figure.update_yaxes(title="success rate", range=[-0.02, 1.02], tickformat=".0%")
    return _plain(figure, 380, "Success, by the environment")


def return_figure(curves: Curves, raw: bool = False) -> go.Figure:
    """What the checkers paid per episode, over the last 100 training episodes, by environment steps."""
    figure = _curves([(run, rows) for run, rows in curves if run.config.reward == "dense"], "learned_return", raw)
    figure.update_yaxes(title="learned return an episode")
    if all(run.config.pay in ("once", "progress") and run.config.scale <= 1 for run, _ in curves):
        figure.update_yaxes(range=[-0.02, 1.02])
    return _plain(figure, 380, "Learned return, by the checkers")


def _curves(curves: Curves, name: str, raw: bool) -> go.Figure:
    """A line per experiment: of several seeds their interquartile mean in its 95 % band, and the seeds themselves as
    thin lines, which a click on their names shows where `raw` is off."""
    figure = go.Figure()
    together: dict[tuple[Any, ...], list[tuple[list[float], list[float], Run]]] = {}
    for run, rows in sorted(curves, key=lambda pair: pair[0].config.reward):
        known = [row for row in rows if row.get(name) is not None]
        if known:
            line = ([row["steps"] for row in known], [row[name] for row in known], run)
            together.setdefault(seeds.experiment(run.config), []).append(line)
    for lines in together.values():
        several, config = len(lines) > 1, lines[0][2].config
        paid = seeds.paid_by(config)
        for x, y, run in lines:
            label = for_plotly(f"{seeds.describe(config)}, run {run.number}, seed {run.config.seed}")
            line = _line(x, y, label, paid, thin=several)
            figure.add_trace(line.update(visible="legendonly") if several and not raw else line)
        if several:
            for trace in _band([(x, y) for x, y, _ in lines], f"{seeds.describe(config)}, IQM of {len(lines)}", paid):
                figure.add_trace(trace)
    figure.update_xaxes(title="environment steps", rangemode="tozero")
    return figure


def _band(lines: Sequence[tuple[Sequence[float], Sequence[float]]], name: str, paid: str) -> list[go.Scatter]:
    """The interquartile mean of lines, and its interval behind it."""
    grid, values = seeds.on_grid(lines)
    if not len(grid):
        return []
    middle, low, high = seeds.band(values)
    around = go.Scatter(
        x=[*grid, *grid[::-1]],
        y=[*high, *low[::-1]],
        fill="toself",
        fillcolor=COLOURS[paid],
        opacity=0.18,
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
        legendgroup=for_plotly(name),
    )
    line = _line(grid.tolist(), middle.tolist(), for_plotly(name), paid)
    return [around, line.update(legendgroup=for_plotly(name))]


def _line(x: Sequence[float], y: Sequence[float], name: str, paid: str, thin: bool = False) -> go.Scatter:
    line = {"color": COLOURS[paid], "dash": DASHES[paid], "width": 1 if thin else 3}
    return go.Scatter(x=list(x), y=list(y), mode="lines", name=name, line=line, opacity=0.6 if thin else 1.0)


def _plain(figure: go.Figure, height: int, title: str = "") -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 10, "t": 50 if title else 30, "b": 90 if title else 10},
        title=title or None,
        legend={
            "orientation": "h",
            "x": 0.0,
            **({"yref": "container", "y": 0.0} if title else {"yanchor": "bottom", "y": 1.0}),
        },
        uirevision="keep",
    )
    return figure


def acceptance_figure(rows: Sequence[tuple[str, Count, float | None]], cost: str) -> go.Figure:
    """How often a model's whole proposal is accepted, against what it costs; bars are 95 % intervals.

    Args:
        rows: (model, accepted of all repeats, cost of one on the average; None where it is not known).
        cost: what the cost is, with its unit.
    """
    figure = go.Figure()
    for number, (name, accepted, spent) in enumerate(rows):
        if spent is None or accepted.rate is None:
            continue
        low, high = interval(accepted)
        figure.add_trace(
            go.Scatter(
                x=[spent],
                y=[accepted.rate],
                name=for_plotly(name),
                mode="markers+text",
                text=[for_plotly(name)],
                textposition="top center",
                cliponaxis=False,
                marker={
                    "size": 12,
                    "symbol": SYMBOLS[number % len(SYMBOLS)],
                    "color": FIRES[number % len(FIRES)],
                },
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [high - accepted.rate],
                    "arrayminus": [accepted.rate - low],
                },
                hovertemplate=f"%{{text}}: {accepted.hits} of {accepted.total}<br>{cost}: %{{x}}<extra></extra>",
                showlegend=False,
            )
        )
    figure.update_layout(margin={"l": 60, "r": 20, "t": 20, "b": 50}, height=420)
    widest = max((spent for _, _, spent in rows if spent), default=1.0)
    figure.update_xaxes(title=f"{cost}, for one proposal", range=[-0.1 * widest, 1.15 * widest])
    figure.update_yaxes(title="whole proposal accepted", range=[-0.05, 1.12], tickformat=".0%", dtick=0.2)
    return figure
