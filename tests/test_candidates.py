"""Best of N: side by side, verified, ranked, adopted, merged, and paid for."""

from pathlib import Path

import pytest

from tests.recorded_answers import ANSWERS, AT_LEAST, MODEL, painted, record, recorded, serving
from vlmcar_core import candidates, pipeline, ranking
from vlmcar_core.asking import Meter
from vlmcar_core.authoring import Wish
from vlmcar_core.dialogue import Budget
from vlmcar_core.errors import BadInput, BudgetSpent, UnknownName
from vlmcar_core.prices import Price, save
from vlmcar_core.ranking import Score

BLIND = "```python\ndef check(initial, current):\n    return False\n```"
EAGER = AT_LEAST.format(pixels=3)


def verified_candidate(session, *answers: str) -> int:
    number = record(session, answers, candidate=True).proposal
    assert number is not None
    pipeline.verify(session, number)
    return number


def test_candidates_are_made_side_by_side_and_the_best_comes_first(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    record(session, (*ANSWERS[:3], BLIND, ANSWERS[4]))
    told: list[str] = []
    with serving(session) as replay:
        wish = Wish(replay.server())
        found = candidates.best_of(session, wish, 4, 3, progress=lambda _d, _t, text: told.append(text))
    assert len(found.proposals) == 4 and not found.failures
    ranked = candidates.ranked(session)
    assert [proposal.number for proposal, _ in ranked] == list(found.proposals)
    assert ranked[0][1].judgement == "accepted" and ranked[-1][1].judgement == "rejected"
    assert session.proposal().number == 1, "candidates do not stand"
    assert {text.split(":")[0] for text in told} == {f"candidate {number}" for number in (1, 2, 3, 4)}


def test_what_one_candidate_fails_at_costs_the_others_nothing(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    with serving(session, "--fault", "refusal") as replay:
        found = candidates.best_of(session, Wish(replay.server()), 3, 1)
        assert len(found.proposals) == 2 and len(found.failures) == 1 and "declined" in found.failures[0]
    with serving(session, "--fault", "refusal*") as replay, pytest.raises(BadInput, match="not one of 2 candidates"):
        candidates.best_of(session, Wish(replay.server()), 2, 2)


def test_a_budget_stops_them_all(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    save(tmp_path, [Price(MODEL, 1000.0, 1000.0, "2026-01-01")])
    with serving(session) as replay:
        meter = Meter(Budget(money=0.001))
        with pytest.raises(BudgetSpent):
            candidates.best_of(session, Wish(replay.server()), 5, 2, meter=meter)
        assert 1 <= len(replay.requests) <= 2, "at most what was under way"
    assert meter.spent.money > 0


@pytest.mark.parametrize(("count", "at_once"), [(0, 1), (65, 1), (2, 0), (2, 17)])
def test_numbers_that_make_no_sense_are_refused(tmp_path: Path, count: int, at_once: int) -> None:
    session = recorded(tmp_path)
    with pytest.raises(BadInput, match=f"not {count} and {at_once}"):
        candidates.best_of(session, Wish(pytest), count, at_once)  # type: ignore[arg-type]


def test_the_order_is_verdict_then_bound_then_experts_then_time_then_length() -> None:
    best = Score("accepted", 0.03, 0.0, 0.001, 100)
    worse = [
        Score("accepted", 0.03, 0.0, 0.001, 101),
        Score("accepted", 0.03, 0.0, 0.002, 10),
        Score("accepted", 0.03, 0.5, 0.001, 10),
        Score("accepted", 0.05, 0.0, 0.001, 10),
        Score("undecided", 0.01, 0.0, 0.001, 10),
        Score("rejected", 0.01, 1.0, 0.0, 10),
    ]
    assert sorted([*reversed(worse), best], key=lambda score: score.order) == [best, *worse]
    noise = Score("accepted", 0.03, 0.0, 0.0011, 90)
    assert min([best, noise], key=lambda score: score.order) is noise, "a tenth of a millisecond decides nothing"


def test_the_best_checker_of_each_sub_task_is_merged(tmp_path: Path) -> None:
    session = painted(tmp_path)
    first = verified_candidate(session, *ANSWERS[:3], BLIND, ANSWERS[4])
    second = verified_candidate(session, *ANSWERS[:2], EAGER, *ANSWERS[3:])
    options = candidates.choices(session, first)
    assert [choice.proposal for choice in options["paint-seven-pixels"]] == [second, first]
    assert options["paint-four-pixels"][0].proposal == first, "fewer random episodes fire it"
    chosen = {key: (best[0].proposal, best[0].step.key) for key, best in options.items()}
    merged = candidates.merge(session, first, chosen, "me")
    assert session.proposal() == merged and merged.author == "me" and not merged.candidate
    assert merged.reason == f"merged: paint-seven-pixels from {second}"
    verification = session.verification(merged.number or 0)
    assert verification is not None and ranking.score(merged, verification).judgement == "accepted"
    with pytest.raises(UnknownName, match="no sub-task 'nothing'"):
        candidates.merge(session, first, {"nothing": (second, "goal")}, "me")
    with pytest.raises(UnknownName, match="no sub-task 'nowhere'"):
        candidates.merge(session, first, {"goal": (second, "nowhere")}, "me")


def test_a_candidate_stands_once_it_is_adopted(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    number = verified_candidate(session, *ANSWERS)
    stored = candidates.adopt(session, number)
    assert session.proposal() == stored and stored.parent == number and not stored.candidate
    assert stored.author == MODEL and session.verification(stored.number or 0) is not None


def test_what_it_cost_is_told_in_all_and_for_each_accepted_checker(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    assert candidates.accounts(session).per_accepted is None
    pipeline.verify(session)
    found = candidates.accounts(session)
    assert found.spent.answers == 5 and found.accepted == 3
    assert found.per_accepted is not None and found.per_accepted.answers == 2
