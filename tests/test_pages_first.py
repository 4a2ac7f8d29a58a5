"""What a newcomer meets: the first page leads on, and no page leaves anybody without a next step."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import RED_AT_LEAST, picture, proposal, trajectory
from tests.studio_sessions import framed, opened, recorded, said, verified
from vlmcar_core import pipeline
from vlmcar_core.store import Session
from vlmcar_core.types import Task
from vlmcar_studio import widgets

PAGES = sorted(path.stem for path in (Path(__file__).parents[1] / "pages").glob("*.py"))


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLMCAR_SESSIONS", str(tmp_path))


def empty(root: Path) -> Session:
    session = Session.create(root, "empty", Task("MiniGrid-DoorKey-5x5-v0", "minigrid"))
    session.set_initial(picture(0))
    return session


def accepted(root: Path) -> Session:
    session = framed(root)
    for seed in (0, 1):
        session.add_trajectory(trajectory([0, 4, 9], seed=seed))
    for seed in range(30):
        session.add_trajectory(trajectory([0, 1], source="random", success=False, seed=seed))
    session.add_proposal(
        proposal(("see-red", RED_AT_LEAST.format(pixels=4)), goal=RED_AT_LEAST.format(pixels=9)),
    )
    pipeline.verify(session)
    return session


def links(app: AppTest) -> list[str]:
    return [link.proto.label for link in app.get("page_link")]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (empty, "Next: record trajectories"),
        (framed, "Next: propose sub-tasks and checkers"),
        (recorded, "Next: verify the checkers"),
        (verified, "Next: see why the checkers are rejected"),
        (accepted, "Next: train"),
    ],
)
def test_the_first_page_says_what_comes_next_in_the_open_session(
    tmp_path: Path, made: Callable[[Path], Session], words: str
) -> None:
    session = made(tmp_path)
    app = opened("home", session.name)
    assert f"Open: **{session.name}**" in said(app)
    assert words in links(app)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("session", ["empty", ""])
def test_a_page_with_nothing_to_show_offers_something_to_do(tmp_path: Path, name: str, session: str) -> None:
    empty(tmp_path)
    app = opened(name, session)
    assert not app.exception
    assert links(app) or any(not button.disabled for button in app.button)


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("2026-11-23T14:10:26+00:00", "2026-11-23 14:10 UTC"),
        ("2026-11-23T14:10:26.123456+00:00", "2026-11-23 14:10 UTC"),
        ("2026-11-23T14:10:26+01:00", "2026-11-23T14:10:26+01:00"),
        ("**yesterday**", "**yesterday**"),
    ],
)
def test_a_time_is_told_to_the_minute_and_anything_else_as_it_is(stored: str, shown: str) -> None:
    assert widgets.when(stored) == shown
