"""Pages that take files in and give them out: trajectories and packed sessions."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests.conftest import picture
from tests.studio_sessions import framed, opened, recorded, said
from vlmcar_core import packing, pipeline
from vlmcar_core.store import Session, sessions


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "sessions"
    folder.mkdir()
    monkeypatch.setenv("VLMCAR_SESSIONS", str(folder))
    return folder


def npz(path: Path, side: int = 16) -> Path:
    frames = np.stack([picture(number, side) for number in range(4)])
    np.savez(path, frames=frames, won=np.array([False, False, True]), rewards=np.array([0.0, 0.0, 1.0]))
    return path


def gif(path: Path) -> bytes:
    pictures = [Image.fromarray(picture(number)) for number in range(3)]
    buffer = io.BytesIO()
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:], duration=50)
    return buffer.getvalue()


def from_path(app: AppTest, path: Path) -> AppTest:
    """The form, filled in with a path of this machine."""
    app.segmented_control(key="taking-how").set_value("A file or folder of this machine").run()
    return app.text_input(key="taking-path").set_value(str(path)).run()


def test_a_path_is_looked_at_given_a_meaning_and_taken_in(root: Path, tmp_path: Path) -> None:
    session = pipeline.create_empty(root, "camera")
    app = from_path(opened("record", "camera"), npz(tmp_path / "push.npz"))
    assert "push.npz: NPZ, 1 episode; the first has 4 frames of 16 × 16 pixels" in said(app).replace("*", "")
    assert not session.trajectories().items, "nothing is kept before the person says so"
    app.selectbox(key="taking-source-0").set_value("expert").run()
    app.selectbox(key="taking-solved-0").set_value("key").run()
    app.selectbox(key="taking-key-0").set_value("won").run()
    app.button(key="taking-in").click().run()
    assert not app.exception
    (info,) = session.trajectories().items
    assert (info.id, info.success, info.origin) == ("expert-000", True, "from push.npz")
    assert session.goal is not None


def test_uploads_are_taken_in_and_pictures_make_one_episode(root: Path, tmp_path: Path) -> None:
    session = framed(root)
    app = opened("record", "red")
    files = [("10.png", picture(3)), ("9.png", picture(1))]
    app.file_uploader(key="taking-0").set_value(
        [*((name, png(frame), "image/png") for name, frame in files), ("a.gif", gif(tmp_path), "image/gif")]
    ).run()
    assert "256 colours" in said(app) and "folder of pictures, 1 episode; the first has 2 frames" in said(app)
    app.button(key="taking-in").click().run()
    assert not app.exception
    infos = session.trajectories().items
    assert [info.steps for info in infos] == [1, 2] or [info.steps for info in infos] == [2, 1]
    shots = next(session.trajectory(info.id) for info in infos if info.steps == 1)
    assert np.array_equal(shots.frames[0], picture(1)), "9 comes before 10"


def png(frame: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "PNG")
    return buffer.getvalue()


def test_frames_of_another_size_are_refused_by_name_or_resized_where_asked(root: Path, tmp_path: Path) -> None:
    session = framed(root)
    app = from_path(opened("record", "red"), npz(tmp_path / "large.npz", 32))
    app.button(key="taking-in").click().run()
    assert "large.npz is 32 × 32 pixels" in said(app) and "Nothing was kept" in said(app)
    app.checkbox(key="taking-resize-0").check().run()
    app.button(key="taking-in").click().run()
    assert session.trajectories().items[0].shape == (16, 16)


@pytest.mark.parametrize("name", ["nowhere.npz", "hostile.npz", "words.txt"])
def test_what_cannot_be_read_is_said_in_words(root: Path, tmp_path: Path, name: str) -> None:
    framed(root)
    (tmp_path / "hostile.npz").write_bytes(b"PK\x03\x04 no zip")
    (tmp_path / "words.txt").write_text("words")
    app = from_path(opened("record", "red"), tmp_path / name)
    assert not app.exception and "A fault of the program" not in said(app)
    assert name in said(app) and not [button for button in app.button if button.key == "taking-in"]


def test_a_strangers_names_are_shown_as_words(root: Path, tmp_path: Path) -> None:
    framed(root)
    frames = np.stack([picture(0), picture(1)])
    path = tmp_path / "[click](https:evil) <b>.npz"
    np.savez(path, frames=frames, **{"**bold** :red[x]": np.zeros(1)})
    app = from_path(opened("record", "red"), path)
    assert "click" in said(app)
    assert not any("[click](" in item.value for item in (*app.markdown, *app.caption))


def test_an_empty_session_is_made_from_the_task_page(root: Path) -> None:
    app = opened("task", "")
    app.text_input(key="empty-name").set_value("camera").run()
    app.button(key="empty-make").click().run()
    assert sessions(root).items == ("camera",) and Session(root / "camera").initial is None


def test_a_session_is_packed_and_offered_as_one_file(root: Path) -> None:
    session = recorded(root)
    app = opened("task", "red")
    app.button(key="pack").click().run()
    assert not app.exception and app.session_state["packed"] == ("red", packing.pack(session))


def test_a_packed_session_is_unpacked_under_its_name_or_another(root: Path, tmp_path: Path) -> None:
    data = packing.pack(recorded(root))
    app = opened("task", "")
    app.file_uploader(key="unpack").set_value(("red.zip", data, "application/zip")).run()
    app.button(key="unpack-it").click().run()
    assert "'red' exists already" in said(app)
    app.text_input(key="unpack-name").set_value("again").run()
    app.button(key="unpack-it").click().run()
    assert not app.exception and set(sessions(root).items) == {"red", "again"}


def test_a_hostile_zip_is_refused_in_words(root: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../evil.py", "print('x')")
    app = opened("task", "")
    app.file_uploader(key="unpack").set_value(("evil.zip", buffer.getvalue(), "application/zip")).run()
    app.button(key="unpack-it").click().run()
    assert "no session that was packed" in said(app) and not list(root.iterdir())
