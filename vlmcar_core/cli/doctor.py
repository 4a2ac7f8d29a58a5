"""What works on this machine: the containment of checkers, the suites, the keyring."""

import importlib.util
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version

import click

from vlmcar_core import pipeline
from vlmcar_core.cli.base import echo

PACKAGES = (
    *("streamlit", "gymnasium", "minigrid", "panda-gym", "pybullet", "metaworld", "stable-baselines3", "torch"),
    *("opencv-python-headless", "scikit-image", "openai", "pyseccomp"),
)


@click.command()
def doctor() -> None:
    """Show what works on this machine; exit code 1 where checkers cannot be contained.

    The layers are not guessed: a checker's process is started, seals itself, and says which of them hold.
    """
    from vlmcar_core.sandbox.layers import health

    echo(f"CPython {platform.python_version()}, {platform.system()} {platform.release()} {platform.machine()}")
    began = time.perf_counter()
    found = health()
    seconds = time.perf_counter() - began
    echo(f"\nCheckers ({seconds:.1f} s to the first, with loading NumPy and OpenCV)")
    for layer in found.layers:
        state = "holds  " if layer.holds else "LACKING" if layer.needed else "absent "
        echo(f"  {state}  {layer.name:10}  {layer.does}" + (f"; {layer.lacking}" if layer.lacking else ""))
    if found.refused:
        echo(f"  {found.refused}")
    elif not found.sealed:
        echo("  NOT SEALED: checkers run with your rights, because you said so; run only code that you have read")
    echo("\nEnvironments")
    for name, title in pipeline.env_families().items():
        tasks = [task for family, task in pipeline.env_tasks() if family == name]
        works = sum(task.works for task in tasks)
        note = next((task.note for task in tasks if not task.works and task.note), "")
        echo(f"  {works:4} of {len(tasks):3}  {title}" + (f"; {note}" if works < len(tasks) and note else ""))
    echo("\nPackages")
    echo("  " + ", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    if not found.sealed:
        sys.exit(1)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing" if importlib.util.find_spec(name.replace("-", "_")) is None else "there"


COMMANDS = (doctor,)
