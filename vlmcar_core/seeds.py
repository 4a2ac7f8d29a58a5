"""What several seeds of one experiment came to together, after Agarwal et al., "Deep Reinforcement Learning at the Edge
of the Statistical Precipice" (NeurIPS 2021).

- The interquartile mean (IQM): the mean of what is left when the lowest and the highest quarter of the scores are left
  out, rounded down, so that of fewer than four seeds nothing is left out.
- Its interval: the percentile bootstrap, stratified by task; a session has one task, so its seeds are drawn with
  replacement.
- The probability of improvement of X over Y: that a random run of X scores higher than a random run of Y, ties counting
  half, which is Mann and Whitney's U over the number of pairs; its interval draws seeds of both.

The authors' package, rliable, defines them the same way; it is not used, since it brings arch, statsmodels and seaborn
for what are a few lines of NumPy here (and its current release does not import beside pandas 3).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vlmcar_core import runs
from vlmcar_core.runs import Run, RunConfig

RESAMPLES = 2000
CONFIDENCE = 0.95
QUARTER = 0.25

Floats = NDArray[np.float64]
Evaluations = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def percent(self) -> str:
        """ "95% (90 to 100 %)"."""
        return f"{self.value:.0%} ({100 * self.low:.0f} to {100 * self.high:.0f} %)"

    @property
    def digits(self) -> str:
        """ "0.95 (0.90 to 1.00)"."""
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but their seed. What they came to is told of those that have ended: of two that are
    under way the one that is further would look better."""

    config: RunConfig
    """Of the first of them."""

    runs: tuple[Run, ...]
    learned_after: tuple[int | None, ...]
    """Of each run that has ended, steps at its first evaluation with at least 80 % success; None where none has."""

    final: tuple[float | None, ...]
    """Of each run that has ended, the success rate of its last evaluation."""

    area: tuple[float | None, ...]
    """Of each run that has ended, the mean success rate over its evaluations: the area under its learning curve."""

    @property
    def final_success(self) -> Estimate | None:
        """The IQM over the runs that were evaluated; None where none was."""
        return estimate(self.final)

    @property
    def median_learned(self) -> float | None:
        """Steps to 80 % success, where a run that never came to that counts as later than all; None where the median
        is such a run."""
        if not self.learned_after:
            return None
        found = median(np.inf if steps is None else steps for steps in self.learned_after)
        return float(found) if np.isfinite(found) else None

    @property
    def learned_words(self) -> str:
        """ "46,080 (30,720 to never)": the median and the range of the steps to 80 % success."""
        middle = self.median_learned
        reached = [steps for steps in self.learned_after if steps is not None]
        if not self.learned_after:
            return "-"
        if not reached:
            return "never"
        latest = "never" if None in self.learned_after else f"{max(reached):,}"
        median_words = "never" if middle is None else f"{middle:,.0f}"
        return median_words if len(self.learned_after) == 1 else f"{median_words} ({min(reached):,} to {latest})"


def experiment(config: RunConfig) -> tuple[Any, ...]:
    """Everything that is asked of a run but its seed; runs that share it are repeats of one experiment."""
    settings = tuple(sorted(config.settings.items()))
    paid = (config.pay, config.scale, tuple(sorted(config.weights.items())), config.undo)
    learner = (config.trainer, config.observation, config.steps, settings, config.began_with)
    return (config.reward, config.proposal, config.env_reward, *paid, *learner)


def paid_by(config: RunConfig) -> str:
    """ "sparse", or how checkers pay."""
    return config.pay if config.reward == "dense" else "sparse"


def describe(config: RunConfig) -> str:
    """ "dense, proposal 2, checkers alone": what tells an experiment from the others."""
    trainer = "" if config.trainer == RunConfig.trainer else f", {config.trainer.upper()}"
    trainer += f", sees {config.observation}" if config.observation else ""
    trainer += f", from step {config.began_with:,} of another" if config.began_with else ""
    if config.reward == "sparse":
        return f"sparse{trainer}"
    alone = "" if config.env_reward else ", checkers alone"
    scale = "" if config.scale == RunConfig.scale else f", {config.scale:g} an episode"
    pay = "" if config.pay == RunConfig.pay else f", {config.pay}"
    weights = ", weighted" if config.weights else ""
    undo = f", undoing costs {config.undo:g}" if config.undo else ""
    return f"dense, proposal {config.proposal}{pay}{alone}{scale}{weights}{undo}{trainer}"


def groups(found: Sequence[Run]) -> list[Group]:
    """Runs by experiment, in the order in which each was first run."""
    together: dict[tuple[Any, ...], list[Run]] = {}
    for run in found:
        together.setdefault(experiment(run.config), []).append(run)
    return [_group(members) for members in together.values()]


def _group(members: Sequence[Run]) -> Group:
    over = [run for run in members if not run.job.running]
    told = [runs.read_evaluations(run.folder) for run in over]
    summaries = [runs.summary(evaluations) for evaluations in told]
    return Group(
        config=members[0].config,
        runs=tuple(members),
        learned_after=tuple(found.steps_to_learned for found in summaries),
        final=tuple(found.final_success for found in summaries),
        area=tuple(
            float(np.mean([rate for _, rate in runs.success_rates(evaluations)])) if evaluations else None
            for evaluations in told
        ),
    )


def sparse_of(group: Group, found: Sequence[Group]) -> Group | None:
    """The sparse experiment that a dense one is to be compared with: the same trainer, steps and settings."""
    if group.config.reward == "sparse":
        return None
    wanted = _learner(group.config)
    return next(
        (other for other in found if other.config.reward == "sparse" and _learner(other.config) == wanted),
        None,
    )


def _learner(config: RunConfig) -> tuple[Any, ...]:
    return config.trainer, config.observation, config.steps, dict(config.settings)


def improvement_over(group: Group, other: Group) -> Estimate | None:
    """The probability that a run of `group` learns better than one of `other`, by the area under the learning curve:
    final success often ties at 100 %. None where either has no evaluated run."""
    ours, theirs = ([area for area in found.area if area is not None] for found in (group, other))
    return probability_of_improvement(ours, theirs) if ours and theirs else None


def table(found: Sequence[Group]) -> list[dict[str, str]]:
    """A row per experiment, in words; empty where no run was evaluated yet."""
    if not any(area is not None for group in found for area in group.area):
        return []
    rows = []
    names = [describe(group.config) for group in found]
    for group, name in zip(found, names, strict=True):
        sparse = sparse_of(group, found)
        better = improvement_over(group, sparse) if sparse is not None else None
        rows.append(
            {
                "Experiment": name if names.count(name) == 1 else f"{name}, {group.config.steps:,} steps",
                "Seeds": _seeds(group),
                "Steps to 80 %, median (range)": group.learned_words,
                "Final success, IQM": "-" if group.final_success is None else group.final_success.percent,
                "P(learns better than sparse)": "-" if better is None else better.digits,
            }
        )
    return rows


def _seeds(group: Group) -> str:
    """ "3", or "2 of 3" where some are under way."""
    over, all_of_them = len(group.area), len(group.runs)
    return str(over) if over == all_of_them else f"{over} of {all_of_them}"


TABLE_NOTE = (
    "IQM: interquartile mean over seeds, with its 95 % bootstrap interval; P: the probability that a run learns better "
    "than a sparse one, by the mean success over its evaluations (Agarwal et al. 2021). Of three seeds no interval is "
    "worth much."
)

# The statistics


def on_grid(lines: Sequence[tuple[Sequence[float], Sequence[float]]]) -> tuple[Floats, Floats]:
    """Curves where all of them are, by linear interpolation at the first one's steps.

    Args:
        lines: steps and values of each; steps increase.

    Returns:
        The steps (T,), and the values (N, T).
    """
    low, high = max(x[0] for x, _ in lines), min(x[-1] for x, _ in lines)
    grid = np.array([step for step in lines[0][0] if low <= step <= high], np.float64)
    return grid, np.array([np.interp(grid, x, y) for x, y in lines], np.float64)


def iqm(scores: ArrayLike) -> Floats:
    """The interquartile mean over the last axis; scores (..., N) -> (...)."""
    ordered = np.sort(np.asarray(scores, np.float64), axis=-1)
    count = ordered.shape[-1]
    cut = int(count * QUARTER)
    return np.asarray(ordered[..., cut : count - cut].mean(axis=-1))


def estimate(scores: Sequence[float | None]) -> Estimate | None:
    """The IQM of the scores that there are, and its interval; of one score the interval is that score alone."""
    known = np.array([score for score in scores if score is not None], np.float64)
    if not len(known):
        return None
    low, high = np.quantile(iqm(_drawn(known)), _tails())
    return Estimate(float(iqm(known)), float(low), float(high))


def band(curves: Floats) -> tuple[Floats, Floats, Floats]:
    """The IQM of curves and its interval at each point.

    Args:
        curves: one a seed, (N, T).

    Returns:
        value, low, high, each (T,).
    """
    drawn = iqm(np.moveaxis(curves[_places(len(curves))], 1, -1))
    low, high = np.quantile(drawn, _tails(), axis=0)
    return iqm(curves.T), low, high


def probability_of_improvement(ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """That a random one of ours is larger than a random one of theirs, ties counting half, and its interval."""
    first, second = np.array(ours, np.float64), np.array(theirs, np.float64)
    drawn = _share_larger(_drawn(first, 0), _drawn(second, 1))
    low, high = np.quantile(drawn, _tails())
    return Estimate(float(_share_larger(first[None], second[None])[0]), float(low), float(high))


def _share_larger(first: Floats, second: Floats) -> Floats:
    """(R, N), (R, M) -> (R,)."""
    difference = first[:, :, None] - second[:, None, :]
    return np.asarray((np.sign(difference) / 2 + 0.5).mean(axis=(1, 2)))


def _drawn(scores: Floats, stream: int = 0) -> Floats:
    return scores[_places(len(scores), stream)]


def _places(count: int, stream: int = 0) -> NDArray[np.int64]:
    """Places of the bootstrap, (R, N); always the same, so that a table does not change when it is looked at again."""
    return np.random.default_rng(stream).integers(count, size=(RESAMPLES, count))


def _tails() -> list[float]:
    return [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
