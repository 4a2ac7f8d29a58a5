"""panda-gym (Gallouédec et al. 2021): a Franka arm at a table, simulated by pybullet.

Frames are not the stock render. They come from a second, bare scene that holds a few boxes and balls at the
simulator's poses (`drawing`): many times as fast, without shadows, seen from two sides, the target in a colour and a
shape of its own. `simulation` says what else differs from the stock environments, and why.
"""

import importlib.util
import platform
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
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
from vlmcar_core.errors import BadInput, NoExpert, UnknownName
from vlmcar_core.types import Frame, Task

TITLE = "panda-gym"
CONTINUOUS = True
STEP_COST = True

SETTINGS = {
    "views": Setting(
        "Views",
        "front and side",
        choices=("front and side", "front", "side", "overhead", "overhead and side"),
        help="Two views tell where a thing is in space; one does not.",
    ),
    "size": Setting("Height of a view, pixels", 128, 64, 512),
    "zoom": Setting("Zoom", 1.0, 0.5, 3.0, help="Above 1 the camera sees less, and that larger."),
    "ambient": Setting("Light from everywhere", 0.6, 0.0, 1.0, help="1 leaves no shading, 0 none but from the lamp."),
    "shadows": Setting("Shadows", False, help="About ten times as slow."),
    "arm": Setting(
        "The arm",
        "low-polygon",
        choices=("low-polygon", "stock meshes", "hidden"),
        help="The stock meshes look real and take some twenty times as long; hidden, only the fingers are drawn.",
    ),
    "extra": Setting("One more object", "", help=_extra.HELP.format(example="cube red 0.1 -0.1 0.02")),
}

VIEWS = {
    "state": "Positions and velocities of the arm and the objects, and the goal.",
    "image": "The scene, 64 pixels high, for a small convolutional network; drawn at every step, and much slower.",
}

KINDS = ("Reach", "Push", "PickAndPlace", "Slide", "Stack", "Flip")
PAPER = ("PandaPushJoints-v3", "PandaSlideJoints-v3")

NO_EXPERT = {
    f"PandaFlip{dense}-v3": "no expert: without its joints the hand always points down, and cannot turn what it holds"
    for dense in ("", "Dense")
}
MISSING = "cannot be made: panda-gym and pybullet are not installed; pip install panda-gym pybullet"


def tasks() -> list[EnvTask]:
    """The 24 ids of panda-gym 3.0.7, the paper's first."""
    works = all(importlib.util.find_spec(name) for name in ("panda_gym", "pybullet"))
    ids = [f"Panda{kind}{control}{dense}-v3" for kind in KINDS for dense in ("", "Dense") for control in ("", "Joints")]
    rest = [env_id for env_id in ids if env_id not in PAPER]
    return [_describe(env_id, works) for env_id in (*PAPER, *rest)]


def _describe(env_id: str, works: bool) -> EnvTask:
    why = NO_EXPERT.get(env_id, "")
    note = why if works else MISSING
    return EnvTask(env_id, env_id in PAPER, expert=not why, note=note, works=works)


def kind_of(env_id: str) -> str:
    """ "Push" of "PandaPushJointsDense-v3"."""
    return env_id.removeprefix("Panda").removesuffix("-v3").removesuffix("Dense").removesuffix("Joints")


def make(task: Task) -> gym.Env[Any, Any]:
    """The environment, drawing the bare scene.

    Raises:
        UnknownName: no environment has this id.
        BadInput: a setting is unknown or out of range, or panda-gym is not installed.
    """
    wanted = chosen(task.settings, SETTINGS)
    known = {found.env_id: found for found in tasks()}
    if task.env_id not in known:
        raise UnknownName.among("environment", task.env_id, known)
    if not known[task.env_id].works:
        raise BadInput(f"{task.env_id} {MISSING}")
    from vlmcar_core.envs.panda.simulation import Panda

    return Panda(task.env_id, wanted)


def steps_limit(env: gym.Env[Any, Any]) -> int:
    """After so many steps the environment truncates the episode: 100 for Stack, 50 for the others."""
    limit = env.get_wrapper_attr("spec").max_episode_steps
    return int(limit)


def expert(env: gym.Env[Any, Any]) -> list[NDArray[np.float32]]:
    """Actions from the state that `env` was just reset to, to success: float32 (A,) each.

    Raises:
        NoExpert: there is none for this task, or it failed from this state.
    """
    from vlmcar_core.envs.panda import experts
    from vlmcar_core.envs.panda.simulation import panda_of

    panda = panda_of(env)
    if panda.env_id in NO_EXPERT:
        raise NoExpert(f"{panda.env_id}: {NO_EXPERT[panda.env_id].removeprefix('no expert: ')}")
    actions: list[NDArray[np.float32]] = experts.plan(panda)
    return actions


def controls(env: gym.Env[Any, Any]) -> Controls:
    """Where the hand goes, and its fingers where they are not blocked; also where the joints are what is controlled."""
    from vlmcar_core.envs.panda.simulation import panda_of

    overhead = panda_of(env).settings["views"].startswith(("overhead", "side"))
    moves = _hand.moves(_hand.FROM_BEHIND if overhead else _hand.FACING)
    blocked = panda_of(env).stock.robot.block_gripper
    fingers = () if blocked else (Control("close", "g", stays=True), Control("open", "o", stays=True))
    return Controls((*moves, *fingers, _hand.WAIT), together=True)


def action_of(env: gym.Env[Any, Any], pressed: Pressed) -> NDArray[np.float32]:
    """The hand by up to 5 cm along each axis, float32 (A,); what was closed stays so with the same force."""
    from vlmcar_core.envs.panda import motion
    from vlmcar_core.envs.panda.simulation import panda_of

    panda = panda_of(env)
    grip = _hand.fingers(pressed, {"close": motion.CLOSE, "open": motion.OPEN})
    way = motion.REACH * _hand.way(pressed)
    pace = float(np.linalg.norm(way))
    return motion.action(panda, motion.Wish(panda.hand + way, grip, pace)) if pace else motion.still(panda, grip)


def succeeded(rewards: NDArray[np.float64], terminated: bool) -> bool:
    """panda-gym terminates an episode on success, and only then."""
    return bool(terminated and len(rewards))


def facts(env: gym.Env[Any, Any]) -> dict[str, bool]:
    """The simulator's truth now; the same names along an episode."""
    from vlmcar_core.envs.panda.simulation import panda_of

    return panda_of(env).facts()


def scenes(task: Task, seed: int) -> list[Scene]:
    """The layout of a seed with one more thing each, which leaves it solvable: the wrong one, or a distractor.

    None where the scripted expert does not solve the layout, or there is no expert.

    Raises:
        BadInput: there is one more thing already, or each face of the task's own has another colour (Flip).
    """
    from vlmcar_core.envs.panda import beside
    from vlmcar_core.envs.panda.simulation import panda_of

    if task.settings.get("extra"):
        raise BadInput(f"there is one more object already: {task.settings['extra']}")
    if kind_of(task.env_id or "") == "Flip":
        raise BadInput("each face of Flip's cube has a colour of its own, so there is no wrong one to put beside it")
    env = make(task)
    try:
        env.reset(seed=seed)
        panda, found = panda_of(env), []
        for what, extra in beside.extras(panda, seed):
            other = beside.with_extra(panda, extra)
            way = beside.wrong(other)
            other.close()
            changed = replace(task, settings={**task.settings, "extra": str(extra)})
            found.append(Scene(f"{what} ({extra.colour} {extra.shape})", changed, tuple(way)))
        return found
    finally:
        env.close()


def standalone(task: Task) -> Standalone:
    """The same environment and the same frames, of panda-gym, pybullet and a copy of the code in this folder."""
    from vlmcar_core.envs import _standalone

    return _standalone.of(
        "envs.panda.simulation",
        ("Panda", "panda_of"),
        str(task.env_id),
        chosen(task.settings, SETTINGS),
        "Panda(ENV_ID, SETTINGS)",
        "panda_of(env).scene()",
        "panda-gym pybullet pillow",
    )


def versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("gymnasium", "numpy", "panda-gym", "pybullet")}
    return {
        "python": platform.python_version(),
        **packages,
        "simulator": "panda-gym; a simplified drawing of its scene",
    }


def policy_view(env: gym.Env[Any, Any], view: str = "state") -> gym.Env[Any, Any]:
    """Achieved goal, desired goal and observation, in this order, as a flat float32 Box; metres, m/s, radians. Or the
    scene, small."""
    if known_view(view, VIEWS) == "image":
        return _views.SceneView(env, scene)
    return gym.wrappers.FlattenObservation(goal_view(env))


def goal_view(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """panda-gym's own observation: float32 Dict of observation, achieved_goal, desired_goal."""
    return Unbounded(env)


class Unbounded(gym.ObservationWrapper[dict[str, NDArray[np.float32]], Any, Any]):
    """Says that an observation may be any number: what was pushed off the table falls below panda-gym's −10."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        stock = env.observation_space
        assert isinstance(stock, spaces.Dict)
        boxes: dict[str, spaces.Space[Any]] = {
            name: spaces.Box(-np.inf, np.inf, space.shape, np.float32) for name, space in stock.spaces.items()
        }
        self.observation_space: spaces.Space[Any] = spaces.Dict(boxes)

    def observation(self, observation: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        return observation


def scene(env: gym.Env[Any, Any]) -> Frame:
    """The bare scene, RGB uint8 (H, W, 3), as the settings say."""
    from vlmcar_core.envs.panda.simulation import panda_of

    return panda_of(env).scene()
