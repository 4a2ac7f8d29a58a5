"""Checkers as a reward: what `payments` pays for what they say about an environment's frames."""

import hashlib
import itertools
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from vlmcar_core.errors import CheckerDisabled
from vlmcar_core.payments import Account, Look, Paid, Payment
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.types import Checker, Frame, Outcome, Proposal

REMEMBERED = 200_000
"""Answers kept; about 250 bytes each."""

PASSING = ("timeout", "memory", "crash")
"""Faults that may be the machine's momentary state; they are not remembered, but asked about again."""


class Judge:
    """Asks checkers about frames and remembers what they said: a checker is a function of its two frames.

    One may serve all copies of an environment. Bounded: the answer not needed for longest is forgotten first.
    """

    def __init__(self, process: CheckerProcess, remembered: int = REMEMBERED, stop_when_disabled: bool = False) -> None:
        self._process = process
        self._stop_when_disabled = stop_when_disabled
        self._size = remembered
        self._answers: OrderedDict[tuple[str, bytes, bytes], Outcome] = OrderedDict()
        self.asked = 0
        """Questions so far; `remembered` of them were not put to the process."""
        self.remembered = 0
        self._streams = itertools.count()
        self.faults: dict[str, str] = {}
        """Checker key to what went wrong with it last, said once each; a disabled one stays that."""

    def ask(
        self,
        checker: Checker,
        initial: Frame,
        initial_digest: bytes,
        frame: Frame | Callable[[], Frame],
        frame_digest: bytes,
    ) -> Outcome:
        """What a checker says.

        Args:
            checker: which.
            initial: the episode's first frame.
            initial_digest: `digest` of it, or another key that only equal frames have.
            frame: the one to look at, or what draws it: that is called only where no answer is remembered.
            frame_digest: as `initial_digest`.
        """
        key = (checker.digest, initial_digest, frame_digest)
        self.asked += 1
        outcome = self._answers.get(key)
        if outcome is None:
            shown = frame() if callable(frame) else frame
            outcome = self._process.run(checker.key, initial, shown[None])[0]
            if outcome.kind not in PASSING:
                self._answers[key] = outcome
            if len(self._answers) > self._size:
                self._answers.popitem(last=False)
        else:
            self.remembered += 1
            self._answers.move_to_end(key)
        if outcome.kind != "ok":
            self._tell(checker.key, outcome)
        return outcome

    def stream(self) -> int:
        """A number for a copy of the environment, whose episodes are followed in order."""
        return next(self._streams)

    def follow(self, checker: Checker, initial: Frame, frame: Frame, stream: int, begins: bool) -> Outcome:
        """What a checker in order says about an episode's next frame; nothing of it is remembered here.

        Args:
            checker: one with `in_order`.
            initial: the episode's first frame.
            frame: the next one.
            stream: of the copy of the environment that the episode is in.
            begins: whether `frame` is the episode's first.
        """
        self.asked += 1
        outcome = self._process.run(checker.key, initial, frame[None], stream, begins)[0]
        if outcome.kind != "ok":
            self._tell(checker.key, outcome)
        return outcome

    def _tell(self, key: str, outcome: Outcome) -> None:
        """Say the first fault of a checker, and that it is disabled, once each."""
        disabled = outcome.kind == "disabled"
        if key in self.faults and (not disabled or self.faults[key].startswith("disabled")):
            return
        where = f", line {outcome.line}" if outcome.line else ""
        self.faults[key] = f"{outcome.kind}{where}: {outcome.message}"
        message = f"the checker {key!r} failed and pays nothing ({self.faults[key]})"
        if disabled and self._stop_when_disabled:
            raise CheckerDisabled(f"{message}; the run was asked to stop then. Mend the checker, or let the run go on")
        warnings.warn(message, stacklevel=3)

    def close(self) -> None:
        self._process.close()


def digest(frame: Frame) -> bytes:
    """SHA-1 of a frame's pixels; to tell frames apart, not for safety."""
    return hashlib.sha1(np.ascontiguousarray(frame).data, usedforsecurity=False).digest()


class CheckerReward(gym.Wrapper[Any, Any, Any, Any]):
    """Pays for sub-tasks that are done, beside the environment's reward; by default 1/n each, once, in order.

    n counts the sub-tasks; a proposal without any is paid for its goal. The frames come from the environment's full
    render and are drawn only while something is left to be paid.

    `info["vlmcar"]` holds: reward, what the checkers paid for this step; env_reward, what the environment paid;
    components, key to what was paid for it in this step; now, the keys that this step completed; completed, how many of
    `total` are done; faults, key to what went wrong with a checker in this step (it pays nothing then).

    Args:
        env: made with render_mode "rgb_array".
        proposal: whose checkers pay.
        judge: shared between copies; one of its own, closed with the environment, if None. Where it is told to stop
            for a disabled checker, `reset` and `step` raise `CheckerDisabled`.
        env_reward: keep the environment's own reward beside the checkers'.
        scene: from the environment to its full frame, uint8 (H, W, 3); `env.render()` if None.
        payment: how completions become a reward. Beside an environment that takes 1 a step for up to 50 steps
            (panda-gym), a scale of 1 is hardly felt; beside one that pays up to 1 at the end (MiniGrid) it is a match.
        frame_key: from the environment to a key of its frame that only equal frames have, or None; with it a frame is
            drawn only where a checker has to look at it.
        succeeded: from an episode's environment rewards, float64 (T,), and whether it terminated, to whether it is
            solved; "potential" needs it.

    Raises:
        UnknownName, BadInput: the payment does not fit these checkers.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        proposal: Proposal,
        judge: Judge | None = None,
        env_reward: bool = True,
        scene: Callable[[gym.Env[Any, Any]], Frame] | None = None,
        payment: Payment | None = None,
        succeeded: Callable[[NDArray[np.float64], bool], bool] | None = None,
        frame_key: Callable[[gym.Env[Any, Any]], bytes | None] | None = None,
    ) -> None:
        super().__init__(env)
        payment = payment or Payment()
        if payment.way == "potential" and succeeded is None:
            raise ValueError("a potential has to be told whether an episode that terminates is solved")
        self._succeeded = succeeded if payment.way == "potential" else None
        self._env_rewards: list[float] = []
        self._checkers = tuple(step.checker for step in proposal.paid)
        self._in_order = [index for index, checker in enumerate(self._checkers) if checker.in_order]
        self._judge = judge or Judge(CheckerProcess(self._checkers))
        self._own_judge = judge is None
        self._stream = self._judge.stream()
        self._env_reward = env_reward
        self._scene = scene or _rendered
        self._frame_key = frame_key or (lambda _env: None)
        self._account = Account(payment, [checker.key for checker in self._checkers])
        self._initial: Frame | None = None
        self._initial_digest = b""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        self._env_rewards = []
        self._initial = np.array(self._scene(self.env))
        self._initial_digest = self._frame_key(self.env) or digest(self._initial)
        faults: dict[str, str] = {}
        self._account.begin(self._look(faults, begins=True))
        return observation, {**info, "vlmcar": self._info(0.0, Paid({}, []), faults)}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        env_reward = float(reward)
        faults: dict[str, str] = {}
        if self._initial is None:
            raise gym.error.ResetNeeded("call reset() before step()")
        look = self._look(faults) if self._account.looks else None
        paid = self._account.step(look, self._solved(env_reward, terminated))
        told = self._info(env_reward, paid, faults)
        total = told["reward"] + (env_reward if self._env_reward else 0.0)
        return observation, total, terminated, truncated, {**info, "vlmcar": told}

    def close(self) -> None:
        if self._own_judge:
            self._judge.close()
        super().close()

    def _solved(self, env_reward: float, terminated: bool) -> bool | None:
        """Of a termination, where it is asked for."""
        if self._succeeded is None:
            return None
        self._env_rewards.append(env_reward)
        return bool(self._succeeded(np.array(self._env_rewards), True)) if terminated else None

    def _look(self, faults: dict[str, str], begins: bool = False) -> Look:
        """What checkers say of the frame now; what goes wrong is added to `faults`."""
        assert self._initial is not None
        initial = self._initial
        drawn = [initial] if begins else []

        def frame() -> Frame:
            if not drawn:
                drawn.append(self._scene(self.env))
            return drawn[0]

        key = (self._initial_digest if begins else self._frame_key(self.env)) or digest(frame())

        # A program in the released style has to see every frame, also before its turn has come.
        followed = {
            index: self._judge.follow(self._checkers[index], initial, frame(), self._stream, begins)
            for index in self._in_order
            if begins or self._account.asks_all or index >= self._account.completed
        }

        def value(index: int) -> float | None:
            checker = self._checkers[index]
            outcome = followed.get(index) or self._judge.ask(checker, initial, self._initial_digest, frame, key)
            if outcome.kind != "ok":
                faults[checker.key] = f"{outcome.kind}: {outcome.message}"
            return outcome.value if outcome.kind == "ok" else None

        return value

    def _info(self, env_reward: float, paid: Paid, faults: dict[str, str]) -> dict[str, Any]:
        return {
            "reward": float(sum(paid.components.values())),
            "env_reward": env_reward,
            "components": paid.components,
            "now": paid.completed,
            "completed": self._account.completed,
            "total": len(self._checkers),
            "faults": faults,
        }


def _rendered(env: gym.Env[Any, Any]) -> Frame:
    frame = env.render()
    if not isinstance(frame, np.ndarray):
        raise TypeError(
            f"checkers need a picture: make the environment with render_mode='rgb_array', not {env.render_mode!r}"
        )
    return frame
