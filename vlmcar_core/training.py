"""What a trainer is asked to do, and what it tells while it does. Imports nothing heavy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym

from vlmcar_core.copies import Copies
from vlmcar_core.policies import Act


@dataclass(frozen=True)
class Stretch:
    """What a trainer tells after a stretch of training."""

    steps: int
    """Environment steps so far, of all copies together."""

    records: list[dict[str, Any]]
    """The `episode_record` of every episode that ended in it."""

    act: Act
    """The policy as it is now, a copy that further training leaves alone."""

    save: Callable[[], None]
    """Writes the policy to `Training.save_to`."""

    losses: Mapping[str, float] = field(default_factory=dict)
    """What the learner measured of its last update, by Stable-Baselines3's names without their beginning (loss,
    entropy_loss, value_loss, approx_kl, actor_loss …); empty before the first."""

    checkpoint: Callable[[Path], None] | None = None
    """Writes all that `Training.resume` needs to go on from here; None where the trainer cannot."""


def _unwatched(_stretch: Stretch) -> None:
    pass


def _unticked(_steps: int) -> None:
    pass


def _one_by_one(_count: int, _view: str) -> None:
    return None


@dataclass(frozen=True)
class Training:
    """What a trainer is asked to do."""

    make_env: Callable[[str], gym.Env[Any, Any]]
    """From a view to one copy of the environment. "policy": a Box observation, flat or a picture; "goal": a Dict of
    observation, achieved_goal and desired_goal, for trainers that change goals in hindsight; raises `BadInput` where
    there are none.
    "masked": a flat Box that ends with which actions may be taken, for trainers that leave the others out; the
    environment has `action_masks()`, too.
    Every ended episode's last info has "episode_record"."""

    steps: int
    """Environment steps in all."""

    seed: int
    save_to: Path
    """The policy's file."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Those that differ from the trainer's defaults."""

    watch: Callable[[Stretch], None] = _unwatched
    """Called after each stretch; may raise to stop."""

    resume: Path | None = None
    """A checkpoint to go on from; the steps that it had count."""

    tick: Callable[[int], None] = _unticked
    """Called with the steps so far after every step of the copies; may raise to stop."""

    make_copies: Callable[[int, str], Copies | None] = _one_by_one
    """From how many, and a view as for `make_env`, to that many copies that are stepped together: the same episodes as
    `make_env` gives, sooner. None where there are none, and the trainer makes its copies one by one."""
