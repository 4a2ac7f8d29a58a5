"""The other pages, run without a browser: empty, full, damaged, wrong."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Selectbox

from tests.studio_sessions import SECONDS, framed, opened, recorded, said, verified
from vlmcar_core import pipeline, runs, study
from vlmcar_core.runs import RunConfig
from vlmcar_core.store import Session
from vlmcar_core.types import Recording
from vlmcar_studio.server import ROUTER

PAGES = (
    *("home", "task", "record", "drive", "propose", "candidates", "review", "verify", "repair", "train", "report"),
    *("examine", "study", "sweep", "queue", "models", "compare"),
)
LONG = "a-session-with-a-name-that-is-as-long-as-a-name-may-be-in-the-app"[:64]


def labelled(app: AppTest, label: str) -> Selectbox:
    return next(box for box in app.selectbox if box.label == label)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VLMCAR_SESSIONS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("kind", ["none", "frames", "full", "environment"])
def test_every_page_runs_on_every_kind_of_session(root: Path, page: str, kind: str) -> None:
    if kind == "frames":
        framed(root, LONG)
    elif kind == "full":
        verified(root, LONG)
    elif kind == "environment":
        pipeline.create_from_env(root, LONG, "MiniGrid-Empty-5x5-v0", recording=Recording(1, 1, 5))
    app = opened(page, LONG if kind != "none" else "")
    assert not app.exception
    assert "A fault of the program" not in said(app)


def test_a_page_without_a_session_says_how_to_get_one(root: Path) -> None:
    assert "No session is open" in said(opened("record", ""))


def test_an_unknown_session_in_the_url_is_named(root: Path) -> None:
    framed(root)
    app = AppTest.from_file(str(ROUTER), default_timeout=SECONDS)
    app.query_params["session"] = "nowhere"
    assert "There is no readable session 'nowhere'" in said(app.run())


def test_a_damaged_session_is_named_on_the_first_page_beside_the_good_ones(root: Path) -> None:
    framed(root, "good")
    (framed(root, "bad").folder / "session.json").write_text("{")
    app = opened("home", "good")
    assert "session bad" in said(app) and list(app.dataframe[0].value["Session"]) == ["good"]


def test_a_damaged_trajectory_is_named_and_the_others_are_shown(root: Path) -> None:
    session = recorded(root)
    session.trajectory_path("expert-001").write_bytes(b"no zip")
    text = said(opened("report", "red"))
    assert "expert-001.zip" in text and "A fault of the program" not in text


def test_a_session_is_made_from_an_environment_with_its_settings(root: Path) -> None:
    app = opened("task", "")
    labelled(app, "Environment").select("MiniGrid-Empty-5x5-v0").run()
    app.text_input(key="name-MiniGrid-Empty-5x5-v0").set_value("mine").run()
    next(button for button in app.button if button.label == "Make session").click().run()
    session = Session.open(root, "mine")
    assert session.task.env_id == "MiniGrid-Empty-5x5-v0" and session.initial is not None
    assert session.header().recording == Recording()


def test_a_name_that_cannot_be_is_refused_with_the_reason(root: Path) -> None:
    app = opened("task", "")
    app.text_input(key="name-MiniGrid-DoorKey-6x6-v0").set_value("../out").run()
    next(button for button in app.button if button.label == "Make session").click().run()
    assert "'../out' cannot be a session's name" in said(app)
    assert not list(root.iterdir())


def test_the_built_in_proposer_is_named_as_no_vlm(root: Path) -> None:
    framed(root)
    app = opened("propose", "red")
    assert "Built-in, no VLM" in app.segmented_control[0].options
    assert "It uses no model" in said(app)


def test_hostile_titles_are_shown_as_text(root: Path) -> None:
    session = recorded(root)
    edited = session.proposal()
    evil = replace(edited.subtasks[0], title="<script>alert(1)</script> [click](http://evil) **bold**")
    session.add_proposal(replace(edited, subtasks=(evil,)))
    app = opened("propose", "red")
    labels = [item.label for item in app.expander]
    assert any("\\<script\\>" in label and "\\[click\\]" in label for label in labels)


def test_training_without_an_accepted_proposal_warns_and_is_possible(root: Path) -> None:
    session = pipeline.create_from_env(root, "red", "MiniGrid-Empty-5x5-v0", recording=Recording(2, 0, 5))
    pipeline.record(session)
    pipeline.propose(session)
    assert "Proposal 0 is not verified" in said(opened("train", "red"))
    pipeline.verify(session)
    app = opened("train", "red")
    assert "Proposal 0 is undecided" in said(app)
    assert not next(button for button in app.button if button.label == "Start training").disabled


def test_what_the_checkers_pay_is_chosen_and_a_farmable_way_warns(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = pipeline.create_from_env(root, "red", "MiniGrid-DoorKey-5x5-v0", recording=Recording(2, 0, 5))
    pipeline.record(session)
    keys = [step.key for step in pipeline.propose(session).subtasks]
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(pipeline, "start_training", lambda *_args, **options: asked.append(options))
    app = opened("train", "red")
    assert app.selectbox(key="pay").value == "once"
    app.number_input(key=f"weight-{keys[0]}").set_value(3.0).run()
    app.selectbox(key="pay").set_value("level").run()
    assert "pays for going round in circles" in said(app)
    next(button for button in app.button if button.label == "Start training").click().run()
    assert (asked[0]["pay"], asked[0]["undo"], asked[0]["weights"]) == ("level", 0.0, {keys[0]: 3.0})


def test_farmed_rewards_are_compared(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = pipeline.create_from_env(root, "red", "MiniGrid-DoorKey-5x5-v0", recording=Recording(1, 0, 5))
    assert "Nothing is proposed yet" in said(opened("study", "red"))
    pipeline.record(session)
    pipeline.propose(session)
    asked: list[str] = []
    monkeypatch.setattr(pipeline, "start_training", lambda *_args, **options: asked.append(options["pay"]))
    app = opened("study", "red")
    assert "No run yet" in said(app)
    next(button for button in app.button if button.label == "Train once, edge and level").click().run()
    assert asked == ["once", "edge", "level"]
    for pay, wins, paid in (("once", 20, 1.0), ("level", 0, 40.5)):
        folder = session.new_run_folder()
        runs.write_config(folder, RunConfig(proposal=0, pay=pay))
        runs.append(folder, runs.EVALUATION, {"steps": 10, "episodes": 20, "successes": wins, "mean_length": 9.0})
        row = {"steps": 10, "seconds": 2.0, "steps_per_second": 5.0, "episodes": 30, "success_rate": 0.5}
        runs.append(folder, runs.PROGRESS, {**row, "env_return": 0.4, "learned_return": paid, "episode_length": 9.0})
    expert = session.trajectory("expert-000")
    session.add_trajectory(replace(expert, source="policy", versions={"run": folder.name}))
    rows = study.compared(session, runs.runs(session).items)
    assert [(row.pay, row.solved.hits, row.learned_return) for row in rows] == [("once", 20, 1.0), ("level", 0, 40.5)]
    assert rows[0].actions == {} and sum(rows[1].actions.values()) == pytest.approx(1.0)
    assert set(rows[1].actions) <= {"turn left", "turn right", "forward", "pick up", "drop", "toggle"}
    shown = opened("study", "red").dataframe[0].value
    assert list(shown["Learned return an episode"]) == ["1.0", "40.5"]
    assert list(shown["Hack alarms"]) == ["0 of 1 runs", "0 of 1 runs"]  # one evaluation says nothing
    assert shown["Its most frequent actions"][1] == rows[1].habit != "-"


def test_a_lost_run_is_shown_as_lost_with_its_numbers(root: Path) -> None:
    session = pipeline.create_from_env(root, "red", "MiniGrid-Empty-5x5-v0")
    folder = session.new_run_folder()
    runs.write_config(folder, RunConfig(reward="sparse"))
    from vlmcar_core.files import write_json

    write_json(folder / "status.json", {"kind": "train", "state": "started", "pid": 2**22 + 1, "process_created": 1.0})
    row = {"steps": 2048, "seconds": 2.0, "steps_per_second": 1024.0, "episodes": 30, "success_rate": 0.5}
    runs.append(folder, runs.PROGRESS, {**row, "env_return": 0.4, "learned_return": None, "episode_length": 9.0})
    app = opened("train", "red")
    text = said(app)
    assert "its process ended without a word" in text and "1,024 steps a second" in text
    assert app.metric[0].value == "50%"


def test_no_page_brings_torch_into_the_servers_process(root: Path) -> None:
    verified(root)
    code = (
        "import sys\nfrom tests.studio_sessions import opened\n"
        f"for page in {PAGES}:\n    assert not opened(page, 'red').exception\n"
        "print(sorted({'torch', 'stable_baselines3', 'pybullet'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")
