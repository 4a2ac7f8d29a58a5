"""A Gymnasium environment outside of the studio: what makes and draws it there, of public packages alone."""

import inspect
from collections.abc import Iterator, Mapping
from importlib.metadata import distribution, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gymnasium.envs.registration import EnvSpec

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
SUCCEEDED = '''def succeeded(rewards: NDArray[np.float64], terminated: bool) -> bool:
    """A return of at least {least!r}."""
    return bool(len(rewards) and rewards.sum() >= {least!r})'''
MUJOCO = "Without a display MuJoCo draws through EGL (Debian: libegl1), or what the variable MUJOCO_GL names"
UNKNOWN = "pip does not know where {names} came from: what `environment.py` imports has to be on the path"


def standalone(task: Task) -> Standalone:
    """The same environment and the same frames, of Gymnasium and the packages that the person has named.

    Raises:
        UnknownName: it is not registered, or its package was not named by the person.
        BadInput: a setting is wrong, or names a wrapper of a package that the person has not named.
    """
    wanted, spec = chosen(task.settings, SETTINGS), _gymnasium.find(task.env_id)
    modules = [*_gymnasium.registering(spec), *(module for module, _ in _gymnasium.wrappers(wanted["wrappers"]))]
    packages, notes = _needed({module.partition(".")[0] for module in modules})
    _, extra = NEEDED.get(group_of(spec), ("", ""))
    if extra:
        packages.insert(0, f"gymnasium[{extra}]  # made with {version('gymnasium')}")
    if extra == "mujoco":
        notes.append(MUJOCO)
    rule = _gymnasium.rule_of(spec, wanted)
    succeeded = SUCCEEDED.format(least=float(rule.least)) if rule.by == "return" else ""
    return Standalone(_source(spec, wanted), tuple(packages), note=". ".join(notes), succeeded=succeeded)


def _source(spec: EnvSpec, wanted: Mapping[str, Any]) -> str:
    """Every value of a session goes in as a literal of ASCII: whatever its words are, they are words."""
    module, extra = NEEDED.get(group_of(spec), ("", ""))
    return SOURCE.format(
        system=SYSTEM if extra == "mujoco" else "",
        env_id=spec.id,
        arguments=_gymnasium.arguments(wanted["kwargs"]),
        steps=_gymnasium.most_steps(spec, wanted),
        wrappers=tuple(_gymnasium.wrappers(wanted["wrappers"])),
        imported=(*filter(None, [module]), *_gymnasium.registering(spec)),
        height=int(wanted["height"]),
        side_min=SIDE_MIN,
        backend=BACKEND if extra == "mujoco" else "",
        shrunk=inspect.getsource(shrunk),
    )


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
