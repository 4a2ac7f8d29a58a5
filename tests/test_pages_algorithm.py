"""The page Train, where the algorithm is chosen: what is offered, what a run is asked, settings from and to a file."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.test_pages import opened, root, said
from vlmcar_core import jobs, pipeline, runs
from vlmcar_core.store import Session
from vlmcar_core.trainers import _defaults

__all__ = ["root"]


@pytest.fixture
def session(root: Path) -> Session:
    return pipeline.create_from_env(root, "red", "MiniGrid-Empty-5x5-v0")


def started(app: AppTest, session: Session) -> runs.RunConfig:
    """What the run that is started now is asked; it is stopped at once."""
    next(button for button in app.button if button.label == "Start training").click().run()
    folder = session.run_folders()[-1]
    jobs.cancel(folder)
    return runs.read_config(folder)


def test_what_learns_and_what_it_sees_is_asked_of_the_run(session: Session) -> None:
    app = opened("train", "red")
    assert app.selectbox(key="trainer").value == "ppo"
    assert "SAC, TQC, TD3, DDPG: takes continuous actions only" in said(app)
    app.selectbox(key="observation").set_value("symbolic").run()
    app.selectbox(key="trainer").set_value("dqn").run()
    app.number_input(key="symbolic-dqn-learning_rate").set_value(1e-4).run()
    app.selectbox(key="symbolic-dqn-learning_rate_schedule").set_value("linear").run()
    config = started(app, session)
    assert (config.trainer, config.observation) == ("dqn", "symbolic")
    assert config.settings == {"learning_rate": 1e-4, "learning_rate_schedule": "linear"}


def test_where_pictures_are_seen_what_takes_none_is_not_offered(session: Session) -> None:
    app = opened("train", "red")
    offered = app.selectbox(key="trainer").options
    assert "MaskablePPO" in offered
    app.selectbox(key="observation").set_value("image").run()
    assert "MaskablePPO" not in app.selectbox(key="trainer").options
    assert "MaskablePPO: takes no pictures" in said(app)


def test_every_setting_has_a_help_text(session: Session) -> None:
    app = opened("train", "red")
    for trainer in pipeline.trainers(session):
        app.selectbox(key="trainer").set_value(trainer).run()
        shown = [*app.number_input, *app.selectbox, *app.toggle]
        mine = [one for one in shown if str(one.key).startswith(f"one-hot-{trainer}-")]
        assert len(mine) == len(pipeline.trainers(session)[trainer])
        assert all(one.help.endswith(".") and one.key.rpartition("-")[2] in one.help for one in mine)


def test_a_file_sets_the_widgets_and_names_what_it_could_not(session: Session) -> None:
    app = opened("train", "red")
    text = "MiniGrid-Empty-5x5-v0: {n_timesteps: 2e5, gamma: 0.9, ent_coef: 0, normalize: true}"
    app.file_uploader(key="hyperparams").set_value(("mine.yml", text.encode(), "application/yaml")).run()
    assert app.number_input(key="one-hot-ppo-gamma").value == 0.9
    assert app.number_input(key="training-steps").value == 200_000
    assert "normalize" in said(app)
    config = started(app, session)
    assert (config.settings, config.steps) == ({**_defaults.MANY, "gamma": 0.9, "ent_coef": 0.0}, 200_000)


def test_a_file_of_something_else_is_refused_and_changes_nothing(session: Session) -> None:
    app = opened("train", "red")
    app.file_uploader(key="hyperparams").set_value(("mine.yml", b"Other: {gamma: 0.9}", "application/yaml")).run()
    assert any("no entry for the environment" in error.value for error in app.error)
    assert app.number_input(key="one-hot-ppo-gamma").value == 0.99
