"""Goals changed in hindsight: the environment's reward is worked out anew, what the checkers paid stays."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import DummyVecEnv

from vlmcar_core import plugins, runs
from vlmcar_core.train import EpisodeRecord
from vlmcar_core.trainers import _hindsight
from vlmcar_core.training import Stretch, Training

LENGTH = 10
LEARNED = 5.0
BOX = spaces.Box(-10.0, 10.0, (1,), np.float32)


class Line(gym.Env[Any, Any]):
    """A point on a line that is to come near to a goal; the checkers pay at the fourth step, wherever it is."""

    action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
    observation_space = spaces.Dict({"observation": BOX, "achieved_goal": BOX, "desired_goal": BOX})

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps, self.place = 0, np.zeros(1, np.float32)
        self.goal = self.np_random.uniform(-3, 3, 1).astype(np.float32)
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        self.place = np.clip(self.place + action, -10, 10).astype(np.float32)
        learned = LEARNED if self.steps == 4 else 0.0
        reward = float(self.compute_reward(self.place, self.goal, {}))
        ours = {"reward": learned, "env_reward": reward, "now": [], "components": {}}
        return self._seen(), reward + learned, reward == 0.0, self.steps == LENGTH, {"vlmcar": ours}

    def compute_reward(self, achieved: Any, desired: Any, infos: Any) -> NDArray[np.float32]:
        return -(np.abs(achieved - desired)[..., 0] > 0.3).astype(np.float32)

    def _seen(self) -> Any:
        """The observation is the number of the step, so that a sample can be told."""
        return {
            "observation": np.array([self.steps], np.float32),
            "achieved_goal": self.place,
            "desired_goal": self.goal,
        }


def filled(goals: int) -> tuple[_hindsight.PaidHindsight, Line]:
    line = Line()
    envs = DummyVecEnv([lambda: line])
    buffer = _hindsight.PaidHindsight(
        2000, line.observation_space, line.action_space, env=envs, n_sampled_goal=goals, device="cpu"
    )
    envs.seed(0)
    rng = np.random.default_rng(0)
    seen = envs.reset()
    for _ in range(1000):
        action = rng.uniform(-1, 1, (1, 1)).astype(np.float32)
        after, reward, done, infos = envs.step(action)
        following = {name: value.copy() for name, value in after.items()}
        if done[0]:
            following = {name: value[None] for name, value in infos[0]["terminal_observation"].items()}
        buffer.add(seen, following, action, reward, done, infos)
        seen = after
    return buffer, line


@pytest.mark.parametrize("goals", [1, 4])
def test_a_replayed_transition_pays_for_the_goal_in_hindsight_and_what_the_checkers_paid(goals: int) -> None:
    buffer, line = filled(goals)
    samples = buffer.sample(2000)
    achieved = samples.next_observations["achieved_goal"].numpy()
    wanted = samples.observations["desired_goal"].numpy()
    fourth = samples.next_observations["observation"].numpy()[:, 0] == 4
    expected = line.compute_reward(achieved, wanted, {}) + np.where(fourth, LEARNED, 0.0)
    assert np.array_equal(samples.rewards.numpy()[:, 0], expected.astype(np.float32))
    assert 0 < fourth.sum() < len(fourth)
    reached = (line.compute_reward(achieved, wanted, {}) == 0).mean()
    assert reached > 0.2, "hindsight makes many transitions reach their goal"


@pytest.mark.parametrize("trainer", ["sac", "tqc", "td3", "ddpg"])
def test_a_policy_learned_with_goals_acts_on_flat_observations(trainer: str, tmp_path: Path) -> None:
    views: list[str] = []
    acts: list[Any] = []

    def make(view: str) -> gym.Env[Any, Any]:
        views.append(view)
        return EpisodeRecord(Line(), lambda _rewards, terminated: bool(terminated))

    def watch(stretch: Stretch) -> None:
        acts.append(stretch.act)
        assert stretch.checkpoint is not None
        stretch.checkpoint(tmp_path / "checkpoint.zip")

    settings = {"hindsight_goals": 4, "learning_starts": 20, "net_width": 8, "buffer_size": 1000, "batch_size": 16}
    plugins.load("trainers", trainer).learn(Training(make, 200, 0, tmp_path / runs.MODEL, settings, watch))
    assert views == ["goal"]
    line = Line()
    seen = np.stack([spaces.flatten(line.observation_space, line.reset(seed=seed)[0]) for seed in range(5)])
    loaded = plugins.load("trainers", trainer).load(tmp_path / runs.MODEL)(seen)
    assert loaded.shape == (5, 1) and np.allclose(loaded, acts[-1](seen))
    assert not np.allclose(loaded[0], loaded[1:])
    resumed: list[int] = []
    asked = Training(
        make,
        300,
        0,
        tmp_path / "b.zip",
        settings,
        lambda stretch: resumed.append(stretch.steps),
        tmp_path / "checkpoint.zip",
    )
    plugins.load("trainers", trainer).learn(asked)
    assert resumed == [300]
