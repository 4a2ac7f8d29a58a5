"""Models compared: cells, rows, totals; stopping and going on; the built-in proposer as a row."""

from pathlib import Path

import pytest

from tests.recorded_answers import ANSWERS, AT_LEAST, MODEL, painted, record, recorded, serving
from vlmcar_core import compare, comparisons, pipeline, repair, report
from vlmcar_core.authoring import answer_by_hand
from vlmcar_core.comparisons import Plan
from vlmcar_core.dialogue import Budget
from vlmcar_core.errors import BadInput, BudgetSpent, UnknownName
from vlmcar_core.servers import Server
from vlmcar_core.store import Session
from vlmcar_core.types import Count

STRICT = (*ANSWERS[:3], AT_LEAST.format(pixels=99), ANSWERS[4])


def weak_and_strong(root: Path) -> Session:
    """Answers of two models: one is right at once, the other is wrong first and mends it."""
    session = painted(root)
    record(session, STRICT, "weak")
    pipeline.verify(session)
    dialogue = repair.begin(session, Server(), "paint-seven-pixels", "clipboard")
    repair.judge(session, answer_by_hand(session, dialogue, ANSWERS[3], "weak"))
    record(session, ANSWERS, "strong")
    return session


def test_each_model_is_verified_mended_and_counted(tmp_path: Path) -> None:
    session = weak_and_strong(tmp_path)
    with serving(session) as replay:
        server = replay.server(structured="off")
        plan = Plan(("strong", "weak", "unknown", comparisons.BUILTIN), (session.name,), server, repeats=2, rounds=2)
        found = compare.run(compare.create(tmp_path, plan))
    strong, weak, unknown, builtin = found.totals
    assert strong.whole == strong.first == Count(2, 2) and strong.rounds == 0
    assert weak.first == Count(0, 2) and weak.whole == Count(2, 2) and weak.rounds == 1 and weak.tokens > strong.tokens
    assert unknown.failed == 2 and unknown.whole == Count(0, 2)
    assert all("has no model 'unknown'" in row.failure for row in found.rows if row.model == "unknown")
    assert builtin.money == 0.0 and builtin.tokens == 0 and builtin.rows == 2
    assert strong.money is None, "a price that is not known is not nothing"
    for row in found.rows:
        assert Session.open(found.folder / comparisons.CELLS, row.session).trajectories().items
    figure = report.acceptance_figure([(item.model, item.whole, item.tokens) for item in found.totals], "tokens")
    assert len(figure.data) == 4


def test_a_budget_stops_and_running_again_goes_on(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    with serving(session) as replay:
        plan = Plan((MODEL,), (session.name,), replay.server(), repeats=3, concurrency=1, budget=Budget(tokens=16_000))
        comparison = compare.create(tmp_path, plan)
        with pytest.raises(BudgetSpent):
            compare.run(comparison)
        kept = comparisons.find(tmp_path, comparison.number)
        assert 0 < len(kept.rows) < 3
        assert kept.plan == plan
        before = len(replay.requests)
        with pytest.raises(BudgetSpent):
            compare.run(kept)
        assert len(replay.requests) == before, "what was spent before counts"


def test_an_environment_is_recorded_once_for_all_cells(tmp_path: Path) -> None:
    from vlmcar_core.types import Recording

    plan = Plan(
        (comparisons.BUILTIN,),
        ("MiniGrid-Unlock-v0",),
        Server(),
        repeats=2,
        recording=Recording(2, 3, 20),
        concurrency=2,
    )
    found = compare.run(compare.create(tmp_path, plan))
    assert [row.subtasks > 0 for row in found.rows] == [True, True]
    assert len(list((found.folder / comparisons.TASKS).iterdir())) == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"models": ()}, "at least one model"),
        ({"tasks": ()}, "at least one model and one task"),
        ({"repeats": 0}, "repeats .* not 0"),
        ({"models": ("a", "a")}, "'a' is named twice"),
        ({"models": tuple(map(str, range(200))), "repeats": 100}, "20000 cells"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        Plan(**{"models": ("a",), "tasks": ("b",), "server": Server(), **change})  # type: ignore[arg-type]


def test_a_task_that_is_neither_session_nor_environment_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="'nowhere' is neither a session nor an environment"):
        compare.create(tmp_path, Plan(("a",), ("nowhere",), Server()))
    assert comparisons.comparisons(tmp_path).items == ()
