"""Which of several proposals, and which of several checkers of one sub-task, verification found to be the better. Pure.

The order: the verdict; then the bound on the share of random episodes (fewer false positives first: rewarding what
should not be rewarded hurts more than missing it, arXiv 2409.15922); then the share of experts; then the time a frame
takes; then the length of the code. The verdict goes first because a checker that never fires has the best bound.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vlmcar_core.types import Judgement, Proposal, SubTask
from vlmcar_core.verdicts import Verification, judge_checker, judge_whole, upper_bound

ORDER: tuple[Judgement, ...] = ("accepted", "undecided", "rejected")
NEAR_FRAMES = 1
"""Two checkers that first fire within so many frames of each other, on every expert, may watch the same sub-task."""

ALIKE_WORDS = 0.6
"""Titles that share so much of their words name the same sub-task."""

Fires = Mapping[str, Sequence[int | None]]
"""Digest of a checker to the frame of its first fire on each expert, None where it did not."""


@dataclass(frozen=True)
class Score:
    """What is compared; the smaller, the better."""

    judgement: Judgement
    bound: float
    """Upper bound of the share of random episodes, one-sided Clopper–Pearson."""

    missed: float
    """Share of experts that are not completed; 1.0 where there are none."""

    seconds: float
    """Per frame; infinity where it was not measured."""

    length: int
    """Of the code, in characters."""

    @property
    def order(self) -> tuple[int, float, float, float, int]:
        """To sort by; times within half a millisecond count as the same, for they are noise."""
        return (ORDER.index(self.judgement), self.bound, self.missed, _rounded(self.seconds), self.length)


def _rounded(seconds: float) -> float:
    return seconds if seconds == float("inf") else round(seconds * 2000) / 2000


def score(proposal: Proposal, verification: Verification) -> Score:
    """A whole proposal's."""
    known = [verdict.frame_seconds for verdict in verification.verdicts]
    return Score(
        judgement=judge_whole(verification).judgement,
        bound=upper_bound(verification.random, verification.thresholds.confidence),
        missed=1.0 - (verification.expert.rate or 0.0),
        seconds=_sum(known),
        length=sum(len(step.checker.source) for step in proposal.steps),
    )


def checker_score(step: SubTask, verification: Verification) -> Score:
    """One checker's."""
    verdict = verification.verdict(step.key)
    return Score(
        judgement=judge_checker(verdict, verification).judgement,
        bound=upper_bound(verdict.random, verification.thresholds.confidence),
        missed=1.0 - (verdict.expert.rate or 0.0),
        seconds=_sum([verdict.frame_seconds]),
        length=len(step.checker.source),
    )


def _sum(values: Sequence[float | None]) -> float:
    return sum(value for value in values if value is not None) if None not in values else float("inf")


def ranked(proposals: Sequence[Proposal], verifications: Mapping[int, Verification]) -> list[tuple[Proposal, Score]]:
    """The verified proposals, the best first; ties by number."""
    scored = [
        (proposal, score(proposal, verifications[proposal.number]))
        for proposal in proposals
        if proposal.number is not None and proposal.number in verifications
    ]
    return sorted(scored, key=lambda pair: (pair[1].order, pair[0].number))


@dataclass(frozen=True)
class Choice:
    """A checker that may stand for a sub-task."""

    proposal: int
    step: SubTask
    score: Score


def choices(
    base: Proposal, proposals: Sequence[Proposal], verifications: Mapping[int, Verification], fires: Fires
) -> dict[str, list[Choice]]:
    """For each sub-task of a proposal, and its goal, the checkers of all proposals that watch the same, the best
    first.

    Args:
        base: whose sub-tasks they are.
        proposals: where to look, `base` among them.
        verifications: by the number of the proposal.
        fires: when each checker first fired on each expert, the experts in one order.
    """
    found: dict[str, list[Choice]] = {step.key: [] for step in base.steps}
    for other in proposals:
        if other.number is None or other.number not in verifications:
            continue
        for candidate in other.steps:
            same = candidate if other is base else _watched(candidate, other, base, fires)
            if same is not None:
                score = checker_score(candidate, verifications[other.number])
                found[same.key].append(Choice(other.number, candidate, score))
    return {
        key: sorted(options, key=lambda choice: (choice.score.order, choice.proposal)) for key, options in found.items()
    }


def _watched(candidate: SubTask, other: Proposal, base: Proposal, fires: Fires) -> SubTask | None:
    """Which of `base`'s sub-tasks a checker of another proposal watches: one that is called alike, else the one whose
    checker fires nearest to it."""
    if candidate is other.goal:
        return base.goal
    there = fires.get(candidate.checker.digest, ())
    options: list[tuple[bool, int, int]] = []
    for number, step in enumerate(base.subtasks):
        alike, gap = _alike(step.title, candidate.title), _gap(fires.get(step.checker.digest, ()), there)
        if alike or gap is not None:
            options.append((not alike, gap or 0, number))
    return base.subtasks[min(options)[2]] if options else None


def _fired(frame: int | None) -> bool:
    return frame is not None


def _gap(here: Sequence[int | None], there: Sequence[int | None]) -> int | None:
    """Frames between the first fires of two checkers, over all experts; None where they do not watch the same."""
    if len(here) != len(there) or not any(map(_fired, here)) or not all(map(_near, here, there)):
        return None
    return sum(
        abs(one - other) for one, other in zip(here, there, strict=True) if one is not None and other is not None
    )


def _near(one: int | None, other: int | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= NEAR_FRAMES


def _alike(one: str, other: str) -> bool:
    """Whether two titles share enough of their words (Jaccard index)."""
    first, second = (set(re.findall(r"\w+", text.lower())) - {"the", "a", "an"} for text in (one, other))
    return bool(first | second) and len(first & second) / len(first | second) >= ALIKE_WORDS
