"""Figures as files, drawn by an installed browser without a network."""

import asyncio
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.studio_sessions import framed, verified
from vlmcar_core import figures, files, pipeline
from vlmcar_core.cli import cli
from vlmcar_core.errors import BadInput
from vlmcar_core.store import Session

EXAMPLES = Path(__file__).parent.parent / "sessions"
CHROMIUM = any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome", "chrome"))


def test_what_a_session_has_is_drawn(tmp_path: Path) -> None:
    assert list(figures.of_session(Session.open(EXAMPLES, "example-doorkey-6x6"))) == [
        *("success", "learned-return", "fires", "rates")
    ]
    assert list(figures.of_session(verified(tmp_path))) == ["fires", "rates"]
    assert figures.of_session(framed(tmp_path, "bare")) == {}


def test_rates_stand_with_their_intervals() -> None:
    session = Session.open(EXAMPLES, "example-doorkey-6x6")
    verification = session.verification(0)
    assert verification is not None
    expert, random = figures.rates_figure(session.proposal(), verification).data
    assert list(expert.x) == [1.0] * 5 and expert.error_x.arrayminus[0] == pytest.approx(1 - 0.158, abs=1e-3)
    assert list(random.x) == pytest.approx([14 / 30, 0, 0, 0, 0]) and random.text[0] == "14 of 30"
    assert random.error_x.array[1] == pytest.approx(0.116, abs=1e-3) and random.error_x.arrayminus[1] == 0


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on this machine")
def test_the_command_writes_svg_and_png(tmp_path: Path) -> None:
    pytest.importorskip("kaleido", reason="the extra [figures] is not installed")
    arguments = ["--root", str(EXAMPLES), "figures", "example-unlock", "--to", str(tmp_path / "drawn")]
    answer = CliRunner().invoke(cli, arguments)
    assert answer.exit_code == 0, answer.output
    found = {path.name: path for path in (tmp_path / "drawn").iterdir()}
    assert set(found) == {"fires.svg", "fires.png", "rates.svg", "rates.png"}
    text = found["rates.svg"].read_text()
    assert text.startswith("<svg") and "The whole, in order" in text
    drawn = files.read_png(found["rates.png"])
    assert drawn.shape[1] == 2 * figures.WIDTH and len(np.unique(drawn.reshape(-1, 3), axis=0)) > 20


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on this machine")
def test_figures_are_drawn_where_an_event_loop_runs_as_in_a_notebook(tmp_path: Path) -> None:
    pytest.importorskip("kaleido", reason="the extra [figures] is not installed")

    async def cell() -> list[Path]:
        return pipeline.figures(verified(tmp_path), tmp_path / "drawn", ["svg"])

    with ThreadPoolExecutor(1) as other:  # a test before this one may have left a loop running in this thread
        drawn = other.submit(asyncio.run, cell()).result()
    assert [path.name for path in drawn] == ["fires.svg", "rates.svg"]


def test_a_browser_that_cannot_be_started_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("kaleido", reason="the extra [figures] is not installed")
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "none"))
    with pytest.raises(BadInput, match="Chromium or Chrome has to be installed"):
        pipeline.figures(verified(tmp_path), tmp_path / "drawn", ["svg"])


def test_what_cannot_be_drawn_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing to draw yet"):
        pipeline.figures(framed(tmp_path), tmp_path, ["svg"])
    with pytest.raises(BadInput, match="svg or png, not bmp"):
        pipeline.figures(verified(tmp_path, "other"), tmp_path, ["bmp"])
