"""Every state that a layout can reach, and what the checkers say of it: what could be paid and should not be?

Exhaustive where the environment family can go back to a state (`save`, `restore` and `ACTIONS`, as MiniGrid's can) and
the layout is small. What it shows holds for this layout, without its time limit, and for checkers that are functions of
two frames: no more.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vlmcar_core import plugins
from vlmcar_core.errors import BadInput, Cancelled
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.types import GOAL, Frame, Proposal, Task

BATCH = 256
WHOLE = "the whole"

Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Find:
    """A way to be paid for nothing."""

    key: str
    """The checker that is fooled; `WHOLE` where everything is called done, and it is never solved."""

    actions: tuple[int, ...]
    """From the layout's first state; no shorter way leads to such a state."""

    reason: str


@dataclass(frozen=True)
class Searched:
    """What was looked at, and what was found."""

    states: int
    complete: bool
    """Nothing that can be reached was left out."""

    finds: tuple[Find, ...]
    compared: tuple[str, ...]
    """The checkers that were held to a fact."""

    stopped: bool = False
    """Somebody stopped it."""

    def told(self, seed: int) -> str:
        """What is shown, exactly as far as it holds."""
        extent = f"all {self.states:,} states" if self.complete else f"the first {self.states:,} states, nearest first,"
        said = f"{extent} that the layout of seed {seed} can reach were looked at, without its time limit: "
        fooled = [find.key for find in self.finds]
        if fooled:
            return f"{said}fooled are {', '.join(fooled)}"
        checkers = f"none of the checkers {', '.join(self.compared)}" if self.compared else "no checker"
        none = "no way through them completes everything unsolved"
        return f"{said}{none}, and {checkers} is done before its fact is true"


@dataclass
class _Graph:
    """States by number, nearest first."""

    parents: list[tuple[int, int]] = field(default_factory=list)
    """The state before it and the action; (-1, -1) of the first."""

    ways: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """From a state: (action, the state after it), but for those that solve it; none from where an episode ends."""

    facts: list[dict[str, bool]] = field(default_factory=list)
    done: list[dict[str, bool]] = field(default_factory=list)
    """By checker key."""

    complete: bool = True
    stopped: bool = False


def reachable(
    task: Task, proposal: Proposal, facts: Mapping[str, str | None], limit: int, told: Told = lambda _done, _all: None
) -> Searched:
    """Look at every state, or the nearest ones, of the layout of the task's seed.

    Args:
        task: of a family that can go back to a state.
        proposal: whose checkers are asked; none may be a program in the released style.
        facts: by checker key, the simulator's fact that it is about; what is not there, or None, is not compared.
        limit: states at most.
        told: (states looked at, at most). Where it raises `Cancelled`, what was looked at until then is the answer.

    Raises:
        BadInput: the family cannot go back, or a checker is a program that has to see frames in order.
    """
    programs = [step.key for step in proposal.steps if step.checker.in_order]
    if programs:
        raise BadInput(
            f"{', '.join(programs)} must be shown whole episodes in order, so states alone say nothing of it"
        )
    family = plugins.load("envs", task.family or "")
    if not hasattr(family, "restore"):
        raise BadInput(f"{family.TITLE} cannot go back to a state; only MiniGrid's layouts can be searched like this")
    graph = _explored(family, task, proposal, limit, told)
    compared = {key: fact for key, fact in facts.items() if fact is not None and fact in graph.facts[0]}
    whole = _whole(graph, [step.key for step in proposal.subtasks])
    fooled = (_fooled(graph, key, fact) for key, fact in compared.items())
    finds = [find for find in (whole, *fooled) if find is not None]
    return Searched(len(graph.parents), graph.complete, tuple(finds), tuple(compared), graph.stopped)


def _explored(family: Any, task: Task, proposal: Proposal, limit: int, told: Told) -> _Graph:
    env = family.make(task)
    try:
        env.reset(seed=task.seed)
        with CheckerProcess([step.checker for step in proposal.steps]) as process:
            return _Exploration(family, env, proposal, process, limit, told).graph()
    finally:
        env.close()


class _Exploration:
    """Breadth first from the state that an environment was just reset to."""

    def __init__(
        self, family: Any, env: Any, proposal: Proposal, process: CheckerProcess, limit: int, told: Told
    ) -> None:
        self._family, self._env, self._proposal, self._process = family, env, proposal, process
        self._limit, self._told = limit, told
        self._graph = _Graph()
        self._numbers: dict[Any, int] = {}
        self._frames: list[Frame] = []
        self._known: dict[bytes, dict[str, bool]] = {}

    def graph(self) -> _Graph:
        first = self._family.save(self._env)
        self._met(first, (-1, -1))
        self._initial = self._frames[0]
        try:
            self._explore(first)
        except Cancelled:
            if not self._graph.done:
                raise
            self._graph.stopped, self._graph.complete = True, False
            self._cut()
        return self._graph

    def _explore(self, first: Any) -> None:
        queue = deque([first])
        while queue:
            state = queue.popleft()
            queue += self._step_from(state)
            if len(self._frames) >= BATCH:
                self._ask()
        self._ask()

    def _cut(self) -> None:
        """Forget the states that no checker was asked about."""
        asked = len(self._graph.done)
        del self._graph.parents[asked:], self._graph.facts[asked:]
        ways = self._graph.ways.items()
        self._graph.ways = {here: [way for way in to if way[1] < asked] for here, to in ways if here < asked}

    def _step_from(self, state: Any) -> list[Any]:
        """Take every action; the new states from which it goes on."""
        here, new = self._numbers[state], []
        ways = self._graph.ways.setdefault(here, [])
        for action in range(self._family.ACTIONS):
            self._family.restore(self._env, state)
            reward, terminated = self._family.step(self._env, action)
            if self._family.succeeded(np.array([reward]), terminated):
                continue
            after = self._family.save(self._env)
            if after not in self._numbers:
                if len(self._numbers) >= self._limit:
                    self._graph.complete = False
                    continue
                self._met(after, (here, action))
                new += [] if terminated else [after]
            ways.append((action, self._numbers[after]))
        return new

    def _met(self, state: Any, way: tuple[int, int]) -> None:
        """A state for the first time: it is the environment's now."""
        self._numbers[state] = len(self._numbers)
        self._graph.parents.append(way)
        self._graph.facts.append(self._family.facts(self._env))
        self._frames.append(np.array(self._family.scene(self._env)))

    def _ask(self) -> None:
        """What the checkers say of the frames since the last time; a picture is asked about once."""
        digests = [hashlib.sha1(frame.data, usedforsecurity=False).digest() for frame in self._frames]
        new = {digest: frame for digest, frame in zip(digests, self._frames, strict=True) if digest not in self._known}
        if new:
            pictures = np.stack(list(new.values()))
            keys = [step.key for step in self._proposal.steps]
            said = [self._process.run(key, self._initial, pictures) for key in keys]
            for place, digest in enumerate(new):
                self._known[digest] = {key: said[number][place].done for number, key in enumerate(keys)}
        self._graph.done += [self._known[digest] for digest in digests]
        self._frames = []
        self._told(len(self._graph.done), self._limit)


def _whole(graph: _Graph, keys: Sequence[str]) -> Find | None:
    """The shortest way on which every sub-task is done in order and then the goal, though it is never solved."""

    def advanced(completed: int, state: int) -> int:
        while completed < len(keys) and graph.done[state][keys[completed]]:
            completed += 1
        return completed

    start = (0, advanced(0, 0))
    before: dict[tuple[int, int], tuple[tuple[int, int], int] | None] = {start: None}
    queue = deque([start])
    while queue:
        state, completed = node = queue.popleft()
        if state and completed == len(keys) and graph.done[state][GOAL]:
            actions = _back(node, before)
            return Find(WHOLE, actions, f"everything is called done after {len(actions)} actions, and it is not solved")
        for action, after in graph.ways.get(state, ()):
            following = (after, advanced(completed, after))
            if following not in before:
                before[following] = (node, action)
                queue.append(following)
    return None


def _fooled(graph: _Graph, key: str, fact: str) -> Find | None:
    """The shortest way on which a checker is done before its fact was ever true."""
    if graph.done[0][key] or graph.facts[0][fact]:
        return None
    before: dict[int, tuple[int, int] | None] = {0: None}
    queue = deque([0])
    while queue:
        state = queue.popleft()
        if graph.done[state][key]:
            actions = _back(state, before)
            return Find(key, actions, f"{key} is called done after {len(actions)} actions, and “{fact}” was never true")
        for action, after in graph.ways.get(state, ()):
            if after not in before and not graph.facts[after][fact]:
                before[after] = (state, action)
                queue.append(after)
    return None


def _back(node: Any, before: Mapping[Any, tuple[Any, int] | None]) -> tuple[int, ...]:
    """The actions that lead to a node."""
    actions = []
    while (way := before[node]) is not None:
        node, action = way
        actions.append(action)
    return tuple(reversed(actions))
