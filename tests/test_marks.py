"""What people say by eye: kept line by line, taken back by a further line, compared with what checkers say."""

import json
from collections.abc import Callable

import numpy as np
import pytest

from vlmcar_core import files, marks, verdicts
from vlmcar_core.errors import BadInput
from vlmcar_core.marks import Confusion, Mark
from vlmcar_core.store import Session
from vlmcar_core.types import Answers, Count, Outcome


def mark(first: int, last: int, done: bool = True, key: str = "open", **more: object) -> Mark:
    return Mark("expert-000", first, last, key, done, "me", **more)  # type: ignore[arg-type]


def answers(*values: float) -> Answers:
    return Answers(np.array(values, np.float32))


@pytest.fixture
def session(make_session: Callable[..., Session]) -> Session:
    return make_session()


def test_a_mark_comes_back_as_it_was_with_its_time_and_number(session: Session) -> None:
    session.add_mark(mark(2, 5, reason="the lock is »open«"))
    (found,) = session.marks().items
    assert (found.first, found.last, found.done, found.author, found.reason) == (2, 5, True, "me", "the lock is »open«")
    assert found.created and found.number == 0 and found.undoes is None


def test_undo_is_a_further_line_and_can_be_undone(session: Session) -> None:
    session.add_mark(mark(0, 1))
    session.add_mark(mark(3, 3, False))
    first, second = session.marks().items
    session.add_mark(marks.undoing(first, "you"))
    assert marks.standing(session.marks().items) == (second,)
    session.add_mark(marks.undoing(session.marks().items[2], "me"))
    assert marks.standing(session.marks().items) == (first, second)
    assert len((session.folder / "marks.jsonl").read_text().splitlines()) == 4


def test_a_mark_that_undoes_itself_or_a_later_one_takes_nothing_back() -> None:
    stored = mark(0, 1, number=1)
    assert marks.standing([mark(0, 1, undoes=1, number=0), stored, mark(0, 1, undoes=2, number=2)]) == (stored,)


@pytest.mark.parametrize(
    "change",
    [{"first": -1}, {"last": 1}, {"last": 10**9}, {"key": "../x"}, {"author": " "}, {"reason": "x" * 501},
     {"trajectory": ""}, {"undoes": -1}],
)  # fmt: skip
def test_what_cannot_be_a_mark_is_refused(change: dict[str, object]) -> None:
    good = {"trajectory": "expert-000", "first": 2, "last": 3, "key": "open", "done": True, "author": "me"}
    with pytest.raises(BadInput):
        Mark(**{**good, **change})  # type: ignore[arg-type]


def test_damaged_lines_are_named_and_the_others_keep_their_numbers(session: Session) -> None:
    session.add_mark(mark(0, 0))
    path = session.folder / "marks.jsonl"
    whole = json.loads(path.read_text())
    wrong = [{**whole, "version": 2}, {**whole, "done": 1}, {**whole, "number": 0}, {**whole, "last": -1}, [whole], {}]
    path.write_text("".join(json.dumps(line) + "\n" for line in [whole, *wrong]) + '{"cut sho')
    session.add_mark(mark(4, 4))
    listing = session.marks()
    assert [(item.number, item.first) for item in listing.items] == [(0, 0), (8, 4)]
    assert listing.problems[0].startswith("line 2 of marks.jsonl is no mark (it has no version")
    assert listing.problems[-1] == "and 2 more lines of marks.jsonl"


def test_a_file_that_is_full_takes_no_more(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    session.add_mark(mark(0, 0))
    size = (session.folder / "marks.jsonl").stat().st_size
    monkeypatch.setattr(marks, "MARKS_LIMIT_BYTES", size + 10)
    with pytest.raises(BadInput, match=r"marks\.jsonl is full"):
        session.add_mark(mark(1, 1))
    assert len(session.marks().items) == 1


def test_a_file_that_is_too_large_is_a_problem_and_not_read(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    session.add_mark(mark(0, 0))
    monkeypatch.setattr(marks, "MARKS_LIMIT_BYTES", 10)
    assert session.marks().items == ()
    assert "larger than" in session.marks().problems[0]


def test_of_two_marks_about_a_frame_the_newer_holds() -> None:
    found = [mark(0, 3, True), mark(2, 9, False), mark(0, 9, True, key="other")]
    assert marks.expected(found, "expert-000", "open", 6) == [True, True, False, False, False, False]
    assert marks.expected(found, "expert-001", "open", 2) == [None, None]


def test_agreement_counts_each_marked_frame_once() -> None:
    said = Answers(np.array([0, 0, 1, 1, np.nan, 1], np.float32), {4: Outcome("error")})
    found = [mark(1, 2, True), mark(3, 4, False), mark(5, 7, False), mark(0, 0, False)]
    confusion = marks.agreement(found, {("expert-000", "open"): said})
    assert confusion == Confusion(both_done=1, only_person=1, only_checker=2, neither=1, failed=1, unknown=2,
                                  spans=Count(1, 4))  # fmt: skip
    assert confusion.frames == Count(2, 5)


def test_a_mark_that_a_newer_one_covers_whole_counts_no_more() -> None:
    confusion = marks.agreement([mark(1, 2, True), mark(0, 3, False)], {("expert-000", "open"): answers(0, 0, 0, 0)})
    assert confusion == Confusion(neither=4, spans=Count(1, 1))


def test_progress_that_is_not_complete_is_not_done() -> None:
    confusion = marks.agreement([mark(0, 0, True)], {("expert-000", "open"): answers(0.99)})
    assert (confusion.only_person, confusion.both_done) == (1, 0)


def test_a_checker_that_was_never_asked_about_is_unknown_and_not_wrong() -> None:
    confusion = marks.agreement([mark(0, 9)], {})
    assert confusion == Confusion(unknown=10)
    assert verdicts.interval(confusion.frames) == (0.0, 1.0)


def test_agreement_of_several_sub_tasks_is_the_sum() -> None:
    found = [mark(0, 0, True), mark(0, 0, True, key="take")]
    said = {("expert-000", "open"): answers(1), ("expert-000", "take"): answers(0)}
    assert marks.agreement(found, said) == Confusion(both_done=1, only_person=1, spans=Count(1, 2))


def test_a_row_with_infinity_is_refused_and_nothing_is_written(session: Session) -> None:
    path = session.folder / "rows.jsonl"
    with pytest.raises(ValueError, match="Out of range"):
        files.append_row(path, {"x": float("inf")}, 100)
    assert not path.exists()
