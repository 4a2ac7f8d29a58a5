"""The page Train on runs that are there: what it says of them, and what its buttons do."""

import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import NEVER, picture, proposal, trajectory
from tests.studio_sessions import opened, said
from vlmcar_core import continuing, files, films, jobs, pipeline, plugins, runs
from vlmcar_core.runs import Run, RunConfig
from vlmcar_core.store import Session
from vlmcar_core.types import Task
from vlmcar_studio import measures, monitor
from vlmcar_studio.charts import POINTS_MAX, thinned

NAME = "room"


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv("VLMCAR_SESSIONS", str(tmp_path))
    made = Session.create(tmp_path, NAME, Task("MiniGrid-Empty-5x5-v0", "minigrid", settings={"tile_size": 8}))
    made.set_initial(picture(0))
    made.add_proposal(
        proposal(("see-red", "def check(initial, current):\n    return bool(current.any())\n"), ("b", NEVER))
    )
    return made


def ended(session: Session, state: str = "success", **fields: Any) -> Run:
    """A run as if it had ended, after half of its steps."""
    folder = session.new_run_folder()
    runs.write_config(folder, RunConfig(**{"proposal": 0, "steps": 4000, **fields}))
    for steps in (500, 1000, 1500, 2000):
        row = {"steps": steps, "seconds": steps / 100, "steps_per_second": 100.0, "episodes": 30}
        told = {"success_rate": steps / 4000, "learned_return": 0.5, "env_return": 0.4, "episode_length": 9.0}
        runs.append(folder, runs.PROGRESS, {**row, **told, "paid": {"see-red": 0.5}, "losses": {"loss": 0.1}})
        runs.append(folder, runs.EVALUATION, {"steps": steps, "episodes": 10, "successes": steps // 250})
    with jobs.running(folder, "train-run") as reporter:
        reporter.finish(state, "it is over")  # type: ignore[arg-type]
    return continuing.run(session, int(folder.name))


def farmed(session: Session) -> Run:
    """One that was paid more and more and solved nothing, and has kept two such episodes and a video."""
    run = ended(session, pay="edge")
    for number in range(1, 9):
        told = {"solved": [False] * 9, "lengths": [9] * 9, "learned": [number * 1.5 + place for place in range(9)]}
        runs.append(run.folder, runs.EVALUATION, {"steps": 2000 + number, "episodes": 9, "successes": 0, **told})
    for seed in (1_000_000, 1_000_004):
        films.keep_hack(run.folder, trajectory([0, 1, 0, 1], "adversarial", success=False, seed=seed), 2004, 3.0)
    films.keep_video(run.folder, trajectory([0, 1, 1], "policy", success=False, seed=1_000_000), 2001)
    return run


def press(app: AppTest, key: str) -> AppTest:
    return app.button(key=key).click().run()


def test_seeds_are_shown_together_and_runs_with_what_can_be_done(session: Session) -> None:
    for seed in (0, 1):
        ended(session, seed=seed)
        ended(session, reward="sparse", proposal=None, seed=seed)
    app = opened("train", NAME)
    assert not app.exception
    table = app.dataframe[0].value
    assert list(table["Experiment"]) == ["dense, proposal 0", "sparse"] and list(table["Seeds"]) == ["2", "2"]
    labels = [button.label for button in app.button]
    assert labels.count("Look into it") == labels.count("Clone …") == 4 and "Resume" not in labels


def test_an_alarm_is_raised_and_what_was_paid_for_nothing_becomes_negatives(session: Session) -> None:
    ended(session)
    run = farmed(session)
    app = opened("train", NAME)
    text = said(app)
    assert f"Hack alarm, run {run.number}." in text and "late episodes were paid in full and not solved" in text
    assert text.count("Hack alarm, run") == 1
    app = press(app, f"look-hacks-{run.number}")
    assert app.segmented_control(key=f"kind-{run.number}").value == "Paid and not solved"
    assert "What to do next stands above, with the alarm." in said(app)
    app = press(app, f"keep-{run.number}")
    assert not app.exception
    kept = [info for info in session.trajectories().items if info.source == "adversarial"]
    assert [info.seed for info in kept] == [1_000_000, 1_000_004]


def test_a_video_is_played_with_what_the_runs_checkers_say(session: Session) -> None:
    run = farmed(session)
    app = opened("train", NAME)
    assert not app.exception
    box = app.selectbox(key=f"film-{run.number}-On the way")
    assert box.options == ["2,001 steps of training: 2 steps, not solved"]
    app = press(app, f"gif-{run.number}-videos")
    assert not app.exception
    (film,) = films.kept(run.folder, films.VIDEOS).items
    assert len(session.trajectories().items) == 0 and film.id == "000002001"


def test_the_page_of_farmed_rewards_says_what_an_alarm_asks_for_and_does_it(session: Session) -> None:
    run = farmed(session)
    app = press(opened("study", NAME), f"keep-{run.number}")
    assert not app.exception and len([info for info in session.trajectories().items if info.source == "adversarial"])
    app = press(app, f"verify-{run.number}")
    assert not app.exception and "Hack alarm, run 0." in said(app)
    job = pipeline.current_job(session, "verify")
    assert job is not None and job.kind == "verify"


def test_episodes_that_were_paid_for_nothing_are_kept_where_no_alarm_is_raised_too(session: Session) -> None:
    run = ended(session)
    films.keep_hack(run.folder, trajectory([0, 1, 0, 1], "adversarial", success=False, seed=4), 2004, 1.0)
    app = opened("train", NAME)
    assert "Hack alarm" not in said(app) and "As negatives they are met by every later verification" in said(app)
    app = press(app, f"keep-{run.number}")
    assert "They are negatives of this session." in said(app)
    assert [info.seed for info in session.trajectories().items if info.source == "adversarial"] == [4]


def test_a_stopped_run_is_resumed_where_it_has_a_checkpoint(session: Session) -> None:
    ended(session, "cancelled")
    run = ended(session, "cancelled")
    runs.keep_checkpoint(run.folder, 2000, lambda path: path.write_bytes(b"all") and None)
    app = opened("train", NAME)
    assert [button.key for button in app.button if button.label == "Resume"] == [f"resume-run-{run.number}"]
    press(app, f"resume-run-{run.number}")
    assert files.there(run.folder / jobs.LAUNCH), "it is put into the line"
    assert jobs.read(run.folder).state != "cancelled"


def test_where_runs_go_is_chosen_and_said_and_stands_in_no_session(session: Session) -> None:
    stopped = ended(session, "cancelled")
    runs.keep_checkpoint(stopped.folder, 2000, lambda path: path.write_bytes(b"all") and None)
    app = opened("train", NAME)
    assert "A process for each run, at most one per core" in said(app)
    app = app.selectbox(key="launcher").select("ray").run()
    assert "Ray jobs on a cluster that is there already" in said(app)
    assert ("needs Ray" in said(app)) == bool(plugins.load("launchers", "ray").lacking())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    app = app.text_input(key="address").set_value(address).run()
    for press_it in (
        lambda: next(button for button in app.button if button.label == "Start training").click().run(),
        lambda: press(app, f"resume-run-{stopped.number}"),
    ):
        shown = said(press_it())
        assert "no Ray cluster answers" in shown or "needs Ray" in shown
    assert session.run_folders() == [stopped.folder] and jobs.read(stopped.folder).state == "cancelled"
    written = "".join(path.read_text(errors="replace") for path in session.folder.rglob("*") if path.is_file())
    assert address not in written


def test_a_clone_begins_with_its_runs_settings_and_starts_with_what_was_changed(session: Session) -> None:
    run = ended(session, pay="edge", settings={"gamma": 0.9})
    app = press(opened("train", NAME), f"clone-run-{run.number}")
    key = f"clone-{run.number}"
    assert app.number_input(key=f"{key}-steps").value == 4000 and app.number_input(key=f"{key}-gamma").value == 0.9
    app.selectbox(key=f"{key}-pay").set_value("once").run()
    app.number_input(key=f"{key}-steps").set_value(8000).run()
    app = next(button for button in app.button if button.label == "Start the clone").click().run()
    assert not app.exception
    config = runs.read_config(session.run_folder(1))
    assert (config.pay, config.steps, dict(config.settings), config.cloned_from) == ("once", 8000, {"gamma": 0.9}, 0)
    assert "Start the clone" not in [button.label for button in app.button]


def test_runs_are_compared_against_a_pinned_baseline(session: Session) -> None:
    ended(session)
    ended(session, pay="progress", seed=3)
    app = opened("train", NAME)
    app.segmented_control(key="train-view").set_value("Compare").run()
    assert "Choose two or more runs" in said(app)
    app.multiselect(key="compared").set_value([0, 1]).run()
    table = app.dataframe[-1].value
    assert list(table.columns) == ["", "Run 0 (baseline)", "Run 1"]
    assert {"pay", "seed", "final success"} <= set(table[""])
    app.selectbox(key="baseline").set_value(1).run()
    assert list(app.dataframe[-1].value.columns) == ["", "Run 0", "Run 1 (baseline)"]


def test_success_env_return_and_learned_return_are_charts_of_their_own(session: Session) -> None:
    for seed in (0, 1):
        ended(session, seed=seed)
    ended(session, reward="sparse", proposal=None)
    found = runs.runs(session).items
    together = {chart.key: chart for chart in monitor.overview_charts(found, raw=False)}
    assert [line.name for line in together["success"].lines] == ["dense, proposal 0, 2 seeds", "sparse, run 2, seed 0"]
    assert together["success"].lines[0].band is not None and together["success"].unit == "%"
    assert [line.name for line in together["learned-return"].lines] == ["dense, proposal 0, 2 seeds"]
    raw = {chart.key: chart for chart in monitor.overview_charts(found, raw=True)}
    assert [line.name for line in raw["success"].lines] == [
        *("dense, proposal 0, run 0, seed 0", "dense, proposal 0, run 1, seed 1", "sparse, run 2, seed 0"),
    ]


def test_what_the_learner_tells_is_drawn_each_for_itself_and_in_words() -> None:
    told = {"entropy_loss": -1.9, "loss": 0.1, "clip_fraction": 0.2, "something_new": 4.0}
    rows = [{"steps": 100, "losses": {}}, {"steps": 200, "losses": told}]
    found = {chart.title: chart for chart in measures.learner_charts(rows)}
    assert list(found) == ["Loss", "Entropy of the policy", "Samples whose update was clipped", "something_new"]
    (line,) = found["Entropy of the policy"].lines
    assert np.array_equal(np.asarray(line.values), [np.nan, 1.9], equal_nan=True), "a loss is what is made smaller"
    assert found["Samples whose update was clipped"].unit == "%"
    many = [{"steps": 1, "losses": {f"name {number}": 1.0 for number in range(500)}}]
    assert len(measures.learner_charts(many)) == measures.CHARTS_MAX


def test_the_pace_is_told_over_some_rows_so_that_an_evaluation_does_not_look_like_a_stop(session: Session) -> None:
    run = ended(session)
    rows = runs.read_progress(run.folder)
    (pace,) = next(chart for chart in monitor.run_charts(rows) if chart.key == "pace").lines
    assert list(pace.values) == pytest.approx([100.0] * 4)
    slow = [{**row, "seconds": row["seconds"] + 10.0 * (number > 1)} for number, row in enumerate(rows)]
    (pace,) = next(chart for chart in monitor.run_charts(slow) if chart.key == "pace").lines
    assert list(pace.values) == pytest.approx([100.0, 100.0, 50.0, 60.0])


def test_of_many_points_no_peak_is_lost() -> None:
    values = np.sin(np.linspace(0, 50, 20_000))
    values[7_777], values[12_345], values[100:2_000] = 9.0, -9.0, np.nan
    places = thinned(values, POINTS_MAX)
    assert len(places) <= POINTS_MAX and (np.diff(places) > 0).all()
    assert {0, 7_777, 12_345, 19_999} <= set(places.tolist())
    assert thinned(values[:50], POINTS_MAX).tolist() == list(range(50))


def test_of_very_long_runs_some_rows_are_drawn_and_the_last() -> None:
    rows = [{"steps": number} for number in range(20_001)]
    some = monitor.sampled(rows)
    assert len(some) <= monitor.ROWS_DRAWN + 1 and some[0] is rows[0] and some[-1] is rows[-1]
    assert monitor.sampled(rows[:4000]) == rows[:4000]
