"""What verification found, as counts; the judgement is derived, so a threshold changes without running again."""

import math
from dataclasses import dataclass, replace

from scipy.special import betaincinv

from vlmcar_core.errors import DamagedFile
from vlmcar_core.types import GOAL, Count, Judgement, Thresholds

SAMPLE_MAX = 1e15
"""Nobody records so many; a limit next to 0 would ask for more than a whole number holds."""


def upper_bound(count: Count, confidence: float) -> float:
    """One-sided upper Clopper–Pearson bound of the rate (Clopper & Pearson 1934); 1.0 where nothing was counted."""
    if count.hits == count.total:
        return 1.0
    return float(betaincinv(count.hits + 1, count.total - count.hits, confidence))


def lower_bound(count: Count, confidence: float) -> float:
    """One-sided lower Clopper–Pearson bound of the rate; 0.0 where nothing was counted."""
    if count.hits == 0:
        return 0.0
    return float(betaincinv(count.hits, count.total - count.hits + 1, 1.0 - confidence))


NONE = Count(0, 0)


@dataclass(frozen=True)
class Wrong:
    """A place where a checker, or the whole proposal, was wrong."""

    trajectory: str
    frame: int
    reason: str
    """In plain words: what was answered, and what would have been right."""


@dataclass(frozen=True)
class Verdict:
    """What verification found about one checker: counts of trajectories, never rates."""

    key: str
    digest: str
    """SHA-256 of the source that was verified."""

    expert: Count
    """Expert trajectories in which it fired after the first frame, and not yet in it; those beside a wrong object,
    which the task itself never shows, are left to the examination."""

    random: Count
    """Random trajectories in which it fired after the first frame, and not yet in it."""

    at_start: Count
    """Trajectories of any source whose first frame it calls done: it could never be paid there."""

    faulty: Count
    """Trajectories of any source in which a call of it did not end well."""

    false_goals: Count
    """For the goal's checker only: of the trajectories that the environment calls not solved, those in which
    it fired; negatives are counted apart. 0 of 0 for the others, and where the environment has no word on success."""

    fault: str = ""
    """The first thing that went wrong in it, in plain words."""

    wrong: tuple[Wrong, ...] = ()
    """Where to look first: at most one place per trajectory, the worst kind first."""

    frame_seconds: float | None = None
    """Seconds per frame that it took to answer, on the average; None where that was not measured."""

    impure: str = ""
    """What it answers differently when the same frames are asked in another order; empty where nothing was found."""

    negatives: Count = NONE
    """For the goal's checker only: of the negatives, those in which it fired. 0 of 0 for the others."""


@dataclass(frozen=True)
class Verification:
    """One verification of one proposal."""

    proposal: int
    verdicts: tuple[Verdict, ...]
    """One per sub-task in order, then the goal's."""

    expert: Count
    """Expert trajectories that complete every sub-task in order and then the goal."""

    random: Count
    """Random trajectories that do, of those which the environment does not itself call solved."""

    random_solved: int
    """Random trajectories left out of `random` because the environment calls them solved."""

    random_steps: int
    """Length at which random episodes were cut, in steps. Every random rate belongs beside it."""

    thresholds: Thresholds
    trajectories: tuple[str, ...] = ()
    """Ids of what it was verified on."""

    wrong: tuple[Wrong, ...] = ()
    number: int | None = None
    created: str = ""
    negatives: Count = NONE
    """Of the negatives, those that complete every sub-task in order and then the goal. Negatives are adversarial
    trajectories of the task, kept because they are not solved: what a search found, or what a run was paid for."""

    def verdict(self, key: str) -> Verdict:
        """Raises `DamagedFile` where there is none, as no verification of ours leaves one out."""
        found = next((verdict for verdict in self.verdicts if verdict.key == key), None)
        if found is None:
            raise DamagedFile(f"verification {self.number} says nothing about {key!r}; verify proposal {self.proposal}")
        return found


@dataclass(frozen=True)
class Judged:
    """A judgement and the sentence that it rests on."""

    judgement: Judgement
    reason: str


def interval(count: Count, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided Clopper–Pearson interval of a rate; (0, 1) where nothing was counted."""
    one_sided = 1.0 - (1.0 - confidence) / 2.0
    return lower_bound(count, one_sided), upper_bound(count, one_sided)


def smallest_sample(thresholds: Thresholds) -> int:
    """The fewest random episodes whose bound can fall below the limit: 29 for 10 % at 95 %."""
    # With no hit among n the bound is 1 - (1 - confidence) ** (1 / n); the smallest n that takes it below the limit:
    exact = math.log1p(-thresholds.confidence) / math.log1p(-thresholds.random_limit)
    return math.floor(min(exact, SAMPLE_MAX)) + 1


def judge_checker(verdict: Verdict, verification: Verification) -> Judged:
    """Accept, reject or leave open one checker.

    Experts must fire in every trajectory and never in its first frame; a fault rejects, and so does an answer that
    depends on what was asked before. The goal's checker is
    also held to the random limit, over the trajectories that the environment does not call solved, and must fire in no
    negative. A sub-task's random rate is not judged (early sub-tasks are reached by luck).
    """
    if verdict.faulty.hits:
        return Judged("rejected", f"it failed in {_of(verdict.faulty)} trajectories: {verdict.fault}")
    if verdict.impure:
        return Judged("rejected", verdict.impure)
    expert = _judge_expert(verdict.expert, verification.thresholds, "fires")
    if expert.judgement == "rejected" and verdict.at_start.hits:
        early = _of(verdict.at_start)
        return Judged("rejected", f"{expert.reason}; it calls the first frame done in {early} trajectories")
    if expert.judgement == "rejected" or verdict.key != GOAL:
        return expert
    if verdict.negatives.hits:
        return Judged("rejected", _for_nothing(verdict.negatives, "fires"))
    goals = _judge_limit(
        verdict.false_goals, verification, "fires in", "trajectories that the environment calls not solved"
    )
    return _worse(expert, goals) if verdict.false_goals.total else expert


def judge_whole(verification: Verification) -> Judged:
    """Accept, reject or leave open the whole proposal: the paper's rule, with an interval; and no negative may be
    completed, since each of those was looked for: one shows that the reward can be had for nothing."""
    faulty = [verdict.key for verdict in verification.verdicts if verdict.faulty.hits]
    if faulty:
        return Judged("rejected", f"checkers failed while they ran: {', '.join(faulty)}")
    impure = [verdict.key for verdict in verification.verdicts if verdict.impure]
    if impure:
        return Judged("rejected", f"checkers keep something between calls: {', '.join(impure)}")
    expert = _judge_expert(
        verification.expert, verification.thresholds, "completes every sub-task in order and the goal"
    )
    if expert.judgement != "rejected" and verification.negatives.hits:
        return Judged("rejected", _for_nothing(verification.negatives, "everything is completed"))
    solved = verification.random_solved
    aside = f" ({solved} more that the environment calls solved are left out)" if solved else ""
    group = f"random episodes of at most {verification.random_steps} steps{aside}"
    found = _worse(expert, _judge_limit(verification.random, verification, "completed in", group))
    unpaid = verification.negatives
    if not unpaid.total or unpaid.hits:
        return found
    return replace(found, reason=f"{found.reason}; in none of {unpaid.total} negatives")


def _for_nothing(negatives: Count, verb: str) -> str:
    return f"{verb} in {_of(negatives)} negatives, which the environment calls not solved; none may be"


def _of(count: Count) -> str:
    return f"{count.hits} of {count.total}"


def _worse(one: Judged, other: Judged) -> Judged:
    """Both must hold; the reason is the worse one's, or both where they agree."""
    order = ("rejected", "undecided", "accepted")
    if one.judgement == other.judgement:
        return Judged(one.judgement, f"{one.reason}; {other.reason}")
    return min(one, other, key=lambda judged: order.index(judged.judgement))


def _judge_expert(count: Count, thresholds: Thresholds, verb: str) -> Judged:
    if not count.total:
        return Judged("undecided", f"no expert trajectory is there; at least {thresholds.min_experts} are needed")
    said = f"{verb} in {_of(count)} expert trajectories"
    if count.hits < count.total:
        return Judged("rejected", f"{said}; all must")
    if count.total < thresholds.min_experts:
        return Judged("undecided", f"{said}; at least {thresholds.min_experts} are needed")
    return Judged("accepted", said)


def _judge_limit(count: Count, verification: Verification, verb: str, group: str) -> Judged:
    limit, confidence = verification.thresholds.random_limit, verification.thresholds.confidence
    needed = smallest_sample(verification.thresholds)
    if not count.total:
        return Judged("undecided", f"no random episode is there; at least {needed} are needed to decide")
    bound = upper_bound(count, confidence)
    said = (
        f"{verb} {_of(count)} {group}, so below {bound:.1%} with {confidence:.0%} confidence; the limit is {limit:.0%}"
    )
    if bound < limit:
        return Judged("accepted", said)
    if count.total >= needed and count.hits >= limit * count.total:
        return Judged("rejected", f"{verb} {_of(count)} {group}; it must stay under {limit:.0%}")
    if count.total < needed:
        return Judged("undecided", f"{said}: at least {needed} are needed to decide")
    return Judged("undecided", f"{said}: record more to decide")
