"""What each checker must say of an episode, as far as anything but the checker itself knows it.

Where the simulator tells named facts ("key held"), a sub-task is compared with the one that it is about: by a person's
word, or by what its title names, or, for the goal, by what comes true when the environment calls an episode solved.
Where none of these tells, the fact that comes true where the checker itself first fires is taken, and a checker is
never accepted for agreeing with that. Where nothing is known nothing is said: no label is made up.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vlmcar_core.examinations import Origin
from vlmcar_core.lab import titles
from vlmcar_core.types import GOAL, Answers, Source, SubTask, Trajectory

EARLY = 1
"""Frames that a checker may come before its fact: what moves is often seen to be there a frame before it counts."""

SELDOM = 1_000_000
"""Further off than any fact that fits."""

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


@dataclass(frozen=True)
class Anchor:
    """The fact that a checker is compared with, and where that is known from."""

    fact: str | None
    origin: Origin
    likely: tuple[str, ...] = ()
    """The facts that it may be about, the likeliest first: what a person is offered to choose from."""


Expert = tuple[Episode, Mapping[str, Answers]]
"""What is known of an episode, and by checker key what was said in it."""


def anchors(steps: Sequence[SubTask], experts: Sequence[Expert], episodes: Iterable[Episode] = ()) -> dict[str, Anchor]:
    """For each step the fact that it is about, by the step's key, as far as that can be told without a person.

    In this order: the goal is about the fact that comes true where the environment calls an episode solved, and in none
    that it does not; a sub-task is about the fact that its title names, where that comes true in every expert. Neither
    looks at what the checker answers. Failing that, it is the fact that comes true, in every expert, within `EARLY`
    frames of the checker's first fire: that shows what the checker is like, and proves nothing, since a wrong checker
    chooses for itself what it is compared with.

    Args:
        steps: of the proposal.
        experts: episodes of the task's own layouts that do everything.
        episodes: all that are recorded, those included.
    """
    onsets = _onsets(experts)
    known = list(episodes) or [episode for episode, _ in experts]
    return {step.key: _anchor(step, experts, onsets, known) for step in steps}


def _onsets(experts: Sequence[Expert]) -> dict[str, list[int]]:
    """The facts that come true in every expert after its first frame, and where."""
    names = set.intersection(*(set(episode.facts) for episode, _ in experts)) if experts else set()
    found = {}
    for name in sorted(names):
        told = [episode.facts[name] for episode, _ in experts]
        if all(truth.any() and not truth[0] for truth in told):
            found[name] = [int(np.argmax(truth)) for truth in told]
    return found


def _anchor(
    step: SubTask, experts: Sequence[Expert], onsets: Mapping[str, list[int]], episodes: Sequence[Episode]
) -> Anchor:
    fits = _fitting(step.key, experts)
    near = sorted(onsets, key=lambda name: (-titles.share(step.title, name), sum(fits.get(name, [SELDOM])), name))
    if step.key == GOAL and (solved := _solved(step.title, onsets, experts, episodes)) is not None:
        return Anchor(solved, "success", tuple(near))
    told = titles.named(step.title, onsets) if step.key != GOAL else None
    if told is not None:
        return Anchor(told, "title", tuple(near))
    close = [name for name, frames in fits.items() if max(frames) <= EARLY]
    fired = min(close, key=lambda name: (sum(fits[name]), -titles.share(step.title, name), name)) if close else None
    return Anchor(fired, "fires" if fired is not None else "none", tuple(near))


def _solved(
    title: str, onsets: Mapping[str, list[int]], experts: Sequence[Expert], episodes: Sequence[Episode]
) -> str | None:
    """The fact that comes true with an expert's last frame, and in no episode that is never solved."""
    last = [len(next(iter(episode.facts.values()))) - 1 for episode, _ in experts if episode.facts]
    if not experts or any(episode.success is not True for episode, _ in experts):
        return None
    unsolved = [episode for episode in episodes if episode.success is False]
    found = [
        name
        for name, frames in onsets.items()
        if frames == last and not any(episode.facts[name].any() for episode in unsolved if name in episode.facts)
    ]
    return min(found, key=lambda name: (-titles.share(title, name), name)) if found else None


def _fitting(key: str, experts: Sequence[Expert]) -> dict[str, list[int]]:
    """Of each fact that comes true in every expert, how many frames that is away from the checker's first fire, in
    each; without those that are true, or called done, from the start."""
    names = set.intersection(*(set(episode.facts) for episode, _ in experts)) if experts else set()
    found = {}
    for name in sorted(names):
        offsets = [offset(answers[key], episode.facts[name]) for episode, answers in experts]
        known = [abs(one) for one in offsets if one is not None]
        if len(known) == len(offsets):
            found[name] = known
    return found


def nearest(key: str, experts: Sequence[Expert]) -> str:
    """In words, the fact that comes true nearest to where a checker first fires, where none fits; empty where no fact
    comes true in every expert."""
    found = [(max(frames), name) for name, frames in _fitting(key, experts).items()]
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
