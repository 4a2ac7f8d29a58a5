"""Every page of the app on a stranger's session: what is wrong is said, and the page stays."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts import fuzz_specimen
from scripts.fuzz_specimen import NAME
from tests.studio_sessions import opened, said
from tests.test_pages import PAGES
from vlmcar_core import archives, files, pipeline
from vlmcar_core.store import Session

WORDS = ("cannot be", "is not", "is a link", "no plain file", "does not hold", "no session", "already", "larger")
"""One of these stands in every message about a file."""


def damaged(root: Path) -> None:
    """Every file but the session's own is noise."""
    for path in (root / NAME).rglob("*"):
        if path.is_file() and path.name != "session.json":
            path.write_bytes(b"\xff\x00 noise")


def linked(root: Path) -> None:
    """Every file but the session's own is a link to another place."""
    for number, path in enumerate(sorted((root / NAME).rglob("*"))):
        if path.is_file() and path.name != "session.json":
            path.rename(root / f"outside-{number}")
            path.symlink_to(root / f"outside-{number}")


def linked_folders(root: Path) -> None:
    """Every folder is a link to another place."""
    for path in sorted((root / NAME).iterdir()):
        if path.is_dir():
            path.rename(root / f"outside-{path.name}")
            path.symlink_to(root / f"outside-{path.name}")


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


TEXT = "<script>alert(1)</script> **b** [x](javascript:y) \0\x1b[31m \u202e $x$ `" + "long " * 400


def odd(root: Path) -> None:
    """Every file can be read; numbers and texts are what nobody would write."""
    folder = root / NAME
    large = 2**63 - 1

    def step(value: dict[str, Any]) -> None:
        value.update(author=TEXT, reason=TEXT, parent=large, created=TEXT, dialogue=-5, doubts=[TEXT])
        value["subtasks"][0].update(title=TEXT, doubt=TEXT)
        value["goal"].update(title=TEXT, doubt=TEXT)

    def header(value: dict[str, Any]) -> None:
        value["task"].update(seed=2**31 - 1, settings={TEXT: [[1e300]]})
        value.update(created=TEXT, recording={"experts": 10_000, "randoms": 10_000, "random_steps": 10_000})
        value["thresholds"].update(random_limit=1e-300, min_experts=large, confidence=1 - 1e-16)

    changed(folder / "session.json", header)
    files.write_bytes(folder / "frames" / "goal.png", files.png(np.zeros((100, 6400, 3), np.uint8)))
    changed(folder / "proposals" / "000" / "proposal.json", step)
    changed(folder / "draft.json", step)
    wrong = {"trajectory": TEXT, "frame": -large, "reason": TEXT}
    counts = {"hits": large, "total": large}

    def verdict(value: dict[str, Any]) -> None:
        value.update(
            random_steps=-1, random_solved=large, wrong=[wrong], trajectories=[TEXT, "expert-000"], expert=counts
        )
        value["verdicts"][0].update(expert=counts, random=counts, fault=TEXT, wrong=[wrong], frame_seconds=-1e300)

    changed(folder / "verdicts" / "000.json", verdict)
    changed(folder / "frames" / "goal.json", lambda value: value.update(kind=TEXT, name=TEXT, frame=-large))
    changed(folder / "runs" / "000" / "config.json", lambda value: value.update(settings={TEXT: 1e300}, trainer=TEXT))
    status = {"state": "error", "kind": TEXT, "message": TEXT, "done": large, "total": 1, "result": {"note": [TEXT]}}
    for job in ("runs/000", "jobs/000-verify"):
        changed(folder / job / "status.json", lambda value: value.update(status))
    row = {"steps": -large, "episodes": large, "success_rate": -1e300, "completions": {TEXT: 1e300}}
    row |= {"steps_per_second": 1e-300, "seconds": -1e300, "paid": {TEXT: -1e300}, "losses": {TEXT: 1e300, "loss": 0}}
    row |= {"asked": 1, "remembered": large, "resumed": -large, "faults": {TEXT: TEXT}}
    (folder / "runs" / "000" / "progress.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(row | {"steps": 1}))
    evaluated = [{"steps": large, "episodes": 0, "successes": large}]
    told = {"solved": [False] * 9, "lengths": [-large] * 9}
    evaluated += [
        {"steps": n, "episodes": 9, "successes": 0, "learned": [1e300 * n] * 9, **told} for n in (1, 1, 2, 3, 4)
    ]
    (folder / "runs" / "000" / "evaluation.jsonl").write_text("\n".join(map(json.dumps, evaluated)))
    for film in (folder / "runs" / "000").glob("*/*.zip"):
        with zipfile.ZipFile(film) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        meta = json.loads(members["meta.json"]) | {"source": "policy", "versions": {"learned return": TEXT, TEXT: TEXT}}
        with zipfile.ZipFile(film, "w") as archive:
            for name, data in (members | {"meta.json": json.dumps(meta).encode()}).items():
                archive.writestr(name, data)
    for name in ("000-goal.json", "003-goal-check.json"):
        changed(
            folder / "dialogues" / "000" / name, lambda value: value.update(problem=TEXT, created=TEXT, attempt=large)
        )
    changed(folder / "dialogues" / "001" / "dialogue.json", lambda value: value.update(group=TEXT, vlm=TEXT))
    (folder / "dialogues" / "001" / "partial.txt").write_bytes(TEXT.encode() + b"\xff")
    trajectory = folder / "trajectories" / "expert-000.zip"
    with zipfile.ZipFile(trajectory) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    meta = json.loads(members["meta.json"]) | {"env_id": TEXT, "return": 1e308, "seed": large, "versions": {TEXT: TEXT}}
    with zipfile.ZipFile(trajectory, "w") as archive:
        for name, data in (members | {"meta.json": json.dumps(meta).encode()}).items():
            archive.writestr(name, data)
    for path in (folder / "answers").rglob("*.npz"):
        arrays = {"values": np.zeros(2, np.float32), **{name: np.zeros(0, np.int32) for name in ("frame", "line")}}
        texts = {name: np.zeros(0, "U1") for name in ("kind", "message")}
        files.write_bytes(path, archives.packed({**arrays, **texts}))
    changed(root / "comparisons" / "000" / "comparison.json", lambda value: value.update(models=[TEXT]))
    changed(
        root / "comparisons" / "000" / "rows" / "00-00-01-m.json", lambda value: value.update(model=TEXT, tokens=-large)
    )


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VLMCAR_SESSIONS", str(tmp_path))
    fuzz_specimen.build(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("spoil", [damaged, linked, linked_folders, odd])
def test_every_page_survives_a_strangers_session(root: Path, page: str, spoil: Callable[[Path], None]) -> None:
    spoil(root)
    app = opened(page, NAME)
    text = said(app)
    assert not app.exception and "A fault of the program" not in text, text
    if spoil is not odd and page not in ("home", "models", "compare", "queue"):
        assert any(word in text for word in WORDS), text


@pytest.mark.parametrize(
    ("page", "rest"), [("report", "All is red."), ("task", "New session"), ("propose", "Who proposes")]
)
def test_a_damaged_frame_is_named_and_the_rest_of_the_page_is_there(root: Path, page: str, rest: str) -> None:
    (root / NAME / "frames" / "initial.png").write_bytes(b"no picture")
    app = opened(page, NAME)
    text = (
        said(app) + "".join(item.value for item in app.header) + "".join(item.label for item in app.segmented_control)
    )
    assert "initial.png is not a readable PNG picture" in text and rest in text


def test_the_report_file_names_a_damaged_frame_and_holds_the_rest(root: Path) -> None:
    (root / NAME / "frames" / "goal.png").write_bytes(b"no picture")
    (root / NAME / "frames" / "goal.json").write_bytes(b"no JSON")
    page = pipeline.report(Session(root / NAME))
    assert all(words in page for words in ("goal.png is not a readable", "goal.json is not valid JSON", "All is red."))


def test_the_session_itself_is_named_where_it_cannot_be_read(root: Path) -> None:
    (root / NAME / "session.json").write_bytes(b"\xff")
    app = opened("home", NAME)
    assert f"session {NAME}: session.json is not valid JSON" in said(app) and not app.exception
    assert Session(root / NAME).folder.is_dir()
