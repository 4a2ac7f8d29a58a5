"""Sub-tasks out of order, played in the simulator: a later one before an earlier one, or one undone before the rest.

Which orders a layout allows is found by looking at its states, nearest first, so only families that can go back to a
state (`save`, `restore`, `step`) have these episodes. Where no way is found within the bound, nothing is recorded.
"""

import dataclasses
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from vlmcar_core import plugins, rollouts
from vlmcar_core.errors import NoExpert
from vlmcar_core.types import Task, Trajectory

STATES = 8_000
"""Looked at for one episode, at most."""

Truths = Mapping[str, bool]
Actions = list[int]


def possible(task: Task) -> bool:
    """Whether the task's family can go back to a state."""
    return hasattr(plugins.load("envs", task.family or ""), "restore")


def out_of_order(task: Task, seed: int, states: int = STATES) -> list[Trajectory]:
    """Every order of an expert's facts that its layout allows, two at a time; what was done stands in
    `versions["order"]`.

    Each goes on to solve the task where the family's expert still can from there.

    Raises:
        NoExpert: there is none for this environment or this layout.
    """
    expert = rollouts.record_expert(task, seed)
    first = {name: int(np.argmax(truth)) for name, truth in expert.facts.items() if truth.any() and not truth[0]}
    names = sorted(first, key=first.__getitem__)
    family = plugins.load("envs", task.family or "")
    env = family.make(task)
    try:
        env.reset(seed=seed)
        layout = _Layout(family, env, states)
        found = {
            f"“{later}” before “{earlier}”": layout.before(later, earlier)
            for earlier, later in combinations(names, 2)
            if first[earlier] < first[later]
        }
        for name in names:
            if first[name] < expert.steps:
                found[f"“{name}”, then undone"] = layout.undone(name, expert.actions[: first[name]].tolist())
    finally:
        env.close()
    return [_recorded(task, seed, order, actions) for order, actions in found.items() if actions is not None]


def _recorded(task: Task, seed: int, order: str, actions: Actions) -> Trajectory:
    episode = rollouts.record_actions(task, seed, actions, "near-miss")
    source = episode.source if episode.success is False else "adversarial"
    return dataclasses.replace(episode, source=source, versions={**episode.versions, "order": order})


class _Layout:
    """The states of a layout, from the one that its environment was just reset to."""

    def __init__(self, family: Any, env: Any, states: int) -> None:
        self._family, self._env, self._states = family, env, states
        self._first = family.save(env)

    def before(self, later: str, earlier: str) -> Actions | None:
        """To where a fact is true while another never was, and on to the end; None where no way was found."""
        self._family.restore(self._env, self._first)
        way = self._way(lambda facts: facts[later], lambda facts: facts[earlier])
        return None if way is None else [*way, *self._rest()]

    def undone(self, name: str, way: Sequence[int]) -> Actions | None:
        """That way, to where the fact has come true; on to where it is no longer; and on to the end."""
        self._family.restore(self._env, self._first)
        for action in way:
            self._family.step(self._env, action)
        back = self._way(lambda facts: not facts[name], lambda _facts: False)
        rest = [] if back is None else self._rest()
        return [*way, *back, *rest] if back is not None and rest else None

    def _rest(self) -> Actions:
        """What an expert does from the state now; nothing where it cannot solve it any more."""
        try:
            return list(self._family.expert(self._env))
        except NoExpert:
            return []

    def _way(self, wanted: Callable[[Truths], bool], barred: Callable[[Truths], bool]) -> Actions | None:
        """The shortest way from the state now to one that is wanted, through none that is barred; the environment is
        in that state then."""
        start = self._family.save(self._env)
        came: dict[Any, tuple[Any, int] | None] = {start: None}
        queue = deque([start])
        while queue and len(came) < self._states:
            state = queue.popleft()
            for action in range(self._family.ACTIONS):
                self._family.restore(self._env, state)
                _, terminated = self._family.step(self._env, action)
                facts, after = self._family.facts(self._env), self._family.save(self._env)
                if barred(facts) or after in came:
                    continue
                came[after] = (state, action)
                if wanted(facts):
                    return _back(after, came)
                if not terminated:
                    queue.append(after)
        return None


def _back(state: Any, came: Mapping[Any, tuple[Any, int] | None]) -> Actions:
    actions = []
    while (step := came[state]) is not None:
        state, action = step
        actions.append(action)
    return actions[::-1]
