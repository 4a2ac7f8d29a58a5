"""The figures of a session as files for a paper: SVG, and PNG at twice the size.

Plotly draws in a browser, and Kaleido is its way to one that is installed: so what is saved is what the pages show. It
is an extra (`pip install "vlmcar-studio[figures]"`), imported late. Nothing is fetched: Plotly's script comes with its
package, and formulas are left out.
"""

import asyncio
import importlib.util
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from vlmcar_core import files, report, runs
from vlmcar_core.errors import BadInput
from vlmcar_core.escaping import for_plotly, one_line
from vlmcar_core.report_replay import Asked
from vlmcar_core.store import Session
from vlmcar_core.types import Count, Progress, Proposal
from vlmcar_core.verdicts import Verification, interval

FORMATS = ("svg", "png")
WIDTH, HEIGHT = 900, 420
"""Pixels, where a figure has no size of its own."""
TITLE_CHARS = 48
SCALE = 2
"""Of PNG: pixels of the file for one of the figure."""
BROWSER = "Chromium or Chrome has to be installed (Debian: apt-get install chromium); BROWSER_PATH names another one"


def of_session(session: Session) -> dict[str, go.Figure]:
    """By name, for what there is: success, learned-return (of runs), fires, rates (of the newest proposal)."""
    curves = [(run, runs.read_progress(run.folder)) for run in runs.runs(session).items]
    found: dict[str, go.Figure] = {}
    if any(rows for _, rows in curves):
        found["success"] = report.success_figure(curves)
        found["learned-return"] = report.return_figure(curves)
    asked = Asked.read(session)
    if asked is not None:
        fires = report.fired(asked)
        found |= {"fires": fires} if fires is not None else {}
        found["rates"] = rates_figure(asked.proposal, asked.verification)
    return found


def rates_figure(proposal: Proposal, verification: Verification) -> go.Figure:
    """Of each checker, and of the whole in order, in how many expert and random episodes it fires, with 95 %
    Clopper–Pearson intervals."""
    titles = ["Goal" if step is proposal.goal else one_line(step.title, TITLE_CHARS) for step in proposal.steps]
    names = [*map(for_plotly, titles), "The whole, in order"]
    said = [verification.verdict(step.key) for step in proposal.steps]
    figure = go.Figure()
    for source, colour, symbol, above, counts in (
        ("expert", "#0072B2", "circle", -0.12, [*(one.expert for one in said), verification.expert]),
        ("random", "#D55E00", "diamond", 0.12, [*(one.random for one in said), verification.random]),
    ):
        places = [number + above for number in range(len(names))]
        figure.add_trace(_rates(places, counts, f"{source} episodes", colour, symbol))
    limit = verification.thresholds.random_limit
    figure.add_vline(limit, line={"dash": "dot", "color": "#888888"}, annotation_text=f"limit {limit:.0%}")
    figure.update_xaxes(title="share of episodes in which it fires", range=[-0.03, 1.03], tickformat=".0%")
    rows = list(range(len(names)))
    figure.update_yaxes(tickvals=rows, ticktext=names, range=[len(names) - 0.5, -0.7], automargin=True, zeroline=False)
    figure.update_layout(
        height=150 + 45 * len(names),
        margin={"l": 10, "r": 20, "t": 50, "b": 50},
        legend={"orientation": "h", "x": 0.0, "yanchor": "bottom", "y": 1.0},
    )
    return figure


def _rates(places: Sequence[float], counts: Sequence[Count], label: str, colour: str, symbol: str) -> go.Scatter:
    rates = [count.rate for count in counts]
    bounds = [interval(count) for count in counts]
    return go.Scatter(
        x=rates,
        y=list(places),
        name=label,
        mode="markers",
        marker={"color": colour, "symbol": symbol, "size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [high - (rate or 0.0) for rate, (_, high) in zip(rates, bounds, strict=True)],
            "arrayminus": [(rate or 0.0) - low for rate, (low, _) in zip(rates, bounds, strict=True)],
        },
        text=[f"{count.hits} of {count.total}" for count in counts],
        hovertemplate="%{text}<extra>%{fullData.name}</extra>",
    )


def write(figures: Mapping[str, go.Figure], folder: Path, formats: Sequence[str], progress: Progress) -> list[Path]:
    """Write each figure in each format into a folder, which is made where it is not there.

    Raises:
        BadInput: there is no figure, a format is unknown, Kaleido is not installed, or no browser can be started.
    """
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown or not formats:
        raise BadInput(f"a figure is saved as {' or '.join(FORMATS)}, not {', '.join(unknown) or 'nothing'}")
    if not figures:
        raise BadInput("there is nothing to draw yet: verify a proposal, or train on one, first")
    if importlib.util.find_spec("kaleido") is None:
        raise BadInput('Kaleido, which draws figures to files, is missing: pip install "vlmcar-studio[figures]"')
    from kaleido import errors

    folder.mkdir(parents=True, exist_ok=True)
    try:
        # In a thread of its own: whoever calls may have an event loop that runs, as a notebook has.
        with ThreadPoolExecutor(1) as thread:
            drawn = thread.submit(lambda: asyncio.run(_drawn(figures, formats, progress))).result()
    except (errors.BrowserClosedError, errors.BrowserFailedError, errors.ChromeNotFoundError) as error:
        raise BadInput(f"no browser could draw the figures ({type(error).__name__}); {BROWSER}") from error
    for name, data in drawn.items():
        files.write_bytes(folder / name, data)
    return [folder / name for name in drawn]


async def _drawn(figures: Mapping[str, go.Figure], formats: Sequence[str], progress: Progress) -> dict[str, bytes]:
    import kaleido

    found: dict[str, bytes] = {}
    total = len(figures) * len(formats)
    async with kaleido.Kaleido(n=1, mathjax=False) as browser:
        for name, figure in figures.items():
            for kind in formats:
                progress(len(found), total, f"{name}.{kind}")
                figure.update_layout(template="plotly_white")
                found[f"{name}.{kind}"] = await browser.calc_fig(figure, _options(figure, kind))
    progress(total, total, f"{total} files drawn")
    return found


def _options(figure: go.Figure, kind: str) -> dict[str, Any]:
    height = figure.layout.height or HEIGHT
    return {"format": kind, "width": WIDTH, "height": int(height), "scale": SCALE if kind == "png" else 1}
