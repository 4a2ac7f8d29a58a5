"""The pages of the queue and of sweeps, run without a browser, over real runs."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.studio_sessions import opened, said
from tests.test_sweeps import TINY, room
from vlmcar_core import files, jobs, pipeline, queue, runs, sweeps
from vlmcar_core.store import Session

ENDLESS = 3_000_000


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VLMCAR_SESSIONS", str(tmp_path))
    monkeypatch.setenv("VLMCAR_CORES", "1")
    return tmp_path


@pytest.fixture
def busy(root: Path) -> Iterator[Session]:
    """A run at work and three that wait."""
    session = room(root, "busy")
    settings = {"n_envs": 2, "n_steps": 32, "batch_size": 64}
    options = {"steps": ENDLESS, "evaluations": 1, "eval_episodes": 1, "settings": settings}
    pipeline.start_training(session, ["sparse"], range(4), **options)
    wait_for(lambda: (session.run_folder(0) / jobs.STATUS).exists())
    yield session
    for folder in reversed(session.run_folders()):
        jobs.cancel(folder, grace_seconds=1.0)
    wait_for(lambda: not queue.entries())


def wait_for(condition: Callable[[], bool], seconds: float = 300.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def order() -> list[str]:
    return [Path(entry.folder).name for entry in queue.entries()]


def test_an_empty_queue_says_what_to_do_next(root: Path) -> None:
    app = opened("queue", "")
    assert "Nothing runs and nothing waits." in said(app) and not app.exception


def test_what_runs_and_what_waits_is_shown_moved_up_and_stopped(busy: Session) -> None:
    app = opened("queue", "busy")
    text = said(app)
    assert "busy runs/000, train" in text.replace("*", "") and "waiting, 3rd in line" in text
    assert [metric.value for metric in app.metric[:2]] == ["1", "3"]
    assert app.metric[2].value.endswith("of 1") and app.metric[3].value.endswith("GiB")
    folders = busy.run_folders()
    app.button(key=f"front-{folders[3]}").click().run()
    assert order() == ["000", "003", "001", "002"]
    app.button(key=f"up-{folders[2]}").click().run()
    assert order() == ["000", "003", "002", "001"]
    app.button(key=f"stop-{folders[1]}").click().run()
    assert order() == ["000", "003", "002"] and jobs.read(folders[1]).state == "cancelled"
    assert "runs/001" not in said(app) and not app.exception


def test_all_is_stopped_and_nothing_that_waited_starts(busy: Session) -> None:
    opened("queue", "").button(key="stop-all").click().run()
    wait_for(lambda: not queue.entries())
    assert {jobs.read(folder).state for folder in busy.run_folders()} == {"cancelled"}
    assert not any((folder / jobs.LOG).exists() for folder in busy.run_folders()[1:])


def test_a_strangers_words_in_a_run_that_is_under_way_are_shown_as_text(busy: Session) -> None:
    path = busy.run_folder(0) / jobs.STATUS
    evil = "<script>alert(1)</script> [a](javascript:b) **c**"
    pid = files.read_json(path)["pid"]
    theirs = room(busy.folder.parent, "theirs").new_run_folder()
    status = {**files.read_json(path), "kind": evil, "message": evil, "done": 2**62, "total": 1, "pid": pid}
    files.write_json(theirs / jobs.STATUS, status)
    files.write_json(theirs / jobs.LAUNCH, {"kind": evil, "began": 1.0, "entry": evil})
    app = opened("queue", "busy")
    shown = [item.value for item in app.markdown if "theirs" in item.value]
    assert shown and "\\<script\\>" in shown[0] and not app.exception


def test_a_sweep_is_started_from_its_page_and_gone_on_with(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLMCAR_CORES", "2")
    session = room(root, "room")
    tiny = "\n".join(f"{name} = {values[0]}" for name, values in TINY.items())
    app = opened("sweep", "room")
    app.text_area(key="grid").set_value(f"reward = sparse\ngamma = 0.9, 0.99\n{tiny}").run()
    app.number_input(key="seeds").set_value(1).run()
    app.number_input(key="steps").set_value(64).run()
    assert "2 cells, 2 runs of 64 steps." in said(app)
    next(button for button in app.button if button.label == "Start the sweep").click().run()
    wait_for(lambda: [sweeps.state(folder) for folder in session.run_folders()] == ["success"] * 2)
    path = session.run_folder(1) / jobs.STATUS
    files.write_json(path, {**files.read_json(path), "state": "error"})
    app.run()
    table = app.dataframe[0].value
    assert list(table["Cell"]) == ["gamma=0.9", "gamma=0.99"] and list(table["Runs"]) == ["1 success", "1 error"]
    app.button(key="go-on").click().run()
    wait_for(lambda: [sweeps.state(folder) for folder in session.run_folders()] == ["success"] * 2)
    assert len(runs.read_evaluations(session.run_folder(1))) == 1 and not app.exception


@pytest.mark.parametrize(
    ("grid", "words"),
    [("gamma", "is not NAME=VALUE"), ("no_such = 1", "no setting 'no_such'"), ("gamma = 3", "'gamma'")],
)
def test_a_grid_that_makes_no_sense_is_named_and_nothing_can_be_started(root: Path, grid: str, words: str) -> None:
    room(root, "room")
    app = opened("sweep", "room")
    app.text_area(key="grid").set_value(grid).run()
    assert words in said(app)
    assert not any(button.label == "Start the sweep" for button in app.button)


def test_a_cluster_that_cannot_be_reached_is_named(root: Path) -> None:
    session = room(root, "room")
    app = opened("sweep", "room")
    app.selectbox(key="launcher").select("ray").run()
    app.text_input(key="address").set_value("file:///etc/passwd").run()
    next(button for button in app.button if button.label == "Start the sweep").click().run()
    assert "no address of a Ray cluster" in said(app) or "needs Ray" in said(app)
    assert not session.run_folders()
