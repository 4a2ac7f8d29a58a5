import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vlmcar_core.chain import Chain, completed_whole, completions

EPISODES = st.integers(0, 4).flatmap(
    lambda n: st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=1, max_size=12).map(
        lambda rows: np.array(rows, np.bool_).reshape(len(rows), n)
    )
)


def frames(*rows: str) -> np.ndarray:
    """ "10" means: the first sub-task's checker says done, the second's does not."""
    return np.array([[letter == "1" for letter in row] for row in rows], np.bool_)


def test_a_later_sub_task_counts_only_once_the_earlier_ones_are_done() -> None:
    assert completions(frames("00", "01", "00", "10", "01")) == [3, 4]


def test_several_may_complete_in_one_frame() -> None:
    assert completions(frames("000", "111")) == [1, 1, 1]


def test_what_is_done_is_not_undone() -> None:
    assert completions(frames("00", "10", "00", "01")) == [1, 3]


def test_what_is_true_at_first_is_passed_over_without_pay() -> None:
    chain = Chain(2)
    assert chain.advance(lambda index: index == 0) == []
    assert chain.completed == 1
    assert chain.advance(lambda index: True) == [1]


def test_only_the_sub_task_whose_turn_it_is_is_asked_about() -> None:
    asked: list[int] = []
    Chain(3).advance(lambda index: bool(asked.append(index)))
    assert asked == [0]


def test_the_goal_counts_from_the_last_completion_on() -> None:
    done = frames("0", "0", "1", "0")
    assert completed_whole(done, np.array([False, True, False, False])) is None
    assert completed_whole(done, np.array([False, True, False, True])) == 3
    assert completed_whole(done, np.array([False, False, True, False])) == 2


@given(EPISODES)
def test_completions_are_in_order_and_at_frames_that_say_done(done: np.ndarray) -> None:
    found = completions(done)
    known = [frame for frame in found if frame is not None]
    assert known == sorted(known)
    assert found == known + [None] * (len(found) - len(known))
    assert all(done[frame, index] for index, frame in enumerate(known))


@given(EPISODES)
def test_each_is_paid_at_most_once_and_never_for_the_first_frame(done: np.ndarray) -> None:
    chain = Chain(done.shape[1])
    paid = [index for row in done for index in chain.advance(lambda index, row=row: bool(row[index]))]
    assert paid == sorted(set(paid))
    at_first = sum(frame == 0 for frame in completions(done))
    assert len(paid) == chain.completed - at_first
