"""Any Gymnasium id: which are offered, what is imported and what never is, success, and the whole flow."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from vlmcar_core import intake, pipeline, plugins, runs, verdicts
from vlmcar_core.envs import _gymnasium, solved, word
from vlmcar_core.episodes import EpisodeRecord
from vlmcar_core.errors import BadInput, NoExpert, UnknownName
from vlmcar_core.meaning import Meaning
from vlmcar_core.rollouts import record_actions, record_random
from vlmcar_core.store import Session
from vlmcar_core.train import evaluate
from vlmcar_core.types import Checker, Count, Proposal, Recording, SubTask, Task

MODULE = "tests.gym_square"
STILL = {"kwargs": '{"is_slippery": false}'}
TO_THE_END = [1, 1, 2, 1, 2, 2]
"""FrozenLake's 4 × 4 map without slipping."""

SUCCESS = {"success_by": "info", "success_key": "is_success"}
DISCRETE, CONTINUOUS = (plugins.load("envs", f"gymnasium_{kind}") for kind in ("discrete", "continuous"))


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that the person has named."""
    monkeypatch.setenv(_gymnasium.MODULES_VARIABLE, MODULE)


def lake(**settings: Any) -> Task:
    return Task("FrozenLake-v1", "gymnasium_discrete", 0, {**STILL, **settings})


# Which there are


def test_gymnasiums_own_are_offered_by_what_their_actions_are() -> None:
    discrete, continuous = ({task.env_id for task in family.tasks()} for family in (DISCRETE, CONTINUOUS))
    assert {"CartPole-v1", "FrozenLake-v1", "MountainCar-v0", "Taxi-v4", "LunarLander-v3"} <= discrete
    assert {"Pendulum-v1", "MountainCarContinuous-v0", "HalfCheetah-v5"} <= continuous
    assert not discrete & continuous


def test_what_is_not_installed_says_how_to_get_it() -> None:
    tasks = {task.env_id: task for task in DISCRETE.tasks()}
    if tasks["LunarLander-v3"].works:
        pytest.skip("Box2D is installed")
    with pytest.raises(BadInput, match=r'pip install swig "gymnasium\[box2d\]"'):
        DISCRETE.make(Task("LunarLander-v3", "gymnasium_discrete"))


@pytest.mark.parametrize("env_id", ["FrozenLake-v1", "CartPole-v1", "Taxi-v4", "Blackjack-v1"])
def test_a_policy_sees_a_flat_box_of_a_proper_environment(env_id: str) -> None:
    env = DISCRETE.make(Task(env_id, "gymnasium_discrete"))
    view = DISCRETE.policy_view(env)
    assert view.observation_space.dtype == np.float32 and len(view.observation_space.shape) == 1
    check_env(view, skip_render_check=True, skip_close_check=True)
    view.reset(seed=0)
    scene = DISCRETE.scene(view)
    assert scene.dtype == np.uint8 and scene.shape[2] == 3 and np.array_equal(scene, env.render())
    with pytest.raises(NoExpert, match=env_id):
        DISCRETE.expert(env)


def test_a_policy_may_see_the_scene_instead() -> None:
    view = DISCRETE.policy_view(DISCRETE.make(lake()), "image")
    assert view.observation_space.shape == (64, 64, 3) and view.reset(seed=0)[0].dtype == np.uint8
    with pytest.raises(UnknownName, match="observation"):
        DISCRETE.policy_view(DISCRETE.make(lake()), "smell")


def test_a_used_environment_resets_to_the_same_as_a_fresh_one() -> None:
    used = record_random(lake(), 5, 20)
    again = record_random(lake(), 5, 20)
    assert np.array_equal(used.frames, again.frames) and np.array_equal(used.actions, again.actions)


def test_an_id_is_placed_by_what_its_actions_are_with_these_settings(named: None) -> None:
    assert pipeline.find_task("CartPole-v1").family == "gymnasium_discrete"
    assert pipeline.find_task("Pendulum-v1").family == "gymnasium_continuous"
    assert pipeline.find_task("Square-v0").family == "gymnasium_discrete"


def test_frames_are_made_smaller_where_that_is_asked_for() -> None:
    assert pipeline.preview(lake(height=64)).shape == (64, 64, 3)
    assert pipeline.preview(Task("CartPole-v1", "gymnasium_discrete", 0, {"height": 100})).shape == (100, 150, 3)


# Nothing is imported, and no file is named, because a session says so


def test_a_module_is_imported_only_where_the_person_has_named_it(tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\nclass Wrapper: pass\n")
    source = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from vlmcar_core.envs import gymnasium_discrete as family
from vlmcar_core.errors import BadInput
from vlmcar_core.types import Task
for env_id, settings in (
    ("planted:Evil-v0", {{}}), ("planted/Evil-v0", {{}}), ("FrozenLake-v1", {{"wrappers": "planted:Wrapper"}}),
    ("FrozenLake-v1", {{"wrappers": "os:system"}}), ("FrozenLake-v1", {{"wrappers": "gymnasium.wrappers:RecordVideo"}}),
):
    try:
        family.make(Task(env_id, "gymnasium_discrete", 0, settings))
    except BadInput as error:
        print(error)
    assert "planted" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert not (tmp_path / "ran").exists()
    assert done.stdout.count("--gym-module") == 5 and "--gym-module planted" in done.stdout


@pytest.mark.parametrize(
    ("kwargs", "told"),
    [
        ("[]", "is a JSON object"),
        ("{", "is no JSON"),
        ('{"xml_file": "a.xml"}', "names a file"),
        ('{"map_name": "/etc/passwd"}', "names a file"),
        ('{"desc": ["SF", "../x"]}', "names a file"),
        ('{"render_mode": "human"}', "cannot be a keyword argument here"),
        ('{"nonsense": 1}', "cannot be made.*nonsense"),
        ('{"map_name": "none"}', "cannot be made"),
    ],
)
def test_keyword_arguments_that_cannot_be_are_refused(kwargs: str, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        DISCRETE.make(Task("FrozenLake-v1", "gymnasium_discrete", 0, {"kwargs": kwargs}))


def test_a_named_packages_environments_and_wrappers_are_used(named: None) -> None:
    assert "Square-v0" in {task.env_id for task in DISCRETE.tasks()}
    env = DISCRETE.make(Task("Square-v0", "gymnasium_discrete", 0, {"wrappers": f"{MODULE}:Slower", "max_steps": 7}))
    env.reset(seed=0)
    assert env.step(1)[4]["count"] == 1 and DISCRETE.steps_limit(env) == 7
    with pytest.raises(BadInput, match=r"is no gymnasium.Wrapper"):
        DISCRETE.make(Task("Square-v0", "gymnasium_discrete", 0, {"wrappers": f"{MODULE}:Square"}))


def test_a_named_module_that_does_not_import_is_listed_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_gymnasium.MODULES_VARIABLE, "no_such_module_here")
    lost = [task for task in DISCRETE.tasks() if task.env_id.startswith("no_such_module_here")]
    assert len(lost) == 1 and not lost[0].works and "No module named" in lost[0].note
    monkeypatch.setenv(_gymnasium.MODULES_VARIABLE, "os.system('x')")
    with pytest.raises(BadInput, match="names of modules"):
        DISCRETE.tasks()


def test_without_its_module_an_id_is_unknown_with_what_to_do() -> None:
    with pytest.raises(UnknownName, match="--gym-module"):
        DISCRETE.make(Task("Square-v0", "gymnasium_discrete"))


# Success


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, True),
        ({"success_by": "return", "success_return": 1.0}, True),
        ({"success_by": "return", "success_return": 1.5}, False),
        ({"success_by": "info", "success_key": "prob"}, True),
        ({"success_by": "info", "success_key": "nothing"}, False),
        ({"success_by": "unknown"}, None),
    ],
)
def test_success_is_a_return_a_key_of_info_or_not_known(settings: dict[str, Any], wanted: bool | None) -> None:
    assert record_actions(lake(**settings), 0, TO_THE_END, "human").success is wanted


def test_what_info_told_is_forgotten_with_the_next_episode(named: None) -> None:
    env = DISCRETE.make(Task("Square-v0", "gymnasium_discrete", 0, {**SUCCESS, "kwargs": '{"goal": 1}'}))
    told = word(DISCRETE, env)
    env.reset(seed=0)
    for action in (1, 2, 2, 2, 0, 0, 0):
        env.step(action)
    assert told(np.zeros(2), False) is True
    env.reset(seed=0)
    assert told(np.zeros(0), False) is False


def test_a_key_must_be_named() -> None:
    with pytest.raises(BadInput, match="success_key"):
        DISCRETE.make(lake(success_by="info"))


def test_an_evaluation_counts_what_info_tells(named: None) -> None:
    def act(seen: np.ndarray, starts: np.ndarray | None = None) -> np.ndarray:
        return np.where(seen[:, 0] < 4, 1, 2)

    task = Task("Square-v0", "gymnasium_discrete", 0, SUCCESS)
    made = [DISCRETE.make(task) for _ in range(3)]
    found = evaluate([EpisodeRecord(DISCRETE.policy_view(env), solved(DISCRETE, env)) for env in made], act)
    assert found.solved == (True, True, True)


# The check


def told(env_id: str, **settings: Any) -> str:
    return "\n".join(f"{finding.ok} {finding.told}" for finding in _gymnasium.check(env_id, settings))


def test_a_sound_one_passes_with_what_there_is_to_know() -> None:
    found = told("FrozenLake-v1", **STILL)
    assert "False" not in found
    assert "None success: a return of at least 0.7" in found and "None an episode ends after 100 steps" in found


@pytest.mark.parametrize(
    ("env_id", "wanted"),
    [
        ("Nowhere-v0", "False no environment 'Nowhere-v0'"),
        ("Silent-v0", "False it does not draw rgb_array; its render modes: ['ansi']"),
        ("Several-v0", "False its actions are a MultiDiscrete; trainers take Discrete or Box"),
        ("Endless-v0", "such a space has no flat form"),
        ("Grey-v0", "render() gives float32 (80, 80); checkers need RGB as uint8"),
        ("Square-v0", "None success: unknown; set success_by to info"),
    ],
)
def test_the_check_says_what_is_missing(named: None, env_id: str, wanted: str) -> None:
    assert wanted in told(env_id)


def test_what_the_check_finds_missing_cannot_be_made(named: None) -> None:
    for env_id in ("Silent-v0", "Several-v0", "Endless-v0"):
        with pytest.raises(BadInput, match="cannot be used here"):
            DISCRETE.make(Task(env_id, "gymnasium_discrete"))
    with pytest.raises(BadInput, match="float32"):
        pipeline.preview(Task("Grey-v0", "gymnasium_discrete"))


# The whole flow


def trained(session: Session, number: int, tmp_path: Path) -> dict[str, Any]:
    """A short PPO run on the checkers' pay; its last evaluation."""
    settings = {"n_envs": 2, "n_steps": 64, "batch_size": 64}
    config = runs.RunConfig(proposal=number, steps=512, evaluations=1, eval_episodes=3, settings=settings)
    folder = tmp_path / "run"
    folder.mkdir()
    pipeline.train(session, folder, config)
    assert (folder / runs.MODEL).is_file() and runs.read_progress(folder)
    return runs.read_evaluations(folder)[-1]


def test_somebodys_own_environment_goes_from_random_episodes_to_a_trained_policy(named: None, tmp_path: Path) -> None:
    session = pipeline.create_from_env(tmp_path, "square", "Square-v0", 0, SUCCESS, Recording(1, 4, 30))
    recorded = pipeline.record(session)
    assert (recorded.experts, recorded.randoms) == (0, 4) and "nobody has written one" in recorded.note
    for seed in (0, 1):
        session.add_trajectory(record_actions(session.task, seed, [1, 1, 1, 1, 2, 2, 2, 2], "expert"))
    pipeline.set_goal_from_trajectory(session, "expert-000", -1)
    proposal = pipeline.propose(session)
    goal = pipeline.verify(session).verdict("goal")
    assert proposal.subtasks and goal.expert == Count(2, 2) and goal.random.total == 4
    assert trained(session, 0, tmp_path)["episodes"] == 3


REACHED = """
def check(initial, current):
    corner = current[48:, 48:].astype(int)
    return bool(abs(corner - initial[48:, 48:].astype(int)).max() > 40)
"""


def test_frozen_lake_goes_from_random_episodes_to_a_trained_policy(tmp_path: Path) -> None:
    session = pipeline.create_from_env(
        tmp_path, "lake", "FrozenLake-v1", 0, {**STILL, "height": 64}, Recording(0, 5, 30)
    )
    pipeline.record(session)
    paid = np.array([0, 0, 0, 0, 0, 1.0])
    for seed in (0, 1):
        np.savez(tmp_path / f"{seed}.npz", actions=TO_THE_END, rewards=paid, seed=seed, env_id="FrozenLake-v1")
    paths = [tmp_path / f"{seed}.npz" for seed in (0, 1)]
    ids = intake.take(session, paths, Meaning(source="expert"))
    assert [session.trajectory(id).success for id in ids] == [True, True]
    assert np.array_equal(session.goal, session.trajectory("expert-000").frames[-1])
    assert "figure to where" in pipeline.propose(session).goal.title
    session.add_proposal(Proposal(SubTask("Stand on the present", Checker("goal", REACHED)), (), "a person"))
    for number in (0, 1):  # what the built-in proposer sees, and what a person writes
        verification = pipeline.verify(session, number)
        goal = verification.verdict("goal")
        assert goal.expert == Count(2, 2) and goal.random == Count(0, 5)
        assert verdicts.judge_whole(verification).judgement == "undecided", "five random episodes decide nothing"
    assert trained(session, 0, tmp_path)["episodes"] == 3
