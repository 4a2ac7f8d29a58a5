"""A camera's recordings and a packed session, uploaded in a real browser."""

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from scripts.screenshots import settle
from tests.browser.conftest import Server
from tests.test_cli_files import moving
from vlmcar_core import packing
from vlmcar_core.store import Session, sessions

pytestmark = pytest.mark.browser
SECONDS = 60_000


def choose(page: Page, label: str, value: str) -> None:
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=value, exact=True).click()
    settle(page)


def test_recordings_make_a_session_that_is_packed_and_unpacked(server: Server, page: Page, tmp_path: Path) -> None:
    page.goto(f"{server.url}/task")
    settle(page)
    page.get_by_role("tab", name="From recordings").click()
    page.get_by_role("tabpanel", name="From recordings").get_by_role("button", name="Make session").click()
    expect(page.get_by_role("link", name="Next: take trajectories from files")).to_be_visible(timeout=SECONDS)
    page.get_by_role("link", name="Next: take trajectories from files").click()
    settle(page)

    page.locator("input[type=file]").set_input_files(moving(tmp_path / "done.npz", [2, 24, 46]))
    expect(page.get_by_alt_text("Last frame")).to_be_visible(timeout=SECONDS)
    settle(page)
    choose(page, "Who acted", "expert")
    choose(page, "Solved", "yes")
    page.get_by_role("button", name="Take in 1 episode").click()
    expect(page.get_by_role("link", name="Next: propose sub-tasks and checkers")).to_be_visible(timeout=SECONDS)
    session = Session.open(server.root, "recordings")
    (info,) = session.trajectories().items
    assert (info.id, info.success, info.steps) == ("expert-000", True, 2)
    assert np.array_equal(session.goal, session.trajectory("expert-000").frames[-1])

    page.goto(f"{server.url}/task?session=recordings")
    settle(page)
    page.get_by_text("This session as one file").click()
    page.get_by_role("button", name="Pack it").click()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download recordings.zip").click()
    path = tmp_path / "recordings.zip"
    downloading.value.save_as(path)
    assert path.read_bytes() == packing.pack(session)

    page.get_by_role("tab", name="From a packed session").click()
    panel = page.get_by_role("tabpanel", name="From a packed session")
    panel.locator("input[type=file]").set_input_files(path)
    settle(page)
    panel.get_by_label("Name").fill("again")
    panel.get_by_label("Name").press("Enter")
    settle(page)
    panel.get_by_role("button", name="Unpack it").click()
    expect(page.get_by_text("Two frames")).to_be_visible(timeout=SECONDS)
    settle(page)
    assert set(sessions(server.root).items) == {"again", "recordings"} and "session=again" in page.url
