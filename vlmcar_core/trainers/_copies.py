"""The copies of the environment that a trainer learns in, as Stable-Baselines3 wants them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from vlmcar_core.copies import Copies
from vlmcar_core.training import Training


def copies(training: Training, count: int, view: str = "policy") -> VecEnv:
    """So many copies: all at once where the environment can do so, else one by one.

    Args:
        training: what the trainer is asked.
        count: how many.
        view: as of `Training.make_env`.
    """
    together = training.make_copies(count, view)
    return Together(together) if together is not None else DummyVecEnv([lambda: training.make_env(view)] * count)


class Together(VecEnv):
    """`Copies` behind Stable-Baselines3's interface."""

    def __init__(self, held: Copies) -> None:
        self._copies = held
        self._actions: NDArray[Any] = np.zeros(0)
        self._records: list[dict[str, Any]] = []
        super().__init__(held.count, held.observation_space, held.action_space)

    def reset(self) -> VecEnvObs:
        observations = self._copies.reset(self._seeds[0])
        self._reset_seeds()
        return observations

    def step_async(self, actions: NDArray[Any]) -> None:
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        step = self._copies.step(self._actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for number, info in step.infos.items():
            infos[number] = info
            info["TimeLimit.truncated"] = bool(step.truncated[number] and not step.terminated[number])
        return step.observations, step.rewards, step.terminated | step.truncated, infos

    def pay_later(self) -> bool:
        """As `Copies.pay_later`."""
        return self._copies.pay_later()

    def settle(self) -> NDArray[np.float32]:
        """As `Copies.settle`, whose records are kept for `records`."""
        settled = self._copies.settle()
        self._records += settled.records
        return settled.rewards

    def records(self) -> list[dict[str, Any]]:
        """Of the episodes that were told of by `settle` since this was called last."""
        found, self._records = self._records, []
        return found

    def close(self) -> None:
        self._copies.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Of all copies alike: there is no environment of each that could have others."""
        value = None if attr_name == "render_mode" else getattr(self._copies, attr_name)
        return [value] * len(self._numbers(indices))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        raise AttributeError(f"copies that are stepped together have no {attr_name!r} of their own to be set")

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **options: Any) -> list[Any]:
        """Called once, for all copies."""
        return [getattr(self._copies, method_name)(*args, **options)] * len(self._numbers(indices))

    def env_is_wrapped(self, wrapper_class: Any, indices: VecEnvIndices = None) -> list[bool]:
        return [False] * len(self._numbers(indices))

    def _numbers(self, indices: VecEnvIndices) -> Sequence[int]:
        return list(self._get_indices(indices))
