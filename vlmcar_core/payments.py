"""From what checkers say to what an agent is paid.

n sub-tasks have the shares w(k), which add up to 1 (1/n each where no weights are given); S is the scale. c(k) is 1
once sub-task k was done in its turn in this episode, and stays that; Φ = Σ w(k) c(k). A sub-task that is done in the
first frame already counts as done and is never paid.

    once        S w(k) at the first frame that completes k. The default (after VLM-CaR, where every sub-task is checked
                in order). An episode pays at most S, however long it lasts; an optimal path may become a little longer
                by going past a bogus sub-task.
    remaining   S Φ(s') at every step: beside an environment that takes 1 a step, each step costs what is left, Φ − 1.
                Never positive there for S ≤ 1, so nothing is gained by staying; in other environments waiting is paid.
    potential   S (γ Φ(s') − Φ(s)), after Ng, Harada and Russell (ICML 1999). At a termination Φ(s') is 1 where the
                environment says it is solved and 0 elsewhere; at a time limit it stays what it is. With Φ(s') = 0 at
                every termination the optimal policies would provably stay the same; with 1 at success that holds among
                the episodes that are solved, and solving is worth S more. That is what learned in practice.
    progress    S w(k) times by how much k's value, while it is its turn, exceeds its best so far (its value in the
                first frame to begin with). Pays at most S in all. For counts and distances.
    edge        S w(k) whenever k becomes done, in any order, again and again. For study: doing and undoing is paid.
    level       S w(k) at every frame in which k is done. For study: staying is paid.

`undo` takes S w(k) `undo` the first time in an episode that a completed sub-task is seen undone. An episode loses
S `undo` at most; nothing is paid for doing it again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from vlmcar_core.chain import Chain
from vlmcar_core.errors import BadInput, UnknownName

WAYS = {
    "once": "once: a share at the first frame that completes a sub-task",
    "remaining": "remaining: the completed share at every step, beside an environment that takes 1 a step",
    "potential": "potential: by how much the completed share grows, discounted",
    "progress": "progress: by how much a value exceeds its best so far",
    "edge": "edge: whenever a checker turns true, again and again (for study: can be farmed)",
    "level": "level: at every frame in which a checker is true (for study: can be farmed)",
}
FARMED = ("edge", "level")
"""Ways that pay for going round in circles."""

UNDO_MAX = 10.0
WEIGHT_MAX = 1e6

Look = Callable[[int], float | None]
"""The value of sub-task k's checker in this frame, in [0, 1], done at 1; None where it failed."""


@dataclass(frozen=True)
class Payment:
    """How completions become a reward."""

    way: str = "once"
    """One of `WAYS`."""

    scale: float = 1.0
    """S, above 0."""

    weights: Mapping[str, float] = field(default_factory=dict)
    """By checker key, relative to each other, at least 0; 1 for those that are not named."""

    undo: float = 0.0
    """The share of a sub-task's pay that undoing it costs, at least 0."""

    discount: float = 0.99
    """γ, in [0, 1]; of "potential" alone, and the learner's own."""

    def __post_init__(self) -> None:
        if self.way not in WAYS:
            raise UnknownName.among("way to pay", self.way, WAYS)
        if not _within(self.undo, UNDO_MAX):
            raise BadInput(f"undoing costs a share from 0 to {UNDO_MAX:g} of what was paid, not {self.undo!r}")
        if self.way == "remaining" and self.scale > 1:
            raise BadInput(
                f'with "remaining", a scale above 1 would pay for waiting beside an environment that takes 1 a step; '
                f"take 1 or less, not {self.scale:g}"
            )
        if self.undo and self.way not in ("once", "progress"):
            raise BadInput(
                f"undoing costs something where a sub-task is paid once (once, progress), not with {self.way!r}"
            )
        for key, weight in self.weights.items():
            if not _within(weight, WEIGHT_MAX):
                raise BadInput(f"the weight of {key!r} is a number from 0 to {WEIGHT_MAX:g}, not {weight!r}")

    def shares(self, keys: Sequence[str]) -> list[float]:
        """S w(k) of each sub-task; they add up to the scale.

        Raises:
            UnknownName: a weight is for a key that is not there.
            BadInput: all weights are 0.
        """
        for key in self.weights:
            if key not in keys:
                raise UnknownName.among("sub-task with a weight", key, keys)
        weights = [float(self.weights.get(key, 1.0)) for key in keys]
        if not sum(weights) > 0:
            raise BadInput("all weights are 0, so nothing would be paid; leave one above 0")
        return [self.scale * weight / sum(weights) for weight in weights]


def _within(value: object, high: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= high


class Paid(NamedTuple):
    """What a step is paid."""

    components: dict[str, float]
    """By checker key, what was paid for it, not 0."""

    completed: list[str]
    """The keys of the sub-tasks that this step completed in order."""


class Account:
    """What one episode after the other is paid. Its environment shows it every frame that it asks for."""

    def __init__(self, payment: Payment, keys: Sequence[str]) -> None:
        self._payment, self._keys = payment, list(keys)
        self._shares = payment.shares(keys)
        self._chain = Chain(len(self._keys))

    @property
    def completed(self) -> int:
        """Sub-tasks done so far in this episode."""
        return self._chain.completed

    @property
    def looks(self) -> bool:
        """Whether the next frame matters; where not, `step` may be given None."""
        if self._payment.way in FARMED:
            return True
        takes_back = self._payment.undo > 0 and len(self._undone) < len(self._keys) - self._free
        return not self._chain.finished or takes_back

    @property
    def asks_all(self) -> bool:
        """Whether it asks about sub-tasks whose turn has passed, too."""
        return self._payment.undo > 0 or self._payment.way in FARMED

    def begin(self, look: Look) -> None:
        """An episode's first frame: what is done in it is passed over without pay."""
        self._chain = Chain(len(self._keys))
        self._undone: set[int] = set()
        every = range(len(self._keys))
        first = [look(index) for index in every] if self._payment.way in ("progress", *FARMED) else [0.0 for _ in every]
        # Where nothing is known of the first frame, what comes later may have been there from the start.
        self._best = [1.0 if value is None else value for value in first]
        self._before = [_done(value) for value in first]
        self._chain.advance(lambda index: _done(look(index)))
        self._free = self._chain.completed

    def resume(self, completed: int) -> None:
        """An episode in which so many sub-tasks are done, none of them paid back.

        Of ways to pay that keep nothing else of an episode: once, remaining, potential, without `undo`.
        """
        self._chain = Chain.at(len(self._keys), completed)
        self._undone, self._free = set(), 0

    def step(self, look: Look | None, solved: bool | None = None) -> Paid:
        """The frame after an action.

        Args:
            look: None where `looks` is false and nobody drew the frame.
            solved: at a termination, whether the environment says it is solved; None at any other step.
        """
        before = self._chain.completed
        pay = getattr(self, f"_{self._payment.way}")(look, solved)
        if self._payment.undo and look is not None:
            self._take_back(look, before, pay)
        completed = [self._keys[index] for index in range(before, self._chain.completed)]
        return Paid({self._keys[index]: amount for index, amount in sorted(pay.items()) if amount}, completed)

    def _advance(self, look: Look | None) -> list[int]:
        return self._chain.advance(lambda index: _done(look(index))) if look is not None else []

    def _once(self, look: Look | None, _solved: bool | None) -> dict[int, float]:
        return {index: self._shares[index] for index in self._advance(look)}

    def _remaining(self, look: Look | None, _solved: bool | None) -> dict[int, float]:
        self._advance(look)
        return {index: self._shares[index] for index in range(self._chain.completed)}

    def _potential(self, look: Look | None, solved: bool | None) -> dict[int, float]:
        before = self._chain.completed
        self._advance(look)
        pay = {}
        for index, share in enumerate(self._shares):
            after = float(index < self._chain.completed) if solved is None else float(solved)
            pay[index] = share * (self._payment.discount * after - float(index < before))
        return pay

    def _progress(self, look: Look | None, _solved: bool | None) -> dict[int, float]:
        pay: dict[int, float] = {}

        def is_done(index: int) -> bool:
            value = (look(index) or 0.0) if look is not None else 0.0
            gained = max(0.0, value - self._best[index])
            self._best[index] += gained
            pay[index] = self._shares[index] * gained
            return value >= 1.0

        self._chain.advance(is_done)
        return pay

    def _edge(self, look: Look | None, _solved: bool | None) -> dict[int, float]:
        now = self._all(look)
        risen = [index for index, done in enumerate(now) if done and not self._before[index]]
        self._before = now
        return {index: self._shares[index] for index in risen}

    def _level(self, look: Look | None, _solved: bool | None) -> dict[int, float]:
        return {index: self._shares[index] for index, done in enumerate(self._all(look)) if done}

    def _all(self, look: Look | None) -> list[bool]:
        assert look is not None, "a reward that looks at every frame was not shown one"
        now = [_done(look(index)) for index in range(len(self._keys))]
        self._chain.advance(now.__getitem__)
        return now

    def _take_back(self, look: Look, completed: int, pay: dict[int, float]) -> None:
        """What was paid for and is undone now; a checker that fails says nothing of that."""
        for index in range(self._free, completed):
            if index not in self._undone and (value := look(index)) is not None and value < 1.0:
                self._undone.add(index)
                pay[index] = pay.get(index, 0.0) - self._payment.undo * self._shares[index]


def _done(value: float | None) -> bool:
    return value is not None and value >= 1.0
