"""Several seeds together: the statistics by their definitions, and the table."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from vlmcar_core import jobs, runs, seeds
from vlmcar_core.runs import RunConfig
from vlmcar_core.store import Session
from vlmcar_core.types import Task

SPARSE_RATES = {0: (0.0, 0.2, 0.4), 1: (0.0, 0.0, 0.9), 2: (0.0, 0.1, 0.2)}
DENSE_RATES = {0: (0.2, 0.9, 1.0), 1: (0.1, 0.5, 1.0), 2: (0.4, 0.8, 0.9)}


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A dense and a sparse experiment of three seeds each, as if they had ended, and one run beside them."""
    made = Session.create(tmp_path, "room", Task("MiniGrid-Empty-5x5-v0", "minigrid"))
    for reward, rates in (("sparse", SPARSE_RATES), ("dense", DENSE_RATES)):
        for seed, told in rates.items():
            add(made, RunConfig(reward, 0 if reward == "dense" else None, seed=seed, steps=3000), told)
    add(made, RunConfig("dense", 0, pay="edge", steps=3000), (0.0, 0.0, 0.0))
    return made


def add(session: Session, config: RunConfig, rates: tuple[float, ...]) -> None:
    folder = session.new_run_folder()
    runs.write_config(folder, config)
    for number, rate in enumerate(rates, 1):
        row = {"steps": 1000 * number, "episodes": 20, "successes": round(20 * rate)}
        runs.append(folder, runs.EVALUATION, row)
    with jobs.running(folder, "train-run"):
        pass


@pytest.mark.parametrize("count", range(1, 14))
def test_the_interquartile_mean_is_scipys_trimmed_mean(count: int) -> None:
    scores = np.random.default_rng(count).normal(size=(4, count))
    assert seeds.iqm(scores) == pytest.approx(stats.trim_mean(scores, 0.25, axis=1))


def test_a_band_is_as_wide_as_scipys_percentile_bootstrap() -> None:
    scores = np.random.default_rng(3).normal(size=12)
    _, low, high = seeds.band(scores[:, None])
    theirs = stats.bootstrap(
        (scores,), seeds.iqm, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    )
    assert (low[0], high[0]) == pytest.approx(theirs.confidence_interval, abs=0.06)
    estimate = seeds.estimate(scores.tolist())
    assert estimate is not None and (estimate.low, estimate.high) == pytest.approx((low[0], high[0]))


def test_a_band_of_curves_is_the_estimate_at_each_of_their_points() -> None:
    curves = np.random.default_rng(0).random((5, 7))
    value, low, high = seeds.band(curves)
    for point in range(7):
        alone = seeds.estimate(curves[:, point].tolist())
        assert alone is not None
        assert (alone.value, alone.low, alone.high) == pytest.approx((value[point], low[point], high[point]))


def test_the_probability_of_improvement_counts_pairs_and_ties_half() -> None:
    ours, theirs = [0.9, 1.0, 1.0, 0.4], [1.0, 0.2, 0.4]
    pairs = [(x > y) + (x == y) / 2 for x, y in itertools.product(ours, theirs)]
    found = seeds.probability_of_improvement(ours, theirs)
    assert found.value == pytest.approx(np.mean(pairs))
    assert found.value == pytest.approx(stats.mannwhitneyu(ours, theirs).statistic / len(pairs))
    assert found.low <= found.value <= found.high
    assert seeds.probability_of_improvement([1.0], [0.0]) == seeds.Estimate(1.0, 1.0, 1.0)


def test_curves_are_laid_over_each_other_where_all_of_them_are() -> None:
    grid, values = seeds.on_grid([([0, 10, 20, 30], [0, 1, 2, 3]), ([5, 25], [10, 30])])
    assert grid.tolist() == [10, 20] and values.tolist() == [[1, 2], [15, 25]]
    assert len(seeds.on_grid([([0, 1], [0, 1]), ([5, 6], [0, 1])])[0]) == 0


def test_the_table_takes_the_seeds_of_an_experiment_together(session: Session) -> None:
    grouped = seeds.groups(runs.runs(session).items)
    assert [len(group.runs) for group in grouped] == [3, 3, 1]
    rows = seeds.table(grouped)
    assert [row["Experiment"] for row in rows] == ["sparse", "dense, proposal 0", "dense, proposal 0, edge"]
    steps = "Steps to 80 %, median (range)"
    assert [row[steps] for row in rows] == ["never (3,000 to never)", "2,000 (2,000 to 3,000)", "never"]
    assert rows[1]["Final success, IQM"].startswith("97%")
    better = [row["P(learns better than sparse)"] for row in rows]
    assert better[0] == "-" and better[1] == "1.00 (1.00 to 1.00)" and better[2] == "0.00 (0.00 to 0.00)"


def test_only_the_sparse_experiment_of_the_same_steps_and_settings_is_compared_with(session: Session) -> None:
    add(session, RunConfig("dense", 0, steps=9000), (1.0,))
    rows = seeds.table(seeds.groups(runs.runs(session).items))
    assert rows[-1]["P(learns better than sparse)"] == "-"
    assert [row["Experiment"] for row in rows][1::2] == [
        "dense, proposal 0, 3,000 steps",
        "dense, proposal 0, 9,000 steps",
    ]


def test_where_nothing_was_evaluated_there_is_no_table(tmp_path: Path) -> None:
    made = Session.create(tmp_path, "new", Task("MiniGrid-Empty-5x5-v0", "minigrid"))
    add(made, RunConfig("sparse"), ())
    assert seeds.table(seeds.groups(runs.runs(made).items)) == []


def test_a_run_that_is_under_way_is_not_held_against_one_that_has_ended(session: Session) -> None:
    folder = session.new_run_folder()
    runs.write_config(folder, RunConfig("dense", 0, seed=7, steps=3000))
    runs.append(folder, runs.EVALUATION, {"steps": 1000, "episodes": 20, "successes": 0})
    with jobs.running(folder, "train-run"):
        during = seeds.table(seeds.groups(runs.runs(session).items))[1]
    after = seeds.table(seeds.groups(runs.runs(session).items))[1]
    assert (during["Seeds"], after["Seeds"]) == ("3 of 4", "4")
    better = "P(learns better than sparse)"
    assert during[better] == "1.00 (1.00 to 1.00)" and after[better].startswith("0.75")
