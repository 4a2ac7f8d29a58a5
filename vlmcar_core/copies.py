"""Many copies of one environment, stepped together; NumPy alone, so that who simulates and who learns need not meet."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray


class Stepped(NamedTuple):
    """What one step of all N copies came to. A copy whose episode ended has begun its next one."""

    observations: NDArray[Any]
    """Of each copy now, (N, …), not written to afterwards; where an episode ended, the next one's first."""

    rewards: NDArray[np.float32]
    """What the learner is paid, (N,)."""

    terminated: NDArray[np.bool_]
    """(N,)."""

    truncated: NDArray[np.bool_]
    """By the time limit, (N,); where both are set, the environment's end came in the very last step."""

    infos: Mapping[int, dict[str, Any]]
    """By copy, only where something is to be told. Where an episode ended: `episode_record` (episodes.py says what it
    holds) and `terminal_observation`, the ended episode's last."""


class Copies(Protocol):
    """N copies of an environment, 0 to N - 1, that begin their next episode by themselves."""

    count: int
    observation_space: spaces.Space[Any]
    """Of one copy."""
    action_space: spaces.Space[Any]
    """Of one copy."""

    def reset(self, seed: int | None = None) -> NDArray[Any]:
        """Begin anew; the observations (N, …). Copy k is seeded with `seed` + k; None: chance goes on as it was."""

    def step(self, actions: NDArray[Any]) -> Stepped:
        """One action (N, …) each."""

    def close(self) -> None:
        """Let go of what they hold."""
