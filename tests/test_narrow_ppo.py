"""PPO without what is zero in every observation learns what PPO learns."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import PPO

from vlmcar_core.trainers._narrow import NarrowPPO

WIDTH, STEPS = 40, 32
Model = PPO | NarrowPPO


class Rows(gym.Env[NDArray[np.float32], int]):
    """Rows of numbers of which, in each stretch of steps, only some are ever other than zero."""

    def __init__(self, stretches: list[slice]) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (WIDTH,), np.float32)
        self.action_space = spaces.Discrete(3)
        self._stretches, self._steps = stretches, 0
        self._chance = np.random.default_rng(0)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[NDArray[np.float32], dict[str, Any]]:
        return self._row(), {}

    def step(self, action: int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        self._steps += 1
        return self._row(), float(action == self._steps % 3), self._steps % 8 == 0, False, {}

    def _row(self) -> NDArray[np.float32]:
        row = np.zeros(WIDTH, np.float32)
        some = self._stretches[min(self._steps // STEPS, len(self._stretches) - 1)]
        row[some] = self._chance.normal(size=row[some].shape)
        return row


def learned(kind: type[Model], stretches: list[slice]) -> tuple[Model, dict[str, torch.Tensor]]:
    model = kind("MlpPolicy", Rows(stretches), n_steps=STEPS, batch_size=8, n_epochs=3, seed=1, device="cpu")
    model.learn(STEPS * max(2, len(stretches)))
    return model, dict(model.policy.state_dict())


@pytest.mark.parametrize(
    "stretches",
    [[slice(0, 5)], [slice(0, 5), slice(5, 12), slice(0, 5)], [slice(0, 5), slice(None)], [slice(0, 0)], [slice(None)]],
    ids=["the same", "others in between", "all in the end", "none", "all"],
)
def test_it_learns_what_ppo_learns(stretches: list[slice]) -> None:
    """Also where what an optimizer remembers of a number has to act while that number is zero."""
    _, theirs = learned(PPO, stretches)
    model, ours = learned(NarrowPPO, stretches)
    assert list(ours) == list(theirs)
    for name, weight in theirs.items():
        torch.testing.assert_close(
            ours[name], weight, rtol=1e-3, atol=1e-4, msg=lambda text, name=name: f"{name}: {text}"
        )
    assert isinstance(model.policy.mlp_extractor.policy_net[0], torch.nn.Linear), "and looks like PPO's afterwards"


def test_what_is_zero_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else this would test nothing but PPO."""
    widths = []
    train = PPO.train

    def watched(self: PPO) -> None:
        widths.append(self.rollout_buffer.observations.shape[-1])
        train(self)

    monkeypatch.setattr(PPO, "train", watched)
    learned(NarrowPPO, [slice(0, 5), slice(3, 12), slice(None)])
    assert widths == [5, 9, WIDTH]


def test_without_layers_of_its_own_it_is_ppo() -> None:
    model = NarrowPPO("MlpPolicy", gym.make("CartPole-v1"), n_steps=8, batch_size=8, policy_kwargs={"net_arch": []})
    model.learn(8)
    assert model._first_layers() == [], "where there are no layers of their own"
