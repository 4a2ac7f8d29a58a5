"""The library of wrong checkers: the laboratory rejects each of them, and none of the right ones."""

import dataclasses

import pytest

from scripts import wrong_checkers
from tests.wrong_checkers import FACTS, FOLDER, SPECIMENS, Specimen
from vlmcar_core import examinations, laboratory, pipeline
from vlmcar_core.lab.examine import examine
from vlmcar_core.store import Session
from vlmcar_core.types import Proposal

RANDOMS = 12


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Session, Proposal]]:
    root = tmp_path_factory.mktemp("wrong")
    return {env_id: wrong_checkers.prepared(root, env_id, RANDOMS, 100) for env_id in FACTS}


def test_there_are_enough_and_every_file_is_used() -> None:
    assert len(SPECIMENS) >= 20
    assert {path.stem for path in FOLDER.glob("*.txt")} == {"looks", *(item.name for item in SPECIMENS)}
    assert len({item.source for item in SPECIMENS}) == len(SPECIMENS)


@pytest.mark.parametrize("env_id", FACTS)
def test_no_right_one_is_rejected(prepared: dict[str, tuple[Session, Proposal]], env_id: str) -> None:
    session, proposal = prepared[env_id]
    for known in ({}, wrong_checkers.named(proposal, env_id)):
        material = laboratory.material_of(session, proposal, pipeline.verify(session), known)
        for found in examine(proposal, material, mutants=False).checkers:
            assert examinations.judge(found).judgement != "rejected", found.cases[0]
            assert known or found.origin in ("title", "success")


@pytest.mark.parametrize("specimen", SPECIMENS, ids=[item.name for item in SPECIMENS])
def test_every_wrong_one_is_caught_by_its_title_and_none_is_accepted_without_one(
    prepared: dict[str, tuple[Session, Proposal]], specimen: Specimen
) -> None:
    session, right = prepared[specimen.env_id]
    edited, key = wrong_checkers.with_specimen(right, specimen)
    stored = pipeline.save_edit(session, edited, "a specimen")
    tools = [wrong_checkers.gate, wrong_checkers.paper, wrong_checkers.order, wrong_checkers.guessed]
    assert any(tool(session, stored, key, {}) for tool in tools)
    early = [wrong_checkers.gate, wrong_checkers.paper, wrong_checkers.order, wrong_checkers.unaccepted]
    assert any(tool(session, stored, key, {}) for tool in early)


def test_a_persons_word_catches_what_a_title_catches(prepared: dict[str, tuple[Session, Proposal]]) -> None:
    specimen = next(item for item in SPECIMENS if item.name == "any_change")
    session, right = prepared[specimen.env_id]
    edited, key = wrong_checkers.with_specimen(right, specimen)
    stored = pipeline.save_edit(session, edited, "a specimen")
    untitled = wrong_checkers.without_titles(stored)
    assert not wrong_checkers.facts(session, untitled, key, {})
    assert wrong_checkers.facts(session, untitled, key, wrong_checkers.named(stored, specimen.env_id))


def test_experts_and_random_walks_alone_let_many_through(prepared: dict[str, tuple[Session, Proposal]]) -> None:
    for name in ("any_change", "key_for_the_door", "past_the_lava"):
        specimen = next(item for item in SPECIMENS if item.name == name)
        session, right = prepared[specimen.env_id]
        edited, key = wrong_checkers.with_specimen(right, specimen)
        found = pipeline.verify(session, pipeline.save_edit(session, edited, "a specimen").number)
        assert found.verdict(key).expert.rate == 1.0
        assert wrong_checkers.paper(session, dataclasses.replace(edited, number=found.proposal), key, {}) == ""
