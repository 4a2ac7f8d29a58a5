import pytest

from vlmcar_core.types import Count, Thresholds
from vlmcar_core.verdicts import (
    Verdict,
    Verification,
    interval,
    judge_checker,
    judge_whole,
    lower_bound,
    smallest_sample,
    upper_bound,
)

NONE = Count(0, 0)


def whole(expert: Count, random: Count, solved: int = 0) -> Verification:
    return Verification(0, (), expert, random, solved, 50, Thresholds())


@pytest.mark.parametrize(("n", "bound"), [(10, 0.26), (20, 0.14), (29, 0.098), (59, 0.05), (100, 0.03)])
def test_no_fire_in_n_bounds_the_rate_as_the_method_says(n: int, bound: float) -> None:
    assert upper_bound(Count(0, n), 0.95) == pytest.approx(bound, abs=0.005)


def test_the_bounds_are_the_exact_ones() -> None:
    assert upper_bound(Count(0, 10), 0.95) == pytest.approx(1 - 0.05 ** (1 / 10))
    assert lower_bound(Count(10, 10), 0.95) == pytest.approx(0.05 ** (1 / 10))
    assert interval(Count(2, 2)) == pytest.approx((0.025**0.5, 1.0))
    assert interval(NONE) == (0.0, 1.0)


def test_twenty_nine_random_episodes_are_the_fewest_that_can_accept() -> None:
    assert smallest_sample(Thresholds()) == 29
    assert judge_whole(whole(Count(2, 2), Count(0, 28))).judgement == "undecided"
    assert judge_whole(whole(Count(2, 2), Count(0, 29))).judgement == "accepted"


@pytest.mark.parametrize(
    ("expert", "random", "judgement", "words"),
    [
        (Count(2, 2), Count(0, 100), "accepted", "below 3.0%"),
        (Count(1, 2), Count(0, 100), "rejected", "1 of 2 expert"),
        (Count(1, 1), Count(0, 100), "undecided", "at least 2 are needed"),
        (NONE, Count(0, 100), "undecided", "no expert trajectory is there"),
        (Count(2, 2), NONE, "undecided", "no random episode is there"),
        (Count(2, 2), Count(4, 100), "accepted", "4 of 100"),
        (Count(2, 2), Count(6, 100), "undecided", "record more"),
        (Count(2, 2), Count(10, 100), "rejected", "under 10%"),
        (Count(2, 2), Count(2, 10), "undecided", "at least 29"),
        (Count(1, 2), Count(90, 100), "rejected", "all must"),
    ],
)
def test_the_whole_is_judged_by_experts_and_by_the_bound(
    expert: Count, random: Count, judgement: str, words: str
) -> None:
    judged = judge_whole(whole(expert, random))
    assert judged.judgement == judgement
    assert words in judged.reason


def test_a_random_rate_stands_beside_the_length_of_its_episodes() -> None:
    assert "at most 50 steps" in judge_whole(whole(Count(2, 2), Count(0, 100))).reason
    assert "3 more that the environment calls solved" in judge_whole(whole(Count(2, 2), Count(0, 97), 3)).reason


def test_a_sub_task_is_not_judged_by_its_random_rate_and_the_goal_is_by_false_alarms() -> None:
    verification = whole(Count(2, 2), Count(0, 100))
    early = Verdict("key", "d", Count(2, 2), Count(90, 100), Count(0, 102), Count(0, 102), NONE)
    assert judge_checker(early, verification).judgement == "accepted"
    goal = Verdict("goal", "d", Count(2, 2), Count(40, 100), Count(0, 102), Count(0, 102), Count(40, 100))
    assert judge_checker(goal, verification).judgement == "rejected"


def test_a_fault_rejects_and_says_what_it_was() -> None:
    faulty = Verdict("key", "d", Count(2, 2), NONE, NONE, Count(1, 2), NONE, "error, line 3: KeyError")
    judged = judge_checker(faulty, whole(Count(2, 2), NONE))
    assert judged.judgement == "rejected" and "line 3: KeyError" in judged.reason
