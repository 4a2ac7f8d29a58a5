"""Prompts are data: what is shipped fits, and what a person words differently is checked."""

import pytest

from tests.recorded_answers import painted
from vlmcar_core import authoring, dialogues, prompts
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.servers import Server


@pytest.mark.parametrize("name", list(prompts.ABOUT))
def test_what_is_shipped_fits(name: str) -> None:
    text = prompts.shipped()[name]
    assert prompts.check(name, text) == text and all(f"${field}" in text for field in prompts.FIELDS.get(name, ()))


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("goal", "  \n", "is empty"),
        ("goal", "What is $wanted?", r"fills in \$wanted"),
        ("goal", "What is ${wanted}?", r"'goal' fills in \$wanted.*given: \$form, \$frames"),
        ("contract", "Mind the $form", r"'contract' fills in \$form.*given: nothing"),
        ("goal", "It costs 5 $ a piece", "'goal' has a lone"),
        ("check", "${number", "'check' has a lone"),
        ("goal", "x" * 50_000, "50,000 characters"),
        ("form-text", "## goal\nOne sentence.\n", "lacks the section '## subtasks'"),
        ("form-json", "## goal\n\n## subtasks\nA\n\n## check\nB\n", "'form-json' lacks the section '## goal'"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(name: str, text: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        prompts.check(name, text)


def test_a_session_words_a_prompt_differently_and_goes_back(tmp_path) -> None:
    session = painted(tmp_path)
    authoring.set_prompt(session, "goal", "$frames\nWhat now?\n$form\n")
    assert authoring.session_prompts(session)["goal"].startswith("$frames\nWhat now?")
    with pytest.raises(BadInput):
        authoring.set_prompt(session, "goal", "$nonsense")
    with pytest.raises(UnknownName):
        authoring.set_prompt(session, "../../evil", "x")
    assert "What now?" in authoring.session_prompts(session)["goal"]
    authoring.set_prompt(session, "goal", None)
    assert authoring.session_prompts(session) == prompts.shipped() and not session.own_prompts()


def test_the_digest_tells_wordings_apart() -> None:
    texts = prompts.shipped()
    assert prompts.digest(texts) == prompts.digest(dict(reversed(texts.items())))
    assert prompts.digest(texts) != prompts.digest(texts | {"goal": "other"})


@pytest.mark.parametrize("name", list(prompts.ABOUT))
def test_a_change_of_any_prompt_changes_the_digest(name: str) -> None:
    texts = prompts.shipped()
    assert prompts.digest(texts | {name: texts[name] + " "}) != prompts.digest(texts)


def test_a_dollar_sign_is_written_twice_and_shown_once() -> None:
    text = prompts.check("again", "It costs $$5, because $reason\n$form\n")
    assert prompts.filled(text, {"reason": "$form is odd", "form": "F"}) == "It costs $5, because $form is odd\nF\n"


def test_a_blank_without_a_value_leaves_no_empty_line() -> None:
    text = "$frames\n\n$hint\n\n${previous}\n\nWhat is it?\n$form\n"
    found = prompts.filled(text, {"frames": "Two.", "hint": "", "previous": "", "form": "Briefly."})
    assert found == "Two.\n\nWhat is it?\nBriefly.\n"


def test_a_section_is_the_text_under_its_heading() -> None:
    text = "about\n\n## goal\nOne\n\n### detail\nmore\n\n## goal-check\nTwo\n"
    assert prompts.section(text, "goal") == "One\n\n### detail\nmore" and prompts.section(text, "goal-check") == "Two"
    assert prompts.section(text, "check") == ""


def test_what_a_stranger_wrote_into_a_session_is_checked_before_it_is_used(tmp_path) -> None:
    session = painted(tmp_path)
    session.set_own_prompt("goal", "What is $wanted?")
    with pytest.raises(BadInput, match=r"\$wanted"):
        authoring.begin(session, authoring.Wish(Server(), "clipboard"))


def test_a_conversation_keeps_the_wording_it_began_with(tmp_path) -> None:
    session = painted(tmp_path)
    dialogue = authoring.begin(session, authoring.Wish(Server(), "clipboard"))
    authoring.set_prompt(session, "goal", "$frames\r\nWhat now?\r\n$form\r\n")
    assert "What now?" not in authoring.due(dialogues.read(dialogue.folder)).asked.text
    later = authoring.begin(session, authoring.Wish(Server(), "clipboard"))
    assert "What now?" in authoring.due(later).asked.text and "\r" not in session.own_prompts()["goal"]
    assert later.header.prompts_digest != dialogue.header.prompts_digest == prompts.digest(prompts.shipped())
    assert later.header.prompts_version == prompts.VERSION


def test_there_is_no_such_version() -> None:
    with pytest.raises(UnknownName, match="there are: 1"):
        prompts.shipped(99)
