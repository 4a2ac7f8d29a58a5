"""Asks checkers in this process, and pays for what they say."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlmcar_core.payments import Account, Look, Payment

Frame = NDArray[np.uint8]
"""One picture: RGB, uint8, shape (H, W, 3)."""

NUMBERS = {kind for kind in np.sctypeDict.values() if issubclass(kind, np.integer | np.floating | np.bool_)}
ANSWER_TYPES = frozenset({bool, int, float, *NUMBERS} - {np.timedelta64})


@dataclass(frozen=True)
class Step:
    """One thing to be done, and the program that sees whether it is."""

    key: str
    title: str
    check: Callable[[Frame, Frame], object]
    """From the episode's first frame and the one now to a bool, or progress in [0, 1]; done means 1."""


def progress(answer: object) -> float:
    """What a checker answered, as progress in [0, 1].

    Raises:
        TypeError: it is neither a bool nor a number.
        ValueError: it is no number from 0 to 1.
    """
    if type(answer) not in ANSWER_TYPES:
        raise TypeError(f"check must return True, False or a number from 0 to 1, not {type(answer).__name__}")
    try:
        number = float(answer)  # type: ignore[arg-type]
    except OverflowError as error:
        raise ValueError("check returned a number that is too large; progress lies from 0 to 1") from error
    if not -1e-6 <= number <= 1.0 + 1e-6:
        raise ValueError(f"check returned {number:g}; progress lies from 0 to 1")
    return min(1.0, max(0.0, number))


def value(step: Step, initial: Frame, frame: Frame) -> float:
    """What a checker says about a frame, in [0, 1]; done at 1. It gets copies, so it may write to them."""
    return progress(step.check(initial.copy(), frame.copy()))


class Paying:
    """What checkers pay for the frames of one episode after the other. Every copy of an environment has its own.

        reward.begin(first_frame)
        total, components = reward(frame)      # after every action

    The same as in the studio, but that nothing contains the checkers here. One that fails pays nothing and is warned
    about once; `faults` says what went wrong with it last.

    Args:
        steps: in order.
        payment: how completions become a reward; see payments.py.
    """

    def __init__(self, steps: Sequence[Step], payment: Payment) -> None:
        self.steps, self.payment = tuple(steps), payment
        self.now: list[str] = []
        """The keys that the last frame completed in order."""
        self.faults: dict[str, str] = {}
        """Key to what went wrong with a checker in the last frame."""
        self._account = Account(payment, [step.key for step in self.steps])
        self._warned: set[str] = set()
        self._initial: Frame | None = None

    @property
    def completed(self) -> int:
        """Sub-tasks done so far in this episode."""
        return self._account.completed

    @property
    def looks(self) -> bool:
        """Whether the next frame matters; where not, None may be given for it."""
        return self._account.looks

    @property
    def asks_success(self) -> bool:
        """Whether it has to be told at a termination if the environment calls it solved."""
        return self.payment.way == "potential"

    def begin(self, frame: Frame) -> None:
        """An episode's first frame, RGB uint8 (H, W, 3)."""
        self._initial = _copied(frame)
        self.now, self.faults = [], {}
        self._account.begin(self._look(self._initial))

    def __call__(self, frame: Frame | None, solved: bool | None = None) -> tuple[float, dict[str, float]]:
        """What the frame after an action is paid.

        Args:
            frame: RGB uint8 (H, W, 3); None where `looks` is false.
            solved: at a termination, whether the environment says it is solved; None at any other step.

        Returns:
            The sum, and by key what was paid for each sub-task.
        """
        if self._initial is None:
            raise RuntimeError("call begin() with the episode's first frame before the next one")
        self.faults = {}
        paid = self._account.step(None if frame is None else self._look(_copied(frame)), solved)
        self.now = paid.completed
        components = {step.key: paid.components.get(step.key, 0.0) for step in self.steps}
        return float(sum(paid.components.values())), components

    def told(self, env_reward: float, components: Mapping[str, float]) -> dict[str, Any]:
        """What `info["vlmcar"]` holds of a step: the same names as in the studio."""
        return {
            "reward": float(sum(components.values())),
            "env_reward": env_reward,
            "components": {key: amount for key, amount in components.items() if amount},
            "now": list(self.now),
            "completed": self.completed,
            "total": len(self.steps),
            "faults": dict(self.faults),
        }

    def _look(self, frame: Frame) -> Look:
        assert self._initial is not None
        initial = self._initial

        def ask(index: int) -> float | None:
            step = self.steps[index]
            try:
                return value(step, initial, frame)
            except Exception as error:  # noqa: BLE001 (whatever a checker raises: it pays nothing then)
                self.faults[step.key] = f"{type(error).__name__}: {error}"
                if step.key not in self._warned:
                    self._warned.add(step.key)
                    message = f"the checker {step.key!r} failed and pays nothing ({self.faults[step.key]})"
                    warnings.warn(message, stacklevel=2)
                return None

        return ask


def pay_episode(reward: Paying, frames: Sequence[Frame], solved: bool | None = None) -> tuple[Any, dict[str, Any]]:
    """What a whole episode is paid.

    Args:
        reward: who pays.
        frames: T + 1 of them.
        solved: where the last step terminated the episode, whether it is solved; None elsewhere.

    Returns:
        Totals, float64 (T,), and by key the same for each sub-task.
    """
    reward.begin(frames[0])
    last = len(frames) - 1
    paid = [reward(frame, solved if number == last else None) for number, frame in enumerate(frames[1:], 1)]
    components = {step.key: np.array([part[step.key] for _, part in paid]) for step in reward.steps}
    return np.array([total for total, _ in paid]), components


def _copied(frame: Frame) -> Frame:
    picture = np.array(frame, order="C")
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(f"a frame is RGB uint8 (H, W, 3), not {picture.dtype} {picture.shape}")
    return picture
