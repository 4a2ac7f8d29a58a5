"""A folder is a registry: every file in `envs/`, `launchers/`, `proposers/`, `readers/`, `trainers/`, `vlms/` is one
plugin, known by its name.

Listing imports nothing; a plugin (and torch, MiniGrid, … behind it) is imported when it is first loaded.
"""

import importlib
import pkgutil
from types import ModuleType
from typing import Literal

import vlmcar_core
from vlmcar_core.errors import UnknownName

Folder = Literal["envs", "launchers", "proposers", "readers", "trainers", "vlms"]


def names(folder: Folder) -> list[str]:
    """The plugins in a folder, sorted; files that start with an underscore are parts of others."""
    paths = [f"{path}/{folder}" for path in vlmcar_core.__path__]
    return sorted(found.name for found in pkgutil.iter_modules(paths) if not found.name.startswith("_"))


def load(folder: Folder, name: str) -> ModuleType:
    """Import one plugin.

    Raises:
        UnknownName: there is no such file.
    """
    known = names(folder)
    if name not in known:
        raise UnknownName.among(folder.rstrip("s"), name, known)
    return importlib.import_module(f"vlmcar_core.{folder}.{name}")
