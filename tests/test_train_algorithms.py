"""Whole runs with every kind of learner and observation: trained, evaluated, watched."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import picture, proposal
from vlmcar_core import pipeline, runs, seeds
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.runs import RunConfig
from vlmcar_core.store import Session
from vlmcar_core.train import train, watch
from vlmcar_core.types import Task

TASK = Task("MiniGrid-Empty-5x5-v0", "minigrid", settings={"tile_size": 8})
ROLLOUT: dict[str, Any] = {"n_envs": 2, "n_steps": 32, "batch_size": 32, "n_epochs": 1, "net_width": 8}
REPLAY: dict[str, Any] = {"learning_starts": 50, "batch_size": 16, "buffer_size": 500, "train_freq": 8, "net_width": 8}
CHANGED = """
def check(initial, current):
    return bool((initial != current).any())
"""


def silent(_done: int, _total: int, _message: str) -> None:
    pass


@pytest.fixture
def session(tmp_path: Path) -> Session:
    made = Session.create(tmp_path, "room", TASK)
    made.set_initial(picture(0))
    made.add_proposal(proposal(("move", CHANGED)))
    return made


@pytest.mark.parametrize(
    ("trainer", "observation", "settings"),
    [
        ("ppo", "image", ROLLOUT),
        ("ppo", "symbolic", ROLLOUT),
        ("maskable_ppo", "one-hot", ROLLOUT),
        ("recurrent_ppo", "symbolic", {**ROLLOUT, "lstm_hidden_size": 8}),
        ("dqn", "symbolic", REPLAY),
        ("dqn", "image", REPLAY),
    ],
)
def test_a_run_is_trained_evaluated_and_watched(
    session: Session, trainer: str, observation: str, settings: dict[str, Any]
) -> None:
    folder = session.new_run_folder()
    config = RunConfig(
        **{"proposal": 0, "trainer": trainer, "observation": observation, "settings": settings},
        **{"steps": 256, "evaluations": 1, "eval_episodes": 2},
    )
    runs.write_config(folder, config)
    assert runs.read_config(folder) == config
    train(session, folder, config, silent)
    assert runs.read_progress(folder)[-1]["steps"] >= 256
    assert [row["episodes"] for row in runs.read_evaluations(folder)] == [2]
    found = session.trajectory(watch(session, 0, 1, silent)[0])
    assert found.source == "policy" and len(found.actions) > 0


def test_goals_in_hindsight_and_pictures_do_not_go_together(tmp_path: Path) -> None:
    session = pipeline.create_from_env(tmp_path, "reach", "PandaReach-v3")
    config = RunConfig(reward="sparse", trainer="td3", observation="image", steps=256)
    with pytest.raises(BadInput, match="set hindsight_goals to 0"):
        train(session, session.new_run_folder(), config, silent)
    assert pipeline.trainers(session, "image")["td3"]["hindsight_goals"] == 0
    assert pipeline.trainers(session)["td3"]["hindsight_goals"] == 4


def test_td3_learns_from_goals_in_hindsight(tmp_path: Path) -> None:
    session = pipeline.create_from_env(tmp_path, "reach", "PandaReach-v3")
    folder = session.new_run_folder()
    settings = {"learning_starts": 60, "train_freq": 16, "net_width": 8}
    options: dict[str, Any] = {"steps": 200, "evaluations": 1, "eval_episodes": 1, "settings": settings}
    train(session, folder, RunConfig(reward="sparse", trainer="td3", **options), silent)
    assert len(runs.read_evaluations(folder)) == 1


@pytest.mark.parametrize(
    ("options", "error", "why"),
    [
        ({"trainer": "sac"}, UnknownName, "takes continuous actions only.*there are: ppo"),
        ({"trainer": "pqo"}, UnknownName, "no trainer for this environment 'pqo'"),
        ({"observation": "smell"}, UnknownName, "no observation 'smell'.*one-hot"),
        ({"observation": "image", "trainer": "maskable_ppo"}, UnknownName, "takes no pictures"),
        ({"trainer": "dqn", "settings": {"n_steps": 5}}, UnknownName, "no setting 'n_steps'"),
        ({"observation": 3}, BadInput, "observation"),
    ],
)
def test_what_does_not_fit_starts_no_run(
    session: Session, options: dict[str, Any], error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        pipeline.start_training(session, ["sparse"], [0], **options)
    assert session.run_folders() == []


def test_what_a_policy_sees_tells_its_runs_apart() -> None:
    usual, other = (RunConfig(reward="sparse", trainer="dqn", observation=seen) for seen in (None, "symbolic"))
    assert seeds.experiment(usual) != seeds.experiment(other)
    assert seeds.describe(usual) == "sparse, DQN" and seeds.describe(other) == "sparse, DQN, sees symbolic"


def test_what_is_tuned_to_a_family_is_what_its_runs_begin_with(
    tmp_path: Path, make_session: Callable[..., Session]
) -> None:
    room = pipeline.create_from_env(tmp_path, "room", str(TASK.env_id))
    assert next(iter(pipeline.trainers(room))) == "ppo"
    table = next(task.env_id for family, task in pipeline.env_tasks() if family == "tabletop" and task.works)
    found = pipeline.trainers(pipeline.create_from_env(tmp_path, "table", table))
    assert next(iter(found)) == "sac" and found["sac"]["gamma"] == 0.99 and found["sac"]["hindsight_goals"] == 0
    assert "dqn" not in found and "maskable_ppo" not in found
    with pytest.raises(BadInput, match="no environment"):
        pipeline.trainers(make_session())
