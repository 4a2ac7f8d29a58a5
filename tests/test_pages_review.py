"""The review page, run without a browser."""

import dataclasses
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.studio_sessions import framed, opened, recorded, said
from vlmcar_core import pipeline
from vlmcar_core.errors import BadInput
from vlmcar_core.sandbox import diagnose
from vlmcar_core.types import Checker


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VLMCAR_SESSIONS", str(tmp_path))
    return tmp_path


def test_without_a_proposal_the_page_says_what_to_do(root: Path) -> None:
    framed(root)
    assert "Nothing is proposed yet" in said(opened("review", "red"))


def test_a_renamed_sub_task_is_on_disk_at_once(root: Path) -> None:
    session = recorded(root)
    app = opened("review", "red")
    app.text_input(key="title-see-red-see red").set_value("Find the red").run()
    assert not app.exception
    assert session.draft is not None
    assert session.draft.subtasks[0].title == "Find the red"
    assert session.draft.subtasks[0].key == "see-red"
    assert len(session.proposals().items) == 1


def test_a_discarded_draft_does_not_come_back(root: Path) -> None:
    session = recorded(root)
    app = opened("review", "red")
    app.text_input(key="title-see-red-see red").set_value("Find the red").run()
    next(button for button in app.button if button.label == "Discard the draft").click().run()
    app.run()
    assert session.draft is None
    assert app.text_input(key="title-see-red-see red").value == "see red"


def test_sub_tasks_can_be_moved_removed_and_added(root: Path) -> None:
    session = recorded(root)
    app = opened("review", "red")
    app.button(key="down-see-red").click().run()
    app.button(key="remove-silent").click().run()
    next(button for button in app.button if button.label == "Add a sub-task").click().run()
    assert not app.exception
    assert session.draft is not None
    assert [step.key for step in session.draft.subtasks] == ["fails", "see-red", "new-sub-task-3"]


def test_saving_makes_the_next_proposal_signed_with_name_and_reason(root: Path) -> None:
    session = recorded(root)
    app = opened("review", "red")
    app.button(key="remove-fails").click().run()
    app.text_input(key="author").set_value("Ada").run()
    app.text_input(key="reason").set_value("it fails").run()
    next(button for button in app.button if button.label == "Save as the next proposal").click().run()
    stored = session.proposal()
    assert (stored.number, stored.author, stored.reason, stored.parent) == (1, "Ada", "it fails", 0)
    assert session.draft is None


def test_a_draft_of_an_older_proposal_says_so_and_is_kept(root: Path) -> None:
    session = recorded(root)
    session.save_draft(pipeline.without_step(session.proposal(), "silent"))
    pipeline.save_edit(session, pipeline.without_step(session.proposal(), "fails"), "Grace")
    app = opened("review", "red")
    assert "This draft was made from proposal 0; meanwhile there is proposal 1" in said(app)
    assert session.draft is not None


def test_restoring_waits_until_the_draft_is_saved_or_discarded(root: Path) -> None:
    session = recorded(root)
    pipeline.save_edit(session, pipeline.without_step(session.proposal(), "fails"), "Grace")
    app = opened("review", "red")
    app.button(key="remove-silent").click().run()
    assert next(button for button in app.button if button.label.startswith("Restore")).disabled
    next(button for button in app.button if button.label == "Discard the draft").click().run()
    next(button for button in app.button if button.label.startswith("Restore")).click().run()
    restored = session.proposal()
    assert restored.number == 2
    assert "fails" in {step.key for step in restored.subtasks}


def test_a_checker_that_fails_on_the_chosen_frame_says_where(root: Path) -> None:
    recorded(root)
    assert "failed in line 4 (error): ValueError" in said(opened("review", "red", checker="fails"))


def test_a_checker_that_is_done_on_the_goal_frame_says_so(root: Path) -> None:
    recorded(root)
    text = said(opened("review", "red", checker="see-red"))
    assert "On goal frame: **done**" in text
    assert "red: mask of 9 pixels" in text


def test_code_with_a_syntax_error_is_named_with_its_line(root: Path) -> None:
    session = recorded(root)
    newest = session.proposal()
    broken = dataclasses.replace(newest.subtasks[0], checker=Checker("see-red", "def check(initial, current:\n"))
    session.save_draft(pipeline.with_step(newest, broken))
    app = opened("review", "red", checker="see-red")
    assert not app.exception
    assert "line 1" in said(app)
    assert "These checkers cannot run as they are: see-red" in said(app)


def test_the_template_of_a_new_sub_task_is_sound_code(root: Path) -> None:
    session = recorded(root)
    app = opened("review", "red")
    next(button for button in app.button if button.label == "Add a sub-task").click().run()
    assert session.draft is not None
    assert diagnose(session.draft.subtasks[-1].checker.source) == []


def uploaded(app: AppTest, name: str) -> AppTest:
    path = next((Path(__file__).parent / "programs").glob(f"*/{name}.py"))
    return app.file_uploader[0].upload(path.name, path.read_bytes(), "text/x-python").run()


def added(app: AppTest) -> AppTest:
    return next(button for button in app.button if button.label == "That is right: add it").click().run()


def test_an_uploaded_program_is_shown_as_it_was_understood_and_added_once_confirmed(root: Path) -> None:
    session = recorded(root)
    app = uploaded(opened("review", "red"), "paid_once")
    text = said(app)
    assert "class TakeKey in line 6, has reset()" in text
    assert "Read as: TakeKey.reward(path), what it returns: a number, done from 1 on" in text
    assert "Tried on expert-000: never done in 5 frames; its highest value is 0" in text
    assert session.draft is None
    app.text_input(key="program-title-TakeKey").set_value("The key is gone")
    app = added(app)
    assert not app.exception
    assert session.draft is not None
    assert session.draft.subtasks[-1].title == "The key is gone"
    assert session.draft.subtasks[-1].checker.source.endswith("# vlmcar program: TakeKey.reward -> number, done at 1\n")
    assert not any(button.label == "That is right: add it" for button in app.button)


def test_another_reading_of_an_uploaded_program_can_be_chosen(root: Path) -> None:
    session = recorded(root)
    app = uploaded(opened("review", "red"), "two_classes")
    app.selectbox(key="program-class").set_value("Darker").run()
    assert "Darker.check_and_progress(path), item 0 of what it returns: True is done" in said(app)
    app.selectbox(key="program-item").set_value(1).run()
    next(radio for radio in app.radio if radio.label == "It returns").set_value("a number").run()
    next(field for field in app.number_input if field.label.startswith("Done from")).set_value(2.5).run()
    app.radio(key="program-place").set_value("the goal's checker")
    app = added(app)
    assert not app.exception
    assert session.draft is not None
    line = "# vlmcar program: Darker.check_and_progress -> item 1, number, done at 2.5\n"
    assert session.draft.goal.checker.source.endswith(line)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing_method", "failed in 5 of 5 frames; first in frame 0 (error, line 10): AttributeError"),
        ("writes_a_file", "line 7: 'open' may not be used"),
        ("no_method", "class NoMethod has neither check_and_progress nor reward"),
    ],
)
def test_what_is_wrong_with_an_uploaded_program_is_shown_with_its_line(root: Path, name: str, message: str) -> None:
    recorded(root)
    app = uploaded(opened("review", "red"), name)
    assert not app.exception
    assert message in said(app)


def test_a_program_can_be_the_first_proposal(root: Path) -> None:
    session = framed(root)
    app = uploaded(opened("review", "red"), "true_or_nothing")
    app = added(app)
    assert not app.exception
    assert session.proposal().goal.title == "Unlock"
    assert session.proposal().goal.checker.in_order


def test_where_nothing_is_proposed_one_begins_by_hand(root: Path) -> None:
    session = framed(root)
    app = opened("propose", "red", by="hand")
    app.button(key="begin-by-hand").click().run()
    assert "has no title" in said(app) and not session.proposals().items
    app.text_input(key="goal-by-hand").set_value("The picture is red").run()
    app.button(key="begin-by-hand").click().run()
    begun = session.proposal()
    assert not app.exception and begun.goal.title == "The picture is red" and begun.subtasks == ()
    assert not [found for found in diagnose(begun.goal.checker.source) if found.severity == "error"]
    app = opened("propose", "red", by="hand")
    assert "There is a proposal already" in said(app)
    with pytest.raises(BadInput, match="there is proposal 0 already"):
        pipeline.begin_by_hand(session, "again", "Ada")
