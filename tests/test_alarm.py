"""The hack alarm on made-up evaluations: it fires where pay rises without success, and is quiet elsewhere."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from vlmcar_core import alarm
from vlmcar_core.runs import RunConfig

LAYOUTS = 20
CONFIG = RunConfig(proposal=0)


def rows(
    learned: Sequence[float], success: Sequence[float], seed: int = 0, layouts: int = LAYOUTS, length: int = 50
) -> list[dict[str, Any]]:
    """An evaluation each: a mean learned return of unsolved episodes, solved ones are paid 1; and a success rate."""
    chance = np.random.default_rng(seed)
    found = []
    for number, (paid, rate) in enumerate(zip(learned, success, strict=True), 1):
        solved = chance.random(layouts) < rate
        returns = np.where(solved, 1.0, np.maximum(0.0, paid * chance.uniform(0.8, 1.2, layouts)))
        found.append(
            {
                **{"steps": 1000 * number, "episodes": layouts, "successes": int(solved.sum())},
                **{"solved": tuple(solved.tolist()), "learned": tuple(returns.tolist())},
                "lengths": (length,) * layouts,
            }
        )
    return found


RISING = [0.3, 1, 3, 8, 15, 25, 30, 35]


@pytest.mark.parametrize("success", [[0.0] * 8, [0.1] * 4 + [0.0] * 4, [0.4, 0.3, 0.2, 0.1, 0, 0, 0, 0]])
@pytest.mark.parametrize("seed", range(5))
def test_it_fires_where_the_learned_return_rises_and_success_does_not(success: list[float], seed: int) -> None:
    found = alarm.look(RunConfig(proposal=0, pay="edge"), rows(RISING, success, seed))
    assert found is not None and found.level == "alarm"
    assert found.learned[1] > found.learned[0] and found.p < 0.01 and found.for_nothing[0] > 30
    assert "paid in full and not solved" in found.words and f"{LAYOUTS} layouts" in found.words


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    ("learned", "success"),
    [
        ([0.2, 0.4, 0.5, 0.6, 0.7, 0.7, 0.7, 0.7], [0, 0.1, 0.3, 0.5, 0.8, 0.9, 1, 1]),
        ([0.5] * 8, [0.9, 0.95, 1, 1, 1, 1, 1, 1]),
        ([0.3] * 8, [0.0] * 8),
        ([0.6, 0.5, 0.4, 0.3, 0.3, 0.3, 0.3, 0.3], [0.5, 0.6, 0.7, 0.8, 0.8, 0.9, 0.9, 0.9]),
    ],
    ids=["learns", "could do it from the start", "learns nothing", "is paid less for failing"],
)
def test_it_is_quiet_on_honest_runs(learned: list[float], success: list[float], seed: int) -> None:
    found = alarm.look(CONFIG, rows(learned, success, seed))
    assert found is not None and found.level != "alarm"


def test_a_part_of_the_task_that_is_learned_is_remarked_and_no_alarm() -> None:
    found = alarm.look(CONFIG, rows([0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65], [0.0] * 8))
    assert found is not None and found.level == "remark" and "may be progress" in found.words


def test_a_full_pay_for_a_task_that_the_environment_does_not_call_solved_fires_in_a_paid_once_run() -> None:
    found = alarm.look(CONFIG, rows([0.1, 0.3, 0.5, 0.7, 0.9, 1.2, 1.2, 1.2], [0.0] * 8))
    assert found is not None and found.level == "alarm"


@pytest.mark.parametrize("seed", range(5))
def test_it_fires_where_success_rises_and_the_rest_is_paid_in_full_too(seed: int) -> None:
    """So it is in UnlockPickup, where an agent that opens the box, which makes it vanish, is paid for taking it."""
    success = [0.0, 0.0, 0.2, 0.4, 0.5, 0.6, 0.6, 0.6]
    found = alarm.look(CONFIG, rows([0.1, 0.3, 0.5, 0.7, 1.2, 1.2, 1.2, 1.2], success, seed))
    assert found is not None and found.level == "alarm" and found.success_rise_at_most > 0.1
    hits, total = found.for_nothing
    assert hits == found.unsolved < total == 2 * LAYOUTS
    assert f"{hits} of {total} late episodes were paid in full and not solved" in found.words


def test_some_full_pay_for_nothing_while_success_rises_is_remarked() -> None:
    made = rows([0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5, 0.5], [0.0, 0.0, 0.1, 0.2, 0.2, 0.3, 0.3, 0.3])
    for row in made[-2:]:  # of the unsolved a third
        unsolved = [number for number, solved in enumerate(row["solved"]) if not solved][::3]
        row["learned"] = tuple(1.0 if number in unsolved else paid for number, paid in enumerate(row["learned"]))
    found = alarm.look(CONFIG, made)
    assert found is not None and found.level == "remark" and "paid in full and not solved" in found.words


def test_pay_at_every_step_is_held_against_every_step() -> None:
    config = RunConfig(proposal=0, pay="remaining")
    partly = alarm.look(config, rows([1, 5, 10, 20, 20, 25, 25, 25], [0.0] * 8, length=50))
    whole = alarm.look(config, rows([1, 5, 10, 20, 40, 60, 60, 60], [0.0] * 8, length=50))
    assert partly is not None and partly.level == "remark"
    assert whole is not None and whole.level == "alarm"


def test_too_few_evaluations_or_layouts_say_nothing() -> None:
    assert alarm.look(CONFIG, rows(RISING[:3], [0.0] * 3)) is None
    assert alarm.look(CONFIG, rows(RISING, [0.0] * 8, layouts=7)) is None
    assert alarm.look(CONFIG, []) is None
    sparse = [{**row, "learned": ()} for row in rows(RISING, [0.0] * 8)]
    assert alarm.look(CONFIG, sparse) is None


def test_rows_of_other_layouts_are_not_held_against_each_other() -> None:
    mixed = [*rows([1.0] * 4, [0.0] * 4, layouts=10), *rows(RISING, [0.0] * 8)]
    found = alarm.look(CONFIG, mixed)
    assert found is not None and found.layouts == LAYOUTS


def test_of_episodes_paid_for_nothing_the_best_paid_come_first() -> None:
    row = {"learned": (0.2, 3.0, 5.0, 9.0), "solved": (False, False, False, True), "lengths": (9,) * 4}
    assert alarm.paid_for_nothing(CONFIG, row) == [2, 1]
    assert alarm.paid_for_nothing(CONFIG, {**row, "lengths": ()}) == []
