"""The replay player and the editor in a real browser."""

import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Server, settle
from tests.studio_sessions import recorded, verified
from vlmcar_core.store import Session

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def session(app: Server) -> Session:
    return verified(app.root, "replayed")


def part(page: Page, name: str) -> Locator:
    return page.locator(f"[data-part='{name}']")


def frame_in_url(page: Page) -> str:
    return parse_qs(urlparse(page.url).query).get("frame", [""])[0]


def pixel(page: Page, name: str, across: float, down: float) -> list[int]:
    """RGB of a canvas, at a place given as shares of its width and height."""
    found: list[int] = part(page, name).evaluate(
        """(canvas, [x, y]) => Array.from(canvas.getContext("2d").getImageData(
            Math.floor(canvas.width * x), Math.floor(canvas.height * y), 1, 1).data).slice(0, 3)""",
        [across, down],
    )
    return found


def test_arrow_keys_step_and_the_frame_comes_to_the_url(session: Session, visit: Callable[..., Page]) -> None:
    page = visit("verify", session=session.name, trajectory="expert-000")
    expect(part(page, "where")).to_have_text("frame 0 of 4")
    part(page, "now").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(part(page, "where")).to_have_text("frame 2 of 4")
    expect(part(page, "values")).to_contain_text("see red: done, counted")
    page.wait_for_url(re.compile("frame=2"))
    page.keyboard.press("End")
    expect(part(page, "forth")).to_be_disabled()


def test_the_picture_changes_with_the_frame(session: Session, visit: Callable[..., Page]) -> None:
    page = visit("verify", session=session.name, trajectory="expert-000")
    part(page, "overlays").uncheck()
    assert pixel(page, "now", 0.03, 0.03) == [0, 0, 0]
    part(page, "slider").fill("4")
    assert pixel(page, "now", 0.03, 0.03) == [255, 0, 0]
    assert pixel(page, "first", 0.03, 0.03) == [0, 0, 0]


def test_playing_comes_to_the_end_and_tells_the_url_only_then(session: Session, visit: Callable[..., Page]) -> None:
    page = visit("verify", session=session.name, trajectory="expert-000", frame="0")
    part(page, "speed").select_option("4")
    part(page, "play").click()
    expect(part(page, "play")).to_have_text("Pause")
    expect(part(page, "where")).to_have_text("frame 3 of 4")
    assert frame_in_url(page) == "0"
    expect(part(page, "play")).to_have_text("Play")
    page.wait_for_url(re.compile("frame=4"))


def test_a_click_on_a_lane_goes_there(session: Session, visit: Callable[..., Page]) -> None:
    page = visit("verify", session=session.name, trajectory="expert-000")
    box = part(page, "lanes").bounding_box()
    assert box is not None
    part(page, "lanes").click(position={"x": box["width"] - 5, "y": 10})
    expect(part(page, "where")).to_have_text("frame 4 of 4")


def test_first_wrong_frame_brings_the_player_into_view(session: Session, visit: Callable[..., Page]) -> None:
    page = visit("verify", session=session.name, trajectory="random-000")
    page.locator(".st-key-wrong-fails button").click()
    settle(page)
    expect(part(page, "where")).to_have_text("frame 1 of 4")
    expect(part(page, "now")).to_be_in_viewport()
    expect(part(page, "now")).to_be_focused()
    expect(part(page, "values")).to_contain_text("failed: ValueError: red is here")
    expect(part(page, "values")).to_contain_text("Wrong here")
    assert "trajectory=expert-000" in page.url


def test_what_the_code_sees_is_named_and_can_be_hidden(session: Session, visit: Callable[..., Page]) -> None:
    page = visit("verify", session=session.name, trajectory="expert-000", frame="4")
    button = part(page, "legend").get_by_role("button", name="red: mask of 9 pixels")
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")


def test_a_narrow_window_needs_no_sideways_scrolling(session: Session, visit: Callable[..., Page], page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    visit("verify", session=session.name)
    wide = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
    assert wide <= 390


def test_typed_code_is_on_disk_before_it_is_saved(app: Server, visit: Callable[..., Page]) -> None:
    session = recorded(app.root, "edited")
    page = visit("review", session=session.name, checker="silent")
    editor = page.frame_locator("iframe").locator(".ace_text-input")
    editor.press("Control+End")
    editor.press_sequentially("# a note")
    expect(page.get_by_text("Save as the next proposal")).to_be_visible()
    settle(page)
    assert session.draft is not None
    assert session.draft.subtasks[2].checker.source.endswith("# a note")
    page.get_by_role("button", name="Discard the draft").click()
    settle(page)
    expect(page.frame_locator("iframe").locator(".ace_content")).not_to_contain_text("a note")
    assert session.draft is None
