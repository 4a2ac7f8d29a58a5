"""What is served, and to whom: loopback, our own pages, frames that exist."""

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.studio_sessions import recorded
from vlmcar_core.files import from_png
from vlmcar_studio import server


@pytest.fixture
def client(tmp_path, monkeypatch):
    from starlette.applications import Starlette

    monkeypatch.setenv("VLMCAR_SESSIONS", str(tmp_path))
    recorded(tmp_path)
    app = Starlette(routes=server.ROUTES, middleware=server.MIDDLEWARE)
    return TestClient(app, base_url="http://127.0.0.1:8501", client=("127.0.0.1", 50_000))


def test_a_frame_is_served_bit_for_bit(client, tmp_path) -> None:
    from vlmcar_core.store import Session

    answer = client.get("/vlmcar/frame/red/expert-000/1.png")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    assert np.array_equal(
        from_png(answer.content, "x"), Session.open(tmp_path, "red").trajectory("expert-000").frames[1]
    )


@pytest.mark.parametrize(
    "path",
    [
        "red/expert-000/99",
        "red/nothing/0",
        "red/expert-000/" + "9" * 5000,
        "red/expert-000/-1",
        "nowhere/expert-000/0",
        "red/..%2F..%2Fsession/0",
        "%2e%2e/expert-000/0",
    ],
)
def test_what_is_not_there_is_not_found(client, path: str) -> None:
    assert client.get(f"/vlmcar/frame/{path}.png").status_code == 404


def kept(tmp_path):
    """A run of the session that has kept a video."""
    from tests.conftest import trajectory
    from vlmcar_core import films
    from vlmcar_core.store import Session

    folder = Session.open(tmp_path, "red").new_run_folder()
    films.keep_video(folder, trajectory([0, 5, 9], "policy"), 2048)
    return films.read(folder, films.VIDEOS, "000002048")


def test_a_frame_of_a_runs_video_is_served_bit_for_bit(client, tmp_path) -> None:
    shown = kept(tmp_path)
    answer = client.get("/vlmcar/run-frame/red/0/videos/000002048/1.png")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    assert np.array_equal(from_png(answer.content, "x"), shown.frames[1])


@pytest.mark.parametrize(
    "path",
    [
        "red/0/videos/000002048/99",
        "red/0/videos/000002049/0",
        "red/1/videos/000002048/0",
        "red/x/videos/000002048/0",
        "red/0/trajectories/000002048/0",
        "red/0/videos/..%2F..%2F..%2Ftrajectories%2Fexpert-000/0",
        "nowhere/0/videos/000002048/0",
    ],
)
def test_what_a_run_has_not_kept_is_not_found(client, tmp_path, path: str) -> None:
    kept(tmp_path)
    assert client.get(f"/vlmcar/run-frame/{path}.png").status_code == 404


def test_the_library_of_the_charts_is_served_as_it_came_with_its_licence(client) -> None:
    from vlmcar_studio import charts

    answer = client.get(charts.ROUTE)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/javascript")
    assert answer.content == charts.LIBRARY.read_bytes() and b"export { uPlot as default }" in answer.content
    assert "MIT License" in charts.LIBRARY.with_name("LICENSE").read_text()


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8501", "evil.example:8501", ""])
def test_a_foreign_host_is_refused(client, host: str) -> None:
    assert client.get("/vlmcar/frame/red/expert-000/0.png", headers={"host": host}).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
    ],
)
def test_a_request_from_another_site_is_refused(client, headers: dict[str, str]) -> None:
    assert client.get("/vlmcar/frame/red/expert-000/0.png", headers=headers).status_code == 403


def test_our_own_pages_may_ask_and_get_security_headers(client) -> None:
    answer = client.get("/vlmcar/frame/red/expert-000/0.png", headers={"origin": "http://127.0.0.1:8501"})
    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]


def test_only_get_is_answered(client) -> None:
    assert client.post("/vlmcar/frame/red/expert-000/0.png").status_code == 405


def test_the_app_is_served_on_loopback_only() -> None:
    argv = server.command(8501, headless=True)
    assert argv[argv.index("--server.address") + 1] == "127.0.0.1"
