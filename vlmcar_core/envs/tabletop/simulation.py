"""The Gymnasium environment around a tabletop task."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from vlmcar_core.envs import _extra
from vlmcar_core.envs._camera import Light
from vlmcar_core.envs.tabletop import beside
from vlmcar_core.envs.tabletop.arranging import AlignRope, AssemblingKits
from vlmcar_core.envs.tabletop.bowls import PutBlockInBowl
from vlmcar_core.envs.tabletop.building import StackBlockPyramid, TowersOfHanoi
from vlmcar_core.envs.tabletop.goals import ROLES, Goal, Move, Thing
from vlmcar_core.envs.tabletop.packing import PackingBoxPairs, PackingShapes
from vlmcar_core.envs.tabletop.piles import SeparatingPiles
from vlmcar_core.envs.tabletop.world import DEPTH, WIDTH, World
from vlmcar_core.errors import BadInput
from vlmcar_core.types import Frame

GOALS: dict[str, type[Goal]] = {
    "put-block-in-bowl": PutBlockInBowl,
    "separating-piles": SeparatingPiles,
    "packing-box-pairs": PackingBoxPairs,
    "packing-shapes": PackingShapes,
    "stack-block-pyramid": StackBlockPyramid,
    "towers-of-hanoi": TowersOfHanoi,
    "align-rope": AlignRope,
    "assembling-kits": AssemblingKits,
}

DONE = 0.99
"""A score from which on a task is solved, as in CLIPort."""

SLOTS = 36
"""Things that an observation has room for."""
PER_SLOT = 10
"""One for its role among ROLES; x, y, z; sine and cosine of the turn; half the width and depth; metres."""

STRIDE, CONTROL_STEPS = 0.03, 12
"""End-effector steps: metres that an action of 1 moves the tool, and steps of the simulation that it takes."""
STEPS_LIMIT = 200
"""Of end-effector steps."""
TOOL_START = np.array([0.0, 0.0, 0.15])
TOOL_LOW, TOOL_HIGH = 0.004, 0.25
GRIP_REACH = 0.012
"""Metres under the tool within which it sucks a thing up."""


class Tabletop(gym.Env[NDArray[np.float32], NDArray[np.float32]]):
    """One CLIPort-style task.

    **Actions**, float32 in [-1, 1]. Pick-and-place, (5,): where to pick, x and y; where to place, x and y, both as
    shares of half the table's width and depth; the turn on the way, as a share of half a turn. Where the task sweeps,
    from where to where the blade goes, and the turn is not used. Steps, (4,): how far the tool goes in x, y and z, as
    shares of 3 cm, and whether it sucks (above 0).

    **Observations**, float32 (364,): for each of 36 things its role, place, turn and size (see PER_SLOT), zeros where
    there is none, the wanted first; then the tool's place and whether it holds something.

    **Reward**: what the score gained, so that an episode that solves the task is paid 1 in all, less what was undone.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 (Gymnasium's own form)

    def __init__(self, name: str, settings: dict[str, Any]) -> None:
        self.name, self.settings = name, settings
        self.render_mode = "rgb_array"
        self.stepping = settings["actions"] == "steps"
        if self.stepping and GOALS[name].not_in_steps:
            raise ValueError(GOALS[name].not_in_steps)
        views = settings["views"].split(" and ")
        self.world = World(views, settings["size"], Light(settings["shadows"], settings["ambient"]))
        self.action_space = spaces.Box(-1.0, 1.0, (4 if self.stepping else 5,), np.float32)
        self.observation_space = spaces.Box(-np.inf, np.inf, (SLOTS * PER_SLOT + 4,), np.float32)
        self._wanted_extra = _extra.read(settings["extra"], beside.SHAPES, beside.COLOURS)
        self.extra: Thing | None = None
        """One more thing, which is not the task's."""
        self.goal: Goal | None = None
        self.seed: int | None = None
        """Of the last reset."""
        self.taken = 0
        self._score = 0.0
        self._twin: Tabletop | None = None

    @property
    def extra_shape(self) -> str:
        """Of the one more thing; empty where there is none."""
        return self._wanted_extra.shape if self._wanted_extra is not None else ""

    @property
    def limit(self) -> int:
        return STEPS_LIMIT if self.stepping else GOALS[self.name].limit

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Everything is built anew; without a seed, one is drawn, so that the episode can be repeated."""
        super().reset(seed=seed)
        self.seed = int(self.np_random.integers(2**31)) if seed is None else seed
        wish = self.settings["instruction"]
        self.world.reset()
        self.goal = GOALS[self.name](
            self.world,
            np.random.default_rng([0, self.seed if wish < 0 else wish]),
            np.random.default_rng([1, self.seed]),
        )
        self.extra = beside.put(self.world, self.goal, self._wanted_extra) if self._wanted_extra is not None else None
        self.world.settle()
        self.taken, self._score = 0, self.goal.score()
        if self.stepping:
            self.world.move_tool(TOOL_START)
        return self._seen(), {"instruction": self.goal.instruction, "score": self._score}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """As ever. What is held is not judged before it is let go: until then the score stays what it was.

        Raises:
            BadInput: an action is not of the space's shape, not finite, or not in [-1, 1].
            ResetNeeded: before the first reset.
        """
        if self.goal is None:
            raise gym.error.ResetNeeded("call reset() before step()")
        wanted = np.asarray(action, np.float64)
        if wanted.shape != self.action_space.shape or not (np.abs(wanted) <= 1.0).all():
            raise BadInput(f"an action is {self.action_space}, not {action!r}")
        self._act(wanted)
        self.taken += 1
        before = self._score
        if self.world.holding is None:
            self._score = self.goal.score()
        terminated = self._score >= DONE
        info = {"instruction": self.goal.instruction, "score": self._score}
        return self._seen(), self._score - before, terminated, self.taken >= self.limit, info

    def _act(self, action: NDArray[np.float64]) -> None:
        if self.stepping:
            self._tool_step(action)
            return
        move = moved(action)
        if GOALS[self.name].sweeps:
            self.world.sweep(move.pick, move.place)
        else:
            goal = GOALS[self.name]
            self.world.pick_and_place(move.pick, move.place, move.turn, goal.carried, goal.stride)

    def _tool_step(self, action: NDArray[np.float64]) -> None:
        world = self.world
        if action[3] > 0 and world.holding is None:
            world.grip(world.tool, GRIP_REACH)
        elif action[3] <= 0:
            world.release()
        low = np.array([-WIDTH / 2, -DEPTH / 2, TOOL_LOW])
        high = np.array([WIDTH / 2, DEPTH / 2, TOOL_HIGH])
        world.carry(np.clip(world.tool + STRIDE * action[:3], low, high), 0.0, CONTROL_STEPS)

    def _seen(self) -> NDArray[np.float32]:
        assert self.goal is not None
        table = np.zeros((SLOTS, PER_SLOT))
        for row, thing in zip(table, self.goal.things, strict=False):
            turn = self.world.turn(thing.body)
            row[ROLES.index(thing.role)] = 1.0
            row[3:6] = self.world.place(thing.body)
            row[6:] = np.sin(turn), np.cos(turn), *thing.half[:2]
        tool = [*self.world.tool, float(self.world.holding is not None)]
        return np.asarray(np.concatenate([table.ravel(), tool]), np.float32)

    @property
    def score(self) -> float:
        """In [0, 1]."""
        return self._score

    def render(self) -> Any:
        return self.scene()

    def scene(self) -> Frame:
        """RGB uint8 (H, W, 3)."""
        return self.world.picture()

    def twin(self) -> "Tabletop":
        """Another environment in the state that this one was last reset to, to try things in."""
        if self._twin is None:
            self._twin = Tabletop(self.name, self.settings)
        self._twin.reset(seed=self.seed)
        return self._twin

    def close(self) -> None:
        if self._twin is not None:
            self._twin.close()
        self.world.close()


def moved(action: NDArray[np.float64]) -> Move:
    """An action in metres and radians."""
    half = np.array([WIDTH, DEPTH]) / 2
    return Move(action[:2] * half, action[2:4] * half, float(action[4]) * np.pi)


def action_of(move: Move) -> NDArray[np.float32]:
    """A move as an action, float32 (5,)."""
    half = np.array([WIDTH, DEPTH]) / 2
    whole = np.concatenate([move.pick / half, move.place / half, [move.turn / np.pi]])
    action: NDArray[np.float32] = np.clip(whole, -1.0, 1.0).astype(np.float32)
    return action
