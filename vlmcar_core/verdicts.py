"""What verification found, as counts; the judgement is derived, so a threshold changes without running again."""

from dataclasses import dataclass

from scipy.special import betaincinv

from vlmcar_core.types import Count, Thresholds


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
    """Expert trajectories in which it fired after the first frame, and not yet in it."""

    random: Count
    """Random trajectories in which it fired after the first frame, and not yet in it."""

    at_start: Count
    """Trajectories of any source whose first frame it calls done: it could never be paid there."""

    faulty: Count
    """Trajectories of any source in which a call of it did not end well."""

    false_goals: Count
    """For the goal's checker only: of the trajectories that the environment calls not solved, those in which
    it fired. 0 of 0 for the others, and where the environment has no word on success."""

    fault: str = ""
    """The first thing that went wrong in it, in plain words."""

    wrong: tuple[Wrong, ...] = ()
    """Where to look first: at most one place per trajectory, the worst kind first."""


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

    def verdict(self, key: str) -> Verdict:
        return next(verdict for verdict in self.verdicts if verdict.key == key)
