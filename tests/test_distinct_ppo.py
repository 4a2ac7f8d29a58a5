"""PPO that looks at each distinct observation once, without what is zero in all, learns what PPO learns."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.torch_layers import MlpExtractor

from vlmcar_core.trainers._distinct import DistinctPPO, distinct

WIDTH, STEPS = 40, 32
Model = PPO | DistinctPPO


class Rows(gym.Env[NDArray[np.float32], int]):
    """Rows of numbers of which, in each stretch of steps, only some are ever other than zero; of so many kinds, where a
    number of kinds is given."""

    def __init__(self, stretches: list[slice], kinds: int = 0) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (WIDTH,), np.float32)
        self.action_space = spaces.Discrete(3)
        self._stretches, self._steps = stretches, 0
        self._chance = np.random.default_rng(0)
        self._kinds = self._chance.normal(size=(kinds, WIDTH)).astype(np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[NDArray[np.float32], dict[str, Any]]:
        return self._row(), {}

    def step(self, action: int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        self._steps += 1
        return self._row(), float(action == self._steps % 3), self._steps % 8 == 0, False, {}

    def _row(self) -> NDArray[np.float32]:
        row = np.zeros(WIDTH, np.float32)
        some = self._stretches[min(self._steps // STEPS, len(self._stretches) - 1)]
        row[some] = (
            self._chance.choice(self._kinds)[some] if len(self._kinds) else self._chance.normal(size=row[some].shape)
        )
        return row


def learned(kind: type[Model], stretches: list[slice], kinds: int = 0) -> tuple[Model, dict[str, torch.Tensor]]:
    model = kind("MlpPolicy", Rows(stretches, kinds), n_steps=STEPS, batch_size=8, n_epochs=3, seed=1, device="cpu")
    model.learn(STEPS * max(2, len(stretches)))
    return model, dict(model.policy.state_dict())


@pytest.mark.parametrize("kinds", [0, 1, 6])
@pytest.mark.parametrize(
    "stretches",
    [[slice(0, 5)], [slice(0, 5), slice(5, 12), slice(0, 5)], [slice(0, 5), slice(None)], [slice(0, 0)], [slice(None)]],
    ids=["the same", "others in between", "all in the end", "none", "all"],
)
def test_it_learns_what_ppo_learns(stretches: list[slice], kinds: int) -> None:
    """Also where what an optimizer remembers of a number has to act while that number is zero."""
    _, theirs = learned(PPO, stretches, kinds)
    model, ours = learned(DistinctPPO, stretches, kinds)
    assert list(ours) == list(theirs)
    for name, weight in theirs.items():
        torch.testing.assert_close(
            ours[name], weight, rtol=1e-3, atol=1e-4, msg=lambda text, name=name: f"{name}: {text}"
        )
    assert isinstance(model.policy.mlp_extractor.policy_net[0], torch.nn.Linear), "and looks like PPO's afterwards"


def test_what_is_zero_and_what_was_seen_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else this would test nothing but PPO."""
    looked: list[tuple[int, ...]] = []
    forward = MlpExtractor.forward

    def watched(self: MlpExtractor, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if torch.is_grad_enabled():
            looked.append(tuple(features.shape))
        return forward(self, features)

    monkeypatch.setattr(MlpExtractor, "forward", watched)
    learned(DistinctPPO, [slice(0, 5), slice(3, 12), slice(None)])
    assert [looked[0], looked[15], looked[-1]] == [(8, 5), (8, 9), (8, WIDTH)]
    looked.clear()
    learned(DistinctPPO, [slice(0, 5)], 3)
    assert max(looked) == (3, 5)


def test_distinct_rows_are_found() -> None:
    chance = np.random.default_rng(0)
    kinds = chance.normal(size=(5, 7))
    which = chance.integers(0, 5, (6, 4))
    numbers, rows = distinct(kinds[which])
    assert rows.shape == (len(np.unique(which)), 7) and np.array_equal(rows[numbers], kinds[which])


@pytest.mark.parametrize(
    ("env_id", "policy", "options"),
    [
        ("CartPole-v1", "MlpPolicy", {"net_arch": []}),
        ("Pendulum-v1", "MlpPolicy", {}),
        ("CartPole-v1", "MlpPolicy", {"share_features_extractor": False}),
        ("FrozenLake-v1", "MlpPolicy", {}),
    ],
    ids=["no layers of their own", "continuous actions", "two extractors", "numbered observations"],
)
def test_elsewhere_it_is_ppo(env_id: str, policy: str, options: dict[str, Any]) -> None:
    model = DistinctPPO(policy, gym.make(env_id), n_steps=8, batch_size=8, policy_kwargs=options)
    model.learn(8)
    assert not model._can()
