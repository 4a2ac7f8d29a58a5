"""The code of a bundle: checkers as they are, modules of ours with their imports made relative, and reward.py."""

import ast
import builtins
import inspect
import re
import textwrap
from importlib import metadata
from pathlib import Path

import vlmcar_core
from vlmcar_core import errors
from vlmcar_core.errors import BadInput
from vlmcar_core.escaping import one_line
from vlmcar_core.export import copying
from vlmcar_core.export.source import Source
from vlmcar_core.payments import Payment

PACKAGE = Path(vlmcar_core.__path__[0])
PARTS = Path(__file__).parent / "parts"
OURS = re.compile(r"^from vlmcar_core\.(\w+) import", re.MULTILINE)
FAULTS = (errors.VlmcarError, errors.BadInput, errors.UnknownName)
"""Of our errors, those that paying raises."""

REQUIRED = {"numpy": "numpy", "cv2": "opencv-python-headless", "skimage": "scikit-image"}
"""Module to the distribution that it comes from; whatever else a checker may import comes with Python."""
ALWAYS = ("gymnasium", "numpy", "opencv-python-headless")
"""The last reads the pictures of tests and demo."""

REWARD = '''"""What is paid: {session}, proposal {number}.

Written by VLM-CaR Studio {version}. card.md says how it was verified. Nothing contains the checkers here: they run with
everything that you may do.

    reward = Reward()                       # Reward(name): one of PAYMENTS
    reward.begin(first_frame)               # frames are RGB uint8 (H, W, 3)
    total, components = reward(frame)       # after every action; components: {{key: value}}
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

if __package__:  # imported as a part of a package
    from .checkers import {modules}
    from .paying.asking import Frame, Paying, Step, pay_episode, value
    from .paying.payments import Payment
else:  # imported with this folder on the path
    from checkers import {modules}
    from paying.asking import Frame, Paying, Step, pay_episode, value
    from paying.payments import Payment

__all__ = ["GOAL", "PAYMENTS", "STEPS", "Frame", "Reward", "compute_reward", "succeeded", "value"]

STEPS = (
{steps}
)
"""The sub-tasks that are paid, in order; each counts only once those before it are done."""

GOAL = {goal}
"""How the goal itself is seen; nothing is paid for it{paid_goal}."""

PAYMENTS = {{
{payments}
}}
"""How completions become a reward; the first is the default. paying/payments.py has the formulas, and other ways."""


class Reward(Paying):
    """What the checkers pay for one episode after the other; every copy of an environment has its own.

    Args:
        payment: a name of PAYMENTS, or a Payment.
    """

    def __init__(self, payment: str | Payment = "{default}") -> None:
        super().__init__(STEPS, PAYMENTS[payment] if isinstance(payment, str) else payment)


def compute_reward(
    frames: Sequence[Frame], payment: str | Payment = "{default}", solved: bool | None = None
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """What a whole episode of T + 1 frames is paid: totals (T,), and by component the same.

    Args:
        frames: RGB uint8 (H, W, 3) each.
        payment: as for `Reward`.
        solved: where its last step terminated it, whether the environment calls it solved; None elsewhere.
    """
    return pay_episode(Reward(payment), frames, solved)


{succeeded}
'''
NO_SUCCESS = '''succeeded = None
"""How the environment's rewards tell success is not known here; "potential" needs it, see wrapper.py."""'''


def files(source: Source) -> dict[str, bytes]:
    """Path to contents, of all code and the lists of packages.

    Raises:
        BadInput: a checker's source holds what is no text.
    """
    found = {
        "paying/__init__.py": '"""How completions become a reward: the studio\'s own code."""\n',
        "paying/errors.py": _errors(),
        "paying/chain.py": _copied(PACKAGE / "chain.py"),
        "paying/payments.py": _copied(PACKAGE / "payments.py"),
        "paying/asking.py": _copied(PARTS / "asking.py"),
        "checkers/__init__.py": '"""A module per checker, byte for byte what was verified."""\n',
        "reward.py": _reward(source),
        **{f"{name}.py": _copied(PARTS / f"{name}.py") for name in ("wrapper", "sb3_wrapper", "recorded", "demo")},
        "tests/__init__.py": "",
        "tests/test_reward.py": _copied(PARTS / "test_reward.py"),
        "requirements.txt": "\n".join(requirements(source)) + "\n",
    }
    environment = source.standalone
    if environment is not None:
        found["environment.py"] = environment.source
        found["requirements-demo.txt"] = "\n".join(["-r requirements.txt", *environment.packages]) + "\n"
        found |= copying.copied(environment.modules) if environment.modules else {}
    checkers = {step.key: step.checker.source for step in source.proposal.steps}
    found |= {f"checkers/{source.files[key]}.py": text for key, text in checkers.items()}
    try:
        return {path: text.encode() for path, text in found.items()}
    except UnicodeEncodeError as error:
        raise BadInput(f"the code of a checker holds what is no text ({error.reason}); edit it first") from error


def requirements(source: Source) -> list[str]:
    """The distributions that the bundle needs, with the versions that are here as a comment."""
    imported = {name for step in source.proposal.steps for name in _imports(step.key, step.checker.source)}
    wanted = dict.fromkeys([*ALWAYS, *(REQUIRED[name] for name in sorted(imported & set(REQUIRED)))])
    return [f"{name}  # made with {metadata.version(name)}" for name in wanted]


def _imports(key: str, text: str) -> set[str]:
    found = set()
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise BadInput(f"the checker {key!r} is not Python ({error}); mend it before it is exported") from error
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def _copied(path: Path) -> str:
    """One of our modules; what it imports of ours is beside it there."""
    return OURS.sub(r"from .\1 import", path.read_text(encoding="utf-8"))


def _errors() -> str:
    classes = "\n\n\n".join(inspect.getsource(kind).rstrip() for kind in FAULTS)
    about = '"""What can be wrong with how one wants to be paid."""'
    return f"{about}\n\nfrom collections.abc import Iterable\n\n\n{classes}\n"


def _reward(source: Source) -> str:
    modules = source.files
    names = list(source.payments)
    steps = "\n".join(f"    {_step(step.key, step.title, modules[step.key])}," for step in source.paid)
    goal = source.proposal.goal
    return REWARD.format(
        session=one_line(source.session.name),
        number=source.proposal.number,
        version=metadata.version("vlmcar-studio"),
        default=names[0],
        modules=", ".join(sorted(modules.values())),
        steps=steps,
        goal=_step(goal.key, goal.title, modules[goal.key]),
        paid_goal="" if source.proposal.subtasks else ", unless as the only step",
        payments="\n".join(f"    {name!r}: {_payment(payment)}," for name, payment in source.payments.items()),
        succeeded=_succeeded(source),
    )


def _step(key: str, title: str, module: str) -> str:
    """Words of a stranger are literals of ASCII: whatever they are, they are text."""
    return f"Step({key!a}, {one_line(title)!a}, {module}.check)"


def _payment(payment: Payment) -> str:
    weights = {key: float(weight) for key, weight in payment.weights.items()}
    return (
        f"Payment(way={payment.way!r}, scale={float(payment.scale)!r}, weights={weights!a}, "
        f"undo={float(payment.undo)!r}, discount={float(payment.discount)!r})"
    )


def _succeeded(source: Source) -> str:
    """The family's own word on success, where it stands on its own; where that depends on the task, the task's."""
    family = source.family
    if family is None:
        return NO_SUCCESS
    if hasattr(family, "success_in"):
        return (source.standalone.succeeded if source.standalone is not None else "") or NO_SUCCESS
    text = textwrap.dedent(inspect.getsource(family.succeeded)).rstrip()
    known = {*vars(builtins), "np", "NDArray", "rewards", "terminated"}
    used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    return text if used <= known else NO_SUCCESS
