"""Every file in vlms/ keeps the contract that its folder states."""

from pathlib import Path

import pytest

from tests.recorded_answers import recorded
from vlmcar_core import authoring, plugins
from vlmcar_core.authoring import Wish
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.servers import Key, Server
from vlmcar_core.types import Proposal

NAMES = plugins.names("vlms")


@pytest.mark.parametrize("name", NAMES)
def test_it_has_a_title_and_says_whether_a_person_carries_it(name: str, tmp_path: Path) -> None:
    module = plugins.load("vlms", name)
    assert module.TITLE.strip() and isinstance(module.BY_HAND, bool)
    session = recorded(tmp_path)
    if module.BY_HAND:
        with pytest.raises(BadInput, match="a person carries the questions"):
            authoring.connect(session, name, Server(model="0"), Key())
    else:
        vlm = authoring.connect(session, name, Server(model="0"), Key())
        assert vlm.name and callable(vlm.answer)


@pytest.mark.parametrize("name", NAMES)
def test_a_conversation_begins_in_any_of_them_with_nothing_asked(name: str, tmp_path: Path) -> None:
    session = recorded(tmp_path)
    dialogue = authoring.begin(session, Wish(Server(model="0"), name))
    assert dialogue.header.vlm == name and not dialogue.exchanges and dialogue.proposal is None
    assert dialogue.question is not None and dialogue.question.stage == "goal"
    assert isinstance(session.proposal(), Proposal) and session.proposal().number == 0


def test_a_way_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="no vlm 'gpt'; there are: clipboard, openai, replay"):
        authoring.begin(recorded(tmp_path), Wish(Server(), "gpt"))
