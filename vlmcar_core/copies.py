"""Many copies of one environment, stepped together; NumPy alone, so that who simulates and who learns need not meet."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from vlmcar_core.types import Frame


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


class Settled(NamedTuple):
    """What T steps are paid later than they were made."""

    rewards: NDArray[np.float32]
    """Beside what `Stepped` said, (T, N)."""

    records: list[dict[str, Any]]
    """The `episode_record` of every episode that ended in them, in order."""


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

    def pay_later(self) -> bool:
        """Before a reset: whether from then on steps give the environment's own reward (or 0, where it is not kept)
        and no `episode_record`, which `settle` gives; so checkers are asked seldom and about much. False: not here."""

    def settle(self) -> Settled:
        """What is still to be paid and told of the steps since this was called last."""

    def close(self) -> None:
        """Let go of what they hold."""


class Shown(Protocol):
    """The full frames of N copies at a moment."""

    def frame_keys(self, wanted: NDArray[np.bool_]) -> NDArray[np.uint64]:
        """A key of each full frame now, (N, 2), equal only for equal frames; anything for those that are not wanted."""

    def frame(self, number: int) -> Frame:
        """The full frame of one now, RGB uint8 (H, W, 3), not written to afterwards."""

    def first_frame(self, number: int) -> Frame:
        """The first one of its episode; of those whose key was wanted when that began."""


class Shot(Protocol):
    """The full frames of N copies at a moment that may have passed, each drawn when it is asked for."""

    keys: NDArray[np.uint64]
    """Of each, (N, 2), equal only for equal frames."""

    def frame(self, number: int) -> Frame:
        """RGB uint8 (H, W, 3), not written to afterwards."""


class Past:
    """A `Shown` of a moment that has passed; one copy's first frame is here where its episode began then."""

    def __init__(self, shot: Shot) -> None:
        self._shot = shot

    def frame_keys(self, wanted: NDArray[np.bool_]) -> NDArray[np.uint64]:
        return self._shot.keys

    def frame(self, number: int) -> Frame:
        return self._shot.frame(number)

    def first_frame(self, number: int) -> Frame:
        return self._shot.frame(number)


class Simulation(Shown, Protocol):
    """N copies of an environment, 0 to N - 1, as a family simulates them: nothing is paid, recorded or restarted here,
    so that who does that can look at the last state of an episode."""

    count: int
    observation_space: spaces.Space[Any]
    """Of one copy's policy view."""
    action_space: spaces.Space[Any]

    def reset(self, seed: int | None) -> None:
        """All of them; copy k is seeded with `seed` + k, or chance goes on as it was."""

    def restart(self, numbers: NDArray[np.intp]) -> None:
        """Begin the next episode in these; their chance goes on as it was."""

    def step(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """One action each; the environment's own rewards, terminated, truncated, each (N,)."""

    def observations(self) -> NDArray[Any]:
        """The policy view of each now, (N, …), a new array."""

    def close(self) -> None:
        """Let go of what they hold."""


@runtime_checkable
class Kept(Simulation, Protocol):
    """One whose moments can be looked at later."""

    def shot(self) -> Shot:
        """The frames now."""


class Moment(NamedTuple):
    """A step of all N copies, to be paid later."""

    shot: Shot
    """Its frames, also those with which an episode ended."""

    rewards: NDArray[np.float64]
    """The environment's own, (N,)."""

    terminated: NDArray[np.bool_]
    """(N,)."""

    ended: NDArray[np.intp]
    """Copies whose episode did."""

    begun: Shot | None
    """The first frames of the next episodes of these; None where there are none."""


class Payments(NamedTuple):
    """What checkers pay in one step."""

    rewards: NDArray[np.float64]
    """(N,)."""

    completed: Mapping[int, list[str]]
    """By copy, the keys of the sub-tasks that this step completed in order, where there are any."""

    components: NDArray[np.float64]
    """What was paid for each sub-task, (N, K) in the order of `Payer.keys`; its rows add up to `rewards`."""


class Payer(Protocol):
    """Pays N copies for what their frames show."""

    env_reward: bool
    """The environment's own reward is kept beside it."""

    keys: tuple[str, ...]
    """Of the sub-tasks that are paid for, K of them."""

    def begin(self, numbers: NDArray[np.intp], shown: Shown) -> None:
        """Episodes began in these."""

    def step(self, solved: Mapping[int, bool], shown: Shown) -> Payments:
        """After a step of all, and before any begins its next episode.

        Args:
            solved: by copy, of those that terminated in this step: whether the environment says it is solved.
            shown: what they show.
        """

    def settle(self, moments: Sequence[Moment], solved: Sequence[Mapping[int, bool]]) -> Iterable[Payments]:
        """The same for steps that have passed, one after the other, and for what began in them.

        Args:
            moments: the steps.
            solved: of each, as for `step`.
        """
