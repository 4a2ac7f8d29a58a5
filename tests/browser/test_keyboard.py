"""The app without a mouse: Tab comes to everything, is seen where it is, and is kept nowhere."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import ElementHandle, Page, expect

from tests.browser.conftest import Server, settle
from vlmcar_core import jobs, runs
from vlmcar_core.store import Session

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
SECONDS = 120_000
TABS_MAX = 300
EDGE = 8
"""Pixels around an element in which its focus may be drawn."""

ACTIVE = """() => {
    let active = document.activeElement;
    while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
    return active;
}"""

NAMES = """element => {
    const words = (one) => {
        const copy = one.cloneNode(true);
        copy.querySelectorAll("[data-testid*=Icon]").forEach((icon) => icon.remove());
        return copy.textContent;
    };
    const by = (element.getAttribute("aria-labelledby") ?? "").split(" ").filter(Boolean);
    const labels = [...(element.labels ?? []), ...by.map((id) => element.getRootNode().getElementById(id))];
    const own = element.matches("a, button, summary, canvas, [role]:not([role=dialog])") ? [words(element)] : [];
    const pictures = [...element.querySelectorAll("img[alt]")].map((picture) => picture.alt);
    const all = [element.getAttribute("aria-label"), ...labels.filter(Boolean).map(words), ...own, ...pictures];
    return [...all, element.title].filter(Boolean).map((name) => name.trim()).filter(Boolean);
}"""
"""What an element is called: by its label, its words without icons, or its picture."""

STOPS = """() => {
    const main = document.querySelector("[data-testid=stMain]");
    const shown = (element) => element.checkVisibility({ visibilityProperty: true }) && element.tabIndex >= 0;
    return [...main.querySelectorAll("a[href], button:not(:disabled), summary, textarea:not(:disabled)")].filter(shown);
}"""
"""Everything in the page that a key should come to, frames and components aside."""


MISSED = """() => {
    const group = (one) => one.dataset.variant && one.parentElement; // pills: one stop, and arrow keys from there
    const groups = new Set([...met].map(group).filter(Boolean));
    return stops.filter((one) => one.isConnected && !met.has(one) && !groups.has(group(one)))
        .map((one) => one.outerHTML.slice(0, 300));
}"""


def active(page: Page) -> ElementHandle | None:
    """What has the focus, also within a component; None where nothing has."""
    element = page.evaluate_handle(ACTIVE).as_element()
    return element if element is not None and element.evaluate("element => element !== document.body") else None


def onwards(page: Page) -> ElementHandle | None:
    """Press Tab; the editor, in which Tab indents, is left by Escape first."""
    before = active(page)
    if before is not None and before.evaluate("element => element.tagName") == "IFRAME":
        page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    return active(page)


def reach(page: Page, name: str) -> ElementHandle:
    """Press Tab until what has the focus has this name (a pattern); it must be seen that it has."""
    for _ in range(TABS_MAX):
        element = onwards(page)
        if element is not None and any(re.fullmatch(name, one) for one in element.evaluate(NAMES)):
            assert seen(page, element), f"it is not seen that {name!r} has the focus"
            return element
    raise AssertionError(f"Tab does not come to {name!r}")


def seen(page: Page, element: ElementHandle) -> bool:
    """Whether the picture around an element is another with the focus than without."""
    element.scroll_into_view_if_needed()
    box = element.bounding_box()
    assert box is not None
    size = page.viewport_size
    assert size is not None
    left, top = max(0.0, box["x"] - EDGE), max(0.0, box["y"] - EDGE)
    right = min(box["x"] + box["width"] + EDGE, size["width"])
    bottom = min(box["y"] + box["height"] + EDGE, size["height"])
    clip = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    focused = page.screenshot(clip=clip, animations="disabled")  # type: ignore[arg-type]
    element.evaluate("element => { element.contentDocument?.activeElement?.blur(); element.blur(); }")
    without = page.screenshot(clip=clip, animations="disabled")  # type: ignore[arg-type]
    element.evaluate(
        "element => (element.contentDocument?.querySelector('textarea') ?? element).focus({ preventScroll: true })"
    )
    return focused != without


def press(page: Page, name: str, *keys: str) -> None:
    """Come to something and press keys there, Enter if none is told."""
    reach(page, name)
    for key in keys or ("Enter",):
        page.keyboard.press(key)
    settle(page)


def enter(page: Page, name: str, text: str) -> None:
    """Come to a field, put a text in place of its own, and confirm it."""
    reach(page, name)
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(text)
    page.keyboard.press("Enter")
    settle(page)


@pytest.fixture(scope="module")
def full(app: Server) -> str:
    shutil.copytree(ROOT / "sessions" / "example-doorkey-6x6", app.root / "keys")
    return "keys"


@pytest.mark.parametrize("name", PAGES)
def test_tab_comes_to_everything_and_around(full: str, visit: Callable[..., Page], name: str) -> None:
    page = visit("" if name == "home" else name, session=full)
    wanted = page.evaluate(f"({STOPS})().length")
    assert page.evaluate(f"window.stops = ({STOPS})(), window.met = new Set(), window.stops.length") == wanted
    nameless = []
    before = None
    for _ in range(TABS_MAX):
        element = onwards(page)
        if element is None:
            continue
        table = element.evaluate('element => element.closest("[data-testid=stDataFrame]") !== null')
        streamlits = element.evaluate("element => element.tagName") == "MAIN"
        if not table and not streamlits and not element.evaluate(NAMES):
            nameless.append(element.evaluate("element => element.outerHTML.slice(0, 200)"))
        again = element.evaluate("element => { const again = met.has(element); met.add(element); return again; }")
        if again and not (table and before == "table"):
            break
        before = "table" if table else ""
    else:
        raise AssertionError(f"Tab is kept somewhere on the page {name}")
    missed = page.evaluate(MISSED)
    assert not missed and not nameless, f"missed: {missed}; without a name: {nameless}"


def test_from_nothing_to_a_report_without_a_mouse(
    server: Server, page: Page, wait: Callable[[Callable[[], bool], float], None]
) -> None:
    page.goto(server.url)
    settle(page)
    press(page, "New session")
    reach(page, "Environment")
    page.keyboard.type("DoorKey-5x5")
    page.keyboard.press("Enter")
    settle(page)
    press(page, "Pictures and recordings")
    enter(page, "Random episodes", "30")
    enter(page, "Steps of a random episode at most", "25")
    enter(page, "Name", "keys")
    press(page, "Make session")
    expect(page.get_by_role("heading", name="Task")).to_be_visible(timeout=SECONDS)
    session = Session.open(server.root, "keys")

    press(page, "Next: record trajectories")
    press(page, "Record what is missing")
    wait(lambda: len(session.trajectories().items) == 32, 90)
    expect(page.get_by_role("link", name="Next: propose")).to_be_visible(timeout=SECONDS)
    press(page, "Next: propose sub-tasks and checkers")
    reach(page, "Propose")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Proposal 0")).to_be_visible(timeout=SECONDS)

    press(page, "Next: review and edit")
    enter(page, "Sub-task 1", "Fetch the key")
    press(page, "Save as the next proposal")
    wait(lambda: session.proposal().number == 1, 60)
    assert session.proposal().subtasks[0].title == "Fetch the key"

    press(page, "Next: verify")
    reach(page, "Verify")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The whole proposal")).to_be_visible(timeout=SECONDS)
    settle(page)
    press(page, ".*frame 0 of.*", "ArrowRight", "ArrowRight")
    expect(page.get_by_text("frame 2 of")).to_be_visible()

    press(page, "Next: train")
    enter(page, "Seeds", "1")
    enter(page, "Steps a run", "1000000")
    reach(page, "Start training")
    page.keyboard.press("Enter")
    wait(lambda: len(runs.runs(session).items) == 2, 60)
    folders = [run.folder for run in runs.runs(session).items]
    wait(lambda: all(jobs.read(folder).running for folder in folders), 60)
    for folder in folders:
        jobs.cancel(folder)

    page.goto(f"{server.url}/report?session=keys")
    settle(page)
    press(page, "Write the report file")
    expect(page.get_by_role("button", name="Download keys.html")).to_be_visible(timeout=SECONDS)
    with page.expect_download(timeout=SECONDS) as download:
        press(page, "Download keys.html.*")
    assert download.value.suggested_filename == "keys.html"


def test_escape_and_tab_leave_the_editor_and_tab_alone_indents(app: Server, visit: Callable[..., Page]) -> None:
    shutil.copytree(ROOT / "sessions" / "example-doorkey-6x6", app.root / "indented")
    page = visit("review", session="indented")
    frame = reach(page, "Source of the checker")
    inside = frame.content_frame()
    assert inside is not None
    first = inside.locator(".ace_line").first
    expect(first).to_contain_text('"""')
    page.keyboard.press("Control+Home")
    page.keyboard.press("Tab")
    expect(first).to_have_text('    """Take the key (yellow here)')
    settle(page)
    still = active(page)
    assert still is not None and still.evaluate("element => element.tagName") == "IFRAME"
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    after = active(page)
    assert after is not None and after.evaluate("element => element.tagName") != "IFRAME"


def to_row(page: Page, down: int) -> None:
    """Come to the first list of the page, go down so many times, and choose the row that this comes to."""
    for _ in range(TABS_MAX):
        element = onwards(page)
        if element is not None and element.get_attribute("data-testid") == "data-grid-canvas":
            break
    for _ in range(down):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+Space")
    settle(page)


def test_a_session_is_opened_from_the_list(server: Server, page: Page) -> None:
    for name in ("one", "two"):
        shutil.copytree(ROOT / "sessions" / "example-unlock", server.root / name)
    page.goto(server.url)
    settle(page)
    to_row(page, 2)
    page.wait_for_url(re.compile("session=(one|two)"))
    opened = "one" if "session=one" in page.url else "two"
    expect(page.get_by_text(f"Open: {opened}")).to_be_visible()


def test_an_episode_is_chosen_from_the_list_and_replayed(full: str, visit: Callable[..., Page]) -> None:
    page = visit("verify", session=full, trajectory="expert-000", frame="0")
    to_row(page, 2)
    page.wait_for_url(re.compile("trajectory=(?!expert-000)"))
    press(page, "Next change")
    where = page.locator("[data-part='where']")
    expect(where).not_to_have_text(re.compile("^frame 0 of"))
    press(page, "One frame back")
    press(page, "One frame back")
    press(page, "Larger, down to single pixels")
    expect(page.locator("[data-part='zoom-size']")).to_have_text("150 %")
    press(page, "Play")
    expect(where).to_have_text(re.compile(r"^frame (\d+) of \1$"), timeout=SECONDS)
