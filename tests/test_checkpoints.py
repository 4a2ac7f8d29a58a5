"""Checkpoints hold a training's numbers exactly, within bounds, and nobody else's are taken for them."""

import json
import zipfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import TQC, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv

from vlmcar_core import archives
from vlmcar_core.errors import DamagedFile
from vlmcar_core.trainers import _checkpoints, _hindsight

torch.set_num_threads(1)


class Drift(gym.Env[Any, Any]):
    """Ten steps by which a number moves; it is to be at another."""

    metadata: dict[str, Any] = {}  # noqa: RUF012  # as gymnasium has it

    def __init__(self, kind: str) -> None:
        part = spaces.Box(-20.0, 20.0, (1,), np.float32)
        names = ("observation", "achieved_goal", "desired_goal")
        self.kind = kind
        self.observation_space = spaces.Dict(dict.fromkeys(names, part)) if kind == "goal" else part
        self.action_space = spaces.Discrete(2) if kind == "discrete" else spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps, self.at = 0, np.zeros(1, np.float32)
        self.goal = self.np_random.uniform(-5, 5, 1).astype(np.float32)
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        self.at = self.at + np.float32(np.sum(action))
        return self._seen(), float(self.compute_reward(self.at, self.goal, {})), False, self.steps == 10, {}

    def compute_reward(self, achieved: Any, desired: Any, _info: Any) -> Any:
        return -(np.abs(achieved - desired).sum(axis=-1) > 1).astype(np.float32)

    def _seen(self) -> Any:
        goal = {"observation": self.at, "achieved_goal": self.at, "desired_goal": self.goal}
        return goal if self.kind == "goal" else self.at


SMALL: dict[str, Any] = {"policy_kwargs": {"net_arch": [8]}}
ROLLOUT: dict[str, Any] = {"n_steps": 32, **SMALL}
REPLAY: dict[str, Any] = {"buffer_size": 100, "learning_starts": 20, "batch_size": 16, **SMALL}
HER: dict[str, Any] = {"replay_buffer_class": _hindsight.PaidHindsight, "replay_buffer_kwargs": {"n_sampled_goal": 4}}
MODELS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "ppo": (PPO, "discrete", {"batch_size": 32, **ROLLOUT}),
    "a2c": (A2C, "discrete", ROLLOUT),
    "recurrent_ppo": (RecurrentPPO, "discrete", {"batch_size": 32, **ROLLOUT}),
    "dqn": (DQN, "discrete", REPLAY),
    "sac": (SAC, "continuous", REPLAY),
    "tqc": (TQC, "goal", {**REPLAY, **HER}),
    "td3": (TD3, "goal", {**REPLAY, **HER}),
}


def built(name: str, seed: int = 0, **changes: Any) -> Any:
    algorithm, kind, options = MODELS[name]
    policy = "MultiInputPolicy" if kind == "goal" else "MlpLstmPolicy" if name == "recurrent_ppo" else "MlpPolicy"
    model = algorithm(
        policy, DummyVecEnv([lambda: Drift(kind)]), seed=seed, device="cpu", **deepcopy({**options, **changes})
    )
    model.set_logger(Logger(None, []))
    return model


def trained(name: str, steps: int = 96, **changes: Any) -> Any:
    return built(name, **changes).learn(steps, log_interval=None)


def numbers(value: Any) -> list[Any]:
    """Every number of nested state, in order."""
    if isinstance(value, dict):
        return [found for key in sorted(value, key=str) for found in numbers(value[key])]
    if isinstance(value, list | tuple):
        return [found for part in value for found in numbers(part)]
    return [value.detach().numpy() if isinstance(value, torch.Tensor) else value]


@pytest.mark.parametrize("name", MODELS)
def test_weights_and_moments_are_the_same_to_the_last_bit(name: str, tmp_path: Path) -> None:
    model, fresh = trained(name), built(name, seed=1)
    _checkpoints.write(model, name, tmp_path / "c.zip")
    before = numbers(fresh.get_parameters())
    _checkpoints.restore(fresh, name, tmp_path / "c.zip")
    wanted, found = numbers(model.get_parameters()), numbers(fresh.get_parameters())
    assert len(found) == len(wanted) > len(before), "an optimizer that has not stepped remembers nothing"
    assert all(np.array_equal(*pair) for pair in zip(found, wanted, strict=True))
    assert (fresh.num_timesteps, fresh._n_updates) == (model.num_timesteps, model._n_updates)
    if hasattr(model, "log_ent_coef"):
        assert torch.equal(fresh.log_ent_coef, model.log_ent_coef) and fresh.log_ent_coef.requires_grad


@pytest.mark.parametrize(("name", "steps"), [("dqn", 60), ("sac", 130), ("tqc", 60), ("td3", 95)])
def test_the_newest_transitions_are_kept_in_order_and_learned_from(name: str, steps: int, tmp_path: Path) -> None:
    model, fresh = trained(name, steps), built(name, seed=1)
    _checkpoints.write(model, name, tmp_path / "c.zip")
    _checkpoints.restore(fresh, name, tmp_path / "c.zip")
    old, new = model.replay_buffer, fresh.replay_buffer
    count = min(steps, old.buffer_size)
    rows = (np.arange(count) + old.pos - count) % old.buffer_size
    assert (new.size(), np.array_equal(new.rewards[:count], old.rewards[rows])) == (count, True)
    assert np.array_equal(new.actions[:count], old.actions[rows])
    fresh.learn(30, log_interval=None, reset_num_timesteps=False)
    assert fresh.num_timesteps >= steps + 30 and fresh._n_updates > model._n_updates


@pytest.mark.parametrize("steps", [60, 95, 100, 157])
def test_episodes_whose_beginning_is_gone_give_no_goals(steps: int, tmp_path: Path) -> None:
    model, fresh = trained("td3", steps), built("td3", seed=1)
    _checkpoints.write(model, "td3", tmp_path / "c.zip")
    _checkpoints.restore(fresh, "td3", tmp_path / "c.zip")
    buffer = fresh.replay_buffer
    known = np.flatnonzero(buffer.ep_length[:, 0])
    assert len(known) and len(known) % 10 == 0 and set(buffer.ep_length[known, 0]) == {10}
    for row in known:
        first = buffer.ep_start[row, 0]
        assert first <= row < first + 10 <= buffer.size()
        assert buffer.observations["observation"][first, 0, 0] == 0, "an episode begins at 0"


def test_a_buffer_that_is_too_large_keeps_its_newest_part(tmp_path: Path) -> None:
    model, fresh = trained("sac"), built("sac", seed=1)
    _checkpoints.write(model, "sac", tmp_path / "c.zip", limit=1000)
    _checkpoints.restore(fresh, "sac", tmp_path / "c.zip")
    kept = fresh.replay_buffer.size()
    assert 0 < kept < model.replay_buffer.size()
    pos = model.replay_buffer.pos
    assert np.array_equal(fresh.replay_buffer.rewards[:kept], model.replay_buffer.rewards[pos - kept : pos])


# A stranger's


def rewritten(path: Path, member: str, data: bytes) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, held in (members | {member: data}).items():
            archive.writestr(name, held)


def arrays_of(path: Path, member: str) -> dict[str, Any]:
    with archives.opened(path, 2**30) as archive:
        return archive.arrays_in(member, 2**30)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"policy/mlp_extractor.policy_net.0.bias": np.full(8, np.nan, np.float32)}, "policy_net.0.bias"),
        ({"policy/mlp_extractor.policy_net.0.bias": np.zeros(9, np.float32)}, "policy_net.0.bias"),
        ({"policy/mlp_extractor.policy_net.0.bias": np.zeros(8)}, "float64"),
        ({"policy/evil": np.zeros(8, np.float32)}, "evil"),
        ({"evil": np.zeros(8, np.float32)}, "evil"),
        ({"policy.optimizer/0/evil": np.zeros(8, np.float32)}, "evil"),
        ({"policy.optimizer/99/step": np.float32(1)}, "99/step"),
        ({"policy.optimizer/0/step": np.float32(-1)}, "0/step"),
        ({"policy.optimizer/0/step": np.float32(np.nan)}, "0/step"),
        ({"policy.optimizer/0/exp_avg": np.zeros(1, np.float32)}, "0/exp_avg"),
    ],
)
def test_weights_that_are_not_this_models_are_named(changes: dict[str, Any], why: str, tmp_path: Path) -> None:
    path = tmp_path / "c.zip"
    _checkpoints.write(trained("ppo"), "ppo", path)
    rewritten(path, _checkpoints.WEIGHTS, archives.packed(arrays_of(path, _checkpoints.WEIGHTS) | changes))
    with pytest.raises(DamagedFile, match=rf"c\.zip.*{why}"):
        _checkpoints.restore(built("ppo"), "ppo", path)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"rewards": np.full((96, 1, 1), np.nan, np.float32)}, "rewards"),
        ({"rewards": np.zeros((101, 1, 1), np.float32)}, "room for 100"),
        ({"actions": np.zeros((96, 1, 2), np.float32)}, "actions"),
        ({"evil": np.zeros((96, 1, 1), np.float32)}, "evil"),
        ({"ep_start": np.full((96, 1, 1), -1, np.int64)}, "episodes"),
        ({"ep_start": np.full((96, 1, 1), 95, np.int64)}, "episodes"),
        ({"ep_length": np.full((96, 1, 1), 2**40, np.int64)}, "episodes"),
        ({"ep_length": np.full((96, 1, 1), -1, np.int64)}, "episodes"),
    ],
)
def test_transitions_that_are_not_this_buffers_are_named(changes: dict[str, Any], why: str, tmp_path: Path) -> None:
    path = tmp_path / "c.zip"
    _checkpoints.write(trained("td3"), "td3", path)
    rewritten(path, _checkpoints.BUFFER, archives.packed(arrays_of(path, _checkpoints.BUFFER) | changes))
    with pytest.raises(DamagedFile, match=rf"c\.zip.*{why}"):
        _checkpoints.restore(built("td3"), "td3", path)


@pytest.mark.parametrize(
    "changes", [{"version": 2}, {"steps": -1}, {"steps": "many"}, {"trainer": None}, {"evil": 1}, {"calls": 1.5}]
)
def test_a_description_that_does_not_fit_is_named(changes: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "c.zip"
    _checkpoints.write(built("ppo"), "ppo", path)
    told = {"version": 1, "trainer": "ppo", "steps": 0} | changes
    rewritten(path, _checkpoints.META, json.dumps(told).encode())
    with pytest.raises(DamagedFile, match=r"c\.zip"):
        _checkpoints.restore(built("ppo"), "ppo", path)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    _checkpoints.write(trained("sac"), "sac", tmp_path / "c.zip")
    other = built("sac", policy_kwargs={"net_arch": [9]})
    with pytest.raises(DamagedFile, match=r"c\.zip.*float32"):
        _checkpoints.restore(other, "sac", tmp_path / "c.zip")
    fixed = built("sac", ent_coef=0.1)
    with pytest.raises(DamagedFile, match=r"c\.zip"):
        _checkpoints.restore(fixed, "sac", tmp_path / "c.zip")
