"""Live charts in a real browser: they grow, keep a zoom, are walked by keys, and say in words what they show."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from scripts.screenshots import settle
from tests.browser.conftest import Server
from tests.browser.test_walk import settle_live
from tests.conftest import picture
from vlmcar_core import jobs, runs
from vlmcar_core.runs import RunConfig
from vlmcar_core.store import Session
from vlmcar_core.types import Task

pytestmark = pytest.mark.browser
NAME = "live"
SECONDS = 30_000


def tell(folder: Path, steps: int, **more: Any) -> None:
    row = {
        **{"steps": steps, "episodes": steps // 10, "seconds": steps / 100, "steps_per_second": 100.0},
        **{"success_rate": min(1.0, steps / 10_000), "env_return": 0.5, "learned_return": 1.0, "episode_length": 12.0},
        **{"completions": {"open-the-door": 0.5}, "paid": {"open-the-door": 0.25}},
        **{"losses": {"loss": 0.1, "entropy_loss": -1.0}, "asked": 100, "remembered": 90},
    }
    runs.append(folder, runs.PROGRESS, row | more)


@pytest.fixture
def running(server: Server) -> Iterator[Path]:
    """The folder of a run that is under way as long as the test is."""
    session = Session.create(server.root, NAME, Task("MiniGrid-Empty-5x5-v0", "minigrid"))
    session.set_initial(picture(0))
    folder = session.new_run_folder()
    runs.write_config(folder, RunConfig(proposal=0, steps=20_000))
    for steps in range(100, 4_100, 100):
        tell(folder, steps)
    with jobs.running(folder, "train-run") as reporter:
        reporter(4_000, 20_000, "40% of the last 100 episodes solved")
        yield folder


def chart(page: Page, title: str) -> Locator:
    return page.locator("section.chart").filter(has=page.get_by_role("heading", name=title, exact=True))


def test_charts_grow_and_keep_their_zoom(server: Server, page: Page, running: Path) -> None:
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text) if "Content Security" in message.text else None)
    page.goto(f"{server.url}/train?session={NAME}")
    settle_live(page)
    success = chart(page, "Environment success, training")
    expect(success.get_by_role("cell", name="40 %")).to_be_visible(timeout=SECONDS)
    expect(success.locator(".plot")).to_have_attribute(
        "aria-label", "Environment success, training, latest, after 4,000 steps: dense, proposal 0, run 0, seed 0 40 %"
    )
    expect(chart(page, "Environment return an episode")).to_be_visible()
    expect(chart(page, "Learned return an episode")).to_have_count(1)
    expect(chart(page, "Entropy of the policy")).to_be_visible()
    expect(chart(page, "Answers of checkers from memory").get_by_role("cell", name="90 %")).to_be_visible()

    plot = success.locator(".u-over")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    whole = page.get_by_role("button", name="Whole run").first
    expect(whole).to_be_disabled()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 60, steps=4)
    page.mouse.up()
    expect(whole).to_be_enabled()
    seen = "element => element.closest('.charts').board.seen"
    before = success.evaluate(seen)
    assert before[1] - before[0] == pytest.approx(1_000, rel=0.2)

    page.mouse.move(0, 0)
    tell(running, 6_000)
    expect(success.get_by_role("cell", name="60 %")).to_be_visible(timeout=SECONDS)
    assert success.evaluate(seen) == before, "what is looked at stays while points arrive"
    whole.click()
    expect(whole).to_be_disabled()
    assert refused == []


def test_charts_are_walked_by_keys_and_lines_hidden(server: Server, page: Page, running: Path) -> None:
    page.goto(f"{server.url}/train?session={NAME}")
    settle_live(page)
    success = chart(page, "Environment success, training")
    plot = success.locator(".plot")
    expect(success.locator(".u-over")).to_be_visible(timeout=SECONDS)
    plot.focus()
    page.keyboard.press("Home")
    expect(success.locator("caption")).to_have_text("after 100 steps")
    expect(success.get_by_role("cell", name="1 %", exact=True)).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(success.locator("caption")).to_have_text("after 200 steps")
    page.keyboard.press("+")
    expect(page.get_by_role("button", name="Whole run").first).to_be_enabled()
    page.keyboard.press("0")
    expect(page.get_by_role("button", name="Whole run").first).to_be_disabled()
    page.keyboard.press("Escape")
    expect(success.locator("caption")).to_have_text("latest, after 4,000 steps")
    line = success.get_by_role("button", name="dense, proposal 0, run 0, seed 0")
    line.click()
    expect(line).to_have_attribute("aria-pressed", "false")


def test_a_run_that_ends_while_somebody_looks_is_shown_as_ended(server: Server, page: Page) -> None:
    session = Session.create(server.root, NAME, Task("MiniGrid-Empty-5x5-v0", "minigrid"))
    session.set_initial(picture(0))
    folder = session.new_run_folder()
    runs.write_config(folder, RunConfig("sparse", steps=20_000))
    tell(folder, 100)
    with jobs.running(folder, "train-run") as reporter:
        page.goto(f"{server.url}/train?session={NAME}")
        settle_live(page)
        expect(page.get_by_text("running").first).to_be_visible(timeout=SECONDS)
        reporter.finish("error", "the lights went out")
    expect(page.get_by_text("the lights went out")).to_be_visible(timeout=SECONDS)
    settle(page)  # nothing refreshes itself any more
