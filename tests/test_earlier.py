"""Sessions that earlier versions wrote are read, verified again, packed and unpacked."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from vlmcar_core import dialogues, packing, pipeline, runs
from vlmcar_core.store import Session, sessions
from vlmcar_core.verdicts import judge_checker

EARLIER = Path(__file__).parent / "earlier"
VERSIONS = sorted(path.name for path in EARLIER.iterdir() if path.is_dir())
CHECKERS = ["take-the-key", "open-the-door", "bring-the-red-triangle-onto-the-green", "goal"]


@pytest.fixture(params=VERSIONS)
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Session:
    """A copy of one of them."""
    shutil.copytree(EARLIER / request.param, tmp_path / request.param)
    return Session.open(tmp_path, request.param)


def test_there_is_one_of_every_version_that_came_before() -> None:
    assert VERSIONS[:4] == ["0.1.0", "0.2.0", "0.3.0", "0.4.0"]


def test_every_part_is_read(earlier: Session) -> None:
    header = earlier.header()
    assert sessions(earlier.folder.parent).items == (earlier.name,)
    assert header.task.env_id == "MiniGrid-DoorKey-5x5-v0" and header.task.settings == {"tile_size": 8}
    assert (header.recording.experts, header.recording.randoms, header.recording.random_steps) == (2, 2, 12)
    listing = earlier.trajectories()
    assert [info.id for info in listing.items] == ["expert-000", "expert-001", "random-000", "random-001"]
    assert not listing.problems and not earlier.proposals().problems and not earlier.verifications().problems
    expert = earlier.trajectory("expert-000")
    assert expert.success and expert.facts["key held"].any() and np.array_equal(expert.frames[0], earlier.initial)
    origin = earlier.goal_origin()
    assert origin is not None and origin.kind == "expert" and np.array_equal(expert.frames[-1], earlier.goal)
    assert [step.key for step in earlier.proposal().steps] == CHECKERS


def test_a_run_is_read_with_what_it_came_to(earlier: Session) -> None:
    listing = runs.runs(earlier)
    assert len(listing.items) == 1 and not listing.problems
    assert listing.items[0].config.pay == "once" and listing.items[0].config.trainer == "ppo"
    assert runs.summary(runs.read_evaluations(listing.items[0].folder)).final_success is not None


def test_it_is_verified_again_and_found_the_same(earlier: Session) -> None:
    before = earlier.verification(0)
    assert before is not None
    after = pipeline.verify(earlier)
    for key in CHECKERS:
        one, two = before.verdict(key), after.verdict(key)
        assert judge_checker(one, before).judgement == judge_checker(two, after).judgement


def test_it_is_packed_and_unpacked(earlier: Session, tmp_path: Path) -> None:
    again = packing.unpack(tmp_path / "elsewhere", packing.pack(earlier))
    assert [info.id for info in again.trajectories().items] == [info.id for info in earlier.trajectories().items]
    assert again.header() == earlier.header() and again.proposal().steps == earlier.proposal().steps


def test_a_conversation_of_the_first_version_that_had_them_is_read(tmp_path: Path) -> None:
    shutil.copytree(EARLIER / "0.2.0", tmp_path / "session")
    listing = dialogues.dialogues(Session.open(tmp_path, "session"))
    assert len(listing.items) == 1 and not listing.problems and len(listing.items[0].exchanges) == 6
