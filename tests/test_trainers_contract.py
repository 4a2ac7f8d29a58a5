"""Every trainer in `trainers/`: learns, tells, stops, saves, loads. A new file there is tested by being there."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from vlmcar_core import plugins, runs
from vlmcar_core.errors import BadInput, Cancelled, DamagedFile, UnknownName
from vlmcar_core.train import EpisodeRecord
from vlmcar_core.trainers import _defaults
from vlmcar_core.training import Stretch, Training

STEPS = 600
SHORT = {
    "n_envs": 2,
    "n_steps": 64,
    "batch_size": 64,
    "learning_starts": 50,
    "hindsight_goals": 0,
    "net_width": 8,
    "buffer_size": 1000,
}
LENGTH = 8


class Walk(gym.Env[Any, Any]):
    """Eight steps to the right or to the left; a step to the right, or any action above 0, pays 1."""

    observation_space = gym.spaces.Box(0.0, 1.0, (LENGTH + 1,), np.float32)

    def __init__(self, continuous: bool) -> None:
        box = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.action_space = box if continuous else gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return self._seen(), float(np.max(action) > 0), self.steps == LENGTH, False, {}

    def _seen(self) -> Any:
        return np.eye(LENGTH + 1, dtype=np.float32)[self.steps]


def walk(trainer: str) -> gym.Env[Any, Any]:
    """With actions that the trainer can take."""
    env = Walk(continuous=trainer not in _defaults.ANY_ACTIONS)
    return EpisodeRecord(env, lambda rewards, _terminated: bool(rewards.sum() == LENGTH))


def settings_of(name: str) -> dict[str, Any]:
    """Short stretches, in the words that this trainer knows."""
    defaults = plugins.load("trainers", name).DEFAULTS
    return {word: value for word, value in SHORT.items() if word in defaults}


class Told:
    """What a trainer tells; wants it to stop at a number of steps."""

    def __init__(self, stop_at: int = 10**9) -> None:
        self.stop_at = stop_at
        self.steps: list[int] = []
        self.ticks: list[int] = []
        self.records: list[dict[str, Any]] = []
        self.actions: Any = None

    def watch(self, stretch: Stretch) -> None:
        self.steps.append(stretch.steps)
        self.records += stretch.records
        self.actions = stretch.act(np.eye(LENGTH + 1, dtype=np.float32))
        stretch.save()

    def tick(self, steps: int) -> None:
        self.ticks.append(steps)
        if steps >= self.stop_at:
            raise Cancelled("enough")


@pytest.fixture(params=plugins.names("trainers"))
def trainer(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def learn(trainer: str, path: Path, told: Told, **chosen: Any) -> None:
    settings = {**settings_of(trainer), **chosen}
    asked = Training(lambda _view: walk(trainer), STEPS, 0, path, settings, told.watch, told.tick)
    plugins.load("trainers", trainer).learn(asked)


def test_it_tells_steps_that_grow_to_the_end_and_every_episode_once(trainer: str, tmp_path: Path) -> None:
    told = Told()
    learn(trainer, tmp_path / runs.MODEL, told)
    assert told.steps == sorted(set(told.steps)) and told.steps[-1] >= STEPS
    assert told.ticks == sorted(set(told.ticks)) and set(told.steps) <= set(told.ticks)
    assert {record["length"] for record in told.records} == {LENGTH}
    assert STEPS // LENGTH - 2 <= len(told.records) <= told.steps[-1] // LENGTH


def test_it_acts_on_a_batch_of_observations_with_actions_of_the_environment(trainer: str, tmp_path: Path) -> None:
    told = Told()
    learn(trainer, tmp_path / runs.MODEL, told)
    space = walk(trainer).action_space
    assert told.actions.shape == (LENGTH + 1, *space.shape)
    assert all(space.contains(action) for action in told.actions)


def test_one_that_is_stopped_in_a_stretch_has_saved_its_policy_whole(trainer: str, tmp_path: Path) -> None:
    told = Told(stop_at=100)
    with pytest.raises(Cancelled):
        learn(trainer, tmp_path / runs.MODEL, told)
    assert max(told.ticks) < 128
    assert [path.name for path in tmp_path.iterdir()] == [runs.MODEL]
    act = plugins.load("trainers", trainer).load(tmp_path / runs.MODEL)
    assert act(np.zeros((1, LENGTH + 1))).shape == (1, *walk(trainer).action_space.shape)


def test_the_same_seed_meets_the_same_episodes(trainer: str, tmp_path: Path) -> None:
    first, second = Told(), Told()
    learn(trainer, tmp_path / "a.zip", first)
    learn(trainer, tmp_path / "b.zip", second)
    assert first.records == second.records


def test_a_setting_it_does_not_know_is_refused_by_name(trainer: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="no_such_setting"):
        learn(trainer, tmp_path / runs.MODEL, Told(), no_such_setting=1)


def test_a_file_that_is_no_policy_is_damage(trainer: str, tmp_path: Path) -> None:
    (tmp_path / runs.MODEL).write_bytes(b"nothing of the kind")
    with pytest.raises(DamagedFile, match=r"model\.zip"):
        plugins.load("trainers", trainer).load(tmp_path / runs.MODEL)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_envs", 0),
        ("n_envs", 100_000),
        ("n_steps", 2.5),
        ("batch_size", True),
        ("gamma", 1.5),
        ("gamma", float("nan")),
        ("gae_lambda", -0.1),
        ("learning_rate", 0),
        ("clip_range", 0.0),
        ("ent_coef", "much"),
    ],
)
def test_a_ppo_setting_out_of_range_is_refused_with_its_name_and_value(name: str, value: Any) -> None:
    with pytest.raises(BadInput) as refused:
        _defaults.merged(_defaults.PPO, {name: value})
    assert repr(name) in str(refused.value) and repr(value) in str(refused.value)


@pytest.mark.parametrize("trainer", sorted(set(_defaults.DEFAULTS) - set(_defaults.ANY_ACTIONS)))
def test_one_that_takes_continuous_actions_only_says_so(trainer: str, tmp_path: Path) -> None:
    make = plugins.load("trainers", trainer).learn
    with pytest.raises(BadInput, match=r"continuous actions only.*Discrete\(2\).*try ppo"):
        make(Training(lambda _view: Walk(continuous=False), STEPS, 0, tmp_path / runs.MODEL, settings_of(trainer)))


def test_every_trainer_has_defaults_and_they_are_allowed(trainer: str) -> None:
    known = plugins.load("trainers", trainer).DEFAULTS
    assert known is _defaults.DEFAULTS[trainer] and _defaults.merged(known, known) == known


@pytest.mark.parametrize(("name", "value"), [("hindsight_goals", -1), ("tau", 0.0), ("net_width", 0), ("tau", 1.1)])
def test_a_sac_setting_out_of_range_is_refused_with_its_name_and_value(name: str, value: Any) -> None:
    with pytest.raises(BadInput) as refused:
        _defaults.merged(_defaults.SAC, {name: value})
    assert repr(name) in str(refused.value) and repr(value) in str(refused.value)


def test_a_single_step_per_update_is_refused() -> None:
    with pytest.raises(BadInput, match="n_steps"):
        _defaults.merged(_defaults.PPO, {"n_envs": 1, "n_steps": 1})


def test_settings_change_the_defaults_and_leave_them_as_they_are() -> None:
    assert _defaults.merged(_defaults.PPO, {"gamma": 0.9})["gamma"] == 0.9
    assert _defaults.PPO["gamma"] == 0.99


def test_nothing_but_a_trainer_loads_torch() -> None:
    code = (
        "import sys; import vlmcar_core.train, vlmcar_core.pipeline, vlmcar_core.trainers._defaults;"
        "sys.exit('torch' in sys.modules or 'stable_baselines3' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
