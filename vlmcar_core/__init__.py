"""VLM-CaR: reward code from a vision-language model, verified on trajectories, then trained on.

From Python, with whatever learns from a Gymnasium environment:

    import vlmcar_core as vlmcar

    session = vlmcar.open_session("example-doorkey-6x6")
    env = vlmcar.with_reward(session, gym.make("MiniGrid-DoorKey-6x6-v0", render_mode="rgb_array"))

Reaching a session    open_session, make_env, with_reward, pipeline (the stages: create_from_env, record, propose,
                      verify, train, report, export, …, each a function over a Session), Session
What stages pass on   Task, Recording, Thresholds, Trajectory, Answers, Checker, SubTask, Proposal, Verification,
                      Verdict, Count
What pays             CheckerReward, Judge (shared between copies of an environment), Payment
What goes wrong       VlmcarError, and below it BadInput, UnknownName, DamagedFile, …: see errors.py

All of these are imported when they are first asked for, so that importing the package takes no time.
"""

import importlib

TYPE_CHECKING = False  # true for whoever checks types; `typing` is the larger part of what importing this would cost

if TYPE_CHECKING:
    from vlmcar_core import pipeline
    from vlmcar_core.errors import BadInput, DamagedFile, UnknownName, VlmcarError
    from vlmcar_core.payments import Payment
    from vlmcar_core.pipeline import make_env, open_session, with_reward
    from vlmcar_core.reward import CheckerReward, Judge
    from vlmcar_core.store import Session
    from vlmcar_core.types import (
        Answers,
        Checker,
        Count,
        Proposal,
        Recording,
        SubTask,
        Task,
        Thresholds,
        Trajectory,
    )
    from vlmcar_core.verdicts import Verdict, Verification

__all__ = [
    "Answers",
    "BadInput",
    "Checker",
    "CheckerReward",
    "Count",
    "DamagedFile",
    "Judge",
    "Payment",
    "Proposal",
    "Recording",
    "Session",
    "SubTask",
    "Task",
    "Thresholds",
    "Trajectory",
    "UnknownName",
    "Verdict",
    "Verification",
    "VlmcarError",
    "make_env",
    "open_session",
    "pipeline",
    "with_reward",
]

_HOMES = {
    "errors": ("BadInput", "DamagedFile", "UnknownName", "VlmcarError"),
    "payments": ("Payment",),
    "pipeline": ("make_env", "open_session", "with_reward"),
    "reward": ("CheckerReward", "Judge"),
    "store": ("Session",),
    "types": (
        *("Answers", "Checker", "Count", "Proposal", "Recording", "SubTask", "Task", "Thresholds", "Trajectory"),
    ),
    "verdicts": ("Verdict", "Verification"),
}


def __getattr__(name: str) -> object:
    if name == "pipeline":
        return importlib.import_module("vlmcar_core.pipeline")
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module(f"vlmcar_core.{home}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
