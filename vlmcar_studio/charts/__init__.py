"""Charts of numbers that are still growing: drawn in the browser by uPlot, which keeps a zoom while new points arrive.

uPlot (uplot/, MIT licence) is fetched once, from a route of ours; the few lines that use it come with the component.
What does not fit on a screen is left out before it is sent: of each stretch of points its lowest and its highest stay.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import ArrayLike, NDArray

FOLDER = Path(__file__).parent
LIBRARY = FOLDER / "uplot" / "uPlot.esm.js"
ROUTE = "/vlmcar/uplot-1.6.32.js"
POINTS_MAX = 400
"""Of a line, as it is sent: about one for each pixel and a half of a chart in half a page."""

DIGITS = 5

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Line:
    """One line of a chart."""

    name: str
    steps: ArrayLike
    """Increasing, (T,)."""

    values: ArrayLike
    """(T,); NaN where there is none."""

    colour: str
    dash: tuple[int, ...] = ()
    """Pixels drawn and left out in turn; empty for a whole line."""

    thin: bool = False
    band: tuple[ArrayLike, ArrayLike] | None = None
    """Low and high, (T,) each: an interval around it."""


@dataclass(frozen=True, eq=False)
class Chart:
    """Lines over the same steps, of the same kind of number."""

    key: str
    title: str
    lines: Sequence[Line]
    unit: str = ""
    """"%": values are shares in [0, 1], shown as percentages."""

    note: str = ""
    """What is to be known to read it right."""

    @property
    def is_empty(self) -> bool:
        return not any(np.isfinite(np.asarray(line.values, np.float64)).any() for line in self.lines)


def charts(key: str, shown: Sequence[Chart]) -> None:
    """Show charts, one beside the other where there is room, with one zoom for all of them.

    Args:
        key: of the component.
        shown: those without a number are left out.
    """
    data = {"library": ROUTE, "charts": [_chart(chart) for chart in shown if not chart.is_empty]}
    _component()(key=key, data=data)


@st.cache_resource
def _component() -> Any:
    script, page, style, library_style = (
        (FOLDER / name).read_text(encoding="utf-8")
        for name in ("charts.js", "charts.html", "charts.css", "uplot/uPlot.min.css")
    )
    return st.components.v2.component("vlmcar_charts", html=page, css=f"{library_style}\n{style}", js=script)


def _chart(chart: Chart) -> dict[str, Any]:
    return {
        "key": chart.key,
        "title": chart.title,
        "unit": chart.unit,
        "note": chart.note,
        "lines": [_line(line) for line in chart.lines],
    }


def _line(line: Line) -> dict[str, Any]:
    steps, values = np.asarray(line.steps, np.float64), np.asarray(line.values, np.float64)
    places = thinned(values, POINTS_MAX)
    told = {"steps": steps[places].tolist(), "values": _told(values[places])}
    if line.band is not None:
        low, high = (np.asarray(edge, np.float64)[places] for edge in line.band)
        told |= {"low": _told(low), "high": _told(high)}
    return {**told, "name": line.name, "colour": line.colour, "dash": list(line.dash), "thin": line.thin}


def thinned(values: Floats, most: int) -> NDArray[np.int64]:
    """Which points of a line are shown: of each stretch the lowest and the highest, and the first and the last of all,
    so that no peak is lost (as in M4, Jugel et al., VLDB 2014).

    Args:
        values: (T,); NaN where there is none.
        most: of the points that are shown; at least 4.

    Returns:
        Their places, increasing.
    """
    if len(values) <= most:
        return np.arange(len(values))
    stretches = (most - 2) // 2
    edges = np.linspace(0, len(values), stretches + 1).astype(np.int64)
    sizes = np.diff(edges)
    padded = np.full((stretches, int(sizes.max())), np.nan)
    padded[np.arange(padded.shape[1])[None, :] < sizes[:, None]] = values
    low = np.where(np.isnan(padded), np.inf, padded).argmin(axis=1)
    high = np.where(np.isnan(padded), -np.inf, padded).argmax(axis=1)
    return np.unique(np.concatenate([edges[:-1] + low, edges[:-1] + high, [0, len(values) - 1]]))


def _told(values: Floats) -> list[float | None]:
    """In few digits: every one is sent again at each refresh."""
    return [float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None for value in values.tolist()]
