"""Prompts are data: what is shipped fits, and what a person words differently is checked."""

import pytest

from tests.recorded_answers import painted
from vlmcar_core import authoring, prompts
from vlmcar_core.errors import BadInput, UnknownName


@pytest.mark.parametrize("name", list(prompts.ABOUT))
def test_what_is_shipped_fits(name: str) -> None:
    text = prompts.shipped()[name]
    assert prompts.check(name, text) == text and all(f"${field}" in text for field in prompts.FIELDS.get(name, ()))


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("goal", "  \n", "is empty"),
        ("goal", "What is $wanted?", r"fills in \$wanted"),
        ("goal", "It costs 5 $ a piece", "lone"),
        ("goal", "x" * 50_000, "50,000 characters"),
        ("form-text", "## goal\nOne sentence.\n", "lacks the section '## subtasks'"),
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


def test_there_is_no_such_version() -> None:
    with pytest.raises(UnknownName, match="there are: 1"):
        prompts.shipped(99)
