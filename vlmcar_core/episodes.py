"""What an episode of training came to, told at its end."""

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from vlmcar_core.copies import Payer, Simulation, Stepped


class EpisodeRecord(gym.Wrapper[Any, Any, Any, Any]):
    """Adds `info["episode_record"]` at an episode's end: success, env_return, learned_return, length, paid (the
    keys that were completed in their turn), components (key to what was paid for it)."""

    def __init__(self, env: gym.Env[Any, Any], succeeded: Callable[[NDArray[np.float64], bool], bool]) -> None:
        super().__init__(env)
        self._succeeded = succeeded
        self._rewards: list[float] = []
        self._learned = 0.0
        self._paid: list[str] = []
        self._components: dict[str, float] = {}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self._rewards, self._learned, self._paid, self._components = [], 0.0, [], {}
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        ours = info.get("vlmcar", {"reward": 0.0, "env_reward": float(reward), "now": [], "components": {}})
        self._rewards.append(ours["env_reward"])
        self._learned += ours["reward"]
        self._paid += ours["now"]
        for key, amount in ours["components"].items():
            self._components[key] = self._components.get(key, 0.0) + amount
        if terminated or truncated:
            record = _record(self._rewards, self._learned, self._paid, self._components, terminated, self._succeeded)
            info = {**info, "episode_record": record}
        return observation, reward, terminated, truncated, info


def _record(
    rewards: list[float],
    learned: float,
    paid: list[str],
    components: Mapping[str, float],
    terminated: bool,
    succeeded: Callable[[NDArray[np.float64], bool], bool],
) -> dict[str, Any]:
    return {
        "success": succeeded(np.array(rewards), terminated),
        "env_return": float(sum(rewards)),
        "learned_return": learned,
        "length": len(rewards),
        "paid": list(paid),
        "components": {key: amount for key, amount in components.items() if amount},
    }


class EpisodeCopies:
    """Copies (copies.py) of a simulation, with the same record at an episode's end as `EpisodeRecord`.

    Args:
        simulation: closed with these.
        succeeded: as for `EpisodeRecord`.
        payer: pays beside the environment, or instead of it; None: the environment alone pays.
    """

    def __init__(
        self,
        simulation: Simulation,
        succeeded: Callable[[NDArray[np.float64], bool], bool],
        payer: Payer | None = None,
    ) -> None:
        self._simulation, self._succeeded, self._payer = simulation, succeeded, payer
        self.count = simulation.count
        self.observation_space, self.action_space = simulation.observation_space, simulation.action_space
        self._every = np.arange(self.count)
        self._lengths = np.zeros(self.count, np.intp)
        self._learned = np.zeros(self.count)
        self._rewards = np.zeros((self.count, 64))
        """What the environment paid in this episode, (N, steps or more)."""
        self._paid: list[list[str]] = [[] for _ in range(self.count)]
        self._keys = () if payer is None else payer.keys
        self._components = np.zeros((self.count, len(self._keys)))

    def reset(self, seed: int | None = None) -> NDArray[Any]:
        self._simulation.reset(seed)
        self._begin(self._every)
        return self._simulation.observations()

    def step(self, actions: NDArray[Any]) -> Stepped:
        rewards, terminated, truncated = self._simulation.step(actions)
        self._remember(rewards)
        total = rewards if self._payer is None else self._paid_beside(self._payer, rewards, terminated)
        ended = np.flatnonzero(terminated | truncated)
        infos = self._over(ended, terminated) if len(ended) else {}
        return Stepped(self._simulation.observations(), total.astype(np.float32), terminated, truncated, infos)

    def _paid_beside(
        self, payer: Payer, rewards: NDArray[np.float64], terminated: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        solved = {number: self._solved(number, True) for number in np.flatnonzero(terminated).tolist()}
        paid = payer.step(solved)
        self._learned += paid.rewards
        self._components += paid.components
        for number, keys in paid.completed.items():
            self._paid[number] += keys
        return paid.rewards + rewards if payer.env_reward else paid.rewards

    def _over(self, ended: NDArray[np.intp], terminated: NDArray[np.bool_]) -> dict[int, dict[str, Any]]:
        """What is told of the episodes that ended; their copies begin the next."""
        last = self._simulation.observations()
        infos = {
            number: {
                "episode_record": self._record(number, bool(terminated[number])),
                "terminal_observation": last[number],
            }
            for number in ended.tolist()
        }
        self._simulation.restart(ended)
        self._begin(ended)
        return infos

    def close(self) -> None:
        self._simulation.close()

    def _remember(self, rewards: NDArray[np.float64]) -> None:
        if self._lengths.max() == self._rewards.shape[1]:
            self._rewards = np.concatenate([self._rewards, np.zeros_like(self._rewards)], axis=1)
        self._rewards[self._every, self._lengths] = rewards
        self._lengths += 1

    def _begin(self, numbers: NDArray[np.intp]) -> None:
        self._lengths[numbers] = 0
        self._learned[numbers] = self._components[numbers] = 0.0
        for number in numbers.tolist():
            self._paid[number] = []
        if self._payer is not None:
            self._payer.begin(numbers)

    def _env_rewards(self, number: int) -> NDArray[np.float64]:
        return self._rewards[number, : self._lengths[number]].copy()

    def _solved(self, number: int, terminated: bool) -> bool:
        return bool(self._succeeded(self._env_rewards(number), terminated))

    def _record(self, number: int, terminated: bool) -> dict[str, Any]:
        rewards = self._env_rewards(number).tolist()
        learned, components = (
            float(self._learned[number]),
            dict(zip(self._keys, self._components[number].tolist(), strict=True)),
        )
        return _record(rewards, learned, self._paid[number], components, terminated, self._succeeded)
