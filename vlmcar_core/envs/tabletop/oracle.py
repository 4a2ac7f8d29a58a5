"""The scripted oracle: what a task says is to be done next, done in a twin, and replayed."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vlmcar_core.envs.tabletop.goals import Move
from vlmcar_core.envs.tabletop.simulation import STRIDE, Tabletop, action_of
from vlmcar_core.errors import NoExpert

CARRY_HEIGHT = 0.12
"""Metres; over everything that stands on the table in the tasks that steps can solve."""
TOP_CLEAR = 0.004
NEAR = 0.004


def plan(env: Tabletop) -> list[NDArray[np.float32]]:
    """Actions from the state that `env` was last reset to, to success; it is not touched.

    Raises:
        NoExpert: the oracle did not get there within the limit.
    """
    twin = env.twin()
    taken: list[NDArray[np.float32]] = []
    for action in _steps(twin) if env.stepping else _moves(twin):
        taken.append(action)
        _, _, terminated, truncated, _ = twin.step(action)
        if terminated:
            return taken
        if truncated:
            break
    raise NoExpert(
        f"{env.name}, seed {env.seed}: the oracle got to a score of {twin.score:.2f} in {len(taken)} actions"
    )


def _moves(env: Tabletop) -> Iterator[NDArray[np.float32]]:
    assert env.goal is not None
    while (move := env.goal.next_move()) is not None:
        yield action_of(move)


def _steps(env: Tabletop) -> Iterator[NDArray[np.float32]]:
    """Each move of the oracle as steps of the tool: over the thing, down, suck, up, over the place, down, let go."""
    assert env.goal is not None
    while (move := env.goal.next_move()) is not None:
        yield from one(env, move)


def one(env: Tabletop, move: Move) -> Iterator[NDArray[np.float32]]:
    """One move as steps of the tool; each has to be taken before the next is asked for."""
    yield from _go(env, (*move.pick, CARRY_HEIGHT), False)
    top = _top(env, move)
    yield from _go(env, (*move.pick, top + TOP_CLEAR), False)
    yield np.array([0, 0, 0, 1], np.float32)
    yield from _go(env, (*move.pick, CARRY_HEIGHT), True)
    yield from _go(env, (*move.place, CARRY_HEIGHT), True)
    yield from _go(env, (*move.place, top + 0.012), True)
    for _ in range(3):
        yield np.array([0, 0, 0, -1], np.float32)


def _top(env: Tabletop, move: Move) -> float:
    """The height of the thing that is to be picked, metres."""
    assert env.goal is not None
    things = env.goal.wanted + ([env.extra] if env.extra is not None else [])
    thing = min(things, key=lambda one: float(np.linalg.norm(env.world.place(one.body)[:2] - move.pick)))
    return float(env.world.place(thing.body)[2] + thing.half[2])


def _go(env: Tabletop, to: tuple[float, ...], suck: bool) -> Iterator[NDArray[np.float32]]:
    target = np.array(to)
    for _ in range(60):
        way = (target - env.world.tool) / STRIDE
        if np.abs(way).max() * STRIDE < NEAR:
            return
        yield np.append(np.clip(way, -1, 1), 1.0 if suck else -1.0).astype(np.float32)
