"""Environments that the studio draws itself, outside of it: their own code is copied into the bundle."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from vlmcar_core.envs import Standalone

SOURCE = '''"""The environment in which the checkers were verified. `studio` is the studio's own code, copied."""

from typing import Any

import gymnasium as gym
{first}
if __package__:  # imported as a part of a package
    from .studio.{module} import {names}
else:  # imported with this folder on the path
    from studio.{module} import {names}

ENV_ID = {env_id!r}
SETTINGS = {settings!r}


def make() -> gym.Env:
    """The environment, drawing the frames that checkers look at."""
    return {make}


def scene(env: gym.Env) -> Any:
    """The frame that checkers look at, RGB uint8 (H, W, 3); of an environment that `make` made."""
    return {scene}
'''
PYBULLET = "pybullet has wheels up to CPython 3.11: with a later one pip compiles it, which needs a C++ compiler"


def of(
    module: str,
    names: Sequence[str],
    env_id: str,
    settings: dict[str, Any],
    make: str,
    scene: str,
    packages: str,
    note: str = PYBULLET,
    first: str = "",
) -> Standalone:
    """How a family's own environment is made.

    Args:
        module: below `vlmcar_core`, in which it is.
        names: what is imported from there.
        env_id: which one.
        settings: all of them.
        make: the expression that makes it.
        scene: the expression that draws `env`.
        packages: the distributions that are needed, by name.
        note: what else there is to know.
        first: a module that is imported before: where it is missing that is told there, not when it is needed.
    """
    text = SOURCE.format(
        module=module,
        names=", ".join(names),
        env_id=env_id,
        settings=settings,
        make=make,
        scene=scene,
        first=f"import {first}  # noqa: F401 (told here where it is missing)\n" if first else "",
    )
    needed = tuple(f"{name}  # made with {version(name)}" for name in packages.split())
    return Standalone(text, needed, (module,), note)
