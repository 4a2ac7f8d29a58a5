"""Attacks by search: episodes that the checkers pay for and should not, in any environment.

Random shooting, the cross-entropy method over open-loop actions, and a policy trained on the checkers' pay alone. What
is paid is what training pays (`CheckerReward`); the environment's own word and the simulator's facts say whether it
should have been. Finding nothing proves nothing: `reachable` is what can prove something, where it applies.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from vlmcar_core import plugins
from vlmcar_core.envs import solved
from vlmcar_core.episodes import EpisodeRecord
from vlmcar_core.errors import BadInput, Cancelled
from vlmcar_core.lab.reachable import WHOLE
from vlmcar_core.lab.truth import EARLY
from vlmcar_core.policies import alone
from vlmcar_core.reward import CheckerReward, Judge, digest
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.training import Training
from vlmcar_core.types import Count, Proposal, Task
from vlmcar_core.verdicts import interval

Kind = Literal["shooting", "cem", "ppo"]
KINDS: tuple[Kind, ...] = get_args(Kind)

HOLD_MAX = 16
"""A random action is held for so many steps at most: an arm that is pulled about at random stays where it is."""

POPULATION, ELITE, SMOOTHING = 50, 5, 0.7
"""Of the cross-entropy method (de Boer, Kroese, Mannor and Rubinstein 2005, sections 2 and 4): episodes in a round, the
best tenth of them, and how far the law moves towards these."""

DEVIATION_MIN = 0.05
"""Of the law of a continuous action, in half ranges: a law that has become a point finds nothing more."""

POLICY_EPISODES = 50
"""Of a trained policy, to count how often it is paid for nothing."""

Told = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Played:
    """One episode, and what the checkers paid for it."""

    seed: int
    actions: tuple[Any, ...]
    paid: float
    """The learned return, in [0, 1]."""

    success: bool
    whole: int | None
    """The step after which every sub-task was done in order, and the goal is called done; None if that never was."""

    early: Mapping[str, int]
    """By checker key, the step that was paid although its fact had not been true."""


@dataclass(frozen=True, eq=False)
class Find:
    """A way to be paid for nothing."""

    key: str
    """The checker that is fooled; `WHOLE` where everything is called done, and it is never solved."""

    seed: int
    actions: tuple[Any, ...]
    """Up to the step that shows it; the whole episode where that is never solved."""

    reason: str


@dataclass
class Hunted:
    """What was played, and what was found."""

    kind: Kind
    extent: str
    """Which episodes, in words."""

    compared: tuple[str, ...]
    """The checkers that were held to a fact."""

    hacks: int = 0
    episodes: int = 0
    """Those that count: for "ppo" only the trained policy's."""

    best: float = 0.0
    """The highest learned return of an episode that was never solved, in [0, 1]."""

    finds: dict[str, Find] = field(default_factory=dict)
    """By key, the shortest."""

    stopped: bool = False
    """Somebody stopped it."""

    def add(self, played: Played, counted: bool = True) -> None:
        hack = played.whole is not None and not played.success
        self.episodes += counted
        self.hacks += counted and hack
        self.best = max(self.best, 0.0 if played.success else played.paid)
        if hack:
            reason = f"everything is called done after {played.whole} actions, and it is never solved"
            self._keep(Find(WHOLE, played.seed, played.actions, reason))
        for key, step in played.early.items():
            reason = f"{key} is paid after {step} actions, before its fact is true"
            self._keep(Find(key, played.seed, played.actions[: step + EARLY], reason))

    def _keep(self, find: Find) -> None:
        before = self.finds.get(find.key)
        if before is None or len(find.actions) < len(before.actions):
            self.finds[find.key] = find

    @property
    def rate(self) -> Count:
        """Episodes in which everything is called done although they are never solved, among all that count."""
        return Count(self.hacks, self.episodes)

    def told(self, expert: float | None) -> str:
        """What is shown, exactly as far as it holds.

        Args:
            expert: the mean learned return of the session's experts, in [0, 1]; None where there are none.
        """
        low, high = interval(self.rate)
        said = (
            f"{self.extent}: everything is called done, and it is never solved, in {self.hacks} of {self.episodes} "
            f"({100 * low:.1f} to {100 * high:.1f} %); the best that is never solved is paid {self.best:.2f} of 1"
        )
        said += f", {self.best / expert:.2f} times what an expert is" if expert else ""
        if self.finds:
            return f"{said}. Fooled: {', '.join(self.finds)}"
        rest = "other actions, other layouts or a longer search may still find one"
        held = f"None of {', '.join(self.compared)} is paid before its fact is true; {rest}" if self.compared else ""
        return f"{said}. {held or rest.capitalize()}"


def hunt(
    kind: Kind,
    task: Task,
    proposal: Proposal,
    facts: Mapping[str, str | None],
    budget: int,
    steps: int,
    layouts: int = 10,
    settings: Mapping[str, Any] | None = None,
    told: Told = lambda _done, _all: None,
) -> Hunted:
    """Search for episodes that are paid and should not be.

    Args:
        kind: shooting: random actions, held for a while each; cem: the cross-entropy method, on the first layout; ppo:
            a policy trained on the checkers' pay.
        task: with a family.
        proposal: whose checkers pay.
        facts: by checker key, the simulator's fact that it is about; what is not there, or None, is not compared.
        budget: episodes; for "ppo" steps of training.
        steps: of an episode at most.
        layouts: seeds from the task's on, for "shooting" and "ppo".
        settings: of PPO.
        told: (done, of the budget). Where it raises `Cancelled`, what was found until then is the answer.

    Raises:
        BadInput: "cem" or "ppo" cannot choose such actions.
        CheckerDisabled: a checker had to be ended three times.
        SandboxError: our own machinery failed.
    """
    family = plugins.load("envs", task.family or "")
    seeds = range(task.seed, task.seed + (1 if kind == "cem" else layouts))
    keys = [step.key for step in proposal.paid]
    compared = {key: fact for key in keys if (fact := facts.get(key)) is not None}
    hunted = Hunted(kind, _extent(kind, budget, steps, seeds), tuple(compared))
    judge = Judge(CheckerProcess([step.checker for step in proposal.steps]), stop_when_disabled=True)

    def player(add: Callable[[Played], None]) -> Player:
        return Player(family, task, proposal, judge, compared, steps, add)

    try:
        if kind == "ppo":
            _ppo(family, player, hunted, seeds, budget, settings or {}, told)
        else:
            with player(hunted.add) as one:
                (_cem if kind == "cem" else _shooting)(one, seeds, budget, told)
    except Cancelled:
        hunted.stopped = True
    finally:
        judge.close()
    return hunted


def _extent(kind: Kind, budget: int, steps: int, seeds: range) -> str:
    where = f"the layout of seed {seeds[0]}" if len(seeds) == 1 else f"the layouts of seeds {seeds[0]} to {seeds[-1]}"
    how = {
        "shooting": f"episodes of at most {steps} random actions, held for 1 to {HOLD_MAX} steps each, on {where}",
        "cem": f"episodes of at most {steps} actions chosen by the cross-entropy method on {where}",
        "ppo": f"episodes of at most {steps} actions by a policy that PPO trained for {budget:,} steps on the "
        f"checkers' pay alone, on {where}",
    }
    return how[kind]


class Player(gym.Wrapper[Any, Any, Any, Any]):
    """Plays episodes on known seeds, and tells each with what the checkers paid for it.

    Every episode can be played again: the seeds are its own, whatever `reset` is given.
    """

    def __init__(
        self,
        family: ModuleType,
        task: Task,
        proposal: Proposal,
        judge: Judge,
        facts: Mapping[str, str],
        steps: int,
        add: Callable[[Played], None],
        seeds: Iterator[int] | None = None,
    ) -> None:
        self._made = family.make(task)
        super().__init__(CheckerReward(self._made, proposal, judge, env_reward=False, scene=family.scene))
        self._family, self._judge, self._facts, self.steps, self._add = family, judge, facts, steps, add
        self._goal = proposal.goal.checker if proposal.subtasks else None
        self._stream = judge.stream()
        self.seeds = seeds

    def play(self, seed: int, actions: Iterator[Any] | Sequence[Any]) -> Played:
        """One episode; there are as many actions as it may have steps."""
        self.seeds = iter([seed])
        self.reset()
        for action in actions:
            _, _, terminated, truncated, _ = self.step(action)
            if terminated or truncated:
                break
        return self._last

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        assert self.seeds is not None, "a player is given its seeds before it plays"
        self._seed = next(self.seeds)
        found = self.env.reset(seed=self._seed, options=options)
        self._actions: list[Any] = []
        self._rewards: list[float] = []
        self._whole: int | None = None
        self._paid, self._paid_at = 0.0, dict[str, int]()
        self._true_at = {name: 0 for name, true in self._family.facts(self._made).items() if true}
        self._initial = np.array(self._family.scene(self._made)) if self._goal is not None else None
        self._called_done(begins=True)
        return found

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._actions.append(np.array(action).copy() if isinstance(action, np.ndarray) else action)
        self._note(info["vlmcar"])
        truncated = truncated or len(self._actions) >= self.steps
        if terminated or truncated:
            self._last = self._played(terminated)
            self._add(self._last)
        return observation, reward, terminated, truncated, info

    def _note(self, paid: Mapping[str, Any]) -> None:
        now = len(self._actions)
        self._rewards.append(paid["env_reward"])
        self._paid += paid["reward"]
        self._paid_at |= dict.fromkeys(paid["now"], now)
        for name, true in self._family.facts(self._made).items():
            if true:
                self._true_at.setdefault(name, now)
        finished = paid["completed"] == paid["total"]
        if self._whole is None and self._called_done(finished=finished) and finished:
            self._whole = now

    def _called_done(self, begins: bool = False, finished: bool = False) -> bool:
        """Whether the goal is called done now; asked only where it matters, or where it has to see every frame."""
        if self._goal is None or self._initial is None:
            return True
        if not finished and not self._goal.in_order:
            return False
        frame = np.asarray(self._family.scene(self._made))
        if self._goal.in_order:
            return self._judge.follow(self._goal, self._initial, frame, self._stream, begins).done
        return self._judge.ask(self._goal, self._initial, digest(self._initial), frame, digest(frame)).done

    def _played(self, terminated: bool) -> Played:
        early = {}
        for key, step in self._paid_at.items():
            true_at = self._true_at.get(self._facts[key]) if key in self._facts else 0
            # An episode that ends with the pay does not show whether the fact would have come.
            known = step + EARLY <= len(self._actions) or terminated
            if known and (true_at is None or true_at > step + EARLY):
                early[key] = step
        success = solved(self._family, self._made)(np.array(self._rewards), terminated)
        return Played(self._seed, tuple(self._actions), self._paid, success, self._whole, early)


def _shooting(player: Player, seeds: range, budget: int, told: Told) -> None:
    for number in range(budget):
        told(number, budget)
        chance = np.random.default_rng((seeds[0], number))
        player.action_space.seed(int(chance.integers(2**31)))
        hold = int(2 ** chance.integers(HOLD_MAX.bit_length()))
        player.play(seeds[number % len(seeds)], _held(player.action_space, hold, player.steps))


def _held(space: gym.Space[Any], hold: int, steps: int) -> Iterator[Any]:
    action = space.sample()
    for step in range(steps):
        action = space.sample() if step % hold == 0 else action
        yield action


def _cem(player: Player, seeds: range, budget: int, told: Told) -> None:
    """Maximise the learned return of episodes that are not solved, first of all those that are called done."""
    chance = np.random.default_rng(seeds[0])
    law = _law(player.action_space, player.steps)
    rounds = max(1, budget // POPULATION)
    for number in range(rounds):
        tried, scores = [], []
        for place in range(POPULATION):
            told(number * POPULATION + place, rounds * POPULATION)
            actions = law.drawn(chance)
            played = player.play(seeds[0], law.taken(actions))
            tried.append(actions)
            scores.append(-1.0 if played.success else played.paid + (played.whole is not None))
        if max(scores) > min(scores):
            best = np.argsort(scores, kind="stable")[-ELITE:]
            law.move(np.stack([tried[place] for place in best]))


class _Categorical:
    """For each step, how likely each of n actions is."""

    def __init__(self, space: gym.spaces.Discrete, steps: int) -> None:
        self._start = int(space.start)
        self._shares = np.full((steps, int(space.n)), 1.0 / int(space.n))

    def drawn(self, chance: np.random.Generator) -> NDArray[Any]:
        """Numbers from 0, shape (T,)."""
        below = np.cumsum(self._shares, axis=1) < chance.random((len(self._shares), 1))
        found: NDArray[Any] = np.minimum(below.sum(axis=1), self._shares.shape[1] - 1)
        return found

    def taken(self, drawn: NDArray[Any]) -> list[Any]:
        return [int(number) + self._start for number in drawn]

    def move(self, elite: NDArray[Any]) -> None:
        found = np.stack([(elite == number).mean(axis=0) for number in range(self._shares.shape[1])], axis=1)
        self._shares += SMOOTHING * (found - self._shares)


class _Normal:
    """For each step, mean and deviation of each part of an action, in half ranges around the middle."""

    def __init__(self, space: gym.spaces.Box, steps: int) -> None:
        self._space = space
        self._mean = np.zeros((steps, *space.shape))
        self._deviation = np.ones_like(self._mean)

    def drawn(self, chance: np.random.Generator) -> NDArray[Any]:
        """From -1 to 1, shape (T, A)."""
        found: NDArray[Any] = np.clip(chance.normal(self._mean, self._deviation), -1.0, 1.0)
        return found

    def taken(self, drawn: NDArray[Any]) -> list[Any]:
        low, high = self._space.low.astype(np.float64), self._space.high.astype(np.float64)
        return list((low + (drawn + 1.0) / 2.0 * (high - low)).astype(self._space.dtype))

    def move(self, elite: NDArray[Any]) -> None:
        self._mean += SMOOTHING * (elite.mean(axis=0) - self._mean)
        self._deviation += SMOOTHING * (np.maximum(elite.std(axis=0), DEVIATION_MIN) - self._deviation)


def _law(space: gym.Space[Any], steps: int) -> _Categorical | _Normal:
    if isinstance(space, gym.spaces.Discrete):
        return _Categorical(space, steps)
    if isinstance(space, gym.spaces.Box) and space.is_bounded():
        return _Normal(space, steps)
    raise BadInput(
        f"the cross-entropy method draws discrete actions, or continuous ones within bounds, not {space}; use shooting"
    )


def _ppo(
    family: ModuleType,
    player: Callable[[Callable[[Played], None]], Player],
    hunted: Hunted,
    seeds: range,
    budget: int,
    settings: Mapping[str, Any],
    told: Told,
) -> None:
    """Train on the checkers' pay alone, then play; what was found on the way is kept, too."""
    trainer = plugins.load("trainers", "ppo")
    rest = _cycle(seeds)

    def make_env(_view: str) -> gym.Env[Any, Any]:
        one = player(lambda played: hunted.add(played, counted=False))
        one.seeds = rest
        return EpisodeRecord(family.policy_view(one), solved(family, one))

    with tempfile.TemporaryDirectory(prefix="vlmcar-attack-") as folder:
        path = Path(folder) / "model.zip"
        asked = Training(make_env, budget, 0, path, settings, tick=lambda steps: told(min(steps, budget), budget))
        trainer.learn(asked)
        act = trainer.load(path)
    one = player(hunted.add)
    one.seeds = _cycle(seeds)
    with family.policy_view(one) as view:
        for _ in range(POLICY_EPISODES):
            observation, over, answer = view.reset()[0], False, alone(act)
            while not over:
                observation, _, terminated, truncated, _ = view.step(answer(observation))
                over = terminated or truncated


def _cycle(seeds: range) -> Iterator[int]:
    while True:
        yield from seeds
