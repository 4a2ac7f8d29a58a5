"""A Gymnasium environment outside of the studio: what makes and draws it there, of public packages alone."""

import inspect
from collections.abc import Iterator
from importlib.metadata import distribution, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path

from vlmcar_core.envs import Standalone, _gymnasium, chosen
from vlmcar_core.envs._gymnasium import NEEDED, SETTINGS, group_of
from vlmcar_core.envs._gymnasium_shown import SIDE_MIN, shrunk
from vlmcar_core.types import Task

SOURCE = '''"""The environment in which the checkers were verified, of public packages alone."""

{system}from importlib import import_module
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]

ENV_ID = {env_id!a}
ARGUMENTS = {arguments!a}
STEPS = {steps}
"""After so many an episode is truncated."""
WRAPPERS = {wrappers!a}
"""Module and class of each, innermost first."""
IMPORTED = {imported!a}
"""What draws it, or registers its id."""
HEIGHT = {height}
"""Of a frame, in pixels; 0: as it is drawn."""
SIDE_MIN = {side_min}
{backend}
for module in IMPORTED:
    import_module(module)


def make() -> gym.Env:
    """The environment, drawing RGB frames."""
    env = gym.make(ENV_ID, max_episode_steps=STEPS, render_mode="rgb_array", disable_env_checker=True, **ARGUMENTS)
    for module, name in WRAPPERS:
        env = getattr(import_module(module), name)(env)
    return env


def scene(env: gym.Env) -> Any:
    """The frame that checkers look at, RGB uint8 (H, W, 3)."""
    return shrunk(np.asarray(env.render(), np.uint8), HEIGHT)


{shrunk}'''

SYSTEM = "import os\nimport sys\n"
BACKEND = """
if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    os.environ.setdefault("MUJOCO_GL", "egl")  # MuJoCo draws without a display
"""
MUJOCO = "Without a display MuJoCo draws through EGL (Debian: libegl1), or what the variable MUJOCO_GL names"
UNKNOWN = "pip does not know where {names} came from: what `environment.py` imports has to be on the path"


def standalone(task: Task) -> Standalone:
    """The same environment and the same frames, of Gymnasium and the packages that the person has named.

    Raises:
        UnknownName: it is not registered, or its package was not named by the person.
        BadInput: a setting is wrong, or names a wrapper of a package that the person has not named.
    """
    wanted, spec = chosen(task.settings, SETTINGS), _gymnasium.find(task.env_id)
    wrappers = _gymnasium.wrappers(wanted["wrappers"])
    module, extra = NEEDED.get(group_of(spec), ("", ""))
    registering = _gymnasium.registering(spec)
    text = SOURCE.format(
        system=SYSTEM if extra == "mujoco" else "",
        env_id=spec.id,
        arguments=_gymnasium.arguments(wanted["kwargs"]),
        steps=_gymnasium.most_steps(spec, wanted),
        wrappers=tuple(wrappers),
        imported=(*filter(None, [module]), *registering),
        height=int(wanted["height"]),
        side_min=SIDE_MIN,
        backend=BACKEND if extra == "mujoco" else "",
        shrunk=inspect.getsource(shrunk),
    )
    packages, notes = _needed({name.partition(".")[0] for name in (*registering, *(name for name, _ in wrappers))})
    if extra:
        packages.insert(0, f"gymnasium[{extra}]  # made with {version('gymnasium')}")
    return Standalone(text, tuple(packages), (), ". ".join([*notes, *([MUJOCO] if extra == "mujoco" else [])]))


def _needed(tops: set[str]) -> tuple[list[str], list[str]]:
    """Lines of a requirements.txt for packages other than Gymnasium, and what else there is to say of them."""
    found = {top: list(_distributions(top)) for top in sorted(tops - {"gymnasium"})}
    names = sorted({name for names in found.values() for name in names})
    unknown = ", ".join(f"`{top}`" for top, names in found.items() if not names)
    return [f"{name}  # made with {version(name)}" for name in names], [UNKNOWN.format(names=unknown)] * bool(unknown)


def _distributions(top: str) -> Iterator[str]:
    """Those that a top-level module was installed from; none for one that lies elsewhere on the path."""
    spec = find_spec(top)
    places = [spec.origin] if spec is not None and spec.origin else []
    places += (spec.submodule_search_locations or []) if spec is not None else []
    for name in dict.fromkeys(packages_distributions().get(top, ())):
        root = Path(str(distribution(name).locate_file("")))
        if any(Path(place).is_relative_to(root) for place in places):
            yield name
