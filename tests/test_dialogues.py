"""Conversations on disk: what is damaged, or a stranger's, is named and harms nothing."""

import json
from pathlib import Path

import pytest

from tests.recorded_answers import ANSWERS, painted, record, recorded
from vlmcar_core import authoring, dialogues
from vlmcar_core.authoring import Wish
from vlmcar_core.dialogue import Reply, Spent
from vlmcar_core.dialogues import Partial
from vlmcar_core.errors import BadInput, ChangedElsewhere, DamagedFile, NotUnderstood, UnknownName
from vlmcar_core.escaping import harmless
from vlmcar_core.servers import Server


def changed(path: Path, **values: object) -> None:
    whole = json.loads(path.read_text())
    path.write_text(json.dumps({**whole, **values}))


def test_a_conversation_is_read_back_as_it_was(tmp_path: Path) -> None:
    session = painted(tmp_path)
    server = Server(model="m", side=64)
    begun = authoring.begin(session, Wish(server, hint="a hint", group="a group", candidate=True))
    found = dialogues.read(begun.folder)
    assert found == begun and found.header.settings["model"] == "m" and found.header.brief.zoom == 4
    assert found.model == "m" and sorted(found.pictures) == ["goal.png", "initial.png"]
    assert (found.frame("initial") == session.initial).all()


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("dialogue.json", {"brief": {}}, "previous"),
        ("dialogue.json", {"version": 99}, "update VLM-CaR Studio"),
        ("000-goal.json", {"stage": "../../evil"}, "no question '../../evil'"),
        ("000-goal.json", {"reply": {"text": 3}}, "does not hold"),
        ("001-subtasks.json", {"reply": {"text": "nothing", "model": "m", "seconds": 1}}, "cannot be read any more"),
    ],
)
def test_what_is_damaged_is_named_and_the_others_are_listed(
    tmp_path: Path, name: str, values: dict[str, object], why: str
) -> None:
    session = recorded(tmp_path)
    record(session)
    changed(session.dialogue_folder(0) / name, **values)
    listing = dialogues.dialogues(session)
    assert [item.number for item in listing.items] == [1] and why in listing.problems[0]


def test_a_strangers_conversation_cannot_name_what_is_not_there(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    path = session.dialogue_folder(0) / "dialogue.json"
    brief = json.loads(path.read_text())["brief"]
    changed(path, brief={**brief, "repair": "nothing"})
    with pytest.raises(DamagedFile, match="no checker 'nothing' to mend"):
        dialogues.read(path.parent)
    changed(path, brief={**brief, "prompts": {**brief["prompts"], "subtasks": "$evil"}})
    (path.parent / "001-subtasks.json").unlink()
    with pytest.raises(BadInput, match="cannot be filled in"):
        authoring.due(dialogues.read(path.parent))
    (path.parent / "goal.png").unlink()
    changed(path, brief=brief)
    with pytest.raises(BadInput, match=r"'goal\.png' of this conversation is missing"):
        authoring.due(dialogues.read(path.parent))


def test_the_address_in_a_strangers_conversation_is_never_asked(tmp_path: Path) -> None:
    session = painted(tmp_path)
    evil = Server(preset="other", base_url="http://127.0.0.1:9/v1", model="m")
    dialogue = authoring.begin(session, Wish(evil))
    mine = Server(preset="other", base_url="http://127.0.0.1:10/v1", model="mine", retries=0)
    with pytest.raises(Exception, match=r"http://127\.0\.0\.1:10/v1"):
        authoring.carry_on(session, dialogue, mine)


def test_two_who_answer_the_same_question_are_told(tmp_path: Path) -> None:
    session = painted(tmp_path)
    begun = authoring.begin(session, Wish(Server(), "clipboard"))
    authoring.answer_by_hand(session, begun, ANSWERS[0])
    question = begun.question
    assert question is not None
    with pytest.raises(ChangedElsewhere, match="answered in another tab"):
        dialogues.add(begun, dialogues.read(begun.folder).exchanges[0])


def test_an_answer_without_an_end_is_cut(tmp_path: Path) -> None:
    partial = Partial(authoring.begin(painted(tmp_path), Wish(Server(), "clipboard")))
    partial("x" * (dialogues.PARTIAL_LIMIT_CHARS + 1))
    with pytest.raises(NotUnderstood, match="more than 1,000,000 characters"):
        partial("y")


def test_there_is_no_such_conversation(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="there are: 0"):
        recorded(tmp_path).dialogue_folder(7)


def test_a_models_text_does_not_steer_a_terminal() -> None:
    assert harmless("a\x1b[31mred\x07\n\tb\u202e") == "a\ufffd[31mred\ufffd\n\tb\ufffd"


def test_what_is_not_known_is_told_and_not_counted_as_nothing() -> None:
    known = Spent.of(Reply("", "m", 1.0, 10, 5, 0.5))
    unknown = Spent.of(Reply("", "m", 1.0))
    assert known.words == "1 answer, 15 tokens, 1.0 s, $0.5000"
    assert unknown.words == "1 answer, tokens not told, 1.0 s, price not known"
    both = (known + unknown).words
    assert both == "2 answers, 15 tokens (1 more: tokens not told), 2.0 s, $0.5000 (1 more: price not known)"
