"""What each way pays, counted anew from its formula, and what it promises for every history of answers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.conftest import RED_AT_LEAST, proposal
from tests.test_reward import LEVELS, Red, at_least
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.payments import FARMED, WAYS, Account, Payment
from vlmcar_core.reward import CheckerReward
from vlmcar_core.runs import RunConfig

KEYS = ["first", "second", "third"]
VALUES = st.lists(
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=3, max_size=3), min_size=2, max_size=12
).map(np.array)
WEIGHTS = st.sampled_from([{}, {"first": 3.0}, {"first": 0.0, "third": 2.0}])


def played(payment: Payment, values: NDArray[np.float64], solved: bool | None = None) -> list[dict[str, float]]:
    """What every step is paid; `solved` of the last one."""
    account = Account(payment, KEYS)
    account.begin(lambda index: float(values[0][index]))
    paid = []
    for step, row in enumerate(values[1:], 1):
        look = (lambda index, row=row: float(row[index])) if account.looks else None
        paid.append(account.step(look, solved if step == len(values) - 1 else None).components)
    return paid


def total(paid: list[dict[str, float]]) -> float:
    return sum(sum(step.values()) for step in paid)


def latched(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """c(k) at every frame, bool (T + 1, n): counted without `Chain`."""
    done = np.zeros(values.shape, np.bool_)
    completed = 0
    for frame, row in enumerate(values):
        while completed < values.shape[1] and row[completed] >= 1.0:
            completed += 1
        done[frame, :completed] = True
    return done


@settings(max_examples=150, deadline=None)
@given(values=VALUES, weights=WEIGHTS, scale=st.sampled_from([0.5, 1.0]))
def test_each_way_pays_what_its_formula_says(
    values: NDArray[np.float64], weights: dict[str, float], scale: float
) -> None:
    shares = np.array([weights.get(key, 1.0) for key in KEYS])
    shares *= scale / shares.sum()
    counted, now = latched(values).astype(float), (values >= 1.0).astype(float)
    gamma = 0.9
    best = np.maximum.accumulate(values, axis=0)
    expected = {
        "once": np.diff(counted, axis=0) * shares,
        "remaining": counted[1:] * shares,
        "potential": (gamma * counted[1:] - counted[:-1]) * shares,
        "edge": np.maximum(0.0, np.diff(now, axis=0)) * shares,
        "level": now[1:] * shares,
    }
    for way, wanted in expected.items():
        paid = played(Payment(way, scale, weights, discount=gamma), values)
        found = np.array([[step.get(key, 0.0) for key in KEYS] for step in paid])
        assert np.allclose(found, wanted), way
    progress = played(Payment("progress", scale, weights), values)
    assert -1e-9 <= total(progress) <= scale + 1e-9
    highest = shares * (best[-1] - values[0])
    assert all(sum(step.get(key, 0.0) for step in progress) <= highest[n] + 1e-9 for n, key in enumerate(KEYS))


def test_progress_is_paid_for_the_best_so_far_while_it_is_the_turn() -> None:
    values = np.array([[0.25, 0.5, 0.0], [0.5, 1.0, 0.0], [0.25, 0.0, 0.0], [1.0, 0.75, 0.0], [0.0, 1.0, 0.0]])
    paid = played(Payment("progress", scale=3.0), values)
    assert paid == [{"first": 0.25}, {}, {"first": 0.5, "second": 0.25}, {"second": 0.25}]


@settings(max_examples=100, deadline=None)
@given(values=VALUES, solved=st.booleans())
def test_a_potential_adds_up_to_what_its_ends_say(values: NDArray[np.float64], solved: bool) -> None:
    """Discounted, an episode's sum is γ^T Φ(end) − Φ(start), whatever was done on the way (Ng et al. 1999)."""
    gamma = 0.9
    paid = played(Payment("potential", discount=gamma), values, solved)
    discounted = sum(gamma**step * sum(parts.values()) for step, parts in enumerate(paid))
    start = latched(values)[0].mean()
    assert discounted == pytest.approx(gamma ** len(paid) * float(solved) - start)


def test_a_time_limit_leaves_the_potential_what_it_is() -> None:
    values = np.array([[0.0] * 3, [1.0, 0.0, 0.0]])
    assert total(played(Payment("potential", discount=1.0), values)) == pytest.approx(1 / 3)
    assert total(played(Payment("potential", discount=1.0), values, solved=False)) == pytest.approx(0.0)
    assert total(played(Payment("potential", discount=1.0), values, solved=True)) == pytest.approx(1.0)


@settings(max_examples=100, deadline=None)
@given(values=VALUES)
def test_undoing_costs_once_and_never_pays(values: NDArray[np.float64]) -> None:
    plain, undone = played(Payment(), values), played(Payment(undo=0.5), values)
    done = latched(values)
    dropped = [
        n
        for n in range(3)
        if not done[0, n] and any(done[t - 1, n] and values[t, n] < 1 for t in range(1, len(values)))
    ]
    assert total(plain) - total(undone) == pytest.approx(0.5 * len(dropped) / 3)


def test_going_round_in_circles_is_paid_only_where_that_is_said() -> None:
    values = np.array([[0.0, 0.0, 0.0], *[[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]] * 20])
    for way in set(WAYS) - {"remaining"}:
        assert (total(played(Payment(way), values)) > 1.0) == (way in FARMED)
    # Beside a cost of 1 a step, what "remaining" pays never makes a step worth it.
    assert all(sum(step.values()) <= 1.0 for step in played(Payment("remaining"), values))


def test_a_fault_pays_nothing_and_undoes_nothing() -> None:
    for way in WAYS:
        account = Account(Payment(way, undo=1.0 if way in ("once", "progress") else 0.0), ["only"])
        account.begin(lambda _index: None)
        assert account.step(lambda _index: None).components == {}
    account = Account(Payment(undo=1.0), ["only"])
    account.begin(lambda _index: 0.0)
    assert account.step(lambda _index: 1.0).components == {"only": 1.0}
    assert account.step(lambda _index: None).components == {}
    assert account.step(lambda _index: 0.0).components == {"only": -1.0}
    assert not account.looks


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"pay": "twice"}, "'twice'"),
        ({"undo": -1.0}, "not -1.0"),
        ({"undo": 1.0, "pay": "potential"}, "'potential'"),
        ({"weights": {"first": -2.0}}, "'first'.*not -2.0"),
        ({"weights": {"first": float("nan")}}, "'first'.*not nan"),
        ({"pay": "remaining", "scale": 10.0}, "not 10"),
    ],
)
def test_what_makes_no_sense_is_told(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises((BadInput, UnknownName), match=told):
        RunConfig(proposal=0, **wrong)


def test_weights_are_for_sub_tasks_that_are_there() -> None:
    with pytest.raises(UnknownName, match="'fourth'"):
        Account(Payment(weights={"fourth": 1.0}), KEYS)
    with pytest.raises(BadInput, match="all weights are 0"):
        Account(Payment(weights=dict.fromkeys(KEYS, 0.0)), KEYS)


@pytest.mark.parametrize("way", list(WAYS))
def test_an_environment_is_paid_in_each_way(way: str) -> None:
    made = at_least(2, 4)
    env = CheckerReward(
        Red(), made, payment=Payment(way, discount=0.9), succeeded=lambda rewards, _over: rewards.sum() > 0
    )
    try:
        env.reset(seed=0)
        paid = [env.step(level)[4]["vlmcar"] for level in (2, 0, 4, 0, LEVELS - 1)]
    finally:
        env.close()
    expected = {
        "once": [0.5, 0, 0.5, 0, 0],
        "remaining": [0.5, 0.5, 1, 1, 1],
        "potential": [0.45, -0.05, 0.4, -0.1, -0.1],
        "progress": [0.5, 0, 0.5, 0, 0],
        "edge": [0.5, 0, 1, 0, 1],
        "level": [0.5, 0, 1, 0, 1],
    }
    assert [step["reward"] for step in paid] == pytest.approx(expected[way])
    assert [step["now"] for step in paid] == [["step-0"], [], ["step-1"], [], []]


def test_a_potential_is_told_of_a_termination_by_the_environment() -> None:
    class Ends(Red):
        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            seen, reward, _, _, info = super().step(action)
            return seen, reward, self.red in (5, LEVELS - 1), False, info

    made = proposal(("a", RED_AT_LEAST.format(pixels=2)), ("b", RED_AT_LEAST.format(pixels=4)))
    with pytest.raises(ValueError, match="solved"):
        CheckerReward(Ends(), made, payment=Payment("potential"))
    for last, expected in ((5, -0.5), (LEVELS - 1, 0.9 - 0.5)):
        env = CheckerReward(
            Ends(), made, payment=Payment("potential", discount=0.9), succeeded=lambda rewards, _over: rewards.sum() > 0
        )
        env.reset(seed=0)
        env.step(2)
        assert env.step(last)[4]["vlmcar"]["reward"] == pytest.approx(expected)
        env.close()
