"""A library that parses strangers' files in a process of its own: it may crash, hang and lie, and nothing else ends."""

from pathlib import Path

import pytest

from vlmcar_core import readers
from vlmcar_core.errors import BadInput
from vlmcar_core.sandbox.apart import Apart

PROGRAMS = "tests.apart_programs"


def test_it_answers_one_question_after_the_other() -> None:
    process = Apart(PROGRAMS, ["echo"])
    assert [process.ask({"number": number}) for number in (1, 2)] == [{"number": 1}, {"number": 2}]


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("crash", "what reads this file ended"),
        ("flood", "what reads this file ended"),
        ("nonsense", "answered nonsense"),
        ("list", "answered nonsense"),
        ("refuse", "it holds no frame"),
    ],
)
def test_what_goes_wrong_there_is_said_here(how: str, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        Apart(PROGRAMS, [how]).ask({})


def test_it_is_ended_when_it_takes_too_long_and_stays_ended() -> None:
    process = Apart(PROGRAMS, ["hang"], seconds=3.0)
    for _ in range(2):
        with pytest.raises(BadInput, match="longer than 3 seconds"):
            process.ask({})


def test_it_has_no_key_and_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLMCAR_API_KEY", "sk-secret")
    names = str(Apart(PROGRAMS, ["environment"]).ask({})["names"]).split()
    assert "VLMCAR_API_KEY" not in names and "HOME" not in names


@pytest.mark.parametrize("answer", ["{}", '{"title": 1}'])
def test_a_reader_that_answers_something_else_than_it_should_is_refused(tmp_path: Path, answer: str) -> None:
    from vlmcar_core.readers import _apart

    with pytest.raises(BadInput, match="answered nonsense"):
        _apart._as(_apart.Told, Apart(PROGRAMS, ["echo"]).ask({"answer": answer}))


def test_a_file_that_goes_away_between_two_episodes_is_refused(tmp_path: Path) -> None:
    from tests.test_intake import film, growing

    for number in range(2):
        film(tmp_path / f"{number}.mkv", "ffv1", "bgr0", growing(3, 32))
    material = readers.opened(tmp_path)
    assert material.count == 2 and material.read(0).frames is not None
    (tmp_path / "1.mkv").unlink()
    with pytest.raises(BadInput):
        material.read(1)
