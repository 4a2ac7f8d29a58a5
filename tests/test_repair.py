"""Mending: the request, what is offered and what is not, rounds, and doing it unattended."""

from pathlib import Path

import pytest

from tests.conftest import trajectory
from tests.recorded_answers import ANSWERS, AT_LEAST, painted, record, serving
from vlmcar_core import authoring, candidates, dialogues, pipeline, repair, verdicts
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.servers import Server
from vlmcar_core.store import Session

BY_HAND = Server()
TOO_STRICT = AT_LEAST.format(pixels=99)
MENDED = AT_LEAST.format(pixels=7)
RAISES = "```python\ndef check(initial, current):\n    return 1 / (16 - int(current[0, 3, 0] > 0) * 16) > 1\n```"
KEY = "paint-seven-pixels"


def rejected(root: Path, answer: str = TOO_STRICT) -> Session:
    """A session whose second checker is wrong."""
    session = painted(root)
    record(session, (*ANSWERS[:3], answer, ANSWERS[4]))
    pipeline.verify(session)
    return session


def mended(session: Session, answer: str, number: int | None = None, feedback: str = "") -> repair.Round:
    dialogue = repair.begin(session, BY_HAND, KEY, "clipboard", number, feedback)
    return repair.judge(session, authoring.answer_by_hand(session, dialogue, answer, "by hand"))


def test_the_request_shows_the_frames_on_which_it_was_wrong(tmp_path: Path) -> None:
    session = rejected(tmp_path)
    dialogue = repair.begin(session, BY_HAND, KEY, "clipboard")
    case = dialogue.header.brief.cases[0]
    assert (case.trajectory, case.frame) == ("expert-000", 4)
    assert case.answered == "not done (it returned 0)" and case.expected.startswith("done by this frame")
    assert case.seen == "red: mask of 9 pixels"
    question = authoring.due(dialogue)
    assert question.asked.pictures == ("initial.png", "goal.png", "case-1.png", "case-2.png")
    assert "99" in question.asked.text and "Episode expert-000, frame 4" in question.asked.text


def test_a_failing_checkers_error_and_line_are_in_the_request(tmp_path: Path) -> None:
    session = painted(tmp_path)
    session.add_trajectory(trajectory([0, 9, 9, 4, 9], seed=2))
    source = "```python\ndef check(initial, current):\n    if int((current[..., 0] > 0).sum()) == 4:\n        raise ValueError('four')\n    return current.any()\n```"
    record(session, (*ANSWERS[:3], source, ANSWERS[4]))
    pipeline.verify(session)
    case = repair.begin(session, BY_HAND, KEY, "clipboard").header.brief.cases[0]
    assert "it failed in line 3 (error: ValueError: four)" in case.answered
    assert case.expected == "an answer without an error"


def test_what_mends_all_and_breaks_nothing_is_offered_and_adopted(tmp_path: Path) -> None:
    session = rejected(tmp_path)
    one = mended(session, MENDED)
    assert one.compared.mended == ("expert-000", "expert-001") and not one.compared.still and not one.compared.broken
    assert one.compared.kept == 30 and one.compared.offered
    assert (one.compared.before.judgement, one.compared.after.judgement) == ("rejected", "accepted")
    assert (one.compared.whole_before.judgement, one.compared.whole_after.judgement) == ("rejected", "accepted")
    assert session.proposal().number == 0, "a try does not stand before it is accepted"
    stored = candidates.adopt(session, one.proposal)
    verification = session.verification(stored.number or 0)
    assert verification is not None and verdicts.judge_whole(verification).judgement == "accepted"


def test_what_does_not_mend_all_is_not_offered(tmp_path: Path) -> None:
    session = rejected(tmp_path)
    one = mended(session, AT_LEAST.format(pixels=98))
    assert one.compared.still == ("expert-000", "expert-001") and not one.compared.offered
    assert "mends 0 of 2" in one.compared.summary


def test_what_breaks_what_was_right_is_not_offered(tmp_path: Path) -> None:
    session = painted(tmp_path)
    session.add_trajectory(trajectory([0, 4, 7, 9, 9], seed=2))
    nine_at_the_end = (
        "```python\ndef check(initial, current):\n    n = int((current[..., 0] > 0).sum())\n    return n == 2\n```"
    )
    record(session, (*ANSWERS[:3], nine_at_the_end, ANSWERS[4]))
    pipeline.verify(session)
    one = mended(
        session, "```python\ndef check(initial, current):\n    return int((current[..., 0] > 0).sum()) == 123\n```"
    )
    assert one.compared.broken == ("expert-000", "expert-001") and one.compared.still == ("expert-002",)
    assert not one.compared.offered and "breaks 2 that were right" in one.compared.summary


def test_another_round_goes_on_from_the_last_try_and_is_compared_with_what_stands(tmp_path: Path) -> None:
    session = rejected(tmp_path)
    first = mended(session, AT_LEAST.format(pixels=98))
    second = mended(session, MENDED, first.proposal, "It is nine pixels in the end.")
    brief = dialogues.read(session.dialogue_folder(second.dialogue)).header.brief
    assert brief.previous is not None and "98" in brief.previous.subtasks[1].checker.source
    assert second.compared.mended == ("expert-000", "expert-001") and second.compared.offered
    assert repair.rounds(session, 0, KEY) == [first, second]
    assert session.proposal(second.proposal).reason == f"mends {KEY}; told: It is nine pixels in the end."


def test_unattended_mending_adopts_what_is_offered_and_stops_at_the_limit(tmp_path: Path) -> None:
    session = rejected(tmp_path)
    first = mended(session, AT_LEAST.format(pixels=98))
    mended(session, MENDED, first.proposal)
    with serving(session) as replay:
        server = replay.server(model="by hand", structured="off")
        assert repair.auto(session, server, limit=1)[0].adopted is None
        assert session.proposal().number == 0
        found = repair.auto(session, server, limit=3)
    assert [len(item.rounds) for item in found] == [2] and found[0].adopted == session.proposal().number
    assert repair.auto(session, BY_HAND) == [], "nothing is rejected any more"


def test_nothing_is_asked_without_something_to_say(tmp_path: Path) -> None:
    session = rejected(tmp_path)
    with pytest.raises(BadInput, match="nothing wrong with 'paint-four-pixels'"):
        repair.begin(session, BY_HAND, "paint-four-pixels")
    with pytest.raises(UnknownName, match="no sub-task 'nothing'"):
        repair.begin(session, BY_HAND, "nothing")
    record(session)
    with pytest.raises(BadInput, match="not verified yet"):
        repair.begin(session, BY_HAND, KEY)
    dialogue = repair.begin(session, BY_HAND, "paint-four-pixels", number=0, feedback="Make it five.")
    assert "Make it five." in authoring.due(dialogue).asked.text


def test_where_only_the_whole_is_rejected_the_goals_checker_is_to_be_mended(tmp_path: Path) -> None:
    session = painted(tmp_path)
    for seed in range(8):
        session.add_trajectory(trajectory([0, 4, 7, 9], source="random", success=None, seed=200 + seed))
    record(session)
    verification = pipeline.verify(session)
    assert verdicts.judge_whole(verification).judgement == "rejected"
    assert repair.wanting(session.proposal(), verification) == ["goal"]
    cases, shown = repair.cases(session, session.proposal(), verification, "goal")
    assert len(cases) == 3 and "a random episode completes everything here" in cases[0].expected
    assert shown["case-1.png"].shape[2] == 3
