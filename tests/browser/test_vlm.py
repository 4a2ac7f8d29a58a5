"""Asking a model in a real browser: a server, a typed key, answers that stream, leaving and coming back, stopping."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from playwright.sync_api import Page, expect

from scripts.screenshots import settle
from tests.browser.conftest import Server
from tests.recorded_answers import ANSWERS, AT_LEAST, MODEL, Serving, painted, record, serving
from vlmcar_core import dialogues, pipeline, repair, servers
from vlmcar_core.authoring import answer_by_hand
from vlmcar_core.store import Session

pytestmark = pytest.mark.browser
SECONDS = 60_000
KEY = "sk-typed-in-a-browser-0123456789"
SLOW = ("--fault", "ok*3", "--fault", "slow:4")
"""The connection test, two answers, and then one that takes its time."""


@pytest.fixture
def session(server: Server) -> Session:
    found = painted(server.root, "asked")
    record(found, (*ANSWERS[:3], AT_LEAST.format(pixels=99), ANSWERS[4]), MODEL)
    pipeline.verify(found)
    dialogue = repair.begin(found, servers.Server(), "paint-seven-pixels", "clipboard")
    repair.judge(found, answer_by_hand(found, dialogue, ANSWERS[3], MODEL))
    return found


@pytest.fixture
def replay(session: Session) -> Iterator[Serving]:
    with serving(session, *SLOW, key=KEY) as started:
        yield started


def choose_model(page: Page, url: str, replay: Serving) -> None:
    """On the Models page: address, key, model, test."""
    page.goto(f"{url}/models?session=asked")
    settle(page)
    page.get_by_label("Address").fill(replay.url)
    page.get_by_label("Address").press("Enter")
    expect(page.get_by_text("Anything that speaks OpenAI's chat completions.")).to_be_visible(timeout=SECONDS)
    settle(page)
    page.get_by_label("Key, for this browser session only").fill(KEY)
    page.get_by_label("Key, for this browser session only").press("Enter")
    expect(page.get_by_text("Used: the key from: typed")).to_be_visible()
    settle(page)
    page.get_by_role("button", name="Load the list").click()
    settle(page)
    option = page.get_by_role("option", name=MODEL)
    for _ in range(10):  # the list comes in place of the field, which may close it again
        page.get_by_role("combobox", name="Model").click()
        with suppress(AssertionError):
            expect(option).to_be_visible(timeout=2_000)
            option.click()
            break
        page.keyboard.press("Escape")
    settle(page)
    page.get_by_role("button", name="Test connection").click()
    expect(page.get_by_text("it named all four colours")).to_be_visible(timeout=SECONDS)


def test_a_model_is_asked_left_alone_and_found_again_and_mends_its_checker(
    server: Server,
    page: Page,
    session: Session,
    replay: Serving,
    wait: Callable[[Callable[[], bool], float], None],
) -> None:
    choose_model(page, server.url, replay)
    page.get_by_role("link", name="Next: propose").click()
    settle(page)
    page.get_by_text("A model", exact=True).click()
    settle(page)
    expect(page.get_by_text("key: typed")).to_be_visible()
    page.get_by_role("button", name="Ask the model").click()
    expect(page.get_by_text("Nothing has come yet.")).to_be_visible(timeout=SECONDS)
    expect(page.get_by_text("1 What do you think the final goal is?").first).to_be_visible()

    page.goto("about:blank")  # leave in the middle of question 3
    wait(lambda: len(session.proposals().items) == 2, 60)
    page.goto(f"{server.url}/propose?session=asked&by=openai")
    settle(page)
    expect(page.get_by_role("heading", name="Proposal 2")).to_be_visible(timeout=SECONDS)
    page.get_by_text("3.2 Paint seven pixels: how would you know the task is done?").click()
    expect(page.get_by_text("It is done when enough is red.").locator("visible=true").first).to_be_visible()

    pipeline.verify(session)
    page.goto(f"{server.url}/verify?session=asked")
    settle(page)
    page.get_by_role("link", name="Have it mended").click()
    settle(page)
    expect(page.get_by_text("What the model is shown:")).to_be_visible()
    page.get_by_text("Recorded answers", exact=True).click()
    settle(page)
    page.get_by_role("button", name="Ask for a mended checker").click()
    expect(page.get_by_text("mends 2 of 2 that were wrong")).to_be_visible(timeout=SECONDS)
    page.get_by_role("button", name="Accept it").click()
    expect(page.get_by_text("Verification rejects none of its checkers")).to_be_visible(timeout=SECONDS)
    everything = b"".join(path.read_bytes() for path in server.root.parent.rglob("*") if path.is_file())
    assert KEY.encode() not in everything


def test_stopping_keeps_the_answers_and_going_on_asks_only_the_rest(
    server: Server, page: Page, session: Session, replay: Serving, wait: Callable[[Callable[[], bool], float], None]
) -> None:
    choose_model(page, server.url, replay)
    page.get_by_role("link", name="Next: propose").click()
    settle(page)
    page.get_by_text("A model", exact=True).click()
    settle(page)
    page.get_by_role("button", name="Ask the model").click()
    expect(page.get_by_text("Nothing has come yet.")).to_be_visible(timeout=SECONDS)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("The last propose was stopped")).to_be_visible(timeout=SECONDS)
    settle(page)
    stopped = dialogues.dialogues(session).items[-1]
    assert [done.stage for done in stopped.exchanges] == ["goal", "subtasks"]
    page.get_by_role("button", name="Go on from there").click()
    wait(lambda: len(session.proposals().items) == 2, 60)
    assert len(dialogues.read(stopped.folder).exchanges) == 5


def test_a_chat_page_is_asked_by_the_clipboard(
    server: Server, page: Page, session: Session, wait: Callable[[Callable[[], bool], float], None]
) -> None:
    page.goto(f"{server.url}/propose?session=asked&by=clipboard")
    settle(page)
    page.get_by_role("button", name="Begin", exact=True).click()
    wait(lambda: len(session.dialogue_folders()) == 3, 20)
    for number, answer in enumerate(ANSWERS, 1):
        settle(page)
        page.get_by_role("textbox", name="Pasted answer").fill(answer)
        page.get_by_role("button", name="Take this answer").click()
        wait(lambda number=number: len(dialogues.dialogues(session).items[-1].exchanges) == number, 20)
    expect(page.get_by_role("heading", name="Proposal 2")).to_be_visible(timeout=SECONDS)
    assert session.proposal().author == "pasted from a chat page"
