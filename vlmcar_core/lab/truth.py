"""What each checker must say of an episode, as far as anything but the checker itself knows it.

Where the simulator tells named facts ("key held"), a sub-task is compared with the fact that comes true, in every
expert, where its checker first fires. That is a guess; a person may name another fact, or none. Where nothing is known
nothing is said: no label is made up.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vlmcar_core.types import GOAL, Answers, Source, SubTask, Trajectory

EARLY = 1
"""Frames that a checker may come before its fact: what moves is often seen to be there a frame before it counts."""

Facts = Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class Expected:
    """What one checker must do in one episode."""

    fires: bool | None
    """It must be done in some frame, or in none; None where nobody knows."""

    since: int = 1
    """It must not be done in any frame before this one."""

    why: str = ""
    """Where that is known from."""


UNKNOWN = Expected(None, 0)


@dataclass(frozen=True)
class Episode:
    """What is known of one recorded episode beside its frames."""

    id: str
    source: Source
    success: bool | None
    facts: Facts
    """By name, bool, shape (T + 1,)."""

    scene: str = ""
    """What was put beside the task's own objects, if anything was."""

    @classmethod
    def of(cls, id: str, trajectory: Trajectory) -> "Episode":
        scene = trajectory.versions.get("scene", "")
        return cls(id, trajectory.source, trajectory.success, trajectory.facts, scene)


def anchors(
    steps: Sequence[SubTask], experts: Sequence[tuple[Episode, Mapping[str, Answers]]]
) -> dict[str, str | None]:
    """For each step the fact that its checker seems to see, by the step's key; None where no fact fits.

    A fact fits where in every expert it comes true within `EARLY` frames of the checker's first fire. Of several, the
    nearest is taken, then the one that shares most words with the step's title.
    """
    return {step.key: _anchor(step, experts) for step in steps}


def _anchor(step: SubTask, experts: Sequence[tuple[Episode, Mapping[str, Answers]]]) -> str | None:
    names = set.intersection(*(set(episode.facts) for episode, _ in experts)) if experts else set()
    ranked = []
    for name in names:
        offsets = [offset(answers[step.key], episode.facts[name]) for episode, answers in experts]
        known = [one for one in offsets if one is not None]
        if len(known) == len(offsets) and max(map(abs, known)) <= EARLY:
            ranked.append((sum(map(abs, known)), -_shared(step.title, name), name))
    return min(ranked)[2] if ranked else None


def nearest(key: str, experts: Sequence[tuple[Episode, Mapping[str, Answers]]]) -> str:
    """In words, the fact that comes true nearest to where a checker first fires, where none fits; empty where no fact
    comes true in every expert."""
    names = set.intersection(*(set(episode.facts) for episode, _ in experts)) if experts else set()
    found = []
    for name in names:
        offsets = [offset(answers[key], episode.facts[name]) for episode, answers in experts]
        if None not in offsets:
            found.append((max(abs(one) for one in offsets if one is not None), name))
    if not found:
        return ""
    frames, name = min(found)
    told = f"“{name}” comes true up to {frames} frames away from its first fire"
    return f"no fact fits it; {told}. Name the fact if it is that"


def offset(answers: Answers, truth: NDArray[np.bool_]) -> int | None:
    """First fire less first truth, in frames; None where one of them never is, or is from the start."""
    done = answers.done
    if not done.any() or not truth.any() or done[0] or truth[0]:
        return None
    return int(np.argmax(done)) - int(np.argmax(truth))


def _shared(title: str, fact: str) -> int:
    return len(set(re.findall(r"\w+", title.lower())) & set(re.findall(r"\w+", fact.lower())))


def expected(key: str, episode: Episode, fact: str | None) -> Expected:
    """What a checker must do in an episode.

    Args:
        key: the checker's.
        episode: which.
        fact: the one that the checker is compared with; None where there is none.
    """
    if fact is not None and fact in episode.facts:
        return _by_fact(fact, episode.facts[fact])
    if episode.source == "expert" and episode.success is not False:
        return Expected(True, 1, "an expert does everything")
    if key == GOAL and episode.success is False:
        return Expected(False, 0, "the environment never calls this episode solved")
    return UNKNOWN


def by_frame(known: Expected, frames: int) -> list[bool | None]:
    """The same for each frame: not done, or None where it may be either.

    Args:
        known: of the whole episode.
        frames: how many there are, T + 1.
    """
    if known.fires is None:
        return [None] * frames
    silent = frames if known.fires is False else min(known.since, frames)
    return [False] * silent + [None] * (frames - silent)


def _by_fact(fact: str, truth: NDArray[np.bool_]) -> Expected:
    if not truth.any():
        return Expected(False, 0, f"never “{fact}”")
    first = int(np.argmax(truth))
    if first == 0:
        return UNKNOWN  # true from the start: whether that counts is the checker's own matter
    return Expected(True, max(1, first - EARLY), f"“{fact}” from frame {first} on")
