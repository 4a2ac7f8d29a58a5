"""The report as a file of its own in a real browser: nothing leaves it, and the replay works without a server."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_replay import part
from tests.conftest import proposal
from tests.studio_sessions import FAILS, framed, verified
from vlmcar_core import pipeline
from vlmcar_core.store import Session

pytestmark = pytest.mark.browser

EXAMPLES = Path(__file__).parent.parent.parent / "sessions"
EVIL = (
    '</script><script>document.title = "owned"</script><img src=http://127.0.0.1:9/x onerror="document.title=1"> \u2028'
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "doorkey.html"
    path.write_text(pipeline.report(Session.open(EXAMPLES, "example-doorkey-6x6")), encoding="utf-8")
    return path


@pytest.fixture(params=["light", "dark"])
def alone(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page at which nothing may go wrong or leave the machine; `data:` is no request of the network."""
    scheme: Literal["light", "dark"] = request.param
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("request", lambda asked: faults.append(asked.url) if not asked.url.startswith(("file:", "data:")) else None)
    yield page
    context.close()
    assert faults == []


def test_an_episode_is_stepped_by_keys_with_what_the_code_sees(alone: Page, written: Path) -> None:
    alone.goto(written.as_uri())
    expect(part(alone, "where")).to_have_text("frame 0 of 14")
    part(alone, "now").focus()
    alone.keyboard.press("ArrowRight")
    alone.keyboard.press("ArrowRight")
    expect(part(alone, "where")).to_have_text("frame 2 of 14")
    expect(part(alone, "values")).to_contain_text("Take the key (yellow here): done, counted")
    alone.keyboard.press("n")
    expect(part(alone, "values")).to_contain_text("Open the door (yellow here): done, counted")
    expect(part(alone, "status")).to_have_text("")
    expect(part(alone, "mark-button")).to_be_hidden()
    alone.keyboard.press("m")
    expect(part(alone, "said")).to_have_text("")
    alone.keyboard.press("End")
    expect(part(alone, "forth")).to_be_disabled()
    alone.keyboard.press("Home")
    with_outlines = part(alone, "now").evaluate("canvas => canvas.toDataURL()")
    part(alone, "overlays").uncheck()
    assert part(alone, "now").evaluate("canvas => canvas.toDataURL()") != with_outlines
    assert "mask of" in part(alone, "legend").inner_text() or "box at" in part(alone, "legend").inner_text()


def test_another_episode_is_one_click_away_and_figures_are_drawn(alone: Page, written: Path) -> None:
    alone.goto(written.as_uri())
    buttons = alone.locator("[data-replay]")
    assert buttons.count() >= 4
    expect(buttons.first).to_have_attribute("aria-pressed", "true")
    other = buttons.nth(2)
    other.click()
    expect(other).to_have_attribute("aria-pressed", "true")
    expect(buttons.first).to_have_attribute("aria-pressed", "false")
    last = re.search(r"(\d+) steps", other.inner_text())
    assert last is not None
    expect(part(alone, "where")).to_have_text(f"frame 0 of {last[1]}")
    assert alone.locator(".js-plotly-plot .main-svg").count() >= 3


def test_the_policy_of_the_page_lets_nothing_load_or_run_but_its_own(chromium: Browser, written: Path) -> None:
    page = chromium.new_page()
    page.goto(written.as_uri())
    # Even what got into the page would run only if its hash were named.
    page.evaluate(
        """() => { const script = document.createElement("script");
        script.textContent = "document.title = 'owned'"; document.body.append(script); }"""
    )
    assert page.title() == "example-doorkey-6x6: VLM-CaR report"
    page.close()
    head = written.read_text(encoding="utf-8").partition("</head>")[0]
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', head)
    assert policy is not None
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy[1].split(";"))
    assert rules["default-src"] == "'none'" and rules["base-uri"] == "'none'" and "connect-src" not in rules
    assert all(source.startswith("'sha256-") for source in rules["script-src"].split())
    assert rules["img-src"] == "data: blob:"


def test_a_strangers_words_are_words_in_the_replay_too(alone: Page, tmp_path: Path) -> None:
    session = framed(tmp_path)
    source = verified(tmp_path, "other")
    for id in ("expert-000", "expert-001", "random-000"):
        session.add_trajectory(source.trajectory(id))
    made = proposal(("a", FAILS.replace("red is here", EVIL.replace('"', "'"))))
    session.add_proposal(replace(made, subtasks=(replace(made.subtasks[0], title=EVIL),)))
    pipeline.verify(session)
    (tmp_path / "evil.html").write_text(pipeline.report(session), encoding="utf-8")
    alone.goto((tmp_path / "evil.html").as_uri())
    expect(part(alone, "values")).to_contain_text('</script><script>document.title = "owned"')
    part(alone, "now").press("End")
    expect(part(alone, "values")).to_contain_text("failed: ValueError: </script>")
    assert alone.title() == "red: VLM-CaR report"
    assert alone.locator("img:not([src^='data:'])").count() == 0


def test_lanes_take_the_colours_of_the_page(alone: Page, written: Path) -> None:
    alone.goto(written.as_uri())
    expect(part(alone, "where")).to_have_text("frame 0 of 14")
    ink = part(alone, "lanes").evaluate("canvas => getComputedStyle(canvas).color")
    dark = alone.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert ink == ("rgb(255, 255, 255)" if dark else "rgb(0, 0, 0)")
