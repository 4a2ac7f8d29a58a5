"""Recorded actions, done again in the session's environment from the recorded seed: what a file without frames shows.

What the environment pays and shows is held against what was recorded; what does not happen again the
same way is refused.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlmcar_core import files, rollouts
from vlmcar_core.errors import BadInput
from vlmcar_core.meaning import Meaning, array_of, source_of, success_of
from vlmcar_core.readers import Episode
from vlmcar_core.types import Task, Trajectory

TOLERANCE = 1e-5
"""By how much a reward or an observation that is replayed may differ, relative and absolute: files hold float32."""


def replayed(task: Task, name: str, episode: Episode, meaning: Meaning) -> Trajectory:
    """What the session's environment shows when the recorded actions are done again, held against what was recorded."""
    actions = array_of(episode, "actions", meaning.actions)
    if task.env_id is None:
        raise BadInput(f"{name} holds no frames, and this session has no environment that could make them")
    if actions is None:
        raise BadInput(f"{name} holds neither frames nor actions; name the array that holds one of them")
    if episode.seed is None or not 0 <= episode.seed < 2**31:
        raise BadInput(
            f"{name} holds no frames and no seed: where the episode began is not known, so it is not replayed"
        )
    if episode.env_id is not None and episode.env_id != task.env_id:
        raise BadInput(f"{name} was recorded in {episode.env_id}, and this session's environment is {task.env_id}")
    found, seen = rollouts.record_again(task, episode.seed, _as_actions(name, actions), source_of(episode, meaning))
    if found.steps != len(actions):
        raise BadInput(
            f"{name} cannot be replayed: the environment ended after {found.steps} of {len(actions)} recorded steps; "
            "another version or other settings of it were recorded"
        )
    _check_paid(name, array_of(episode, "rewards", meaning.rewards), found.rewards)
    held = "rewards and observations" if _check_seen(name, episode, seen) else "rewards"
    said = found.success if meaning.success == "auto" else success_of(episode, found.rewards, meaning)
    return dataclasses.replace(found, success=said, versions={**found.versions, "replayed": held})


def _as_actions(name: str, actions: NDArray[Any]) -> list[Any]:
    if actions.dtype.kind not in "biuf" or not 1 <= actions.ndim <= 2:
        raise BadInput(f"{name}: its actions are {actions.dtype} {actions.shape}; expected numbers (T,) or (T, A)")
    return [int(action) for action in actions] if actions.ndim == 1 and actions.dtype.kind in "biu" else list(actions)


def _check_paid(name: str, recorded: NDArray[Any] | None, paid: NDArray[np.float64]) -> None:
    if recorded is None:
        raise BadInput(f"{name} cannot be replayed: it holds no rewards to see by whether the same happens again")
    if recorded.shape != paid.shape or recorded.dtype.kind not in "biuf":
        raise BadInput(f"{name}: its rewards are {recorded.dtype} {recorded.shape}; expected numbers {paid.shape}")
    wrong = np.flatnonzero(~np.isclose(recorded, paid, rtol=TOLERANCE, atol=TOLERANCE))
    if len(wrong):
        step = int(wrong[0])
        raise BadInput(
            f"{name} cannot be replayed: at step {step} it was paid {recorded[step]:g}, and the environment pays "
            f"{paid[step]:g} now; another version or other settings of it were recorded"
        )


def _check_seen(name: str, episode: Episode, seen: Sequence[Any]) -> bool:
    """Every observation that both have under one name and in one shape; returns whether there was one."""
    held = False
    for key, first in _leaves(seen[0], "observations").items():
        recorded = episode.arrays.get(key)
        if recorded is None or recorded.shape != (len(seen), *first.shape) or recorded.dtype.kind not in "biuf":
            continue
        held = True
        for step, observation in enumerate(seen):
            now = _leaves(observation, "observations")[key]
            if not np.allclose(recorded[step], now, rtol=TOLERANCE, atol=TOLERANCE):
                raise BadInput(
                    f"{name} cannot be replayed: after {step} steps its {files.label(key)} is another than the "
                    "environment shows now; another version or other settings of it were recorded"
                )
    return held


def _leaves(value: Any, where: str) -> dict[str, NDArray[Any]]:
    """Arrays of numbers in an observation, by their path as Minari writes it."""
    if isinstance(value, (Mapping, tuple)):
        named = value if isinstance(value, Mapping) else {f"_index_{at}": part for at, part in enumerate(value)}
        return {key: array for name, part in named.items() for key, array in _leaves(part, f"{where}/{name}").items()}
    array = np.asarray(value)
    return {where: array} if array.dtype.kind in "biuf" else {}
