"""Every trainer in `trainers/`: learns, tells, stops, saves, loads. A new file there is tested by being there."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from vlmcar_core import plugins, policies, runs
from vlmcar_core.envs import _views
from vlmcar_core.errors import BadInput, Cancelled, DamagedFile, UnknownName
from vlmcar_core.train import EpisodeRecord
from vlmcar_core.trainers import _defaults
from vlmcar_core.training import Stretch, Training

STEPS = 400
SHORT = {
    "n_envs": 2,
    "n_steps": 64,
    "batch_size": 64,
    "learning_starts": 50,
    "hindsight_goals": 0,
    "net_width": 8,
    "buffer_size": 1000,
    "lstm_hidden_size": 8,
    "train_freq": 4,
    "n_epochs": 2,
}
CONTINUOUS = [name for name in _defaults.DEFAULTS if name not in (*_defaults.ANY_ACTIONS, *_defaults.DISCRETE_ONLY)]
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
    """With actions that the trainer can take; where it wants to know, the left is said to do nothing every other
    step."""
    env: gym.Env[Any, Any] = Walk(continuous=trainer in CONTINUOUS)
    if trainer in _defaults.MASKED:
        env = _views.MaskedView(env, lambda one: np.array([one.unwrapped.steps % 2 == 0, True]))
    return EpisodeRecord(env, lambda rewards, _terminated: bool(rewards.sum() == LENGTH))


def shown(trainer: str) -> Any:
    """Every observation that there is."""
    ones = np.eye(LENGTH + 1, dtype=np.float32)
    if trainer not in _defaults.MASKED:
        return ones
    masks = np.array([[step % 2 == 0, True] for step in range(LENGTH + 1)], np.float32)
    return np.concatenate([ones, masks], axis=1)


def settings_of(name: str) -> dict[str, Any]:
    """Short stretches, in the words that this trainer knows."""
    defaults = plugins.load("trainers", name).DEFAULTS
    return {word: value for word, value in SHORT.items() if word in defaults}


class Told:
    """What a trainer tells; wants it to stop at a number of steps."""

    def __init__(self, trainer: str, stop_at: int = 10**9) -> None:
        self.stop_at = stop_at
        self.steps: list[int] = []
        self.ticks: list[int] = []
        self.records: list[dict[str, Any]] = []
        self.losses: list[dict[str, float]] = []
        self.actions: Any = None
        self.act: Any = None
        self.checkpoint: Any = None
        self.shown = shown(trainer)

    def watch(self, stretch: Stretch) -> None:
        self.steps.append(stretch.steps)
        self.records += stretch.records
        self.losses.append(dict(stretch.losses))
        self.actions = stretch.act(self.shown)
        self.act, self.checkpoint = stretch.act, stretch.checkpoint
        stretch.save()

    def tick(self, steps: int) -> None:
        self.ticks.append(steps)
        if steps >= self.stop_at:
            raise Cancelled("enough")


@pytest.fixture(params=plugins.names("trainers"))
def trainer(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def learn(trainer: str, path: Path, told: Told, steps: int = STEPS, resume: Path | None = None, **chosen: Any) -> None:
    settings = {**settings_of(trainer), **chosen}
    asked = Training(lambda _view: walk(trainer), steps, 0, path, settings, told.watch, resume, told.tick)
    plugins.load("trainers", trainer).learn(asked)


def test_it_tells_steps_that_grow_to_the_end_and_every_episode_once(trainer: str, tmp_path: Path) -> None:
    told = Told(trainer)
    learn(trainer, tmp_path / runs.MODEL, told)
    assert told.steps == sorted(set(told.steps)) and told.steps[-1] >= STEPS
    assert told.ticks == sorted(set(told.ticks)) and set(told.steps) <= set(told.ticks)
    assert {record["length"] for record in told.records} == {LENGTH}
    assert STEPS // LENGTH - 2 <= len(told.records) <= told.steps[-1] // LENGTH


def test_it_acts_on_a_batch_of_observations_with_actions_of_the_environment(trainer: str, tmp_path: Path) -> None:
    told = Told(trainer)
    learn(trainer, tmp_path / runs.MODEL, told)
    space = walk(trainer).action_space
    assert told.actions.shape == (LENGTH + 1, *space.shape)
    assert all(space.contains(action) for action in told.actions)


def test_one_that_is_stopped_in_a_stretch_has_saved_its_policy_whole(trainer: str, tmp_path: Path) -> None:
    told = Told(trainer, stop_at=100)
    with pytest.raises(Cancelled):
        learn(trainer, tmp_path / runs.MODEL, told)
    assert max(told.ticks) < 128
    assert [path.name for path in tmp_path.iterdir()] == [runs.MODEL]
    act = plugins.load("trainers", trainer).load(tmp_path / runs.MODEL)
    assert act(shown(trainer)[:1]).shape == (1, *walk(trainer).action_space.shape)


def test_the_same_seed_meets_the_same_episodes(trainer: str, tmp_path: Path) -> None:
    first, second = Told(trainer), Told(trainer)
    learn(trainer, tmp_path / "a.zip", first)
    learn(trainer, tmp_path / "b.zip", second)
    assert first.records == second.records


def test_a_setting_it_does_not_know_is_refused_by_name(trainer: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="no_such_setting"):
        learn(trainer, tmp_path / runs.MODEL, Told(trainer), no_such_setting=1)


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


@pytest.mark.parametrize("trainer", CONTINUOUS)
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


# What it measures, and going on from where it was


def test_it_tells_finite_losses_from_its_first_update_on(trainer: str, tmp_path: Path) -> None:
    told = Told(trainer)
    learn(trainer, tmp_path / runs.MODEL, told)
    assert {"loss", "value_loss", "critic_loss"} & set(told.losses[-1])
    assert all(np.isfinite(value) for losses in told.losses for value in losses.values())
    assert len({tuple(losses.items()) for losses in told.losses if losses}) > 1


@pytest.mark.parametrize("trainer", ["dqn", *CONTINUOUS])
def test_the_policy_it_tells_is_a_copy_that_further_training_leaves_alone(trainer: str, tmp_path: Path) -> None:
    acted: list[Any] = []

    def watch(stretch: Stretch) -> None:
        acted.append(stretch.act)

    asked = Training(lambda _view: walk(trainer), STEPS, 0, tmp_path / runs.MODEL, settings_of(trainer), watch)
    plugins.load("trainers", trainer).learn(asked)
    assert len(acted) > 2 and acted[0] is not acted[-1]
    seen = np.random.default_rng(0).normal(size=(500, *shown(trainer).shape[1:])).astype(np.float32)
    assert not np.array_equal(acted[0](seen), acted[-1](seen))


def test_a_resumed_training_goes_on_counting_to_the_same_total(trainer: str, tmp_path: Path) -> None:
    first, second = Told(trainer), Told(trainer)
    learn(trainer, tmp_path / "a.zip", first)
    first.checkpoint(tmp_path / "checkpoint.zip")
    learn(trainer, tmp_path / "b.zip", second, 2 * STEPS, tmp_path / "checkpoint.zip")
    assert second.ticks[0] > first.steps[-1] and second.ticks == sorted(set(second.ticks))
    assert second.steps[-1] >= 2 * STEPS and second.ticks[-1] < 2 * STEPS + 128 * 2
    assert plugins.load("trainers", trainer).load(tmp_path / "b.zip")(shown(trainer)).shape == second.actions.shape


def test_one_that_was_done_already_only_saves_its_policy_again(trainer: str, tmp_path: Path) -> None:
    first, second = Told(trainer), Told(trainer)
    learn(trainer, tmp_path / "a.zip", first)
    first.checkpoint(tmp_path / "checkpoint.zip")
    learn(trainer, tmp_path / "b.zip", second, STEPS, tmp_path / "checkpoint.zip")
    assert (second.steps, second.ticks) == ([], [])
    kept, again = policies.read(tmp_path / "a.zip"), policies.read(tmp_path / "b.zip")
    assert all(
        np.array_equal(*pair)
        for one, two in zip(kept.layers, again.layers, strict=True)
        for pair in zip(one, two, strict=True)
    )


def test_what_is_no_checkpoint_of_this_trainer_is_refused_by_name(trainer: str, tmp_path: Path) -> None:
    told = Told(trainer)
    learn(trainer, tmp_path / "a.zip", told)
    path = tmp_path / "checkpoint.zip"
    with pytest.raises(DamagedFile, match=r"no checkpoint\.zip"):
        learn(trainer, tmp_path / "b.zip", told, resume=path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(DamagedFile, match=r"checkpoint\.zip"):
        learn(trainer, tmp_path / "b.zip", told, resume=path)
    told.checkpoint(path)
    with pytest.raises(DamagedFile, match=r"checkpoint\.zip.*float32"):
        learn(trainer, tmp_path / "b.zip", told, resume=path, net_width=9)
    other = "ppo" if trainer != "ppo" else "a2c"
    strange = Told(other)
    learn(other, tmp_path / "c.zip", strange)
    strange.checkpoint(path)
    with pytest.raises(DamagedFile, match=rf"checkpoint\.zip is a checkpoint of '{other}', not of '{trainer}'"):
        learn(trainer, tmp_path / "b.zip", told, resume=path)
    assert not (tmp_path / "b.zip").exists()
