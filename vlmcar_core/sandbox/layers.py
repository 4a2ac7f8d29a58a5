"""Which layers of the seal hold on this machine, and what the others would need; seen on a worker, not guessed."""

from dataclasses import dataclass

from vlmcar_core.errors import SandboxError
from vlmcar_core.sandbox import trust
from vlmcar_core.sandbox.inside.seal import NEEDED
from vlmcar_core.sandbox.worker import Limits, Worker

WHAT = {
    "seccomp": ("system calls are denied but for about twenty", "install libseccomp2 and pyseccomp, on Linux"),
    "limits": ("memory bounded; no descriptor, process, or growing file", "use Linux"),
    "parent": ("it ends with the app", "use Linux"),
    "landlock": (
        "no file, no TCP port, no abstract socket, no signal",
        "Linux 5.13 or newer with Landlock switched on",
    ),
    "namespaces": ("no network, no shared memory of others", "allow user namespaces: sysctl user.max_user_namespaces"),
    "user": ("not root", "start the app as another user than root"),
}


@dataclass(frozen=True)
class Layer:
    """One layer of the seal."""

    name: str
    does: str
    """What it keeps a checker to."""
    holds: bool
    needed: bool
    """Without it no checker runs."""
    lacking: str
    """What this machine would need; empty where it holds."""


@dataclass(frozen=True)
class Health:
    """What contains checkers on this machine."""

    layers: tuple[Layer, ...]
    refused: str
    """Why no checker runs here; empty where checkers run."""
    trusted: bool
    """The person lets checkers run unsealed, where they cannot be sealed."""

    @property
    def sealed(self) -> bool:
        return not self.refused and all(layer.holds for layer in self.layers if layer.needed)


def health() -> Health:
    """Start a worker, and see."""
    refused, held = "", frozenset[str]()
    try:
        worker = Worker(Limits())
        held = frozenset(worker.layers)
        worker.end()
    except SandboxError as error:
        refused = str(error)
    return Health(tuple(_layer(name, name in held) for name in WHAT), refused, trust.trusted())


def _layer(name: str, holds: bool) -> Layer:
    does, lacking = WHAT[name]
    return Layer(name, does, holds, name in NEEDED, "" if holds else lacking)
