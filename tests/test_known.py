"""What is known of frames: shared by runs of the same checkers, harmless where it cannot be."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ALWAYS, NEVER
from vlmcar_core import known
from vlmcar_core.errors import BadInput
from vlmcar_core.types import Checker, Outcome, Task

TASK = Task("MiniGrid-Empty-5x5-v0", "minigrid", settings={"tile_size": 8})
CHECKERS = [Checker("one", NEVER), Checker("two", ALWAYS)]
VERSIONS = {"minigrid": "3"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VLMCAR_CACHE", str(tmp_path))
    return tmp_path / "known"


def test_two_runs_of_the_same_checkers_see_what_the_other_wrote(folder: Path) -> None:
    one, other = (known.shared(CHECKERS, TASK, VERSIONS).frames for _ in range(2))
    one[5] = (7, 8)
    assert other[5].tolist() == [7, 8] and other.shape == (known.SLOTS, 2)
    (table,) = folder.iterdir()
    assert table.stat().st_mode & 0o777 == 0o600 and table.stat().st_size == known.BYTES
    del one, other
    assert known.shared(CHECKERS, dataclasses.replace(TASK, seed=9), VERSIONS).frames[5].tolist() == [7, 8]


@pytest.mark.parametrize(
    ("checkers", "task", "versions"),
    [
        (CHECKERS[::-1], TASK, VERSIONS),
        ([CHECKERS[0], Checker("two", ALWAYS + "\n")], TASK, VERSIONS),
        (CHECKERS, dataclasses.replace(TASK, settings={"tile_size": 16}), VERSIONS),
        (CHECKERS, dataclasses.replace(TASK, env_id="MiniGrid-Empty-6x6-v0"), VERSIONS),
        (CHECKERS, TASK, {"minigrid": "4"}),
    ],
)
def test_nothing_else_is_shared(folder: Path, checkers: list[Checker], task: Task, versions: dict[str, str]) -> None:
    known.shared(CHECKERS, TASK, VERSIONS).frames[5] = (7, 8)
    assert not known.shared(checkers, task, versions).frames.any()


def test_keys_of_sub_tasks_do_not_matter(folder: Path) -> None:
    known.shared(CHECKERS, TASK, VERSIONS).frames[5] = (7, 8)
    renamed = [Checker("first", NEVER), Checker("second", ALWAYS)]
    assert known.shared(renamed, TASK, VERSIONS).frames[5].tolist() == [7, 8]


def test_a_frame_is_known_to_complete_something_or_nothing_and_a_fault_tells_neither() -> None:
    frames = known.Known().frames
    marks = np.random.default_rng(0).integers(0, 2**64, (3, 2), np.uint64)
    for mark, outcome in zip(
        marks, (Outcome("ok", 1.0), Outcome("ok", 0.6), Outcome("error", message="no")), strict=True
    ):
        assert known.recalled(frames, mark) is None
        known.keep(frames, mark, outcome)
    assert [known.recalled(frames, mark) for mark in marks] == [known.COMPLETES, known.NOTHING, None]
    assert known.unknown(frames, marks).tolist() == [True, False, True]
    assert known.unknown(frames, marks + known.DONE).tolist() == [False, True, True]


def test_two_marks_of_one_place_are_both_kept_and_a_third_takes_that_of_one() -> None:
    frames = known.Known().frames
    marks = np.array([[1 << 60, number] for number in (1, 2, 4)], np.uint64)
    for mark in marks[[0, 1, 1, 0]]:
        known.keep(frames, mark, known.NOTHING)
    assert known.unknown(frames, marks).tolist() == [False, False, True]
    known.keep(frames, marks[2], known.NOTHING)
    assert known.unknown(frames, marks).tolist() == [True, False, False]


@pytest.mark.parametrize("wrong", ["short", "link", "folder"])
def test_a_file_that_is_none_of_ours_is_left_alone_and_nothing_is_shared(
    folder: Path, tmp_path: Path, wrong: str
) -> None:
    known.shared(CHECKERS, TASK, VERSIONS).frames[5] = (7, 8)
    (table,) = folder.iterdir()
    elsewhere = tmp_path / "elsewhere"
    table.rename(elsewhere)
    if wrong == "short":
        table.write_bytes(b"x" * 100)
    elif wrong == "link":
        table.symlink_to(elsewhere)
    else:
        table.mkdir()
    found = known.shared(CHECKERS, TASK, VERSIONS).frames
    assert not found.any()
    found[6] = (1, 1)
    assert wrong != "short" or table.read_bytes() == b"x" * 100


def test_a_folder_that_cannot_be_made_means_a_table_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VLMCAR_CACHE", str(tmp_path / "file"))
    assert not known.shared(CHECKERS, TASK, VERSIONS).frames.any()


def test_a_folder_in_which_others_may_write_is_refused(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(BadInput, match="others may write"):
        known.shared(CHECKERS, TASK, VERSIONS)


def test_the_tables_not_opened_for_longest_go_first_and_stay_whole_for_who_has_them(folder: Path) -> None:
    def of(number: int) -> np.ndarray:
        return known.shared(CHECKERS, TASK, {"minigrid": str(number)}).frames

    first = of(0)
    first[5] = (7, 8)
    (oldest,) = folder.iterdir()
    os.utime(oldest, (1, 1))
    for number in range(1, known.TABLES + 1):
        of(number)
    assert len(list(folder.iterdir())) == known.TABLES and not oldest.exists()
    assert first[5].tolist() == [7, 8] and not of(0).any()


def test_what_is_taken_from_first_frames_is_found_again_until_another_takes_its_place(folder: Path) -> None:
    one, other = (known.shared(CHECKERS, TASK, VERSIONS) for _ in range(2))
    chance = np.random.default_rng(0)
    kept = {chance.bytes(16): chance.bytes(16) for _ in range(1000)}
    for key, value in kept.items():
        one.keep_first(key, value)
    found = [other.first(key) for key in kept]
    assert sum(value == wanted for value, wanted in zip(found, kept.values(), strict=True)) > 990
    assert all(value in (None, wanted) for value, wanted in zip(found, kept.values(), strict=True))
    assert [other.first(chance.bytes(16)) for _ in range(100)] == [None] * 100
    assert other.first(bytes(16)) in (None, bytes(16))


def test_what_two_wrote_at_once_is_nobodys() -> None:
    """Two keys with one place, and every way in which their halves may come to stand there together."""
    keys = [b"same low".ljust(8, b"\0") + bytes([number] * 8) for number in (1, 2)]
    values = [bytes([number] * 16) for number in (3, 4)]
    rows = []
    for key, value in zip(keys, values, strict=True):
        table = known.Known()
        table.keep_first(key, value)
        (place,) = np.flatnonzero(table._firsts.any(axis=1))
        rows.append(table._firsts[place].copy())
    for whose in np.ndindex(2, 2, 2, 2):
        mixed = known.Known()
        mixed._firsts[place] = [rows[who][word] for word, who in enumerate(whose)]
        for number, key in enumerate(keys):
            right = all(rows[number][word] == mixed._firsts[place][word] for word in range(4))
            assert mixed.first(key) == (values[number] if right else None), whose
