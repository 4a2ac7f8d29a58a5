"""Meta-World (Yu et al. 2020), the Farama Foundation's package: fifty tasks of a Sawyer arm, simulated by MuJoCo.

Nothing is downloaded. Without a display MuJoCo draws through EGL or OSMesa (Debian: libegl1, or libosmesa6). Object
and goal are drawn anew at every reset, from its seed. An episode ends with success, which pays 1; nothing else pays,
unless the suite's own dense reward is wished for.
"""

import atexit
import os
import platform
import sys
import warnings
from ctypes.util import find_library
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from threading import local
from typing import Any, ClassVar
from weakref import WeakSet

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from numpy.typing import NDArray

from vlmcar_core.envs import (
    Control,
    Controls,
    EnvTask,
    Pressed,
    Scene,
    Setting,
    Standalone,
    _decoy,
    _extra,
    _hand,
    _views,
    chosen,
    known_view,
)
from vlmcar_core.envs._extra import Extra
from vlmcar_core.errors import BadInput, NoExpert, UnknownName
from vlmcar_core.types import Frame, Task

TITLE = "Meta-World"
CONTINUOUS = True

BEGINNING = "Meta-World/"

NAMES = (
    "reach-v3",
    "push-v3",
    "pick-place-v3",
    "door-open-v3",
    "drawer-close-v3",
    "drawer-open-v3",
    "button-press-topdown-v3",
    "peg-insert-side-v3",
    "window-open-v3",
    "window-close-v3",
    "assembly-v3",
    "basketball-v3",
    "bin-picking-v3",
    "box-close-v3",
    "button-press-topdown-wall-v3",
    "button-press-v3",
    "button-press-wall-v3",
    "coffee-button-v3",
    "coffee-pull-v3",
    "coffee-push-v3",
    "dial-turn-v3",
    "disassemble-v3",
    "door-close-v3",
    "door-lock-v3",
    "door-unlock-v3",
    "faucet-close-v3",
    "faucet-open-v3",
    "hammer-v3",
    "hand-insert-v3",
    "handle-press-side-v3",
    "handle-press-v3",
    "handle-pull-side-v3",
    "handle-pull-v3",
    "lever-pull-v3",
    "peg-unplug-side-v3",
    "pick-out-of-hole-v3",
    "pick-place-wall-v3",
    "plate-slide-back-side-v3",
    "plate-slide-back-v3",
    "plate-slide-side-v3",
    "plate-slide-v3",
    "push-back-v3",
    "push-wall-v3",
    "reach-wall-v3",
    "shelf-place-v3",
    "soccer-v3",
    "stick-pull-v3",
    "stick-push-v3",
    "sweep-into-v3",
    "sweep-v3",
)
"""The suite's own; the ten of its MT10 benchmark first. Written down, because to ask the suite is to load MuJoCo."""

NO_EXPERT = {"stick-pull-v3": "no expert: the suite's scripted policy failed from five seeds of twenty"}
"""Of the others none failed from more than two seeds of twenty."""

NEAR_IS_SHAPED = ("assembly", "box-close", "disassemble", "door-close", "door-open", "hammer", "reach")
"""Beginnings of tasks whose `near_object` is a constant, a distance or a shaped reward: no truth to judge by."""

GRASP_IS_SEEN = ("basketball", "bin-picking", "hand-insert", "peg-", "pick-", "shelf-place", "stick-", "sweep")
"""Beginnings of tasks whose `grasp_success` looks at the object, and which are solved by holding it.

In most of them it says that the object is held and two centimetres up; in other tasks it is a constant, or 1 for
any open hand, or a lift that no push needs."""

CAMERAS = ("corner4", "corner", "corner2", "corner3", "topview", "behindGripper", "gripperPOV")

OPPOSITE = ("ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown", "s", "w")
"""Keys of the hand's directions as the corner cameras see them, which look at the arm from across the table."""

LARGEST = 512

BACKENDS = ("egl", "osmesa")
"""Ways to draw without a display, as the variable MUJOCO_GL names them."""

SETTINGS = {
    "camera": Setting("Camera", "corner4", choices=CAMERAS, help="The suite's own; corner4 is the nearest of all."),
    "size": Setting("Width and height of a frame, in pixels", 192, 32, LARGEST),
    "shadows": Setting("Draw shadows", False, help="A frame takes about three times as long."),
    "dense_reward": Setting("Pay the suite's own dense reward", False, help="Otherwise: 1 at success, else 0."),
    "extra": Setting(
        "One more object", "", help=_extra.HELP.format(example="cube red 0.1 0.6 0.02") + " Nothing can touch it."
    ),
}

MISSING = 'cannot be made: Meta-World is not installed; pip install "metaworld==3.1.1"'
NO_RENDERER = (
    "MuJoCo cannot draw here with MUJOCO_GL={backend!r}: {error}. Without a display it needs EGL or OSMesa"
    " (Debian: apt-get install libegl1 libgl1-mesa-dri, or libosmesa6)"
)

Action = NDArray[np.float32]
"""Hand to x, y, z and closing effort, float32 (4,), in [-1, 1]."""


def tasks() -> list[EnvTask]:
    """Every task of the suite; its MT10 benchmark first."""
    installed = find_spec("metaworld") is not None
    return [_describe(name, installed) for name in NAMES]


def _describe(name: str, installed: bool) -> EnvTask:
    note = NO_EXPERT.get(name, "") if installed else MISSING
    return EnvTask(BEGINNING + name, paper=False, expert=name not in NO_EXPERT, note=note, works=installed)


def make(task: Task) -> gym.Env[Any, Any]:
    """The environment, drawing frames from one of the suite's cameras.

    Raises:
        UnknownName: there is no such task.
        BadInput: a setting is unknown or out of range, the package is not installed, or MuJoCo cannot draw here.
    """
    wanted, name = chosen(task.settings, SETTINGS), _name(task)
    if find_spec("metaworld") is None:
        raise BadInput(f"{task.env_id} {MISSING}")
    faults: tuple[type[Exception], ...] = (AttributeError, ImportError, RuntimeError)
    try:
        faults = (*faults, import_module("mujoco").FatalError)
        env = SeededTask(name, **wanted)
        env.render()
    except faults as error:
        backend = os.environ.get("MUJOCO_GL")
        raise BadInput(f"{task.env_id}: {NO_RENDERER.format(backend=backend, error=error)}") from error
    return env


def _name(task: Task) -> str:
    name = str(task.env_id).removeprefix(BEGINNING)
    if name not in NAMES or task.env_id == name:
        raise UnknownName.among("environment", task.env_id, [BEGINNING + known for known in NAMES])
    return name


def _choose_backend() -> None:
    """Where nothing is said, MuJoCo looks for a display; without one it must be told how to draw."""
    if sys.platform == "linux" and not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")):
        os.environ.setdefault("MUJOCO_GL", "egl" if find_library("EGL") or not find_library("OSMesa") else "osmesa")


class SeededTask(gym.Wrapper[NDArray[np.float64], Action, NDArray[np.float64], Action]):
    """One task of the suite whose object and goal follow the seed of `reset`, and which ends with success."""

    seed: int | None = None
    """Of the reset that began this episode; None before the first."""

    info: dict[str, Any]
    """What the suite itself says about the state now."""

    def __init__(self, name: str, camera: str, size: int, shadows: bool, dense_reward: bool, extra: str) -> None:
        _choose_backend()
        self.extra = _extra.read(extra, _decoy.SHAPES, _decoy.COLOURS)
        kind = import_module("metaworld.env_dict").ALL_V3_ENVIRONMENTS[name]
        suite = kind(render_mode="rgb_array", width=size, height=size)
        suite.model.light_castshadow[:] = shadows
        super().__init__(suite)
        self.name = name
        self._suite: Any = suite
        self._camera = camera
        self._size = size
        self._dense_reward = dense_reward
        self._canvas: Canvas | None = None
        self._draw_goal_anew()

    def _draw_goal_anew(self) -> None:
        """Let the goal be seen, and draw it at every reset, as the suite's own benchmarks do while they are built."""
        self._suite._set_task_called = True
        self._suite._freeze_rand_vec = False
        self._suite.seeded_rand_vec = True
        self._suite._partially_observable = False
        del self._suite.sawyer_observation_space
        self._suite.observation_space = self._suite.sawyer_observation_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float64], dict[str, Any]]:
        self.seed = int(self._suite.np_random.integers(2**31)) if seed is None else seed
        self._suite.np_random, _ = seeding.np_random(self.seed)
        observation, _ = self._suite.reset()
        if self.extra is not None:
            _decoy.check(self.extra, observation)
        import_module("mujoco").mj_kinematics(self._suite.model, self._suite.data)  # or the old goal would be drawn
        _, self.info = self._suite.evaluate_state(observation, np.zeros(4, np.float32))
        return observation, self.info

    def step(self, action: Action) -> tuple[NDArray[np.float64], float, bool, bool, dict[str, Any]]:
        observation, dense, _, truncated, self.info = self._suite.step(action)
        success = bool(self.info["success"])
        reward = float(dense) if self._dense_reward else float(success)
        return observation, reward, success, bool(truncated), self.info

    def render(self) -> Any:
        """RGB uint8 (size, size, 3); the suite's corner cameras hang upside down, and are turned here."""
        if self._canvas is None:
            self._canvas = Canvas(self._suite.model, self._size)
        frame = self._canvas.draw(self._suite.data, self._camera, self.extra)
        return np.ascontiguousarray(frame[::-1, ::-1] if self._camera.startswith("corner") else frame)

    def close(self) -> None:
        if self._canvas is not None:
            self._canvas.close()
            self._canvas = None
        super().close()


class Canvas:
    """Draws one model, square.

    Gymnasium's renderer and MuJoCo's own have an OpenGL context for every environment; then closing or forgetting one
    of them takes pictures, textures or the whole process from another. Here all of a thread share one.
    """

    _thread: ClassVar[local] = local()
    _contexts: ClassVar[WeakSet[Any]] = WeakSet()

    def __init__(self, model: Any, size: int) -> None:
        self._mujoco: Any = import_module("mujoco")
        self._model = model
        self._size = size
        self._use_context()
        self._scene = self._mujoco.MjvScene(model, maxgeom=1000)
        self._drawing = self._mujoco.MjrContext(model, self._mujoco.mjtFontScale.mjFONTSCALE_100)

    def draw(self, data: Any, camera_name: str, extra: Extra | None = None) -> Frame:
        mujoco, model = self._mujoco, self._model
        camera = mujoco.MjvCamera()
        camera.type, camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, model.camera(camera_name).id
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(model, data, mujoco.MjvOption(), None, camera, everything, self._scene)
        if extra is not None:
            _decoy.draw(mujoco, self._scene, extra)
        whole, frame = mujoco.MjrRect(0, 0, self._size, self._size), np.empty((self._size, self._size, 3), np.uint8)
        self._use_context()
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._drawing)
        mujoco.mjr_render(whole, self._scene, self._drawing)
        mujoco.mjr_readPixels(frame, None, whole, self._drawing)
        return frame[::-1]

    def close(self) -> None:
        self._use_context()
        self._drawing.free()

    def _use_context(self) -> None:
        if not hasattr(self._thread, "context"):
            backend = os.environ.get("MUJOCO_GL", "")
            # mujoco itself has looked at the variable when it was imported, which may have been before it was set
            library = import_module(f"mujoco.{backend}") if backend in BACKENDS else self._mujoco
            self._thread.context = library.GLContext(LARGEST, LARGEST)
            if not self._contexts:
                atexit.register(self._free_contexts)
            self._contexts.add(self._thread.context)
        self._thread.context.make_current()

    @classmethod
    def _free_contexts(cls) -> None:
        """What is left to the end of the process is freed while its library is still there."""
        for context in list(cls._contexts):
            context.free()


def steps_limit(env: gym.Env[Any, Any]) -> int:
    """After so many steps the suite truncates the episode."""
    return int(_task(env)._suite.max_path_length)


def expert(env: gym.Env[Any, Any]) -> list[Action]:
    """What the suite's own scripted policy does in a twin that was reset to the same seed, to success.

    Raises:
        NoExpert: the policy fails often at this task, or failed from this seed.
    """
    task = _task(env)
    if task.name in NO_EXPERT:
        raise NoExpert(f"{BEGINNING}{task.name}: {NO_EXPERT[task.name].removeprefix('no expert: ')}")
    if task.seed is None:
        raise gym.error.ResetNeeded("expected an environment that was reset")
    actions = _follow_policy(task.name, task.seed)
    if actions is None:
        raise NoExpert(f"{BEGINNING}{task.name}, seed {task.seed}: the suite's scripted policy ran out of time")
    return actions


def _follow_policy(name: str, seed: int) -> list[Action] | None:
    twin = SeededTask(name, **chosen({}, SETTINGS))
    policy = import_module("metaworld.policies").ENV_POLICY_MAP[name]()
    observation, _ = twin.reset(seed=seed)
    actions: list[Action] = []
    success = truncated = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it says of every long way that the action will be clipped
        while not (success or truncated):
            actions.append(np.clip(policy.get_action(observation), -1.0, 1.0).astype(np.float32))
            observation, _, success, truncated, _ = twin.step(actions[-1])
    twin.close()
    return actions if success else None


def scenes(task: Task, seed: int) -> list[Scene]:
    """The layout of a seed with a decoy each: drawn, but nothing can touch it, so the task stays what it is.

    What is done wrong is to go to the decoy and to close the hand there.

    Raises:
        BadInput: there is a decoy already.
    """
    if task.settings.get("extra"):
        raise BadInput(f"there is one more object already: {task.settings['extra']}")
    env = _task(make(task))
    try:
        observation, _ = env.reset(seed=seed)
        suite, found = env._suite, []
        for what, extra in _decoy.extras(suite.model, suite.data, observation, seed):
            changed = replace(task, settings={**task.settings, "extra": str(extra)})
            found.append(Scene(f"{what} ({extra.colour} {extra.shape})", changed, tuple(_go_to(env, extra, seed))))
        return found
    finally:
        env.close()


def _go_to(env: SeededTask, extra: Extra, seed: int) -> list[Action]:
    """To a decoy, and close the hand; nothing where that solves the task."""
    observation, _ = env.reset(seed=seed)
    place, taken, closing = np.array(extra.at), list[Action](), 0
    while closing < _decoy.CLOSING and len(taken) < _decoy.STEPS:
        near = _decoy.at_it(place, observation[:3])
        closing += near
        taken.append(_decoy.towards(place, observation[:3], near))
        observation, _, success, truncated, _ = env.step(taken[-1])
        if success or truncated:
            return []
    return taken


def controls(env: gym.Env[Any, Any]) -> Controls:
    """Where the hand goes, and its fingers."""
    fingers = (Control("close", "g", stays=True), Control("open", "o", stays=True))
    behind = _task(env)._camera in ("behindGripper", "topview")
    return Controls((*_hand.moves(_hand.FROM_BEHIND if behind else OPPOSITE), *fingers, _hand.WAIT), together=True)


def action_of(env: gym.Env[Any, Any], pressed: Pressed) -> Action:
    """The hand along each axis, and its closing effort, which stays: float32 (4,)."""
    effort = _hand.fingers(pressed, {"close": 1.0, "open": -1.0})
    return np.append(_hand.way(pressed), effort).astype(np.float32)


def succeeded(rewards: NDArray[np.float64], terminated: bool) -> bool:
    """Nothing but success terminates an episode, whatever it is paid by."""
    return bool(terminated)


def facts(env: gym.Env[Any, Any]) -> dict[str, bool]:
    """The suite's own success, near_object and grasp_success, the latter two where they are truths to judge by."""
    task = _task(env)
    found = {"success": bool(task.info["success"])}
    if not task.name.startswith(NEAR_IS_SHAPED):
        found["near object"] = bool(task.info["near_object"])
    if task.name.startswith(GRASP_IS_SEEN):
        found["grasp success"] = bool(task.info["grasp_success"])
    return found


def standalone(task: Task) -> Standalone:
    """The same environment and the same frames, of Meta-World, MuJoCo and a copy of this file."""
    from vlmcar_core.envs import _standalone

    return _standalone.of(
        "envs.metaworld",
        ("SeededTask",),
        str(task.env_id),
        chosen(task.settings, SETTINGS),
        f"SeededTask({_name(task)!r}, **SETTINGS)",
        "env.render()",
        "metaworld mujoco pillow",
        note="Without a display MuJoCo draws through EGL or OSMesa (Debian: libegl1, or libosmesa6)",
        first="metaworld",
    )


def versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("gymnasium", "metaworld", "mujoco", "numpy")}
    return {"simulator": f"MuJoCo {packages['mujoco']}", "python": platform.python_version(), **packages}


VIEWS = {
    "state": "Hand, gripper and objects, the same a step before, and the goal.",
    "image": "The scene, 64 pixels high, for a small convolutional network; drawn at every step, and much slower.",
}


def policy_view(env: gym.Env[Any, Any], view: str = "state") -> gym.Env[Any, Any]:
    """The suite's usual observation, hand, gripper, objects, the same a step before, and the goal: float32 (39,). Or
    the scene, small."""
    if known_view(view, VIEWS) == "image":
        return _views.SceneView(env, scene)
    shape = _task(env).observation_space.shape or ()
    space = gym.spaces.Box(-np.inf, np.inf, shape, np.float32)
    return gym.wrappers.TransformObservation(env, lambda seen: np.asarray(seen, np.float32), space)


def scene(env: gym.Env[Any, Any]) -> Frame:
    """What the camera sees: RGB uint8 (H, W, 3), as `env.render()` gives it."""
    return np.asarray(env.render(), dtype=np.uint8)


def _task(env: gym.Env[Any, Any]) -> SeededTask:
    while not isinstance(env, SeededTask):
        if not isinstance(env, gym.Wrapper):
            raise TypeError(f"expected a Meta-World environment, not {type(env).__name__}")
        env = env.env
    return env
