"""What goes between the app and a worker: whole messages, and looking for them before one sleeps."""

import numpy as np
import pytest

from tests.conftest import RED_AT_LEAST
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.sandbox.inside import wire
from vlmcar_core.types import Checker


def test_a_message_about_frames_is_the_same_however_it_is_made() -> None:
    run = (1 << 33, 5, 64, 480, 640, 1023, True)
    assert wire.asking(wire.ASK, *run) == wire.message(wire.ASK, wire.RUN.pack(*run))


def test_what_is_there_is_seen_at_the_first_look() -> None:
    looks = []
    assert wire.Lookout().seen(lambda: not looks.append(None))
    assert len(looks) == 1


class Looks:
    """Looks for what is there or is not, and counts."""

    def __init__(self) -> None:
        self.lookout, self.there, self.looks = wire.Lookout(), False, 0

    def come(self) -> bool:
        self.looks += 1
        return self.there

    def looked(self) -> bool:
        """Whether it looks this time, rather than rest."""
        before = self.looks
        self.lookout.seen(self.come)
        return self.looks > before

    def rests(self) -> int:
        """How often it rests before it looks again."""
        rests = 0
        while not self.looked():
            rests += 1
        return rests


def test_what_is_not_there_is_looked_for_ever_less_often() -> None:
    looks = Looks()
    assert looks.looked()
    rests = [looks.rests() for _ in range(12)]
    assert rests[:4] == [1, 2, 4, 8]
    assert max(rests) == rests[-1] == wire.RESTS


def test_what_is_there_again_is_soon_looked_for_each_time() -> None:
    """A moment without its core does not cost an end its patience for long."""
    looks = Looks()
    for _ in range(12):
        looks.rests()
    looks.there = True
    looks.rests()
    assert looks.looked() and looks.looked()
    for _ in range(12):
        assert looks.looked()
    looks.there = False
    assert looks.looked()
    assert looks.rests() == 1


@pytest.mark.parametrize("shape", [(1, 1), (601, 601), (777, 999)])
def test_frames_of_any_size_leave_room_for_the_bell(shape: tuple[int, int]) -> None:
    """Odd numbers of bytes, also beyond what is taken at first; the last pixel is the last byte of the frames."""
    last = np.zeros((2, *shape, 3), np.uint8)
    last[1, -1, -1] = 255, 0, 0
    initial = np.zeros((*shape, 3), np.uint8)
    with CheckerProcess([Checker("red", RED_AT_LEAST.format(pixels=1))]) as process:
        for _ in range(3):
            assert [outcome.done for outcome in process.run("red", initial, last)] == [False, True]
            assert [outcome.done for outcome in process.run("red", initial, last[1:])] == [True]


def test_one_after_the_other_faults_and_answers_are_not_mixed_up() -> None:
    """A fault's message comes before the end of the answer; the next question finds neither of them."""
    source = "def check(initial, current):\n    return 1 / int(current[0, 0, 0]) > 0.1\n"
    frames = np.zeros((300, 4, 4, 3), np.uint8)
    frames[::3, 0, 0, 0] = 5
    frames[1::3, 0, 0, 0] = 50
    with CheckerProcess([Checker("divides", source)]) as process:
        found = [process.run("divides", frames[0], frame[None])[0] for frame in frames]
    assert [outcome.kind for outcome in found] == ["ok", "ok", "error"] * 100
    assert [outcome.done for outcome in found[:2]] == [True, False]
