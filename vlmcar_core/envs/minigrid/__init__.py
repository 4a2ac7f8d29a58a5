"""MiniGrid and BabyAI (Chevalier-Boisvert et al. 2023), as Gymnasium registers them."""

import platform
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gymnasium as gym
import minigrid
import numpy as np
from gymnasium import error as gym_error
from minigrid.minigrid_env import MiniGridEnv
from numpy.typing import NDArray

from vlmcar_core.copies import Simulation
from vlmcar_core.envs import Control, Controls, EnvTask, Pressed, Scene, Setting, Standalone, chosen, known_view
from vlmcar_core.envs.minigrid import masks, planner, quick, states
from vlmcar_core.envs.minigrid import scenes as scenes_of
from vlmcar_core.envs.minigrid.observation import OneHotView, PictureView, SymbolicView
from vlmcar_core.envs.minigrid.truth import facts as facts_of
from vlmcar_core.errors import BadInput, NoExpert, UnknownName
from vlmcar_core.types import Frame, Task

TITLE = "MiniGrid"
CONTINUOUS = False

PAPER = ("MiniGrid-DoorKey-6x6-v0", "MiniGrid-DoorKey-8x8-v0", "MiniGrid-Unlock-v0", "MiniGrid-UnlockPickup-v0")

SOLVED = (
    "BlockedUnlockPickup",
    "DistShift",
    "DoorKey",
    "Empty",
    "Fetch",
    "FourRooms",
    "GoToDoor",
    "GoToObject",
    "KeyCorridor",
    "LavaCrossing",
    "LavaGap",
    "LockedRoom",
    "Memory",
    "MultiRoom",
    "ObstructedMaze-1Dl",
    "PutNear",
    "RedBlueDoors",
    "SimpleCrossing",
    "Unlock",
)
"""Families that the planner claims, by the beginning of their ids after `MiniGrid-`."""

NO_EXPERT = {
    "BabyAI-": "no expert: its goal is a sentence, which the planner does not read",
    "MiniGrid-Dynamic": "no expert: its obstacles move at random, so no plan made beforehand holds",
    "MiniGrid-Playground": "no expert: it has no goal and never pays",
    "MiniGrid-ObstructedMaze": "no expert: too many boxes, balls and doors for the planner's search",
    "MiniGrid-WFC": "no expert: not tried",
}

SETTINGS = {
    "tile_size": Setting("Pixels per cell", 32, 4, 64),
    "highlight": Setting("Highlight what the agent sees", True),
    "max_steps": Setting("Steps until the time is up", 0, 0, 100_000, help="0: the environment's own."),
    "extra": Setting(
        "One more object", "", help="KIND COLOUR COLUMN ROW, such as `ball green 3 1`: put beside the task's own."
    ),
}

VIEWS = {
    "one-hot": "What the agent sees, type, colour and state of each cell one-hot, and its heading.",
    "symbolic": "The same as one number for each type, colour and state, from 0 to 1: small, and harder to learn from.",
    "image": "What the agent sees, drawn: 56 × 56 pixels for a small convolutional network, and much slower.",
}

Action = int


def tasks() -> list[EnvTask]:
    """Every registered id, the paper's first."""
    found = [_describe(env_id) for env_id in gym.registry if env_id.startswith(("MiniGrid-", "BabyAI-"))]
    return sorted(found, key=lambda task: (PAPER.index(task.env_id) if task.paper else len(PAPER), task.env_id))


def _describe(env_id: str) -> EnvTask:
    if "-WFC-" in env_id and not _has_wfc_patterns():
        note = "cannot be made: the installed minigrid lacks the WFC patterns"
        return EnvTask(env_id, paper=False, expert=False, note=note, works=False)
    solved = env_id.removeprefix("MiniGrid-").startswith(SOLVED)
    return EnvTask(env_id, env_id in PAPER, solved, "" if solved else _why_no_expert(env_id))


def _why_no_expert(env_id: str) -> str:
    return next((why for beginning, why in NO_EXPERT.items() if env_id.startswith(beginning)), "no expert: not tried")


def _has_wfc_patterns() -> bool:
    return (Path(minigrid.__file__).parent / "envs" / "wfc" / "patterns" / "SimpleMaze.png").is_file()


def make(task: Task) -> gym.Env[Any, Any]:
    """The environment, rendering full RGB frames.

    Raises:
        UnknownName: no environment has this id.
        BadInput: a setting is unknown or out of range, or what is installed cannot make it.
    """
    wanted = chosen(task.settings, SETTINGS)
    if task.env_id not in gym.registry:
        raise UnknownName.among("environment", task.env_id, [found.env_id for found in tasks()])
    described = _describe(task.env_id)
    if not described.works:
        raise BadInput(f"{task.env_id} {described.note}")
    extra = wanted.pop("extra")
    put = scenes_of.Extra.read(extra) if extra else None
    if not wanted["max_steps"]:
        del wanted["max_steps"]
    try:
        env = gym.make(task.env_id, render_mode="rgb_array", disable_env_checker=True, **wanted)
        quick.quicken(_grid(env))
        return scenes_of.WithExtra(env, put) if put is not None else env
    except (gym_error.Error, OSError, TypeError, AssertionError) as error:
        raise BadInput(f"{task.env_id} cannot be made with settings {dict(task.settings)}: {error}") from error


def steps_limit(env: gym.Env[Any, Any]) -> int:
    """After so many steps the environment truncates the episode."""
    return int(_grid(env).max_steps)


def expert(env: gym.Env[Any, Any]) -> list[Action]:
    """Actions from the state that `env` was just reset to, to its own positive reward; near the shortest.

    Raises:
        NoExpert: the planner does not claim this environment, or found no way in this layout.
    """
    env_id = env.spec.id if env.spec else ""
    if not env_id.removeprefix("MiniGrid-").startswith(SOLVED):
        raise NoExpert(f"{env_id}: {_why_no_expert(env_id).removeprefix('no expert: ')}")
    actions = planner.plan(_grid(env))
    if actions is None:
        raise NoExpert(f"{env_id}: the planner found no way to its reward in this layout within its bounds")
    return actions


def succeeded(rewards: NDArray[np.float64], terminated: bool) -> bool:
    """MiniGrid pays once, a positive reward, and only for success."""
    return bool(terminated and len(rewards) and rewards[-1] > 0)


def facts(env: gym.Env[Any, Any]) -> dict[str, bool]:
    """The simulator's truth now; the same names along an episode."""
    return facts_of(_grid(env))


ACTIONS = states.ACTIONS
ACTION_NAMES = ("turn left", "turn right", "forward", "pick up", "drop", "toggle", "done")
KEYS = ("ArrowLeft", "ArrowRight", "ArrowUp", "p", "d", " ", "Enter")


def controls(env: gym.Env[Any, Any]) -> Controls:
    """The seven actions."""
    return Controls(tuple(Control(name, key) for name, key in zip(ACTION_NAMES, KEYS, strict=True)))


def instruction(env: gym.Env[Any, Any]) -> str:
    """Its mission."""
    return str(_grid(env).mission)


def action_of(env: gym.Env[Any, Any], pressed: Pressed) -> Action:
    """The one that is pressed."""
    return ACTION_NAMES.index(pressed.held[0])


def save(env: gym.Env[Any, Any]) -> states.State:
    """The state now. Raises `BadInput` where chance decides what comes next."""
    grid = _grid(env)
    if env.spec is not None and "Dynamic" in env.spec.id:
        raise BadInput(f"{env.spec.id}: its obstacles move at random, so what can be reached is not decided by actions")
    return states.save(grid)


def restore(env: gym.Env[Any, Any], state: states.State) -> None:
    """Go back to a state of this layout."""
    states.restore(_grid(env), state)


def step(env: gym.Env[Any, Any], action: int) -> tuple[float, bool]:
    """One action from the state now, without an observation: the reward, and whether the episode ends."""
    return states.step(_grid(env), action)


def scenes(task: Task, seed: int) -> list[Scene]:
    """The layout of a seed with one more object each, which leaves it solvable: the wrong one, or a distractor."""
    if task.settings.get("extra"):
        raise BadInput(f"there is one more object already: {task.settings['extra']}")
    env = make(task)
    try:
        env.reset(seed=seed)
        grid, found = _grid(env), []
        for what, extra in scenes_of.extras(grid, seed):
            scenes_of.put(grid, extra)
            way = scenes_of.wrong(grid, extra)
            grid.grid.set(extra.column, extra.row, None)
            changed = replace(task, settings={**task.settings, "extra": str(extra)})
            found.append(Scene(f"{what} ({extra.colour} {extra.kind})", changed, tuple(way or ())))
        return found
    finally:
        env.close()


def versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("gymnasium", "minigrid", "numpy")}
    return {"python": platform.python_version(), **packages}


def policy_view(env: gym.Env[Any, Any], view: str = "one-hot") -> gym.Env[Any, Any]:
    """The environment's usual partial view: one-hot or symbolic, with the heading, as a flat float32 Box; or drawn."""
    kinds: dict[str, type[gym.ObservationWrapper[Any, Any, Any]]] = {
        "one-hot": OneHotView,
        "symbolic": SymbolicView,
        "image": PictureView,
    }
    return kinds[known_view(view, VIEWS)](env)


def action_mask(env: gym.Env[Any, Any]) -> NDArray[np.bool_]:
    """Which of the seven actions do something in the state now, bool (7,); masks.py says what that rests on."""
    return masks.mask(_grid(env), env.spec.id if env.spec else "")


def scene(env: gym.Env[Any, Any]) -> Frame:
    """The full render: RGB uint8 (H, W, 3), as `env.render()` gives it."""
    grid = _grid(env)
    return np.asarray(grid.get_frame(grid.highlight, grid.tile_size), dtype=np.uint8)


def frame_key(env: gym.Env[Any, Any]) -> bytes | None:
    """Short, and equal only where `scene` is; None where that would have to be drawn to be known."""
    grid = _grid(env)
    return grid.frame_key(grid.highlight, grid.tile_size) if isinstance(grid, quick.Quick) else None


def copies(task: Task, count: int) -> Simulation | None:
    """So many copies in arrays, which are stepped by compiled code; None where an environment's rules are not known
    there (arrays.py has the list), and its copies are played one by one."""
    env = make(task)
    kind = type(_grid(env)).__bases__[-1]
    from vlmcar_core.envs.minigrid import arrays  # numba takes a second to import, and only training needs it

    rule = arrays.rule_of(env, kind)
    if rule is None:
        env.close()
        return None
    return arrays.Arrays([env, *(make(task) for _ in range(count - 1))], rule)


STANDALONE = '''"""The environment in which the checkers were verified, of public packages alone."""

from typing import Any

import gymnasium as gym
import minigrid  # noqa: F401 (registers the ids)
import numpy as np

ENV_ID = {env_id!r}
SETTINGS = {settings!r}


def make() -> gym.Env:
    """The environment, drawing full frames."""
    return gym.make(ENV_ID, render_mode="rgb_array", **SETTINGS)


def scene(env: gym.Env) -> Any:
    """The full frame that checkers look at, RGB uint8 (H, W, 3)."""
    return np.asarray(env.render(), np.uint8)
'''


def standalone(task: Task) -> Standalone | None:
    """The same frames from minigrid itself; None where the studio has put one more object into the layout."""
    wanted = chosen(task.settings, SETTINGS)
    if wanted.pop("extra"):
        return None
    if not wanted["max_steps"]:
        del wanted["max_steps"]
    text = STANDALONE.format(env_id=task.env_id, settings=wanted)
    return Standalone(text, (f"minigrid  # made with {version('minigrid')}",))


def _grid(env: gym.Env[Any, Any]) -> MiniGridEnv:
    inner = env.unwrapped
    if not isinstance(inner, MiniGridEnv):
        raise TypeError(f"expected a MiniGrid environment, not {type(inner).__name__}")
    return inner
