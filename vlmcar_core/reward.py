"""Checkers as a reward: what `payments` pays for what they say about an environment's frames."""

import hashlib
import itertools
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from vlmcar_core.errors import CheckerDisabled
from vlmcar_core.known import Known
from vlmcar_core.payments import Account, Look, Paid, Payment
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.types import Checker, Drawn, Frame, Outcome, Proposal

REMEMBERED = 200_000
"""Answers kept; about 250 bytes each."""

FIRSTS = 100_000
"""First frames of which it is kept what a checker takes from them; about 250 bytes each."""

INITIALS = 128
"""First frames held, to ask about others with them."""

PASSING = ("timeout", "memory", "crash")
"""Faults that may be the machine's momentary state; they are not remembered, but asked about again."""


Key = tuple[str, bytes, bytes]
"""Digests of a checker, of what it takes from the first frame, and of a frame."""


class Question(NamedTuple):
    """What does this checker say of this frame?"""

    checker: Checker
    initial: Drawn
    """The episode's first frame."""
    initial_digest: bytes
    """`digest` of it, or another key that only equal frames have."""
    frame: Drawn
    """The one to look at."""
    frame_digest: bytes
    first_key: bytes | None = None
    """What `Judge.first_key` gave for it; None: it is asked for it."""


def _drawn(frame: Drawn) -> Frame:
    return frame() if callable(frame) else frame


def _kept_as(question: Question) -> bytes:
    """The key under which other runs are told what a checker takes from a first frame."""
    said = question.checker.digest.encode() + question.initial_digest
    return hashlib.blake2b(said, digest_size=16).digest()


class Judge:
    """Asks checkers about frames and remembers what they said: a checker is a function of its two frames.

    One may serve all copies of an environment. Bounded: the answer not needed for longest is forgotten first.
    """

    def __init__(
        self,
        process: CheckerProcess,
        remembered: int = REMEMBERED,
        stop_when_disabled: bool = False,
        known: Known | None = None,
    ) -> None:
        """Args:
        process: of the checkers; closed with this.
        remembered: answers kept at most.
        stop_when_disabled: a checker that is not asked any more ends what is asked.
        known: what these checkers took from first frames in other runs; nothing if None.
        """
        self._known = known
        self._process = process
        self._stop_when_disabled = stop_when_disabled
        self._size = remembered
        self._answers: OrderedDict[Key, Outcome] = OrderedDict()
        self._firsts: OrderedDict[tuple[str, bytes], bytes] = OrderedDict()
        self._initials: OrderedDict[tuple[str, bytes], Frame] = OrderedDict()
        self._whole: set[str] = set()
        """Checkers of which it cannot be told what they take from a first frame."""
        self.asked = 0
        """Questions so far; `remembered` of them were not put to the process."""
        self.remembered = 0
        self._streams = itertools.count()
        self.faults: dict[str, str] = {}
        """Checker key to what went wrong with it last, said once each; a disabled one stays that."""

    def ask(
        self,
        checker: Checker,
        initial: Drawn,
        initial_digest: bytes,
        frame: Drawn,
        frame_digest: bytes,
    ) -> Outcome:
        """What a checker says; the arguments are those of a `Question`."""
        return self.ask_many([Question(checker, initial, initial_digest, frame, frame_digest)])[0]

    def ask_many(self, questions: Sequence[Question]) -> list[Outcome]:
        """What checkers say, in order; all that is put to one of them goes in one message."""
        self.asked += len(questions)
        keys = [(one.checker.digest, one.first_key or self.first_key(one), one.frame_digest) for one in questions]
        found: dict[Key, Outcome] = {}
        unknown: dict[str, dict[Key, Question]] = {}
        for key, question in zip(keys, questions, strict=True):
            if (outcome := self._answers.get(key)) is None:
                unknown.setdefault(question.checker.key, {})[key] = question
            else:
                found[key] = outcome
                self._answers.move_to_end(key)
        for group in unknown.values():
            found |= self._put(group)
        self.remembered += len(questions) - sum(len(group) for group in unknown.values())
        for key, question in zip(keys, questions, strict=True):
            if found[key].kind != "ok":
                self._tell(question.checker.key, found[key])
        return [found[key] for key in keys]

    def first_key(self, question: Question) -> bytes:
        """Of its first frame: 16 bytes or more, equal only for those that its checker cannot tell apart: of what it
        takes from them where it takes only a part (`sandbox/inside/first.py`), else of the whole frame."""
        return self.first_keys([question])[0]

    def first_keys(self, questions: Sequence[Question]) -> list[bytes]:
        """The same of some; all that a checker has to be asked for it goes in one message."""
        unknown: dict[str, dict[bytes, Question]] = {}
        for question in questions:
            if question.checker.digest not in self._whole and not self._is_known(question):
                unknown.setdefault(question.checker.key, {})[question.initial_digest] = question
        for group in unknown.values():
            self._take(list(group.values()))
        found = [self._firsts.get((one.checker.digest, one.initial_digest), one.initial_digest) for one in questions]
        while len(self._firsts) > FIRSTS:
            self._firsts.popitem(last=False)
        return found

    def _is_known(self, question: Question) -> bool:
        """Whether that was asked before, by this run or another."""
        key = (question.checker.digest, question.initial_digest)
        if key not in self._firsts and self._known is not None and (kept := self._known.first(_kept_as(question))):
            self._firsts[key] = kept
        return key in self._firsts

    def _take(self, group: Sequence[Question]) -> None:
        """Ask one checker for what it takes from some first frames, each another one."""
        checker = group[0].checker
        said = self._process.firsts(checker.key, [_drawn(one.initial) for one in group])
        if said is False:
            self._whole.add(checker.digest)
            return
        for question, taken in zip(group, said, strict=True):
            self._firsts[checker.digest, question.initial_digest] = taken[:16] if taken else question.initial_digest
            if taken and self._known is not None:
                self._known.keep_first(_kept_as(question), taken[:16])

    def _put(self, group: dict[Key, Question]) -> dict[Key, Outcome]:
        """Questions for one checker, to its process."""
        checker = next(iter(group.values())).checker
        pairs = [(self._like(key[:2], one.initial), one.frame) for key, one in group.items()]
        outcomes = self._process.run_pairs(checker.key, pairs)
        found = dict(zip(group, outcomes, strict=True))
        self._answers.update({key: outcome for key, outcome in found.items() if outcome.kind not in PASSING})
        while len(self._answers) > self._size:
            self._answers.popitem(last=False)
        return found

    def _like(self, key: tuple[str, bytes], initial: Drawn) -> Frame:
        """A first frame that the checker cannot tell from this one, with the same key: of all such always the same, so
        that it is put to the process, and looked at there, only once."""
        if (found := self._initials.get(key)) is None:
            found = self._initials[key] = _drawn(initial)
            if len(self._initials) > INITIALS:
                self._initials.popitem(last=False)
        else:
            self._initials.move_to_end(key)
        return found

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


class Watching:
    """One copy's episodes, one after the other, as checkers see them and an account is told of them."""

    def __init__(self, checkers: Sequence[Checker], judge: Judge, payment: Payment) -> None:
        self.account = Account(payment, [checker.key for checker in checkers])
        self.in_order = [index for index, checker in enumerate(checkers) if checker.in_order]
        """Checkers that have to see every frame, also before their turn has come."""
        self._checkers, self._judge, self._stream = checkers, judge, judge.stream()
        self._initial: Drawn | None = None
        self._initial_digest = b""

    @property
    def initial(self) -> tuple[Drawn, bytes]:
        """The episode's first frame, and its key."""
        assert self._initial is not None, "an episode has not begun"
        return self._initial, self._initial_digest

    def meet(self, initial: Drawn, initial_digest: bytes) -> None:
        """From now on this is the episode's first frame, and its key; `begin` follows."""
        self._initial, self._initial_digest = initial, initial_digest

    def begin(
        self,
        initial: Drawn,
        initial_digest: bytes,
        faults: dict[str, str],
        answered: Mapping[int, Outcome] = MappingProxyType({}),
    ) -> None:
        """An episode's first frame and its key. What goes wrong is added to `faults`; `answered` as in `look`."""
        self.meet(initial, initial_digest)
        self.account.begin(self.look(initial, initial_digest, faults, begins=True, answered=answered))

    def question(self, index: int, frame: Drawn, key: bytes, first_key: bytes | None = None) -> Question:
        """To one of the checkers, about a frame of this episode and its key."""
        return Question(self._checkers[index], *self.initial, frame, key, first_key)

    def first_key(self, index: int) -> bytes:
        """Of what one of the checkers takes from this episode's first frame."""
        return self._judge.first_key(self.question(index, *self.initial))

    def look(
        self,
        frame: Drawn,
        key: bytes,
        faults: dict[str, str],
        begins: bool = False,
        answered: Mapping[int, Outcome] = MappingProxyType({}),
    ) -> Look:
        """What checkers say of this frame with this key.

        Args:
            frame: now.
            key: its digest, or another key that only equal frames have.
            faults: by checker key, what goes wrong is added to it.
            begins: it is the episode's first.
            answered: by checker, what was said of it already.
        """
        known = dict(answered)
        for index in self.in_order:
            if begins or self.account.asks_all or index >= self.account.completed:
                asked = self.question(index, frame, key)
                shown = _drawn(asked.initial), _drawn(asked.frame)
                known[index] = self._judge.follow(asked.checker, *shown, self._stream, begins)

        def value(index: int) -> float | None:
            outcome = known.get(index) or self._judge.ask_many([self.question(index, frame, key)])[0]
            if outcome.kind != "ok":
                faults[self._checkers[index].key] = f"{outcome.kind}: {outcome.message}"
            return outcome.value if outcome.kind == "ok" else None

        return value


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
        self._judge = judge or Judge(CheckerProcess(self._checkers))
        self._own_judge = judge is None
        self._env_reward = env_reward
        self._scene = scene or _rendered
        self._frame_key = frame_key or (lambda _env: None)
        self._watching = Watching(self._checkers, self._judge, payment)
        self._account = self._watching.account
        self._begun = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        self._env_rewards = []
        initial = np.array(self._scene(self.env))
        faults: dict[str, str] = {}
        self._watching.begin(initial, self._frame_key(self.env) or digest(initial), faults)
        self._begun = True
        return observation, {**info, "vlmcar": self._info(0.0, Paid({}, []), faults)}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        env_reward = float(reward)
        faults: dict[str, str] = {}
        if not self._begun:
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

    def _look(self, faults: dict[str, str]) -> Look:
        """At the frame now."""
        frame = cache(lambda: self._scene(self.env))
        return self._watching.look(frame, self._frame_key(self.env) or digest(frame()), faults)

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
