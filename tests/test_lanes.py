"""Checkers asked side by side, and frames held in memory."""

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import RED_AT_LEAST, picture, trajectory
from tests.test_importing import COUNTS
from vlmcar_core import holding, recordings
from vlmcar_core.errors import DamagedFile, SandboxError
from vlmcar_core.holding import Holding
from vlmcar_core.lanes import ask_all
from vlmcar_core.recordings import Distinct
from vlmcar_core.sandbox import Chances, CheckerProcess
from vlmcar_core.types import Checker, Trajectory
from vlmcar_core.verify import ask

ENDLESS = (
    "def check(a, b):\n    while True:\n        try:\n            while True:\n                pass\n"
    "        except:\n            pass\n    return False\n"
)
EPISODES = {f"episode-{number}": trajectory([number, 9, number, number + 3]) for number in range(7)}


def frames_of(id: str) -> Distinct:
    return recordings.distinct_frames(EPISODES[id].frames)


def test_two_lanes_say_what_one_process_says() -> None:
    some, counts = Checker("some", RED_AT_LEAST.format(pixels=9)), Checker("counts", COUNTS)
    checkers = {checker.digest: checker for checker in (some, counts)}
    wanted = [(digest, id) for digest in checkers for id in EPISODES]
    found = dict(ask_all(checkers, wanted, frames_of))
    assert set(found) == set(wanted)
    with CheckerProcess([some, counts]) as process:
        for (digest, id), answers in found.items():
            alone = ask(process, checkers[digest], EPISODES[id])
            assert answers is not None and np.array_equal(answers.values, alone.values) and not answers.faults
    counted = found[counts.digest, "episode-0"]
    assert counted is not None and counted.done.tolist() == [False, False, False, True]


def test_both_lanes_together_end_a_checker_three_times() -> None:
    checker = Checker("endless", ENDLESS)
    wanted = [(checker.digest, id) for id in EPISODES]
    found = dict(ask_all({checker.digest: checker}, wanted, frames_of))
    faults = [answers.faults for answers in found.values() if answers]
    assert all(set(fault) == {0, 1, 2, 3} for fault in faults)
    ended = sum(fault[frame].kind == "timeout" for fault in faults for frame in (0, 1, 3))  # 2 shows the same as 0
    assert ended == 3
    assert {one.kind for fault in faults for one in fault.values()} == {"timeout", "disabled"}


def test_no_more_questions_are_under_way_than_a_checker_has_chances_left() -> None:
    chances, asking, most = Chances(), threading.Lock(), [0]
    under_way = 0
    ends = threading.Barrier(3, timeout=20)

    def ask_and_be_ended() -> None:
        nonlocal under_way
        with chances.question("it") as left:
            with asking:
                under_way += left
                most[0] = max(most[0], under_way)
            if left:
                ends.wait()
                chances.ended("it")
                with asking:
                    under_way -= 1
        told.append(left)

    told: list[bool] = []
    threads = [threading.Thread(target=ask_and_be_ended) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most == [3] and sorted(told) == [False, False, False, True, True, True]


def test_what_cannot_be_read_is_told_as_none_and_what_fails_is_raised() -> None:
    checker = Checker("some", RED_AT_LEAST.format(pixels=9))
    wanted = [(checker.digest, id) for id in EPISODES]
    found = dict(ask_all({checker.digest: checker}, wanted, lambda id: None if id == "episode-2" else frames_of(id)))
    assert [id for (_, id), answers in found.items() if answers is None] == ["episode-2"]

    def broken(id: str) -> Distinct:
        raise OSError(f"no {id}")

    with pytest.raises(OSError, match="no episode-0"):
        list(ask_all({checker.digest: checker}, wanted, broken))


def test_nothing_goes_on_once_it_is_left() -> None:
    read: list[str] = []

    def frames(id: str) -> Distinct:
        read.append(id)
        return recordings.distinct_frames(EPISODES["episode-1"].frames)

    checker = Checker("some", RED_AT_LEAST.format(pixels=9))
    wanted = [(checker.digest, f"episode-{number}") for number in range(2000)]
    before = threading.active_count()
    with closing(ask_all({checker.digest: checker}, wanted, frames)) as told:
        next(told)
    assert len(read) < 2000
    assert threading.active_count() == before


def test_a_question_under_way_is_stopped_from_another_thread() -> None:
    checker = Checker("endless", ENDLESS)
    with CheckerProcess([checker]) as process:
        process.start(checker.key)
        stop = threading.Timer(0.2, process.stop)
        stop.start()
        with pytest.raises(SandboxError, match="were stopped"):
            process.run(checker.key, picture(), np.stack([picture(red) for red in range(100)]))
        stop.join()
        with pytest.raises(SandboxError, match="were stopped"):
            process.run(checker.key, picture(), picture()[None])


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[str, Trajectory], Path]:
    def store(name: str, episode: Trajectory) -> Path:
        path = tmp_path / f"{name}.zip"
        path.unlink(missing_ok=True)
        recordings.write(path, episode)
        return path

    return store


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    read = recordings.read_distinct

    def counted(path: Path) -> Distinct:
        names.append(path.stem)
        return read(path)

    monkeypatch.setattr(holding.recordings, "read_distinct", counted)
    return names


def test_frames_are_read_once_until_their_file_changes(
    stored: Callable[[str, Trajectory], Path], reads: list[str]
) -> None:
    held = Holding()
    path = stored("one", EPISODES["episode-1"])
    for _ in range(3):
        frames, order = held.distinct(path)
        assert np.array_equal(frames[order], EPISODES["episode-1"].frames)
    assert reads == ["one"]
    stored("one", EPISODES["episode-5"])
    frames, order = held.distinct(path)
    assert np.array_equal(frames[order], EPISODES["episode-5"].frames)
    assert reads == ["one", "one"]


def test_no_more_is_held_than_may_be(stored: Callable[[str, Trajectory], Path], reads: list[str]) -> None:
    paths = [stored(f"episode-{number}", EPISODES[f"episode-{number}"]) for number in range(7)]
    unbounded = Holding()
    for path in paths:
        unbounded.distinct(path)
    limit = unbounded.nbytes // 2
    held = Holding(limit)
    for _ in range(5):
        for path in paths:
            assert np.array_equal(held.distinct(path).frames, unbounded.distinct(path).frames)
            assert held.nbytes <= limit
    reads.clear()
    for path in paths:
        held.distinct(path)
    assert 0 < len(reads) < len(paths)
    assert Holding(10).distinct(paths[0]).initial.shape == (16, 16, 3)


def test_a_damaged_file_is_refused(stored: Callable[[str, Trajectory], Path]) -> None:
    path = stored("one", EPISODES["episode-1"])
    path.write_bytes(b"not a zip")
    with pytest.raises(DamagedFile, match="one"):
        Holding().distinct(path)
