"""A simulation (copies.py) of copies that any environment family makes, stepped one after the other."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from vlmcar_core.types import Frame

Scene = Callable[[gym.Env[Any, Any]], Frame]
FrameKey = Callable[[gym.Env[Any, Any]], bytes | None]


class OneByOne:
    """Args:
    envs: the copies, as a family's `make` gives them; closed with these.
    view: the family's `policy_view`.
    scene: from an environment to its full frame.
    frame_key: from an environment to 16 bytes or more that only equal frames have, or None where it has to be drawn.
    """

    def __init__(
        self,
        envs: Sequence[gym.Env[Any, Any]],
        view: Callable[[gym.Env[Any, Any]], gym.Env[Any, Any]],
        scene: Scene,
        frame_key: FrameKey | None = None,
    ) -> None:
        self._envs, self._views = list(envs), [view(env) for env in envs]
        self._scene, self._key = scene, frame_key or (lambda _env: None)
        self.count = len(self._envs)
        space = self._views[0].observation_space
        if not isinstance(space, spaces.Box):
            raise TypeError(f"a policy's view is a Box, not {space}")
        self.observation_space: spaces.Space[Any] = space
        self.action_space: spaces.Space[Any] = self._views[0].action_space
        self._seen = np.zeros((self.count, *space.shape), space.dtype)
        self._drawn: dict[int, Frame] = {}
        """By copy, its frame now, where somebody had to look."""
        self._first: dict[int, Frame] = {}
        self._fresh = np.ones(self.count, np.bool_)
        """It has not been stepped since its episode began."""

    def reset(self, seed: int | None) -> None:
        for number in range(self.count):
            self._begin(number, None if seed is None else seed + number)

    def restart(self, numbers: NDArray[np.intp]) -> None:
        for number in numbers.tolist():
            self._begin(number, None)

    def _begin(self, number: int, seed: int | None) -> None:
        self._seen[number] = self._views[number].reset(seed=seed)[0]
        self._drawn.pop(number, None)
        self._fresh[number] = True

    def step(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        self._drawn.clear()
        rewards, (terminated, truncated) = np.zeros(self.count), np.zeros((2, self.count), np.bool_)
        self._fresh[:] = False
        for number, view in enumerate(self._views):
            self._seen[number], rewards[number], terminated[number], truncated[number], _ = view.step(actions[number])
        return rewards, terminated, truncated

    def observations(self) -> NDArray[Any]:
        return self._seen.copy()

    def frame_keys(self, wanted: NDArray[np.bool_]) -> NDArray[np.uint64]:
        found = np.zeros((self.count, 2), np.uint64)
        for number in np.flatnonzero(wanted).tolist():
            if self._fresh[number]:
                self._first[number] = self.frame(number)
            key = self._key(self._envs[number]) or hashlib.sha1(self.frame(number).data, usedforsecurity=False).digest()
            found[number] = np.frombuffer(key[:16], np.uint64)
        return found

    def frame(self, number: int) -> Frame:
        if number not in self._drawn:
            self._drawn[number] = np.array(self._scene(self._envs[number]))
        return self._drawn[number]

    def first_frame(self, number: int) -> Frame:
        return self._first[number]

    def close(self) -> None:
        for view in self._views:
            view.close()
