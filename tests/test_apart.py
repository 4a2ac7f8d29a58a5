"""A library that parses strangers' files in a process of its own: it may crash, hang and lie, and nothing else ends."""

import tempfile
from pathlib import Path

import pytest

from tests import reader_gone_bad
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


def test_a_file_that_goes_away_after_it_was_opened_is_read_all_the_same(tmp_path: Path) -> None:
    from tests.test_intake import film, growing

    for number in range(2):
        film(tmp_path / f"{number}.mkv", "ffv1", "bgr0", growing(3, 32))
    material = readers.opened(tmp_path)
    assert material.count == 2 and material.read(0).frames is not None
    (tmp_path / "1.mkv").unlink()
    assert material.read(1).frames is not None


def test_a_reader_that_a_file_took_over_can_read_that_file_and_do_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "given"
    path.write_bytes(reader_gone_bad.INSIDE)
    path.chmod(0o666)
    tmp_path.chmod(0o777)
    with tempfile.TemporaryFile() as out:
        process = Apart("tests.reader_gone_bad", [str(path), str(out.fileno())], inherited=[out.fileno()])
        told = process.ask({})
        assert told["notes"] == [], "it is sealed"
        names = told["settings"]["names"]
        came_of = {name: process.ask({"number": number})["name"] for number, name in enumerate(names)}
    assert came_of.pop("what is open") == "had: True"
    assert {name: said for name, said in came_of.items() if not said.startswith("refused: ")} == {}
    assert len(came_of) == len(reader_gone_bad.ATTEMPTS) - 1
    assert [found.name for found in tmp_path.iterdir()] == ["given"] and path.read_bytes() == reader_gone_bad.INSIDE


def test_where_there_is_no_seal_it_is_read_and_said(tmp_path: Path) -> None:
    from tests.test_intake import film, growing

    film(tmp_path / "a.mkv", "ffv1", "bgr0", growing(3, 32))
    with tempfile.TemporaryFile() as out:
        process = Apart(
            "tests.reader_with_a_thread", [str(tmp_path / "a.mkv"), str(out.fileno())], inherited=[out.fileno()]
        )
        assert "could not be sealed here (there are 2 threads" in process.ask({})["notes"][0]
        assert process.ask({"number": 0})["frames"] == 0
