"""What an episode of training came to, told at its end."""

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from vlmcar_core.copies import Kept, Moment, Past, Payer, Payments, Settled, Shown, Simulation, Stepped


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
            outcome = _outcome(np.array(self._rewards), terminated, self._succeeded)
            record = _record(outcome, self._learned, self._paid, self._components)
            info = {**info, "episode_record": record}
        return observation, reward, terminated, truncated, info


def _outcome(
    rewards: NDArray[np.float64], terminated: bool, succeeded: Callable[[NDArray[np.float64], bool], bool]
) -> dict[str, Any]:
    """What the environment's own rewards say of an episode."""
    return {
        "success": bool(succeeded(rewards, terminated)),
        "env_return": float(sum(rewards.tolist())),
        "length": len(rewards),
    }


def _record(
    outcome: dict[str, Any], learned: float, paid: list[str], components: Mapping[str, float]
) -> dict[str, Any]:
    return {
        **outcome,
        "learned_return": learned,
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
        self._kept: Kept | None = None
        """The simulation, where payers pay later, and what they look at then."""
        self._moments: list[Moment] = []
        """Not paid for yet."""

    def pay_later(self) -> bool:
        if self._payer is not None and isinstance(self._simulation, Kept):
            self._kept = self._simulation
        return self._kept is not None

    def reset(self, seed: int | None = None) -> NDArray[Any]:
        self._simulation.reset(seed)
        self._moments.clear()
        self._begin(self._every, self._simulation if self._kept is None else Past(self._kept.shot()))
        return self._simulation.observations()

    def step(self, actions: NDArray[Any]) -> Stepped:
        rewards, terminated, truncated = self._simulation.step(actions)
        ended = np.flatnonzero(terminated | truncated)
        if self._kept is not None:
            total, infos = self._later(self._kept, rewards, terminated, ended)
        else:
            total, infos = self._now(rewards, terminated, ended)
        return Stepped(self._simulation.observations(), total.astype(np.float32), terminated, truncated, infos)

    def settle(self) -> Settled:
        moments, self._moments = self._moments, []
        late, records = np.zeros((len(moments), self.count), np.float32), list[dict[str, Any]]()
        if self._payer is None or self._kept is None:
            return Settled(late, records)
        outcomes = [self._outcomes(moment) for moment in moments]
        solved = [
            {number: one["success"] for number, one in found.items() if moment.terminated[number]}
            for moment, found in zip(moments, outcomes, strict=True)
        ]
        paid = self._payer.settle(moments, solved)
        for number, (moment, payments, ended) in enumerate(zip(moments, paid, outcomes, strict=True)):
            self._add(payments)
            late[number] = payments.rewards
            records += [self._record(copy, outcome) for copy, outcome in ended.items()]
            self._forget(moment.ended)
        return Settled(late, records)

    def _now(
        self, rewards: NDArray[np.float64], terminated: NDArray[np.bool_], ended: NDArray[np.intp]
    ) -> tuple[NDArray[np.float64], dict[int, dict[str, Any]]]:
        """What a step pays, and what is told of the episodes that ended; their copies begin the next."""
        self._remember(rewards)
        total = rewards
        if self._payer is not None:
            paid = self._paid_for(self._payer, terminated)
            total = paid + rewards if self._payer.env_reward else paid
        infos = self._last_seen(ended)
        for number, info in infos.items():
            info["episode_record"] = self._record(number, self._outcome(number, bool(terminated[number])))
        if len(ended):
            self._simulation.restart(ended)
            self._begin(ended, self._simulation)
        return total, infos

    def _later(
        self, kept: Kept, rewards: NDArray[np.float64], terminated: NDArray[np.bool_], ended: NDArray[np.intp]
    ) -> tuple[NDArray[np.float64], dict[int, dict[str, Any]]]:
        """The same, but for what `settle` gives."""
        assert self._payer is not None
        shot, infos = kept.shot(), self._last_seen(ended)
        if len(ended):
            kept.restart(ended)
        self._moments.append(Moment(shot, rewards, terminated, ended, kept.shot() if len(ended) else None))
        return rewards if self._payer.env_reward else np.zeros(self.count), infos

    def _last_seen(self, ended: NDArray[np.intp]) -> dict[int, dict[str, Any]]:
        last = self._simulation.observations() if len(ended) else None
        return {} if last is None else {number: {"terminal_observation": last[number]} for number in ended.tolist()}

    def _paid_for(self, payer: Payer, terminated: NDArray[np.bool_]) -> NDArray[np.float64]:
        """What checkers pay for a step."""
        solved = {number: self._outcome(number, True)["success"] for number in np.flatnonzero(terminated).tolist()}
        paid = payer.step(solved, self._simulation)
        self._add(paid)
        return paid.rewards

    def _add(self, paid: Payments) -> None:
        """What a step was paid, to what its episodes were."""
        self._learned += paid.rewards
        self._components += paid.components
        for number, keys in paid.completed.items():
            self._paid[number] += keys

    def close(self) -> None:
        self._simulation.close()

    def _remember(self, rewards: NDArray[np.float64]) -> None:
        if self._lengths.max() == self._rewards.shape[1]:
            self._rewards = np.concatenate([self._rewards, np.zeros_like(self._rewards)], axis=1)
        self._rewards[self._every, self._lengths] = rewards
        self._lengths += 1

    def _begin(self, numbers: NDArray[np.intp], shown: Shown) -> None:
        self._lengths[numbers] = 0
        self._forget(numbers)
        if self._payer is not None:
            self._payer.begin(numbers, shown)

    def _forget(self, numbers: NDArray[np.intp]) -> None:
        """What was paid in episodes that are over."""
        if len(numbers):
            self._learned[numbers] = self._components[numbers] = 0.0
        for number in numbers.tolist():
            self._paid[number] = []

    def _outcomes(self, moment: Moment) -> dict[int, dict[str, Any]]:
        """By copy, what the environment's own rewards say of the episodes that ended in a step."""
        self._remember(moment.rewards)
        found = {number: self._outcome(number, bool(moment.terminated[number])) for number in moment.ended.tolist()}
        self._lengths[moment.ended] = 0
        return found

    def _outcome(self, number: int, terminated: bool) -> dict[str, Any]:
        """What the environment's own rewards say of an episode."""
        return _outcome(self._rewards[number, : self._lengths[number]].copy(), terminated, self._succeeded)

    def _record(self, number: int, outcome: dict[str, Any]) -> dict[str, Any]:
        components = dict(zip(self._keys, self._components[number].tolist(), strict=True))
        return _record(outcome, float(self._learned[number]), self._paid[number], components)
