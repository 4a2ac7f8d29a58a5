import dataclasses
import json
import multiprocessing
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ALWAYS, NEVER, picture, proposal, trajectory
from vlmcar_core import recordings
from vlmcar_core.errors import BadInput, ChangedElsewhere, DamagedFile, UnknownName
from vlmcar_core.store import GoalOrigin, Session, sessions
from vlmcar_core.types import Answers, Count, Outcome, Task, Thresholds
from vlmcar_core.verdicts import Verdict, Verification, Wrong

Make = Callable[..., Session]


def test_a_trajectory_comes_back_bit_for_bit(make_session: Make) -> None:
    session = make_session()
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    stored = dataclasses.replace(trajectory([0, 1, 2, 3, 4]), frames=frames)
    back = session.trajectory(session.add_trajectory(stored))
    for name in ("frames", "actions", "rewards"):
        assert np.array_equal(getattr(back, name), getattr(stored, name))
        assert getattr(back, name).dtype == getattr(stored, name).dtype
    assert np.array_equal(back.facts["red"], stored.facts["red"])
    assert (back.success, back.seed, back.source, back.versions) == (True, 0, "expert", stored.versions)


def test_a_frame_that_repeats_is_stored_once(make_session: Make) -> None:
    session = make_session()
    id = session.add_trajectory(trajectory([0, 3, 3, 3, 0, 5]))
    path = session.trajectory_path(id)
    with zipfile.ZipFile(path) as archive:
        assert sum(name.endswith(".png") for name in archive.namelist()) == 3
    assert recordings.read_order(path).tolist() == [0, 1, 1, 1, 0, 2]
    assert np.array_equal(recordings.read_frame(path, 4), picture(0))


def test_a_cut_off_trajectory_file_is_named_and_leaves_the_others_usable(make_session: Make) -> None:
    session = make_session()
    good, bad = session.add_trajectory(trajectory([0, 1])), session.add_trajectory(trajectory([0, 2]))
    path = session.trajectory_path(bad)
    path.write_bytes(path.read_bytes()[:100])
    listing = session.trajectories()
    assert [info.id for info in listing.items] == [good]
    assert len(listing.problems) == 1 and f"{bad}.zip" in listing.problems[0]


@pytest.mark.parametrize(
    "meta",
    [b"", b"[]", b"{}", b'{"version": 99}', b"\xff", b'{"version": 1}', b'{"version": 1, "shape": 3, "source": "x"}'],
)
def test_a_foreign_zip_is_damage_not_a_crash(make_session: Make, meta: bytes) -> None:
    session = make_session()
    (session.folder / "trajectories").mkdir()
    with zipfile.ZipFile(session.folder / "trajectories" / "expert-000.zip", "w") as archive:
        archive.writestr("meta.json", meta)
    assert session.trajectories().problems and not session.trajectories().items
    with pytest.raises(DamagedFile, match=r"expert-000\.zip"):
        session.trajectory("expert-000")


def test_a_pickle_inside_a_trajectory_is_refused(make_session: Make) -> None:
    session = make_session()
    path = session.trajectory_path(session.add_trajectory(trajectory([0, 1])))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    objects = path.with_name("objects.npz")
    np.savez(objects, order=np.array([{"a": 1}], dtype=object))
    members["steps.npz"] = objects.read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(DamagedFile, match=r"steps\.npz"):
        recordings.read(path)


@pytest.mark.parametrize("name", ["", "..", "a/b", "../x", ".hidden", "x" * 65, "a b", "a\n", "dots..."])
def test_a_name_that_could_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="name"):
        Session.create(tmp_path, name, Task(None, None))
    with pytest.raises(BadInput):
        Session.open(tmp_path, name)


def test_a_taken_name_is_refused_and_the_session_there_untouched(make_session: Make, tmp_path: Path) -> None:
    before = make_session("one").header()
    with pytest.raises(BadInput, match="exists already"):
        Session.create(tmp_path, "one", Task("Other-v0", "minigrid"))
    assert Session.open(tmp_path, "one").header() == before


def test_an_unknown_session_names_the_known_ones(make_session: Make, tmp_path: Path) -> None:
    make_session("known")
    with pytest.raises(UnknownName, match=r"'unknown'.*known"):
        Session.open(tmp_path, "unknown")


def test_a_save_over_somebody_elses_is_refused(make_session: Make) -> None:
    session = make_session()
    mine = theirs = session.header()
    session.save(dataclasses.replace(theirs, thresholds=Thresholds(random_limit=0.2)))
    with pytest.raises(ChangedElsewhere, match="another tab"):
        session.save(dataclasses.replace(mine, thresholds=Thresholds(random_limit=0.3)))
    assert session.header().thresholds.random_limit == 0.2


def test_a_proposal_comes_back_and_keeps_the_frames_it_was_made_from(make_session: Make) -> None:
    session = make_session()
    session.set_goal(picture(9), GoalOrigin("upload", name="goal.png"))
    stored = session.add_proposal(proposal(("first", ALWAYS), ("second", NEVER)))
    assert session.proposal() == stored and stored.number == 0 and stored.created
    assert (session.proposal_folder(0) / "goal.png").is_file()


def test_an_outdated_edit_is_refused(make_session: Make) -> None:
    session = make_session()
    session.add_proposal(proposal(("first", ALWAYS)))
    session.add_proposal(proposal(("theirs", ALWAYS)), expected_latest=0)
    with pytest.raises(ChangedElsewhere):
        session.add_proposal(proposal(("mine", ALWAYS)), expected_latest=0)
    assert len(session.proposals().items) == 2


def test_a_proposal_whose_key_points_outside_is_damage(make_session: Make) -> None:
    session = make_session()
    session.add_proposal(proposal(("first", ALWAYS)))
    path = session.proposal_folder(0) / "proposal.json"
    value = json.loads(path.read_text())
    value["subtasks"][0]["key"] = "../../../secret"
    path.write_text(json.dumps(value))
    listing = session.proposals()
    assert not listing.items and "key" in listing.problems[0]


def test_answers_come_back_with_their_faults(make_session: Make) -> None:
    session = make_session()
    fault = Outcome("error", None, "ZeroDivisionError: division by zero", 3)
    session.save_answers("d" * 64, "expert-000", Answers(np.array([0.0, np.nan, 1.0], np.float32), {1: fault}))
    back = session.answers("d" * 64, "expert-000")
    assert back is not None and back.faults == {1: fault} and back.done.tolist() == [False, False, True]
    assert session.answers("e" * 64, "expert-000") is None


def test_a_verification_comes_back(make_session: Make) -> None:
    session = make_session()
    one = Verdict(
        "a", "d", Count(2, 2), Count(3, 100), Count(0, 102), Count(1, 102), Count(0, 0), "boom", (Wrong("x", 1, "y"),)
    )
    stored = session.add_verification(
        Verification(0, (one,), Count(2, 2), Count(0, 100), 1, 50, Thresholds(), ("x",), (Wrong("x", 3, "z"),))
    )
    assert session.verification(0) == stored
    assert session.verification(1) is None


def test_a_damaged_session_is_named_and_the_others_are_listed(make_session: Make, tmp_path: Path) -> None:
    make_session("good")
    broken = make_session("broken")
    (broken.folder / "session.json").write_text('{"version": 1, "task": ')
    listing = sessions(tmp_path)
    assert listing.items == ("good",)
    assert "broken" in listing.problems[0] and "JSON" in listing.problems[0]


def test_a_session_of_a_newer_program_says_so(make_session: Make) -> None:
    session = make_session()
    (session.folder / "session.json").write_text('{"version": 2}')
    with pytest.raises(DamagedFile, match="version 2"):
        session.header()


def _add(folder: Path) -> str:
    return Session(folder).add_trajectory(trajectory([0, 1, 2], "random", False))


def test_two_processes_that_record_at_once_lose_nothing(make_session: Make) -> None:
    session = make_session()
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        ids = pool.map(_add, [session.folder] * 12)
    assert len(set(ids)) == 12 == len(session.trajectories().items)


@given(st.binary(max_size=400))
@settings(max_examples=60, deadline=None)
def test_no_bytes_in_a_session_file_crash_its_reader(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "session.json").write_bytes(data)
    with pytest.raises(DamagedFile):
        Session(folder).header()
