"""A folder is a registry: each file here is a category of attacks, `ATTACKS`, found by its name."""

import importlib
import pkgutil
from collections.abc import Iterator

from tests.attacks.attack import Attack


def attacks() -> Iterator[tuple[str, Attack]]:
    """Every attack with its category, in the order of the files' names."""
    for module in sorted(found.name for found in pkgutil.iter_modules(__path__)):
        for attack in importlib.import_module(f"{__name__}.{module}").ATTACKS:
            yield module, attack
