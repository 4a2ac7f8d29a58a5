"""The replay player and the editor in a real browser."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import cv2
import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Server, settle
from tests.conftest import trajectory
from tests.studio_sessions import recorded, verified
from vlmcar_core import marks, player
from vlmcar_core.marks import Mark
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
    part(page, "speed").select_option("0.5")
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


def press(page: Page, *keys: str) -> None:
    """Real keys, to the picture."""
    part(page, "now").first.focus()
    for key in keys:
        page.keyboard.press(key)


def test_n_and_p_go_to_the_changes_and_home_and_end_to_the_ends(session: Session, visit: Callable[..., Page]) -> None:
    page = visit("verify", session=session.name, trajectory="expert-000", frame="0")
    places = []
    for key in ("n", "n", "n", "n", "p", "Home", "End"):
        press(page, key)
        places.append(part(page, "where").inner_text())
    # `fails` raises from frame 1 on, red is there from 2 on, the goal from 4 on; after the last the first comes again.
    assert [int(place.split()[1]) for place in places] == [1, 2, 4, 1, 4, 0, 4]


def test_speed_has_keys_and_stays_within_its_bounds(session: Session, visit: Callable[..., Page]) -> None:
    page = visit("verify", session=session.name, trajectory="expert-000")
    press(page, "+", "+", "+", "+", "+")
    expect(part(page, "speed")).to_have_value("8")
    press(page, *"------")
    expect(part(page, "speed")).to_have_value("0.25")


def test_keys_of_streamlit_and_of_the_browser_are_left_alone(session: Session, visit: Callable[..., Page]) -> None:
    page = visit("verify", session=session.name, trajectory="expert-000", frame="0")
    prevented = part(page, "now").evaluate(
        """canvas => ["r", "c", "Tab", "F5"].map(key => !canvas.dispatchEvent(
            new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}))).concat(
            [!canvas.dispatchEvent(new KeyboardEvent("keydown", {key: "d", ctrlKey: true, cancelable: true}))])"""
    )
    assert prevented == [False] * 5


def test_the_picture_shows_where_the_keys_go(session: Session, visit: Callable[..., Page]) -> None:
    page = visit("verify", session=session.name, trajectory="expert-000")
    press(page, "ArrowRight")
    outline = part(page, "now").evaluate("canvas => getComputedStyle(canvas).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Tab")
    expect(part(page, "now")).not_to_be_focused()
    part(page, "lanes").focus()
    page.keyboard.press("End")
    expect(part(page, "where")).to_have_text("frame 4 of 4")


def test_a_pixel_has_its_rgb_and_hsv_and_the_picture_goes_down_to_it(
    session: Session, visit: Callable[..., Page]
) -> None:
    page = visit("verify", session=session.name, trajectory="expert-000", frame="4")
    part(page, "overlays").uncheck()
    for _ in range(8):
        part(page, "zoom-in").click()
    expect(part(page, "zoom-size")).to_have_text("200 %")  # 8 of 16 pixels across
    press(page, "Shift+ArrowUp", *["Shift+ArrowUp"] * 20, *["Shift+ArrowLeft"] * 20)
    expect(part(page, "now-pixel")).to_have_text("(0, 0) RGB 255 0 0 · HSV 0 255 255 (OpenCV), 0° 100 % 100 %")
    expect(part(page, "first-pixel")).to_have_text("(0, 0) RGB 0 0 0 · HSV 0 0 0 (OpenCV), 0° 0 % 0 %")
    assert pixel(page, "now", 0.06, 0.06) == [255, 0, 0], "the chosen pixel was brought into view"
    part(page, "zoom-whole").click()
    expect(part(page, "zoom-size")).to_have_text("100 %")


def test_the_pointer_tells_the_pixel_under_it_and_the_wheel_keeps_it_there(
    session: Session, visit: Callable[..., Page]
) -> None:
    page = visit("verify", session=session.name, trajectory="expert-000", frame="4")
    canvas = part(page, "now")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    side = box["width"] / 16
    page.mouse.move(box["x"] + 8.5 * side, box["y"] + 0.5 * side)
    expect(part(page, "now-pixel")).to_contain_text("(8, 0) RGB 255 0 0")
    expect(part(page, "now-pixel")).to_contain_text("· in red")
    page.mouse.wheel(0, -100)
    expect(part(page, "zoom-size")).to_have_text("100 %")  # nobody has clicked it: the page scrolls
    settle(page)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 8.5 * side, box["y"] + 0.5 * side)
    page.mouse.wheel(0, -100)
    expect(part(page, "zoom-size")).to_have_text("150 %")
    expect(part(page, "now-pixel")).to_contain_text("(8, 0) RGB 255 0 0")


def test_hsv_in_the_browser_is_that_of_opencv(page: Page) -> None:
    page.add_script_tag(content=(player.FOLDER / "colour.js").read_text(encoding="utf-8"))
    grid = np.stack(np.meshgrid(*[np.r_[0:256:5, 1, 127, 128, 254]] * 3), axis=-1).reshape(-1, 3).astype(np.uint8)
    told = page.evaluate("colours => colours.map(opencvHsv)", grid.tolist())
    assert np.array_equal(np.array(told), cv2.cvtColor(grid[None], cv2.COLOR_RGB2HSV)[0])


def test_a_lane_tells_its_value_and_its_fault_under_the_pointer(session: Session, visit: Callable[..., Page]) -> None:
    page = visit("verify", session=session.name, trajectory="expert-000")
    lanes = part(page, "lanes")
    box = lanes.bounding_box()
    assert box is not None
    lanes.hover(position={"x": box["width"] - 5, "y": 30})
    expect(part(page, "tip")).to_have_text("frame 4 · fails: failed: ValueError: red is here")
    lanes.hover(position={"x": 20, "y": 10})
    expect(part(page, "tip")).to_have_text("see red")
    page.mouse.move(5, 5)
    expect(part(page, "tip")).to_be_hidden()


def test_a_span_is_marked_by_keys_and_becomes_what_is_expected(app: Server, visit: Callable[..., Page]) -> None:
    session = verified(app.root, "marked")
    page = visit("verify", session=session.name, trajectory="random-000", frame="1")
    expect(part(page, "next")).to_be_enabled()
    press(page, "m", "ArrowRight", "m")
    settle(page)
    expect(page.get_by_role("spinbutton", name="First frame")).to_have_value("1")
    expect(page.get_by_role("spinbutton", name="Last frame")).to_have_value("2")
    page.get_by_text("should not be done").click()
    settle(page)
    page.get_by_text("should be done").click()
    settle(page)
    page.get_by_label("Why").fill("I see it")
    page.get_by_role("button", name="Keep this mark").click()
    settle(page)
    (mark,) = session.marks().items
    assert (mark.first, mark.last, mark.key, mark.done, mark.reason) == (1, 2, "see-red", True, "I see it")
    expect(part(page, "values")).to_contain_text("see red: not done; expected: done ✕")
    press(page, "Home", "d")
    expect(part(page, "where")).to_have_text("frame 1 of 2")
    page.get_by_text("Marks that stand: 1").click()
    page.get_by_role("button", name="Undo mark 0").click()
    settle(page)
    assert marks.standing(session.marks().items) == ()
    expect(part(page, "values")).to_contain_text("see red: not done")
    expect(part(page, "values")).not_to_contain_text("see red: not done; expected")


def test_a_disagreement_has_a_shape_and_not_only_a_colour(app: Server, visit: Callable[..., Page]) -> None:
    session = verified(app.root, "shapes")
    lane = """canvas => { const pen = canvas.getContext("2d");
        return Array.from(pen.getImageData(0, 0, canvas.width, 24).data).filter((_, at) => at % 4 === 3).join() }"""
    page = visit("verify", session=session.name, trajectory="random-000", frame="0")
    before = part(page, "lanes").evaluate(lane)
    session.add_mark(Mark("random-000", 1, 2, "see-red", False, "a test"))
    page.reload()
    settle(page)
    agreed = part(page, "lanes").evaluate(lane)
    session.add_mark(Mark("random-000", 1, 2, "see-red", True, "a test"))
    page.reload()
    settle(page)
    assert len({before, agreed, part(page, "lanes").evaluate(lane)}) == 3, "told apart by what is drawn where"


def test_two_trajectories_step_together_and_the_shorter_one_stays_at_its_end(
    session: Session, visit: Callable[..., Page]
) -> None:
    page = visit("verify", session=session.name, trajectory="expert-000", beside="random-000", frame="0")
    expect(part(page, "now")).to_have_count(2)
    press(page, "End")
    expect(part(page, "where")).to_have_text("frame 4 of 4")
    expect(part(page, "now").nth(0)).to_have_attribute("aria-label", re.compile("expert-000, frame 4 of 4"))
    expect(part(page, "now").nth(1)).to_have_attribute("aria-label", re.compile("random-000, frame 2 of 2"))
    page.wait_for_url(re.compile("frame=4"))
    assert "beside=random-000" in page.url


def test_a_row_of_the_list_opens_its_trajectory_where_it_is_first_wrong(
    session: Session, visit: Callable[..., Page]
) -> None:
    page = visit("verify", session=session.name, trajectory="random-000", frame="0")
    rows = page.get_by_test_id("stDataFrame").first
    rows.scroll_into_view_if_needed()
    rows.click(position={"x": 17, "y": 35 + 35 + 17})  # the box of the second row, beneath the header
    settle(page)
    page.wait_for_url(re.compile("trajectory=expert-001"))
    expect(part(page, "where")).to_have_text("frame 1 of 4")
    expect(page.get_by_role("combobox", name="Trajectory")).to_have_value(re.compile("expert-001"))


def test_frames_are_fetched_as_they_are_needed(app: Server, visit: Callable[..., Page], page: Page) -> None:
    session = recorded(app.root, "long")
    session.add_trajectory(trajectory([*range(200), *range(200)], source="human"))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/vlmcar/frame/" in request.url else None)
    with page.expect_request(re.compile("/40.png")):
        visit("verify", session=session.name, trajectory="human-000")
    settle(page)
    numbers = {int(Path(urlparse(url).path).stem) for url in asked}
    assert numbers == set(range(41)), "those ahead, and no others"
    press(page, "End")
    expect(part(page, "where")).to_have_text("frame 399 of 399")
    expect(part(page, "status")).to_be_empty()
    assert pixel(page, "now", 0.5, 0.7) == [255, 0, 0]
    assert len(asked) < 80


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
