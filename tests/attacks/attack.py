"""What an attack is: a checker that tries what no checker may, as data."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import dedent
from typing import Literal

from vlmcar_core.types import OutcomeKind

Bare = Literal["anyone", "root", "nobody"]
"""For whom an attack works where nothing contains it; nobody: it cannot be shown so, and its module says why."""

LIFT = """
try:
    import resource as _resource
    for _which in (_resource.RLIMIT_NOFILE, _resource.RLIMIT_FSIZE, _resource.RLIMIT_NPROC):
        try:
            _resource.setrlimit(_which, (1024, 1024))
        except (OSError, ValueError):
            pass
except ImportError:
    pass
"""
"""Root may lift its own limits, so with the gate off every program tries that first."""


@dataclass(frozen=True)
class Attack:
    """One program. Facts about the arena, such as CANARY or VICTIM, are names at the top of its source."""

    name: str
    """A checker's key: lower-case words joined by hyphens."""

    source: str
    """`check` returns True exactly if the attack worked, as far as that can be seen from inside."""

    tools: str = ""
    """Source that comes before it; see `tools`."""

    kinds: tuple[OutcomeKind, ...] | None = None
    """How every call may end with the gate off; None: in any way but with True."""

    frames: int = 1
    """How often it is called."""

    seconds: float = 0.5
    """Its limit for one call."""

    looks: bool = False
    """It is also inspected, so that what it prints and identifies comes back."""

    vain: bool = False
    """Its own answers prove nothing (any checker may say True); what is seen from outside does."""

    lifts: bool = True
    """With the gate off it first tries to lift its limits."""

    bare: Bare = "anyone"

    def text(self, facts: str, gate: bool) -> str:
        """The source of the checker.

        Args:
            facts: one line of assignments.
            gate: it is written for a sandbox whose gate is on.
        """
        lift = LIFT if self.lifts and not gate else ""
        return f"{facts}\n{lift}\n{dedent(self.tools)}\n{dedent(self.source)}"

    @property
    def numbered(self) -> bool:
        """It calls the kernel by numbers or runs machine code, both those of x86-64."""
        return "def call(" in self.tools

    @property
    def asks(self) -> bool:
        """It only asks whether the kernel looks at a call, which depends on the kernel and its settings."""
        return "reached(" in self.source


def tries(name: str, expression: str, imports: Sequence[str] = (), tools: str = "", bare: Bare = "anyone") -> Attack:
    """An attack that is one expression, true if it worked."""
    lines = [*(f"import {module}" for module in imports), "", "", "def check(initial, current):"]
    return Attack(name, "\n".join([*lines, f"    return bool({expression})", ""]), tools, bare=bare)
