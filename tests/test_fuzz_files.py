"""Every reader of files from anybody, on files made wrong; `python -m scripts.fuzz` does the same for longer."""

from pathlib import Path

import pytest

from scripts import fuzz
from scripts.fuzz import TARGETS, Target
from vlmcar_core.errors import DamagedFile

EXAMPLES = {"session": 60}
"""Of the others 150."""


@pytest.mark.parametrize("name", TARGETS)
def test_a_wrong_file_is_read_or_refused_as_promised(name: str) -> None:
    fuzz.fuzz(TARGETS[name], EXAMPLES.get(name, 150))


def test_every_seed_is_read_as_it_is() -> None:
    for target in TARGETS.values():
        for name, data in target.seeds().items():
            target.read(data, name)


def test_a_reader_that_breaks_its_promise_is_found_and_the_file_kept(tmp_path: Path) -> None:
    def careless(data: bytes, name: str) -> int:
        return data[3]

    with pytest.raises(IndexError):
        fuzz.fuzz(Target(lambda: {"a.bin": b"abcdefgh"}, careless), 300, tmp_path)
    assert len((tmp_path / "a.bin").read_bytes()) <= 3


def test_a_reader_that_hangs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "SECONDS", 0.2)

    def stuck(data: bytes, name: str) -> None:
        while b"zz" not in data:
            pass

    with pytest.raises(AssertionError, match=r"longer than 0\.2 s"):
        fuzz.fuzz(Target(lambda: {"a.bin": b"abcdefgh"}, stuck), 5)


def test_a_refusal_that_was_not_promised_is_found() -> None:
    def strict(data: bytes, name: str) -> None:
        raise DamagedFile("no")

    with pytest.raises(DamagedFile):
        fuzz.fuzz(Target(lambda: {"a.bin": b"x"}, strict, (ValueError,)), 5)
