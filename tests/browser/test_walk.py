"""One person's way from nothing to a trained agent and a report, in a real browser, without a key."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from scripts.screenshots import settle
from tests.browser.conftest import Server
from vlmcar_core import jobs, runs
from vlmcar_core.store import Session

pytestmark = pytest.mark.browser
NAME = "walk"
SECONDS = 120_000


def number(page: Page, label: str, value: int) -> None:
    field = page.get_by_label(label, exact=True)
    field.fill(str(value))
    field.press("Enter")
    settle(page)


def test_from_nothing_to_a_trained_agent_and_a_report(
    server: Server, page: Page, wait: Callable[[Callable[[], bool], float], None], tmp_path: Path
) -> None:
    page.goto(server.url)
    settle(page)
    expect(page.get_by_text("There are no sessions yet")).to_be_visible()
    page.get_by_role("button", name="New session").click()
    settle(page)

    page.get_by_role("combobox", name="Environment").click()
    page.keyboard.type("DoorKey-5x5")
    page.keyboard.press("Enter")
    settle(page)
    page.get_by_text("Pictures and recordings").click()
    number(page, "Random episodes", 30)
    number(page, "Steps of a random episode at most", 25)
    page.get_by_label("Name", exact=True).first.fill(NAME)
    page.get_by_label("Name", exact=True).first.press("Enter")
    settle(page)
    page.get_by_role("button", name="Make session").first.click()
    expect(page.get_by_role("heading", name="Task")).to_be_visible(timeout=SECONDS)
    session = Session.open(server.root, NAME)
    assert session.header().recording.randoms == 30 and session.header().recording.random_steps == 25

    page.get_by_role("link", name="Next: record trajectories").click()
    settle(page)
    assert f"session={NAME}" in page.url
    page.get_by_role("button", name="Record what is missing").click()
    expect(page.get_by_role("link", name="Next: propose sub-tasks and checkers")).to_be_visible(timeout=SECONDS)
    wait(lambda: len(session.trajectories().items) == 32, 60)

    page.get_by_role("link", name="Next: propose sub-tasks and checkers").click()
    settle(page)
    page.get_by_role("button", name="Propose", exact=True).click()
    expect(page.get_by_role("heading", name="Proposal 0")).to_be_visible(timeout=SECONDS)
    assert session.proposal().author == "built-in, no VLM"
    expect(page.get_by_text("by built-in, no VLM")).to_be_visible()

    page.get_by_role("link", name="Next: review and edit").click()
    settle(page)
    title = page.get_by_label("Sub-task 1", exact=True)
    title.fill("Fetch the key")
    title.press("Enter")
    settle(page)
    page.reload()
    settle(page)
    expect(page.get_by_label("Sub-task 1", exact=True)).to_have_value("Fetch the key")
    page.get_by_role("button", name="Save as the next proposal").click()
    wait(lambda: session.proposal().number == 1, 60)
    assert session.proposal().subtasks[0].title == "Fetch the key" and session.draft is None
    settle(page)

    page.get_by_role("link", name="Next: verify").click()
    settle(page)
    page.get_by_role("button", name="Verify", exact=True).click()
    expect(page.get_by_text("The whole proposal")).to_be_visible(timeout=SECONDS)
    verification = session.verification(1)
    assert verification is not None and verification.expert.hits == 2 and verification.random.total == 30
    settle(page)
    frame = page.get_by_text("frame 0 of")
    expect(frame).to_be_visible()
    page.get_by_role("button", name="One frame forth").click()
    expect(page.get_by_text("frame 1 of")).to_be_visible()
    page.wait_for_url("**frame=1**")  # the frame was told to the server, so nothing is under way when the page is left
    settle(page)

    page.get_by_role("link", name="Next: train").click()
    settle(page)
    number(page, "Seeds", 1)
    number(page, "Steps a run", 1_000_000)
    page.get_by_role("button", name="Start training").click()
    wait(lambda: len(runs.runs(session).items) == 2, 60)
    folders = [run.folder for run in runs.runs(session).items]
    wait(lambda: all(len(runs.read_progress(folder)) >= 2 for folder in folders), 120)

    server.kill()
    assert all(jobs.read(folder).running for folder in folders), "training goes on without the app"
    server.start()
    page.goto(f"{server.url}/train?session={NAME}")
    settle_live(page)
    expect(page.get_by_text("Run 1", exact=True)).to_be_visible(timeout=SECONDS)
    expect(page.get_by_text("running").first).to_be_visible()
    for button in ("stop-run-0", "stop-run-1"):
        page.locator(f".st-key-{button} button").click()
    wait(lambda: not any(jobs.read(folder).running for folder in folders), 60)
    assert [jobs.read(folder).state for folder in folders] == ["cancelled", "cancelled"]
    assert all((folder / runs.MODEL).is_file() for folder in folders)
    page.reload()
    settle(page)
    expect(page.get_by_text("cancelled").first).to_be_visible(timeout=SECONDS)

    page.goto(f"{server.url}/report?session={NAME}")
    settle(page)
    page.get_by_role("button", name="Write the report file").click()
    with page.expect_download(timeout=SECONDS) as download:
        page.get_by_role("button", name=f"Download {NAME}.html").click(timeout=SECONDS)
    download.value.save_as(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "Fetch the key" in text and "https://cdn" not in text.split("<script", 1)[0]
    page.goto((tmp_path / "report.html").as_uri())
    expect(page.get_by_role("heading", name="Training")).to_be_visible()


def settle_live(page: Page) -> None:
    """A page that refreshes itself never comes to rest; being connected must do."""
    page.wait_for_selector("[data-testid=stApp][data-test-connection-state=CONNECTED]", timeout=SECONDS)
