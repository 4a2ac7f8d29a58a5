"""All copies of a MiniGrid environment in one set of arrays, stepped by compiled code.

Layouts are not made here: every copy keeps its reference environment, of which only `reset` runs, with the same chance
as if it were played; what that lays out is copied into the arrays. Everything after is the reference's to the last bit.
"""

import hashlib
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from minigrid.core.grid import Grid
from minigrid.core.world_object import Box, WorldObj
from minigrid.minigrid_env import MiniGridEnv
from numpy.typing import NDArray

from vlmcar_core.envs.minigrid import compiled
from vlmcar_core.envs.minigrid.observation import OneHotView
from vlmcar_core.types import Frame


class Rule(NamedTuple):
    """How an environment of minigrid's ends beside the goal and lava."""

    number: int
    target: str = ""
    """The environment's name for the object that it asks about."""


BASE = Rule(compiled.NO_RULE)
TAKE = Rule(compiled.TAKE_TARGET, "obj")

COVERED = {
    "BlockedUnlockPickupEnv": TAKE,
    "CrossingEnv": BASE,
    "DistShiftEnv": BASE,
    "DoorKeyEnv": BASE,
    "EmptyEnv": BASE,
    "FourRoomsEnv": BASE,
    "KeyCorridorEnv": TAKE,
    "LavaGapEnv": BASE,
    "LockedRoomEnv": BASE,
    "MultiRoomEnv": BASE,
    "UnlockEnv": Rule(compiled.OPEN_TARGET, "door"),
    "UnlockPickupEnv": TAKE,
}
"""Minigrid's own classes whose rules are known here; every other environment is played as it is."""

LOOKS = compiled.AGENT * 6
"""A tile shows a cell (up to 4095), whether it is lit (4096), and perhaps the agent in one of four headings (8192)."""

UNTOUCHED = ("reset", "gen_obs", "gen_obs_grid", "get_full_render", "get_frame", "_reward")
"""What a class must not have of its own."""


def rule_of(env: gym.Env[Any, Any], kind: type[MiniGridEnv]) -> Rule | None:
    """How an environment ends, or None where that is not known here.

    Args:
        env: as `make` gives it.
        kind: the class that minigrid made, before it was made quick.
    """
    rule = COVERED.get(kind.__name__) if kind.__module__.startswith("minigrid.envs.") else None
    timed = env.spec is not None and env.spec.max_episode_steps is not None
    same = all(getattr(kind, name) is getattr(MiniGridEnv, name) for name in UNTOUCHED)
    if rule is None or timed or not same or (rule is BASE and kind.step is not MiniGridEnv.step):
        return None
    return rule


class Arrays:
    """A `Simulation` (copies.py) of N copies.

    Args:
        envs: the reference environments, as `make` gives them; from now on for their layouts alone.
        rule: of all of them.
    """

    def __init__(self, envs: list[gym.Env[Any, Any]], rule: Rule) -> None:
        self._envs = envs
        self._grids = [_bare(env) for env in envs]
        self._rule = rule
        self.count = len(envs)
        grid = self._grids[0]
        self._size, self._through, self._limit = grid.agent_view_size, grid.see_through_walls, grid.max_steps
        self._picture = Picture(grid.tile_size, grid.highlight, self._size, self._through)
        self.action_space: spaces.Space[Any] = envs[0].action_space
        self.observation_space: spaces.Space[Any] = OneHotView(envs[0]).observation_space
        shape = (self.count, grid.height, grid.width)
        self._cells, self._first_cells = np.zeros(shape, np.uint16), np.zeros(shape, np.uint16)
        self._agents, self._first_agents = np.zeros((self.count, 3), np.int32), np.zeros((self.count, 3), np.int32)
        self._held, self._steps = np.zeros(self.count, np.uint16), np.zeros(self.count, np.int32)
        self._salt = self._picture.salt(grid.width)

    def reset(self, seed: int | None) -> None:
        for number, env in enumerate(self._envs):
            env.reset(seed=None if seed is None else seed + number)
            self._take(number)

    def restart(self, numbers: NDArray[np.intp]) -> None:
        for number in numbers:
            self._envs[number].reset()
            self._take(number)

    def _take(self, number: int) -> None:
        """Copy a layout that was just made into the arrays."""
        grid = self._grids[number]
        target = getattr(grid, self._rule.target) if self._rule.target else None
        cells = np.array([_cell(found, target) for found in grid.grid.grid], np.uint16)
        self._cells[number] = self._first_cells[number] = cells.reshape(grid.height, grid.width)
        self._agents[number] = self._first_agents[number] = (*grid.agent_pos, grid.agent_dir)
        self._held[number] = self._steps[number] = 0

    def step(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        chosen = np.asarray(actions, np.int64)
        if chosen.shape != (self.count,) or chosen.min() < 0 or chosen.max() > compiled.DONE:
            raise ValueError(f"expected {self.count} actions from 0 to {compiled.DONE}, not {actions!r}")
        solved, terminated, truncated = np.empty((3, self.count), np.bool_)
        compiled.step(
            *(self._cells, self._agents, self._held, self._steps, chosen, self._limit, self._rule.number),
            *(solved, terminated, truncated),
        )
        rewards = np.zeros(self.count)
        if solved.any():  # as MiniGridEnv._reward, operation by operation
            rewards[solved] = 1 - 0.9 * (self._steps[solved] / self._limit)
        return rewards, terminated, truncated

    def images(self) -> NDArray[np.uint8]:
        """The symbolic partial view of each, (N, view, view, 3)."""
        found = np.empty((self.count, self._size, self._size, 3), np.uint8)
        compiled.images(self._cells, self._agents, self._held, self._through, found)
        return found

    @property
    def directions(self) -> NDArray[np.int32]:
        """The heading of each, (N,)."""
        return self._agents[:, 2].copy()

    def observations(self) -> NDArray[np.float32]:
        found = np.zeros((self.count, self._size * self._size * compiled.PER_CELL + compiled.DIRECTIONS), np.float32)
        compiled.one_hot(self.images(), self._agents, found)
        return found

    def frame_keys(self, wanted: NDArray[np.bool_]) -> NDArray[np.uint64]:
        return self._keys()

    def _keys(self) -> NDArray[np.uint64]:
        found = np.empty((self.count, 2), np.uint64)
        compiled.keys(self._cells, self._agents, self._salt, found)
        return found

    def frame(self, number: int) -> Frame:
        return self._picture.of(self._cells[number], self._agents[number])

    def first_frame(self, number: int) -> Frame:
        return self._picture.of(self._first_cells[number], self._first_agents[number])

    def shot(self) -> "Shot":
        return Shot(self._keys(), self._picture, self._cells.copy(), self._agents.copy())

    def close(self) -> None:
        for env in self._envs:
            env.close()


class Shot(NamedTuple):
    """A `Shot` (copies.py): the arrays at a moment."""

    keys: NDArray[np.uint64]
    picture: "Picture"
    cells: NDArray[np.uint16]
    agents: NDArray[np.int32]

    def frame(self, number: int) -> Frame:
        return self.picture.of(self.cells[number], self.agents[number])


def _bare(env: gym.Env[Any, Any]) -> MiniGridEnv:
    """The environment inside, from now on without an observation at its reset, which nobody looks at."""
    grid = env.unwrapped
    assert isinstance(grid, MiniGridEnv)
    grid.__dict__["gen_obs"] = dict
    return grid


def _cell(found: WorldObj | None, target: WorldObj | None) -> int:
    if found is None:
        return compiled.EMPTY
    if isinstance(found, Box) and found.contains is not None:
        raise ValueError("a box that holds something cannot be made into arrays")
    kind, colour, state = found.encode()
    return int(kind) + 16 * int(colour) + 256 * int(state) + (compiled.TARGET if found is target else 0)


class Picture:
    """Full frames from cells: MiniGrid's own tiles, each painted once, put side by side."""

    def __init__(self, tile_size: int, highlight: bool, view: int, through: bool) -> None:
        self._tile_size, self._highlight, self._view, self._through = tile_size, highlight, view, through
        self._numbers = np.full(LOOKS, -1, np.int32)
        """From what a tile shows to its place among those painted; -1 where it was not yet."""
        self._tiles = np.zeros((0, tile_size, tile_size * 3), np.uint8)

    def salt(self, width: int) -> NDArray[np.uint64]:
        """What a frame's key begins with: all that shapes frames beside cells and agent."""
        shown = f"{self._tile_size} {self._highlight} {self._view} {self._through} {width}"
        return np.frombuffer(hashlib.sha256(shown.encode()).digest()[:16], np.uint64)

    def of(self, cells: NDArray[np.uint16], agent: NDArray[np.int32]) -> Frame:
        """RGB uint8 (height * tile, width * tile, 3).

        Args:
            cells: (height, width).
            agent: x, y and direction.
        """
        height, width = cells.shape
        if self._highlight:
            lit = compiled.lit(cells, agent, self._view, self._through)
        else:
            lit = np.zeros((height, width), np.bool_)
        side = self._tile_size
        frame = np.empty((height * side, width * side * 3), np.uint8)
        while (missing := compiled.draw(cells, agent, lit, self._numbers, self._tiles, frame)) >= 0:
            self._numbers[missing] = len(self._tiles)
            self._tiles = np.concatenate([self._tiles, self._painted(missing).reshape(1, side, side * 3)])
        return frame.reshape(height * side, width * side, 3)

    def _painted(self, tile: int) -> NDArray[np.uint8]:
        found = WorldObj.decode(tile & 15, (tile >> 4) & 15, (tile >> 8) & 15)
        agent = tile // compiled.AGENT
        drawn = Grid.render_tile(
            found,
            agent_dir=agent - 1 if agent else None,
            highlight=bool(tile & compiled.LIT),
            tile_size=self._tile_size,
        )
        return np.asarray(drawn, np.uint8)
