"""CLIPort (Shridhar et al. 2021): an adapter for a person's own, unmodified checkout of the authors' repository.

Nothing of CLIPort comes with this package. Of the checkout only the environment and the tasks are imported, with
stand-ins for what they import and never use here (torch, kornia, matplotlib, ...), so that today's packages do. In
memory three things differ from what the checkout does by itself: every environment has a pybullet client and random
numbers of its own, the time-out of a motion counts simulated seconds instead of a clock's, and pictures that only
CLIPort's own agents look at are not taken.
"""

import ast
import os
import platform
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from inspect import isbuiltin
from pathlib import Path
from threading import RLock
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from vlmcar_core.envs import EnvTask, Setting, _views, chosen, known_view
from vlmcar_core.errors import BadInput, NoExpert, UnknownName
from vlmcar_core.types import Frame, Task

TITLE = "CLIPort (your own checkout)"
CONTINUOUS = True

BEGINNING = "CLIPort/"

PAPER = (
    "put-block-in-bowl-seen-colors",
    "separating-piles-seen-colors",
    "packing-boxes-pairs-seen-colors",
    "packing-shapes",
)

ROOT_VARIABLE = "VLMCAR_CLIPORT_ROOT"
REPOSITORY = "https://github.com/cliport/cliport"
NEEDED = {"cv2": "opencv-python-headless", "pybullet": "pybullet", "transforms3d": "transforms3d"}
"""What the environment and the tasks really use, and the packages that it comes in."""

UNUSED = (
    "imageio",
    "kornia",
    "matplotlib",
    "matplotlib.pyplot",
    "meshcat",
    "meshcat.geometry",
    "meshcat.transformations",
    "omegaconf",
    "six",
    "torch",
    "yaml",
)
"""What they import for agents, plots and films."""

GOOGLE_OBJECTS = "needs the scanned objects that the checkout's scripts/download_google_objects.sh downloads"
TILTED = "no expert: its oracle tilts what it places, and an action here only turns it about the vertical"
HASHED = "its colours come from a set of words: the same seed draws the same ones only under the same PYTHONHASHSEED"

SETTINGS = {
    "camera": Setting("Camera", "overhead", choices=("overhead", "front", "left", "right"), help="The checkout's own."),
    "size": Setting("Height of a frame, in pixels; it is a third wider", 240, 48, 480),
    "shadows": Setting("Draw shadows", False),
}

STEPS_PER_SECOND = 480
"""Of simulation, as in CLIPort's own recording of demonstrations."""

SUCCESS = 0.99
"""CLIPort keeps a demonstration whose rewards add up to more than this."""

SEEN_HEIGHT, SEEN_WIDTH = 36, 48
"""Pixels of the overhead picture that a policy sees."""

ONE_AT_A_TIME = RLock()
"""The checkout uses global random numbers and one global simulation."""

Action = NDArray[np.float32]
"""Where to pick and where to place: x, y, z and a turn about the vertical each, float32 (8,), in [-1, 1]."""


def tasks() -> list[EnvTask]:
    """Every task of the checkout, the paper's first; without one, the paper's alone."""
    root = _folder()
    problem = _problem(root)
    names = _names(root) if (root / "cliport" / "tasks" / "__init__.py").is_file() else list(PAPER)
    described = [_describe(name, root, problem) for name in names]
    return sorted(described, key=lambda task: (_rank(task.env_id), task.env_id))


def _rank(env_id: str) -> int:
    name = env_id.removeprefix(BEGINNING)
    return PAPER.index(name) if name in PAPER else len(PAPER)


def _describe(name: str, root: Path, problem: str) -> EnvTask:
    if "google-objects" in name and not (_assets(root) / "google" / "meshes_fixed").is_dir():
        problem = problem or GOOGLE_OBJECTS
    tilted = "sixdof" in name
    note = TILTED if tilted else HASHED if name.endswith("-full") else ""
    return EnvTask(BEGINNING + name, name in PAPER, not tilted, problem or note, not problem)


def make(task: Task) -> gym.Env[Any, Any]:
    """The checkout's environment with one of its tasks, drawing frames from one of its cameras.

    Raises:
        BadInput: there is no checkout or something that it needs is missing, and how to get it; or a setting is
            unknown or out of range.
        UnknownName: the checkout has no such task.
    """
    wanted = chosen(task.settings, SETTINGS)
    root = _folder()
    problem = _problem(root)
    if problem:
        raise BadInput(f"{task.env_id}: {problem}")
    name = str(task.env_id).removeprefix(BEGINNING)
    if name == task.env_id or name not in _names(root):
        raise UnknownName.among("environment", task.env_id, [BEGINNING + known for known in _names(root)])
    described = _describe(name, root, "")
    if not described.works:
        raise BadInput(f"{task.env_id}: {described.note}")
    return PickAndPlace(_load(root), name, **wanted)


def _folder() -> Path:
    """Code is imported from it, so the person names it and never a session, which may be a stranger's."""
    return Path(os.environ.get(ROOT_VARIABLE) or "no checkout named").expanduser().absolute()


def _assets(root: Path) -> Path:
    return root / "cliport" / "environments" / "assets"


def _problem(root: Path) -> str:
    """Why nothing of a checkout can be made, and what to do; empty where there is nothing to say."""
    missing = [package for module, package in NEEDED.items() if find_spec(module) is None]
    has_checkout = (root / "cliport" / "tasks" / "__init__.py").is_file()
    if has_checkout and not missing:
        return ""
    lacks = [f"no CLIPort checkout in {root}" if os.environ.get(ROOT_VARIABLE) else "no CLIPort checkout is named"]
    lacks = ([] if has_checkout else lacks) + ([f"not installed: {', '.join(missing)}"] if missing else [])
    return (
        f"cannot be made: {'; '.join(lacks)}. Do: git clone {REPOSITORY}; pip install {' '.join(NEEDED.values())};"
        f" set {ROOT_VARIABLE} to the folder that was cloned"
    )


def _names(root: Path) -> list[str]:
    """The keys of `names` in the checkout's tasks/__init__.py, read and not run."""
    source = (root / "cliport" / "tasks" / "__init__.py").read_text(encoding="utf-8")
    for found in ast.walk(ast.parse(source)):
        match found:
            case ast.Assign(targets=[ast.Name(id="names")], value=ast.Dict(keys=keys)):
                return [str(key.value) for key in keys if isinstance(key, ast.Constant)]
    raise BadInput(f"{root} is no CLIPort checkout that is understood here: its tasks/__init__.py assigns no names")


class OneClient(ModuleType):
    """pybullet, with every call going to one client; the checkout itself always speaks to the first there is."""

    client = 0

    def __init__(self, bullet: Any) -> None:
        super().__init__("pybullet")
        self._bullet = bullet

    def connect(self, *args: Any, **kwargs: Any) -> int:
        self.client = int(self._bullet.connect(*args, **kwargs))
        return self.client

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._bullet, name)
        return partial(found, physicsClientId=self.client) if isbuiltin(found) else found


class SimulatedClock:
    """Stands for the module `time` where the checkout waits for the arm: it goes on with simulation steps alone."""

    steps = 0

    def time(self) -> float:
        return self.steps / STEPS_PER_SECOND


class Unused(ModuleType):
    """A module whose every name is there and does nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Unused(name)


@dataclass(frozen=True)
class Checkout:
    """What was imported of a checkout."""

    root: Path
    bullet: OneClient
    clock: SimulatedClock
    environment: Any
    """Its class Environment."""
    tasks: Any
    """Task names to classes."""


_loaded: list[Checkout] = []
"""At most one: Python knows one package by the name of cliport."""


def _load(root: Path) -> Checkout:
    with ONE_AT_A_TIME:
        if not _loaded:
            _loaded.append(_import(root))
        if _loaded[0].root != root:
            raise BadInput(f"this process already uses the checkout in {_loaded[0].root}; start another for {root}")
        return _loaded[0]


def _import(root: Path) -> Checkout:
    """Import environment and tasks, and not the package itself: that would import the agents and their networks."""
    for module in NEEDED:
        import_module(module)
    package, bullet, clock = ModuleType("cliport"), OneClient(import_module("pybullet")), SimulatedClock()
    package.__path__ = [str(root / "cliport")]
    sys.modules["cliport"] = package
    try:
        with _stand_ins({"gym": gym, "pybullet": bullet, **{name: Unused(name) for name in UNUSED}}):
            environment: Any = import_module("cliport.environments.environment")
            names = import_module("cliport.tasks").names
    except (ImportError, AttributeError, TypeError, SyntaxError) as error:
        for name in [name for name in sys.modules if name.partition(".")[0] == "cliport"]:
            del sys.modules[name]
        raise BadInput(f"the CLIPort checkout in {root} cannot be imported: {error!r}") from error
    environment.time = clock
    return Checkout(root, bullet, clock, environment.Environment, names)


@contextmanager
def _stand_ins(modules: dict[str, ModuleType]) -> Iterator[None]:
    """Within it these are imported by their names; afterwards every name means what it meant before."""
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, found in before.items():
            if found is None:
                del sys.modules[name]
            else:
                sys.modules[name] = found


class PickAndPlace(gym.Env[NDArray[np.float32], Action]):
    """One task of the checkout, made anew at every reset; one step is one pick and place, or one push.

    It pays what CLIPort pays: the part of the task that an action did, all in all 1. It ends when CLIPort says that
    the task is done or that the arm ran out of time, and is cut after the task's own number of actions.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 1}  # noqa: RUF012
    render_mode = "rgb_array"
    seed: int | None = None
    """Of the reset that began this episode; None before the first."""

    paid = 0.0
    """The rewards of this episode so far, added up."""

    def __init__(self, checkout: Checkout, name: str, camera: str, size: int, shadows: bool) -> None:
        self.name = name
        self.checkout = checkout
        self.task: Any = checkout.tasks[name]()
        self.simulation: Any = None
        self._camera, self._size, self._shadows = camera, size, shadows
        self._chance: tuple[Any, Any] = (random.getstate(), np.random.get_state())
        self._client: int | None = None
        self._steps = 0
        self.action_space = gym.spaces.Box(-1.0, 1.0, (8,), np.float32)
        self.observation_space = gym.spaces.Box(0.0, 1.0, (SEEN_HEIGHT * SEEN_WIDTH * 3,), np.float32)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Within it the simulation and the random numbers that the checkout finds are this environment's."""
        with ONE_AT_A_TIME:
            outside = random.getstate(), np.random.get_state()
            random.setstate(self._chance[0])
            np.random.set_state(self._chance[1])
            self.checkout.bullet.client = self._client or 0
            try:
                yield
            finally:
                self._chance = random.getstate(), np.random.get_state()
                random.setstate(outside[0])
                np.random.set_state(outside[1])

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        super().reset(seed=seed)
        self.close()
        self.seed = int(self.np_random.integers(2**31)) if seed is None else seed
        self._chance = random.Random(self.seed).getstate(), np.random.RandomState(self.seed % 2**32).get_state()
        self._steps, self.paid = 0, 0.0
        with self.inside():
            self._begin()
        return self._seen(), {"lang_goal": self.simulation.get_lang_goal()}

    def _begin(self) -> None:
        self.task = self.checkout.tasks[self.name]()
        self.simulation = self.checkout.environment(str(_assets(self.checkout.root)), hz=STEPS_PER_SECOND)
        self._client = self.checkout.bullet.client
        self.simulation.set_task(self.task)
        sides = zip(("front", "left", "right"), self.simulation.agent_cams, strict=False)
        self._cameras = {"overhead": self.task.oracle_cams[0], **dict(sides)}
        self.simulation.agent_cams = []
        self.simulation.step_simulation = partial(_count, self.checkout.clock, self.simulation.step_simulation)
        self.simulation.reset()

    def step(self, action: Action) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        with self.inside():
            self.checkout.clock.steps = 0
            _, reward, done, _ = self.simulation.step(self.poses(action))
        self._steps += 1
        self.paid += float(reward)
        truncated = not done and self._steps >= self.task.max_steps
        return self._seen(), float(reward), bool(done), truncated, {"lang_goal": self.simulation.get_lang_goal()}

    def poses(self, action: Action) -> dict[str, Any]:
        """An action in CLIPort's own form."""
        bounds = self.simulation.position_bounds
        found = {}
        for key, part in (("pose0", action[:4]), ("pose1", action[4:])):
            wanted = np.asarray(part, np.float64)
            turn = wanted[3] * np.pi / 2
            position = bounds.low + (wanted[:3] + 1) / 2 * (bounds.high - bounds.low)
            found[key] = (position, np.array([0.0, 0.0, np.sin(turn), np.cos(turn)]))
        return found

    def action(self, poses: dict[str, Any]) -> Action:
        """The action that has these poses, as near as its bounds allow."""
        bounds = self.simulation.position_bounds
        parts = []
        for key in ("pose0", "pose1"):
            position, rotation = (np.asarray(part, np.float64) for part in poses[key])
            turn = np.arctan2(rotation[2], rotation[3]) * 2 / np.pi
            parts += [*((position - bounds.low) / (bounds.high - bounds.low) * 2 - 1), (turn + 1) % 2 - 1]
        return np.clip(np.array(parts, np.float32), -1.0, 1.0)

    def _seen(self) -> NDArray[np.float32]:
        picture = self._picture("overhead", SEEN_HEIGHT, shadows=False)
        return picture.astype(np.float32).ravel() / np.float32(255)

    def render(self) -> Any:
        """RGB uint8 (size, size * 4 / 3, 3)."""
        return self._picture(self._camera, self._size, self._shadows)

    def _picture(self, camera: str, height: int, shadows: bool) -> Frame:
        config = self._cameras[camera]
        scale = height / config["image_size"][0]
        smaller = {**config, "intrinsics": tuple(value * scale for value in config["intrinsics"])}
        with self.inside():
            size = (height, round(config["image_size"][1] * scale))
            colour, _, _ = self.simulation.render_camera(smaller, size, shadow=int(shadows))
        return np.ascontiguousarray(colour, np.uint8)

    def close(self) -> None:
        if self._client is not None:
            import_module("pybullet").disconnect(self._client)
            self._client = None


def _count(clock: SimulatedClock, step_simulation: Any) -> None:
    clock.steps += 1
    step_simulation()


def steps_limit(env: gym.Env[Any, Any]) -> int:
    """After so many actions the episode is cut; some tasks lower it at reset, to the actions needed and one more."""
    return int(_simulated(env).task.max_steps)


def expert(env: gym.Env[Any, Any]) -> list[Action]:
    """What CLIPort's own oracle does in a twin that was reset to the same seed, to success.

    Raises:
        NoExpert: the oracle's actions cannot be said here, or it did not get the whole reward from this seed.
    """
    here = _simulated(env)
    if "sixdof" in here.name:
        raise NoExpert(f"{BEGINNING}{here.name}: {TILTED.removeprefix('no expert: ')}")
    if here.seed is None:
        raise gym.error.ResetNeeded("expected an environment that was reset")
    twin = PickAndPlace(here.checkout, here.name, "overhead", SEEN_HEIGHT, shadows=False)
    actions = _follow_oracle(twin, here.seed)
    twin.close()
    if twin.paid <= SUCCESS:
        raise NoExpert(f"{BEGINNING}{here.name}, seed {here.seed}: CLIPort's oracle got {twin.paid:.2f} of the reward")
    return actions


def _follow_oracle(twin: PickAndPlace, seed: int) -> list[Action]:
    twin.reset(seed=seed)
    oracle = twin.task.oracle(twin.simulation)
    actions: list[Action] = []
    over = False
    while not over:
        with twin.inside():
            wanted = oracle.act({}, twin.simulation.info)
        if wanted is None:
            break
        actions.append(twin.action(wanted))
        _, _, done, cut, _ = twin.step(actions[-1])
        over = done or cut
    return actions


def instruction(env: gym.Env[Any, Any]) -> str:
    """The sentence that tells the task."""
    return str(_simulated(env).simulation.get_lang_goal())


def succeeded(rewards: NDArray[np.float64], terminated: bool) -> bool:
    """The whole reward was paid."""
    return bool(terminated and np.sum(rewards) > SUCCESS)


def facts(env: gym.Env[Any, Any]) -> dict[str, bool]:
    """How far the task is done, by CLIPort's own score."""
    paid = _simulated(env).paid
    return {"success": paid > SUCCESS, "partly done": paid > 1 - SUCCESS}


def versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("gymnasium", "numpy", *NEEDED.values())}
    root = _loaded[0].root if _loaded else _folder()
    return {"simulator": f"CLIPort checkout {_commit(root)}", "python": platform.python_version(), **packages}


def _commit(root: Path) -> str:
    """Read from the checkout's own .git, not asked of git, which would look in the folders above as well."""
    try:
        head = (root / ".git" / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head[:12]
        name = head.removeprefix("ref: ")
        if (root / ".git" / name).is_file():
            return (root / ".git" / name).read_text().strip()[:12]
        packed = (root / ".git" / "packed-refs").read_text().splitlines()
        return next(line[:12] for line in packed if line.endswith(f" {name}"))
    except (OSError, StopIteration):
        return "of unknown commit"


VIEWS = {
    "overhead": "A small overhead picture, as numbers.",
    "image": "The scene, 64 pixels high, for a small convolutional network; drawn at every step, and much slower.",
}


def policy_view(env: gym.Env[Any, Any], view: str = "overhead") -> gym.Env[Any, Any]:
    """A small overhead picture, as a flat float32 Box in [0, 1]; the sentence that tells the task is not in it. Or the
    scene, small."""
    return _views.SceneView(env, scene) if known_view(view, VIEWS) == "image" else env


def scene(env: gym.Env[Any, Any]) -> Frame:
    """What the camera sees: RGB uint8 (H, W, 3), as `env.render()` gives it."""
    return np.asarray(env.render(), dtype=np.uint8)


def _simulated(env: gym.Env[Any, Any]) -> PickAndPlace:
    inner = env.unwrapped
    if not isinstance(inner, PickAndPlace):
        raise TypeError(f"expected a CLIPort environment, not {type(inner).__name__}")
    return inner
