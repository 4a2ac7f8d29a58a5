"""The four questions in their order, and what each of them carries."""

import dataclasses
import json

import pytest

from tests.recorded_answers import ANSWERS, STAGES
from vlmcar_core import prompts, questions
from vlmcar_core.dialogue import Brief, Case, Exchange, Reply
from vlmcar_core.errors import Unreadable
from vlmcar_core.types import GOAL, Checker, Proposal, SubTask

BRIEF = Brief(prompts.shipped(), size=(96, 64), zoom=4.0, tries=2)
PICTURES = {"initial.png": b"1", "goal.png": b"2", "frames.png": b"3", "case-1.png": b"4"}
PREVIOUS = Proposal(
    SubTask("All is red.", Checker(GOAL, "def check(a, b):\n    return b.all()\n")),
    (SubTask("Paint", Checker("paint", "def check(a, b):\n\n\n    return b.any()\n")),),
    "somebody",
    number=3,
)


def answered(count: int) -> list[Exchange]:
    pairs = list(zip(STAGES, ANSWERS, strict=True))[:count]
    return [Exchange(stage, 1, (), Reply(text, "m", 1.0)) for stage, text in pairs]


def text_of(brief: Brief, exchanges: list[Exchange]) -> str:
    question = questions.next_question(brief, exchanges, PICTURES)
    assert question is not None
    return question.asked.text


def test_the_questions_come_in_the_papers_order_and_words() -> None:
    words = (
        "What do you think the final goal is?",
        "What tasks the agent must complete to achieve the goal?",
        'Sub-task 1 of 2: "Paint four pixels".',
        'Sub-task 2 of 2: "Paint seven pixels".',
        "How would you know the final goal is completed?",
    )
    for count, expected in enumerate(words):
        question = questions.next_question(BRIEF, answered(count), PICTURES)
        assert question is not None and question.stage == STAGES[count] and expected in question.asked.text
        assert "How would you know the task is done?" in question.asked.text or not question.stage.startswith("check")
    assert questions.next_question(BRIEF, answered(5), PICTURES) is None


def test_each_answer_is_carried_on_and_the_frames_go_with_every_request() -> None:
    question = questions.next_question(BRIEF, answered(3), PICTURES)
    assert question is not None and dict(question.pictures) == {"initial.png": b"1", "goal.png": b"2"}
    assert [message.role for message in question.messages] == ["system", *["user", "assistant"] * 3, "user"]
    assert [message.text for message in question.messages if message.role == "assistant"] == [
        answer.strip() for answer in ANSWERS[:3]
    ]
    system = question.messages[0].text
    assert "check(initial, current)" in system and system.count("```python") == 3


def test_the_frames_true_size_is_told() -> None:
    assert "96 x 64 pixels" in text_of(BRIEF, []) and "enlarged: one pixel of a frame is 4 pixels" in text_of(BRIEF, [])
    small = dataclasses.replace(BRIEF, zoom=0.5)
    assert "reduced: one pixel of a frame is 0.5 pixels" in text_of(small, [])
    assert "side by side" in text_of(dataclasses.replace(BRIEF, side_by_side=True), [])


def test_hint_and_feedback_stand_in_the_first_question_and_nowhere_as_blanks() -> None:
    assert "$" not in text_of(BRIEF, []) and "\n\n\n" not in text_of(BRIEF, [])
    told = dataclasses.replace(BRIEF, hint="It is $5 paint.", feedback="Redder!", previous=PREVIOUS)
    text = text_of(told, [])
    assert "It is $5 paint." in text and "Redder!" in text and "1. Paint" in text and "b.any()" in text


def test_an_answer_that_cannot_be_used_is_asked_again_with_the_reason_at_most_so_often() -> None:
    bad = Exchange("goal", 1, (), Reply("???", "m", 1.0), "there is no sentence in it")
    question = questions.next_question(BRIEF, [bad], PICTURES)
    assert question is not None and question.attempt == 2 and "there is no sentence in it" in question.asked.text
    assert question.messages[-2].text == "???"
    with pytest.raises(Unreadable, match="asked 2 times"):
        questions.next_question(BRIEF, [bad, bad], PICTURES)


def test_earlier_failures_are_not_carried_on() -> None:
    bad = Exchange("goal", 1, (), Reply("???", "m", 1.0), "there is no sentence in it")
    question = questions.next_question(BRIEF, [bad, *answered(1)], PICTURES)
    assert question is not None and not any("???" in message.text for message in question.messages)


def test_short_conversations_leave_earlier_checkers_out() -> None:
    question = questions.next_question(dataclasses.replace(BRIEF, short=True), answered(4), PICTURES)
    assert question is not None and len(question.messages) == 1 + 4 + 1


def test_answers_by_schema_are_asked_for_in_words_too() -> None:
    question = questions.next_question(dataclasses.replace(BRIEF, structured=True), answered(1), PICTURES)
    assert question is not None and question.schema is not None and "JSON object" in question.asked.text
    assert question.schema["required"] == ["subtasks", "code"] and question.schema["additionalProperties"] is False


def test_a_conversation_becomes_a_proposal_with_keys_of_its_own() -> None:
    exchanges = answered(5)
    twice = dataclasses.replace(exchanges[1].reply, text=ANSWERS[1].replace("seven", "four"))
    exchanges[1] = dataclasses.replace(exchanges[1], reply=twice)
    found = questions.proposal(BRIEF, exchanges, {"check-2": "it may be blue"})
    assert [step.key for step in found.steps] == ["paint-four-pixels", "paint-four-pixels-2", "goal"]
    assert [step.doubt for step in found.steps] == ["", "it may be blue", ""]
    assert all("def identify_red" in step.checker.source for step in found.steps)


def test_the_request_to_mend_shows_code_and_frames_as_they_are() -> None:
    case = Case("expert-000", 7, "not done", "done by this frame", "red: nothing", "case-1.png")
    brief = dataclasses.replace(BRIEF, previous=PREVIOUS, repair="paint", cases=(case,), feedback="Look left.")
    question = questions.next_question(brief, [], PICTURES)
    assert question is not None and question.asked.pictures == ("initial.png", "goal.png", "case-1.png")
    text = question.asked.text
    assert "Episode expert-000, frame 7: it answered not done. Expected: done by this frame" in text
    assert "Picture 3 shows this frame" in text and "red: nothing" in text and "Look left." in text
    assert PREVIOUS.subtasks[0].checker.source.strip() in text
    mended = questions.proposal(brief, [Exchange("repair", 1, (), Reply(ANSWERS[2], "m", 1.0))], {})
    assert mended.goal == PREVIOUS.goal and "identify_red" in mended.subtasks[0].checker.source


@pytest.mark.parametrize("structured", [False, True])
def test_every_question_says_in_which_form_it_is_answered_and_leaves_no_blank(structured: bool) -> None:
    brief = dataclasses.replace(BRIEF, structured=structured)
    for count, stage in enumerate(STAGES):
        question = questions.next_question(brief, answered(count), PICTURES)
        assert question is not None and question.stage == stage and (question.schema is not None) == structured
        assert ("JSON" in question.asked.text) == structured
        assert not any("$" in message.text or "\n\n\n\n" in message.text for message in question.messages[1:])


def test_each_question_has_a_schema_of_its_own() -> None:
    fields = {stage: list(questions.schema(stage)["properties"]) for stage in ("goal", "subtasks", "check-2", "repair")}
    assert fields == {
        "goal": ["goal"],
        "subtasks": ["subtasks", "code"],
        "check-2": ["explanation", "code"],
        "repair": ["explanation", "code"],
    }


def test_answers_by_schema_become_a_proposal_too() -> None:
    check = "def check(initial, current):\n    return identify_red(current) == {1: 2}\n"
    texts = [
        json.dumps({"goal": "All is red."}),
        json.dumps({"subtasks": ["Paint {it}"], "code": "def identify_red(image):\n    return None\n"}),
        json.dumps({"explanation": "So.", "code": check}),
        json.dumps({"explanation": "So.", "code": check}),
    ]
    stages = ("goal", "subtasks", "check-1", "goal-check")
    found = questions.proposal(
        dataclasses.replace(BRIEF, structured=True),
        [Exchange(stage, 1, (), Reply(text, "m", 1.0)) for stage, text in zip(stages, texts, strict=True)],
        {},
    )
    assert (found.goal.title, found.subtasks[0].title) == ("All is red.", "Paint {it}")
    assert all(
        "def identify_red" in step.checker.source and step.checker.source.endswith(check) for step in found.steps
    )


def test_thoughts_are_not_carried_on() -> None:
    thought = dataclasses.replace(answered(1)[0], reply=Reply("<think>a secret door?</think>It is red.", "m", 1.0))
    question = questions.next_question(BRIEF, [thought], PICTURES)
    assert question is not None and question.messages[2].text == "It is red."


def test_of_several_failures_the_last_is_told_and_other_questions_start_afresh() -> None:
    brief = dataclasses.replace(BRIEF, tries=3)
    bad = [Exchange("goal", n, (), Reply(f"<think>hm</think>bad {n}", "m", 1.0), f"reason {n}") for n in (1, 2)]
    question = questions.next_question(brief, bad, PICTURES)
    assert question is not None and question.attempt == 3 and question.messages[-2].text == "bad 2"
    assert "reason 2" in question.asked.text and not any("reason 1" in message.text for message in question.messages)
    assert question.messages[1].pictures == ("initial.png", "goal.png")
    after = questions.next_question(BRIEF, [*bad, *answered(1)], PICTURES)
    assert after is not None and (after.stage, after.attempt) == ("subtasks", 1)


def test_too_many_failures_name_the_question_and_the_last_reason() -> None:
    bad = Exchange("check-2", 1, (), Reply("", "m", 1.0), "it says $nothing")
    again = questions.next_question(BRIEF, [*answered(3), bad], PICTURES)
    assert again is not None and again.messages[-2].text == "(nothing)" and "it says $nothing" in again.asked.text
    with pytest.raises(Unreadable, match=r"Paint seven pixels.* 2 times.*it says \$nothing") as caught:
        questions.next_question(BRIEF, [*answered(3), bad, bad], PICTURES)
    assert "kept" in str(caught.value)


def test_both_frames_in_one_picture_are_told_as_such() -> None:
    question = questions.next_question(dataclasses.replace(BRIEF, side_by_side=True, zoom=1.0), [], PICTURES)
    assert question is not None and question.asked.pictures == ("frames.png",) == tuple(question.pictures)
    assert "initial frame on the left" in question.asked.text and "in that size" in question.asked.text


def test_every_key_is_there_once_and_none_is_the_goals() -> None:
    listed = "1. Goal\n2. Paint\n3. paint!\n4. Paint\n5. 漆\n"
    exchanges = answered(2)
    exchanges[1] = dataclasses.replace(exchanges[1], reply=Reply(listed, "m", 1.0))
    exchanges += [Exchange(f"check-{n}", 1, (), Reply(ANSWERS[2], "m", 1.0)) for n in range(1, 6)]
    exchanges.append(Exchange("goal-check", 1, (), Reply(ANSWERS[4], "m", 1.0)))
    found = questions.proposal(BRIEF, exchanges, {"goal-check": "hm"})
    assert [step.key for step in found.subtasks] == ["goal-2", "paint", "paint-2", "paint-3", "sub-task"]
    assert found.goal.key == GOAL and found.goal.doubt == "hm"


def test_pictures_of_cases_are_numbered_as_they_are_sent() -> None:
    cases = (
        Case("expert-000", 7, "not done", "done", picture="case-1.png"),
        Case("expert-001", 0, "an error", "an answer"),
        Case("random-000", 3, "done", "not done", picture="case-2.png"),
    )
    brief = dataclasses.replace(BRIEF, previous=PREVIOUS, repair=GOAL, cases=cases, hint="Paint.", side_by_side=True)
    question = questions.next_question(brief, [], PICTURES | {"case-2.png": b"5"})
    assert question is not None and question.asked.pictures == ("frames.png", "case-1.png", "case-2.png")
    lines = [line for line in question.asked.text.splitlines() if "Episode" in line]
    assert ["Picture 2 shows" in lines[0], "Picture" in lines[1], "Picture 3 shows" in lines[2]] == [True, False, True]
    assert "Paint." in question.asked.text and PREVIOUS.goal.checker.source.strip() in question.asked.text
    answer = Exchange("repair", 1, (), Reply(ANSWERS[2], "m", 1.0))
    mended = questions.proposal(brief, [answer], {"repair": "may be blue"})
    assert mended.subtasks == PREVIOUS.subtasks and mended.goal.title == PREVIOUS.goal.title
    assert mended.goal.checker != PREVIOUS.goal.checker and mended.goal.doubt == "may be blue"


def test_a_request_to_mend_without_a_frame_says_so() -> None:
    brief = dataclasses.replace(BRIEF, previous=PREVIOUS, repair="paint", feedback="It costs $5.")
    text = text_of(brief, [])
    assert "no frame was recorded" in text and "It costs $5." in text and "1. Paint" in text
