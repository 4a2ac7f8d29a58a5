"""A CLIPort-style tabletop: pick-and-place tasks written from CLIPort's published descriptions, on pybullet.

The tasks are those of CLIPort (Shridhar et al. 2021) and Ravens (Zeng et al. 2020) in what is asked for and how it is
scored. Nothing else is theirs: the things are boxes and what boxes can be put together to, the gripper is a suction
point that moves freely, without an arm. Results here are results on this table, not on CLIPort.
"""

import importlib.util
import platform
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from vlmcar_core.envs import (
    Control,
    Controls,
    EnvTask,
    Pressed,
    Scene,
    Setting,
    Standalone,
    _extra,
    _hand,
    _views,
    chosen,
    known_view,
)
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.types import Frame, Task

TITLE = "CLIPort-style tabletop"
CONTINUOUS = True

SETTINGS = {
    "instruction": Setting(
        "Instruction",
        0,
        -1,
        10_000,
        help="Which colours are asked for. A checker is written for one instruction; -1 takes another with every seed.",
    ),
    "actions": Setting("Actions", "pick-and-place", choices=("pick-and-place", "steps")),
    "views": Setting("Views", "overhead", choices=("overhead", "side", "overhead and side")),
    "size": Setting("Height of a view, pixels", 160, 64, 512),
    "ambient": Setting("Light from everywhere", 0.65, 0.0, 1.0, help="1 leaves no shading, 0 none but from the lamp."),
    "shadows": Setting("Shadows", False, help="Several times as slow."),
    "extra": Setting("One more object", "", help=_extra.HELP.format(example="block red 0.2 -0.1 0.02")),
}

PAPER = ("put-block-in-bowl", "separating-piles", "packing-box-pairs", "packing-shapes")
NAMES = (*PAPER, "stack-block-pyramid", "towers-of-hanoi", "align-rope", "assembling-kits")
PREFIX, SUFFIX = "Tabletop/", "-v0"
MISSING = "cannot be made: pybullet is not installed; pip install pybullet"

FRACTIONS = {
    "a quarter": 1 / 4,
    "a third": 1 / 3,
    "half": 1 / 2,
    "two thirds": 2 / 3,
    "three quarters": 3 / 4,
    "all": 0.99,
}
"""Facts: so much of what is wanted is where it should be."""


def tasks() -> list[EnvTask]:
    """Eight tasks, the paper's four first."""
    works = importlib.util.find_spec("pybullet") is not None
    note = "" if works else MISSING
    return [EnvTask(f"{PREFIX}{name}{SUFFIX}", name in PAPER, expert=True, note=note, works=works) for name in NAMES]


def make(task: Task) -> gym.Env[Any, Any]:
    """The environment.

    Raises:
        UnknownName: no environment has this id.
        BadInput: a setting is unknown or out of range, or pybullet is not installed.
    """
    wanted = chosen(task.settings, SETTINGS)
    known = {found.env_id: found for found in tasks()}
    if task.env_id not in known:
        raise UnknownName.among("environment", task.env_id, known)
    if not known[task.env_id].works:
        raise BadInput(f"{task.env_id} {MISSING}")
    from vlmcar_core.envs.tabletop.simulation import Tabletop

    name = task.env_id.removeprefix(PREFIX).removesuffix(SUFFIX)
    try:
        return Tabletop(name, wanted)
    except ValueError as error:
        raise BadInput(f"{task.env_id} has no end-effector steps ({error}); choose actions pick-and-place") from error


def steps_limit(env: gym.Env[Any, Any]) -> int:
    """Actions after which an episode is truncated: CLIPort's own numbers for pick-and-place, 200 for steps."""
    return int(_table(env).limit)


def expert(env: gym.Env[Any, Any]) -> list[NDArray[np.float32]]:
    """The oracle's actions from the state that `env` was just reset to, to success.

    Raises:
        NoExpert: it did not get there within the limit.
    """
    from vlmcar_core.envs.tabletop import oracle

    actions: list[NDArray[np.float32]] = oracle.plan(_table(env))
    return actions


def controls(env: gym.Env[Any, Any]) -> Controls:
    """Two points in the picture; or, with the setting of single steps, where the tool goes and whether it sucks."""
    from vlmcar_core.envs.tabletop.simulation import GOALS

    table = _table(env)
    if table.stepping:
        sucks = (Control("suck", "g", stays=True), Control("let go", "o", stays=True))
        return Controls((*_hand.moves(_hand.FROM_BEHIND), *sucks, _hand.WAIT), together=True)
    if GOALS[table.name].sweeps:
        return Controls((), points=("sweep from here", "to here"))
    return Controls((), points=("pick here", "place here"), turns=True)


def instruction(env: gym.Env[Any, Any]) -> str:
    """The sentence with the colours that are asked for."""
    return str(_table(env).goal.instruction)


def action_of(env: gym.Env[Any, Any], pressed: Pressed) -> NDArray[np.float32]:
    """What lies at the points that were clicked, or the tool by up to 3 cm along each axis; float32 (5,) or (4,).

    Raises:
        BadInput: a point is beside every view, or beside the table.
    """
    from vlmcar_core.envs.tabletop.goals import Move
    from vlmcar_core.envs.tabletop.simulation import action_of as action_for

    table = _table(env)
    if table.stepping:
        suck = _hand.fingers(pressed, {"suck": 1.0, "let go": -1.0})
        return np.append(_hand.way(pressed), suck).astype(np.float32)
    pick, place = (table.world.under(across, down) for across, down in pressed.points)
    action: NDArray[np.float32] = action_for(Move(pick, place, pressed.turn * np.pi))
    return action


def succeeded(rewards: NDArray[np.float64], terminated: bool) -> bool:
    """An episode terminates when all that is wanted is done, and only then."""
    return bool(terminated and len(rewards))


def facts(env: gym.Env[Any, Any]) -> dict[str, bool]:
    """How much is done now, by the simulator's score: "half in place", …, "all in place"."""
    score = _table(env).score
    return {f"{name} in place": bool(score >= share - 1e-6) for name, share in FRACTIONS.items()}


def standalone(task: Task) -> Standalone:
    """The same environment and the same frames, of pybullet and a copy of the code in this folder."""
    from vlmcar_core.envs import _standalone

    name = str(task.env_id).removeprefix(PREFIX).removesuffix(SUFFIX)
    return _standalone.of(
        "envs.tabletop.simulation",
        ("Tabletop",),
        str(task.env_id),
        chosen(task.settings, SETTINGS),
        f"Tabletop({name!r}, SETTINGS)",
        "env.unwrapped.scene()",
        "pybullet pillow",
    )


def versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("gymnasium", "numpy", "pybullet", "vlmcar-studio")}
    simulator = f"CLIPort-style tabletop of VLM-CaR Studio, pybullet {packages['pybullet']}"
    return {"python": platform.python_version(), **packages, "simulator": simulator}


VIEWS = {
    "state": "Things, places and the tool, as numbers.",
    "image": "The scene, 64 pixels high, for a small convolutional network; drawn at every step, and much slower.",
}


def policy_view(env: gym.Env[Any, Any], view: str = "state") -> gym.Env[Any, Any]:
    """Things, places and the tool, the environment's own observation: flat float32 (364,). Or the scene, small."""
    return _views.SceneView(env, scene) if known_view(view, VIEWS) == "image" else env


def scene(env: gym.Env[Any, Any]) -> Frame:
    """The table from above, from the side, or both: RGB uint8 (H, W, 3)."""
    frame: Frame = _table(env).scene()
    return frame


def scenes(task: Task, seed: int) -> list[Scene]:
    """The layout of a seed with one more thing each, which leaves it solvable: the wrong one, or a distractor.

    Raises:
        BadInput: there is one more thing already.
    """
    from vlmcar_core.envs.tabletop import beside

    if task.settings.get("extra"):
        raise BadInput(f"there is one more object already: {task.settings['extra']}")
    env = make(task)
    try:
        env.reset(seed=seed)
        found = []
        for what, extra in beside.extras(_table(env), seed):
            other = beside.with_extra(_table(env), extra)
            way = beside.wrong(other)
            other.close()
            changed = replace(task, settings={**task.settings, "extra": str(extra)})
            found.append(Scene(f"{what} ({extra.colour} {extra.shape})", changed, tuple(way)))
        return found
    finally:
        env.close()


def _table(env: gym.Env[Any, Any]) -> Any:
    from vlmcar_core.envs.tabletop.simulation import Tabletop

    inner = env.unwrapped
    if not isinstance(inner, Tabletop):
        raise TypeError(f"expected a tabletop environment, not {type(inner).__name__}")
    return inner
