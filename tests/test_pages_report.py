"""What a person takes away from the page Report."""

import io
import zipfile
from pathlib import Path

import pytest

from tests.studio_sessions import framed, opened, recorded, said, verified


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VLMCAR_SESSIONS", str(tmp_path))
    return tmp_path


def test_the_bundle_is_one_button_and_says_what_it_is(root: Path) -> None:
    verified(root)
    app = opened("report", "red")
    assert "Nothing contains the checkers in a bundle" in said(app)
    next(button for button in app.button if button.label == "Make the bundle").click().run()
    assert not app.exception and "Verification: rejected" in said(app)
    name, data = app.session_state["bundle"]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert name == "red" and "red-reward/reward.py" in archive.namelist()


def test_the_report_is_written_with_as_much_of_the_replay_as_is_wanted(root: Path) -> None:
    verified(root)
    app = opened("report", "red")
    write = next(button for button in app.button if button.label == "Write the report file")
    write.click().run()
    with_player = app.session_state["report"][1]
    app.number_input[0].set_value(0.0).run()
    next(button for button in app.button if button.label == "Write the report file").click().run()
    assert not app.exception
    assert b"class Player" in with_player and b"class Player" not in app.session_state["report"][1]


def test_what_is_not_verified_or_not_proposed_cannot_be_a_bundle(root: Path) -> None:
    recorded(root)
    framed(root, "bare")
    app = opened("report", "red")
    assert "not verified yet" in said(app)
    assert all(button.label != "Make the bundle" for button in (*app.button, *opened("report", "bare").button))
