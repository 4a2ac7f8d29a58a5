"""Modules of ours for a bundle: those that are named and all of ours that they import, under a name of their own."""

import ast
import re
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import vlmcar_core

ROOT = Path(vlmcar_core.__path__[0])
NAME = "studio"
"""What the package is called in a bundle."""

OURS = re.compile(r"^( *)from vlmcar_core(?=[. ])\.?", re.MULTILINE)
ABOUT = '''"""A part of VLM-CaR Studio {version} (MIT licence), copied: how its environments are made and drawn.

Nothing here is the checkers' own, and nothing of it is needed to pay by them in other frames.
"""
'''


def copied(modules: Iterable[str]) -> dict[str, str]:
    """Path to text, of the package `studio`.

    Args:
        modules: dotted, below `vlmcar_core`, such as "envs.panda.simulation".
    """
    found: dict[str, str] = {}
    pending = list(modules)
    while pending:
        path = _path(pending.pop())
        name = str(path.relative_to(ROOT))
        if name in found:
            continue
        text = path.read_text(encoding="utf-8")
        found[name] = _relative(text, len(path.relative_to(ROOT).parts))
        pending += [*_imported(text), *_packages(path)]
    about = ABOUT.format(version=metadata.version("vlmcar-studio"))
    return {f"{NAME}/__init__.py": about} | {f"{NAME}/{name}": found[name] for name in sorted(found)}


def _path(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _packages(path: Path) -> Iterator[str]:
    """The packages that a module is in, but ours as a whole."""
    for folder in path.parents:
        if folder == ROOT:
            return
        yield ".".join(folder.relative_to(ROOT).parts)


def _imported(text: str) -> Iterator[str]:
    """Of ours, also in functions: `from vlmcar_core.envs import chosen, _extra` is of envs, and of envs._extra."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.ImportFrom) or (node.module or "").split(".")[0] != "vlmcar_core":
            continue
        module = (node.module or "").partition(".")[2]
        if module:
            yield module
        names = (f"{module}.{alias.name}".lstrip(".") for alias in node.names)
        yield from (name for name in names if _path(name).is_file())


def _relative(text: str, depth: int) -> str:
    """Its imports of ours, from so many folders up."""
    return OURS.sub(lambda found: f"{found[1]}from {'.' * depth}", text)
