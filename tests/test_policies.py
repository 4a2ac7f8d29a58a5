"""A saved policy acts as Stable-Baselines3's own does, and nothing that could run is ever read."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import TQC, MaskablePPO, RecurrentPPO
from stable_baselines3 import DDPG, DQN, PPO, SAC, TD3

from vlmcar_core import archives, policies
from vlmcar_core.errors import DamagedFile
from vlmcar_core.layers import OUTPUT_MAX, Cell, Convolution, Eye
from vlmcar_core.policies import Policy
from vlmcar_core.trainers import _networks

torch.set_num_threads(1)
SEEN = np.random.default_rng(0).normal(size=(64, 5)).astype(np.float32)
CHANCE = np.random.default_rng(1)


class Nowhere(gym.Env[Any, Any]):
    """Five numbers to look at, and actions of a kind."""

    observation_space = spaces.Box(-10.0, 10.0, (5,), np.float32)

    def __init__(self, actions: spaces.Space[Any]) -> None:
        self.action_space = actions

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return np.zeros(5, np.float32), {}


def kept(policy: Policy, path: Path) -> Policy:
    policies.save(policy, path)
    return policies.read(path)


def shaken(model: Any) -> Any:
    """With weights far from those that it begins with, so that outputs differ."""
    torch.manual_seed(0)
    with torch.no_grad():
        for weights in model.policy.parameters():
            weights.add_(torch.randn_like(weights) * 0.3)
    return model


def test_a_discrete_policy_has_the_same_chances(tmp_path: Path) -> None:
    model = shaken(PPO("MlpPolicy", Nowhere(spaces.Discrete(4)), device="cpu"))
    policy = kept(_networks.of_actor_critic(model.policy), tmp_path / "model.zip")
    wanted = model.policy.get_distribution(torch.tensor(SEEN)).distribution.probs.detach().numpy()
    logits = policy.outputs(SEEN)
    assert np.allclose(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), wanted, atol=1e-5)
    sampled = policy.act(np.repeat(SEEN[:1], 20_000, axis=0), CHANCE)
    assert np.abs(np.bincount(sampled, minlength=4) / 20_000 - wanted[0]).max() < 0.015


def test_a_continuous_policy_has_the_same_means_and_deviations_and_keeps_the_bounds(tmp_path: Path) -> None:
    model = shaken(PPO("MlpPolicy", Nowhere(spaces.Box(-2.0, 3.0, (2,), np.float32)), device="cpu"))
    policy = kept(_networks.of_actor_critic(model.policy), tmp_path / "model.zip")
    wanted = model.policy.get_distribution(torch.tensor(SEEN)).distribution
    assert np.allclose(policy.outputs(SEEN), wanted.mean.detach().numpy(), atol=1e-5)
    assert np.allclose(np.exp(policy.log_std), wanted.stddev[0].detach().numpy())
    acted = policy.act(np.repeat(SEEN, 50, axis=0), CHANCE)
    assert acted.dtype == np.float32 and acted.min() >= -2 and acted.max() <= 3


def test_a_squashed_policy_acts_the_same(tmp_path: Path) -> None:
    space = spaces.Box(np.array([-1, 0], np.float32), np.array([1, 5], np.float32))
    model = shaken(SAC("MlpPolicy", Nowhere(space), device="cpu", buffer_size=1))
    policy = kept(_networks.of_actor(model.policy.actor, space), tmp_path / "model.zip")
    acted = policy.act(SEEN, CHANCE)
    assert np.allclose(acted, model.predict(SEEN, deterministic=True)[0], atol=1e-5)
    assert all(space.contains(action) for action in acted)


def predicted(model: Any, seen: Any) -> Any:
    return model.predict(seen, deterministic=True)[0]


def test_a_greedy_policy_takes_the_same_actions(tmp_path: Path) -> None:
    model = shaken(DQN("MlpPolicy", Nowhere(spaces.Discrete(4)), device="cpu", buffer_size=1))
    policy = kept(_networks.policy_of(model), tmp_path / "model.zip")
    acted = policy.act(SEEN, CHANCE)
    assert len(set(acted)) > 1 and np.array_equal(acted, predicted(model, SEEN))


@pytest.mark.parametrize("algorithm", [TD3, DDPG, TQC])
def test_a_deterministic_policy_acts_the_same(algorithm: Any, tmp_path: Path) -> None:
    space = spaces.Box(np.array([-1, 0], np.float32), np.array([1, 5], np.float32))
    model = shaken(algorithm("MlpPolicy", Nowhere(space), device="cpu", buffer_size=1))
    policy = kept(_networks.policy_of(model), tmp_path / "model.zip")
    assert np.allclose(policy.act(SEEN, CHANCE), predicted(model, SEEN), atol=1e-4)


class Told(Nowhere):
    """The last two of the five numbers say which of two actions may be taken."""

    def action_masks(self) -> Any:
        return np.ones(2, bool)


def test_a_masked_policy_has_the_same_chances_and_takes_nothing_that_is_ruled_out(tmp_path: Path) -> None:
    options = {"features_extractor_class": _networks.BeforeMask, "features_extractor_kwargs": {"actions": 2}}
    model = shaken(MaskablePPO("MlpPolicy", Told(spaces.Discrete(2)), device="cpu", policy_kwargs=options))
    policy = kept(_networks.policy_of(model), tmp_path / "model.zip")
    seen = SEEN.copy()
    seen[:, 3:] = CHANCE.integers(0, 2, (64, 2))
    seen[(seen[:, 3:] == 0).all(axis=1), 3] = 1
    masks = seen[:, 3:] > 0
    wanted = model.policy.get_distribution(torch.tensor(seen), masks).distribution.probs.detach().numpy()
    acted = np.stack([policy.act(seen, CHANCE) for _ in range(4000)])
    assert masks[np.arange(64), acted].all() and (~masks).any()
    assert np.abs((acted == 1).mean(axis=0) - wanted[:, 1]).max() < 0.05
    assert policy.inputs == (5,)


class Picture(Nowhere):
    """Something to look at."""

    observation_space = spaces.Box(0, 255, (40, 44, 3), np.uint8)  # type: ignore[assignment]


PICTURES = np.random.default_rng(0).integers(0, 256, (16, 40, 44, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("algorithm", "actions"),
    [(DQN, spaces.Discrete(4)), (PPO, spaces.Discrete(4)), (TD3, spaces.Box(-1.0, 1.0, (2,), np.float32))],
)
def test_a_policy_that_sees_pictures_answers_the_same(algorithm: Any, actions: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {} if algorithm is PPO else {"buffer_size": 1}
    model = algorithm("CnnPolicy", Picture(actions), device="cpu", policy_kwargs={"net_arch": [8]}, **options)
    policy = kept(_networks.policy_of(model), tmp_path / "model.zip")
    assert policy.inputs == (40, 44, 3)
    if algorithm is PPO:
        policy = replace(policy, head="greedy")  # the most likely action is the first highest of the logits
    acted = policy.act(PICTURES, CHANCE)
    if isinstance(actions, spaces.Box):
        assert np.allclose(acted, predicted(model, PICTURES), atol=1e-4) and acted.std() > 0
        return
    assert np.array_equal(acted, predicted(model, PICTURES))
    tensor = torch.tensor(PICTURES.transpose(0, 3, 1, 2))
    wanted = model.q_net(tensor) if algorithm is DQN else model.policy.get_distribution(tensor).distribution.logits
    found = policy.outputs(PICTURES)
    wanted = wanted.detach().numpy()
    assert np.allclose(found - found.mean(1, keepdims=True), wanted - wanted.mean(1, keepdims=True), atol=1e-4)


def test_a_policy_with_a_memory_remembers_the_same_and_forgets_where_episodes_begin(tmp_path: Path) -> None:
    options = {"lstm_hidden_size": 16, "n_lstm_layers": 2}
    model = shaken(RecurrentPPO("MlpLstmPolicy", Nowhere(spaces.Discrete(4)), device="cpu", policy_kwargs=options))
    policy = kept(_networks.policy_of(model), tmp_path / "model.zip")
    act = policies.acting(replace(policy, head="greedy"))
    starts, state, forgetful = np.ones(64, bool), None, []
    for step in range(20):
        seen = CHANCE.normal(size=(64, 5)).astype(np.float32)
        wanted, state = model.predict(seen, state, starts, deterministic=True)
        assert np.array_equal(act(seen, starts), wanted), step
        forgetful.append(np.array_equal(policies.acting(replace(policy, head="greedy"))(seen), wanted))
        starts = CHANCE.random(64) < 0.1
    assert not all(forgetful[1:]), "it matters what was seen before"


def test_one_that_remembers_other_episodes_than_go_on_says_so() -> None:
    cell = Cell(np.ones((8, 5), np.float32), np.ones((8, 2), np.float32), np.zeros(8, np.float32))
    policy = small(layers=((np.ones((2, 2), np.float32), np.zeros(2, np.float32)),), memory=(cell,))
    act = policies.acting(policy)
    act(SEEN[:3], np.ones(3, bool))
    with pytest.raises(ValueError, match="it remembers 3 episodes, and 2 go on"):
        act(SEEN[:2], np.zeros(2, bool))
    one = policies.alone(act)
    assert one(SEEN[0]).shape == () and one(SEEN[1]).shape == ()


# What anybody may have put in its place


def small(**changes: Any) -> Policy:
    layers = (
        (np.ones((3, 5), np.float32), np.zeros(3, np.float32)),
        (np.ones((2, 3), np.float32), np.zeros(2, np.float32)),
    )
    return Policy(**{"layers": layers, "activation": "tanh", "head": "categorical", **changes})


class Evil:
    """Runs when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (Path.touch, (self.mark,))


def test_a_model_of_stable_baselines_is_refused_and_its_pickle_never_read(tmp_path: Path) -> None:
    mark, path = tmp_path / "ran", tmp_path / "model.zip"
    PPO("MlpPolicy", Nowhere(spaces.Discrete(2)), device="cpu", policy_kwargs={"features_extractor_kwargs": {}}).save(
        path
    )
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("evil.pth", pickle.dumps(Evil(mark)))
    with pytest.raises(DamagedFile, match=r"model\.zip is a pickle.*train again"):
        policies.load(path)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Evil(mark)))
    assert mark.exists(), "the trap is one"


def test_a_pickle_in_place_of_the_weights_is_refused_and_never_read(tmp_path: Path) -> None:
    mark, path = tmp_path / "ran", tmp_path / "model.zip"
    policies.save(small(), path)
    objects = io.BytesIO()
    np.savez(objects, **{"weight-0": np.array([Evil(mark)], dtype=object)})
    rewritten(path, {policies.WEIGHTS: objects.getvalue()})
    with pytest.raises(DamagedFile, match=r"model\.zip"):
        policies.load(path)
    rewritten(path, {policies.WEIGHTS: pickle.dumps(Evil(mark))})
    with pytest.raises(DamagedFile, match=r"model\.zip"):
        policies.load(path)
    assert not mark.exists()


def rewritten(path: Path, changes: dict[str, bytes]) -> None:
    """A zip file with some members replaced."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (members | changes).items():
            archive.writestr(name, data)


def weights(**changes: Any) -> bytes:
    """Those of `small`, with some replaced; None takes one out."""
    layers = small().layers
    arrays = {"weight-0": layers[0][0], "bias-0": layers[0][1], "weight-1": layers[1][0], "bias-1": layers[1][1]}
    arrays |= {name: np.zeros(0, np.float32) for name in ("low", "high", "log_std")}
    named = {name.replace("_", "-") if name[-1].isdigit() else name: found for name, found in changes.items()}
    return archives.packed({name: found for name, found in (arrays | named).items() if found is not None})


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"weight_0": None}, "weight-0|layer"),
        ({"bias_1": None}, "bias-1"),
        ({"low": None}, "low"),
        ({"weight_0": np.ones((4, 5), np.float32)}, "layer 0"),
        ({"weight_1": np.ones((2, 9), np.float32)}, "layer 1"),
        ({"weight_0": np.ones((3, 0), np.float32)}, "layer 0"),
        ({"weight_0": np.ones(3, np.float32)}, "layer 0"),
        ({"weight_0": np.full((3, 5), np.nan, np.float32)}, "float32 numbers"),
        ({"weight_0": np.full((3, 5), np.inf, np.float32)}, "float32 numbers"),
        ({"weight_0": np.ones((3, 5), np.float64)}, "float32 numbers"),
        ({"low": np.zeros(2, np.float32)}, "low of a categorical policy"),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    path = tmp_path / "model.zip"
    policies.save(small(), path)
    rewritten(path, {policies.WEIGHTS: weights(**changes)})
    with pytest.raises(DamagedFile, match=rf"model\.zip.*({why})"):
        policies.load(path)


def seeing(**changes: Any) -> bytes:
    """The weights of a policy that sees pictures of 6 × 6 and remembers, with some replaced."""
    rng = np.random.default_rng(0)
    shapes = {
        **{"convolution-0": (2, 3, 3, 3), "convolution-bias-0": (2,), "features": (4, 8), "features-bias": (4,)},
        **{"taken-0": (8, 4), "kept-0": (8, 2), "remembered-bias-0": (8,), "weight-0": (2, 2), "bias-0": (2,)},
        **dict.fromkeys(("low", "high", "log_std"), (0,)),
    }
    arrays: dict[str, Any] = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    arrays |= {name.replace("_", "-"): found for name, found in changes.items()}
    return archives.packed({name: found for name, found in arrays.items() if found is not None})


def with_eye(path: Path, shape: Any = (6, 6, 3), strides: Any = (3,), **changes: Any) -> None:
    policies.save(small(), path)
    meta = {"version": 2, "activation": "tanh", "head": "categorical", "shape": shape, "strides": strides}
    rewritten(path, {policies.WEIGHTS: seeing(**changes), policies.META: json.dumps(meta).encode()})


def test_a_policy_that_sees_and_remembers_is_read(tmp_path: Path) -> None:
    with_eye(tmp_path / "model.zip")
    assert policies.load(tmp_path / "model.zip")(np.zeros((5, 6, 6, 3), np.uint8)).shape == (5,)
    with pytest.raises(DamagedFile, match="observations of shape"):
        policies.load(tmp_path / "model.zip")(np.zeros((5, 6, 7, 3), np.uint8))


@pytest.mark.parametrize(
    "changes",
    [
        {"strides": (0,)},
        {"strides": (4,)},
        {"strides": ()},
        {"strides": (3, 1)},
        {"strides": (1,) * 9},
        {"strides": (True,)},
        {"shape": (6, 6)},
        {"shape": (6, 6, 4)},
        {"shape": (2, 6, 3)},
        {"shape": (-6, 6, 3)},
        {"shape": (2**40, 2**40, 3)},
        {"convolution_0": np.ones((2, 3, 3, 2), np.float32)},
        {"convolution_0": np.full((2, 3, 3, 3), np.nan, np.float32)},
        {"convolution_bias_0": np.ones(3, np.float32)},
        {"features": None},
        {"features": np.ones((4, 9), np.float32)},
        {"taken_0": np.ones((8, 5), np.float32)},
        {"taken_0": np.ones((7, 4), np.float32)},
        {"kept_0": np.ones((8, 3), np.float32)},
        {"kept_0": None},
        {"weight_0": np.ones((2, 3), np.float32)},
    ],
)
def test_eyes_and_memories_that_do_not_fit_are_named(changes: dict[str, Any], tmp_path: Path) -> None:
    with_eye(tmp_path / "model.zip", **changes)
    with pytest.raises(DamagedFile, match=r"model\.zip"):
        policies.load(tmp_path / "model.zip")


def test_a_small_file_cannot_ask_for_endless_memory() -> None:
    wide = Convolution(np.ones((OUTPUT_MAX // 100, 1, 1, 1), np.float32), np.ones(OUTPUT_MAX // 100, np.float32), 1)
    with pytest.raises(ValueError, match="more than"):
        Eye((200, 200, 1), (wide,), (np.ones((1, 1), np.float32), np.ones(1, np.float32)))


@pytest.mark.parametrize(
    "meta",
    [
        b"",
        b"[]",
        b"{}",
        b'{"version": 3, "activation": "tanh", "head": "categorical"}',
        b'{"version": 1, "activation": "os.system", "head": "categorical"}',
    ],
)
def test_a_description_that_does_not_fit_is_named(tmp_path: Path, meta: bytes) -> None:
    path = tmp_path / "model.zip"
    policies.save(small(), path)
    rewritten(path, {policies.META: meta})
    with pytest.raises(DamagedFile, match=r"model\.zip"):
        policies.load(path)


def test_observations_of_another_length_are_told(tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    policies.save(small(), path)
    with pytest.raises(DamagedFile, match="observations of 5 numbers"):
        policies.load(path)(np.zeros((1, 4), np.float32))


def test_weights_beyond_all_measure_give_no_action_that_is_taken() -> None:
    huge = np.full((2, 5), 3e38, np.float32), np.zeros(2, np.float32)
    bounds = np.full(2, -1, np.float32), np.full(2, 1, np.float32)
    policy = small(
        layers=(huge, (np.eye(2, dtype=np.float32), huge[1])), head="squashed", low=bounds[0], high=bounds[1]
    )
    space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    acted = policy.act(SEEN, CHANCE)
    assert all(space.contains(action) or np.isnan(action).any() for action in acted)
